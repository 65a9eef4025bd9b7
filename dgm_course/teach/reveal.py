"""The library's own lines, shown where the lecture's equation stands."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

LONGEST = 15


class Revealed:
    """Source that shows itself, highlighted, in a notebook and as plain text elsewhere."""

    def __init__(self, source: str) -> None:
        self.source = source

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.source, "text/markdown": f"```python\n{self.source}\n```"}

    def __repr__(self) -> str:
        return self.source


def reveal(*functions: Callable) -> Revealed:
    """The live source of the functions that are the equation; each of at most fifteen lines without its docstring.

    TypeError for what has no Python source; ValueError for a function too long to be an equation."""
    return Revealed("\n\n".join(_source(function) for function in functions))


def _source(function: Callable) -> str:
    function = function.fget if isinstance(function, property) else inspect.unwrap(function)
    try:
        source = textwrap.dedent(inspect.getsource(function)).rstrip()
    except (TypeError, OSError):
        raise TypeError(
            f"{function!r} has no Python source to reveal: expected a function of the library."
        ) from None
    lines = len(source.splitlines()) - len((function.__doc__ or "").splitlines())
    if lines > LONGEST:
        raise ValueError(
            f"{function.__qualname__} has {lines} lines: what is revealed is one equation, of at most "
            f"{LONGEST} lines."
        )
    return source
