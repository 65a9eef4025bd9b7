"""Defer Ctrl-C until the current step has finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def defer_interrupt(signals: Sequence[signal.Signals] = (signal.SIGINT,)) -> Iterator[list[int]]:
    """Collect these signals in a list; a second one of the same kind acts at once.

    Outside the main thread, where Python delivers no signals, the list stays empty."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, before[number])

    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
