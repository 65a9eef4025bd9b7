"""Show the source of a library function beside the lecture's equation."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

LONGEST = 15


class Revealed:
    """Source code: highlighted in a notebook, plain text elsewhere."""

    def __init__(self, source: str) -> None:
        self.source = source

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.source, "text/markdown": f"```python\n{self.source}\n```"}

    def __repr__(self) -> str:
        return self.source


def reveal(*functions: Callable) -> Revealed:
    """The source of functions that are an equation, each of at most 15 lines without its docstring.

    TypeError for what has no Python source; ValueError for a longer function."""
    return Revealed("\n\n".join(_source(function) for function in functions))


def _source(function: Callable) -> str:
    function = function.fget if isinstance(function, property) else inspect.unwrap(function)
    try:
        source = textwrap.dedent(inspect.getsource(function)).rstrip()
    except (TypeError, OSError):
        message = f"{function!r} has no Python source to reveal: expected a function of the library."
        raise TypeError(message) from None
    lines = len(source.splitlines()) - len((function.__doc__ or "").splitlines())
    if lines > LONGEST:
        raise ValueError(
            f"{function.__qualname__} has {lines} lines: expected one equation of at most {LONGEST} lines."
        )
    return source
