"""A progress line that ends as one plain line in the saved notebook: nothing on stderr, no widget left dead."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...training.loop import History


def progress(name: str = "training") -> Callable[[History], None]:
    """A reporter for ``fit(..., report=progress("name"))``: at most ten updates a second, silent outside a notebook."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return lambda history: None
    from IPython.display import display

    handle = display({"text/plain": name}, raw=True, display_id=True)
    last = [0.0]

    def report(history: History) -> None:
        now = time.monotonic()
        if history.finished or now - last[0] > 0.1:
            last[0] = now
            handle.update(_line(name, history), raw=True)

    return report


def _line(name: str, history: History) -> dict[str, str]:
    total = history.recipe.steps
    if history.finished:
        return {"text/plain": f"{name}: {total:,} steps done"}
    loss = f"loss {float(history.loss[-1]):.3f}"
    bar = f'<progress max="{total}" value="{history.step}" style="width:16em"></progress>'
    place = f"{history.step:,} of {total:,}"
    return {"text/plain": f"{name}: {place}", "text/html": f"{name} {bar} {place}, {loss}"}
