"""A progress line that ends as one line of text in the saved notebook; nothing on stderr, no widget."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...training.loop import History


def progress(name: str = "training") -> Callable[[History], None]:
    """A reporter for ``fit(..., report=progress("name"))``: at most ten updates a second, silent outside a notebook."""
    from IPython import get_ipython
    from IPython.display import display

    if not hasattr(get_ipython(), "kernel"):
        return lambda history: None
    handle, last = display({"text/plain": name}, raw=True, display_id=True), 0.0

    def report(history: History) -> None:
        nonlocal last
        if history.finished or time.monotonic() - last > 0.1:
            last = time.monotonic()
            handle.update(_line(name, history), raw=True)

    return report


def _line(name: str, history: History) -> dict[str, str]:
    total = history.recipe.steps
    if history.finished:
        return {"text/plain": f"{name}: {total:,} steps done"}
    steps, loss = f"{history.step:,} of {total:,}", f"loss {float(history.loss[-1]):.3f}"
    bar = f'<progress max="{total}" value="{history.step}" style="width:16em"></progress>'
    return {"text/plain": f"{name}: {steps}", "text/html": f"{name} {bar} {steps}, {loss}"}
