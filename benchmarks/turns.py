"""Two ways of doing a thing, timed in turn in one run, so that a busy moment of the machine meets both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def in_turn(
    rounds: int, clock: Callable[[], float] = time.perf_counter, **works: Callable[[], object]
) -> dict[str, list[float]]:
    """Times of each, one after the other, after one turn that does not count; every other round goes backwards."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for k in range(rounds):
        for name in list(works) if k % 2 else reversed(works):
            start = clock()
            works[name]()
            times[name].append(clock() - start)
    return times


def ratio(slow: list[float], fast: list[float], times: float = 1) -> str:
    """How many times as long the slow one takes, round by round: the median, and the least and the most."""
    ratios = [times * a / b for a, b in zip(slow, fast)]
    return f"{statistics.median(ratios):7.1f} × ({min(ratios):.1f} to {max(ratios):.1f})"
