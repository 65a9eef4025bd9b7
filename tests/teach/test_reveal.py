"""The source that is shown is the source that runs."""

import functools
import math

import pytest
import torch

from dgm_course import paths
from dgm_course.core import ode
from dgm_course.paths import GaussianPath, Prediction
from dgm_course.teach import plots
from dgm_course.teach.reveal import LONGEST, Revealed, reveal


def test_source_is_shown_plain_and_highlighted():
    shown = reveal(ode.heun)
    assert isinstance(shown, Revealed) and shown.source == repr(shown)
    assert (
        shown.source.startswith("def heun(") and "dt / 2 * (slope + field(x + dt * slope, t + dt))" in shown.source
    )
    bundle = shown._repr_mimebundle_()
    assert bundle["text/plain"] == shown.source and bundle["text/markdown"] == f"```python\n{shown.source}\n```"


def test_what_is_shown_runs_and_is_the_function():
    scope = {"Field": None, "Tensor": torch.Tensor}
    exec("from __future__ import annotations\n" + reveal(ode.rk4).source, scope)
    x, t, dt = torch.rand(3, 2), torch.tensor(0.1), torch.tensor(0.3)
    assert torch.equal(scope["rk4"](lambda x, t: x * t, x, t, dt), ode.rk4(lambda x, t: x * t, x, t, dt))


def test_several_methods_and_properties_are_shown_without_indentation():
    source = reveal(GaussianPath.velocity, Prediction.score, ode.euler).source
    assert (
        source.startswith("def velocity(") and "\n\n@property\ndef score(" in source and "\n\ndef euler(" in source
    )


def test_the_docstring_does_not_count():
    def long_docstring():
        """1
        2
        3
        4
        5
        6
        7
        8
        9
        10
        11
        12
        13
        14
        """
        return 1

    assert "return 1" in reveal(long_docstring).source


def test_wrapped_function_shows_its_own_source():
    assert "scatter(ax" in reveal(plots.points).source and "functools" not in reveal(plots.points).source


def too_long(x):
    x = x + 1
    x = x + 1
    x = x + 1
    x = x + 1
    x = x + 1
    x = x + 1
    x = x + 1
    x = x + 1
    x = x + 1
    x = x + 1
    x = x + 1
    x = x + 1
    x = x + 1
    x = x + 1
    return x


def test_long_function_is_refused():
    with pytest.raises(
        ValueError, match=f"too_long has 16 lines: expected one equation of at most {LONGEST} lines"
    ):
        reveal(too_long)
    with pytest.raises(ValueError, match="GaussianPath has .* lines"):
        reveal(paths.GaussianPath)


@pytest.mark.parametrize(
    "thing", [math.sin, torch.exp, functools.partial(too_long, 1), 3, "text", paths.Conical()]
)
def test_object_without_source_is_refused(thing):
    with pytest.raises(TypeError, match="has no Python source to reveal: expected a function of the library"):
        reveal(thing)
