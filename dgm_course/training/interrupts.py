"""A stop that is asked for and not forced: the step under way is finished first."""
from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def patient(signals: Sequence[signal.Signals] = (signal.SIGINT,)) -> Iterator[list[int]]:
    """The list fills when one of the signals comes; a second one of the same kind acts at once, as usual.

    Outside the main thread, where Python gives no signals, it stays empty."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    usual = {number: signal.getsignal(number) for number in signals}

    def handle(number: int, frame: Any) -> None:
        asked.append(number)
        signal.signal(number, usual[number])
    for number in usual:
        signal.signal(number, handle)
    try:
        yield asked
    finally:
        for number, before in usual.items():
            signal.signal(number, before)
