"""Four models, one code: recipes override nothing, and no file of paths has a loop of sampling of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from torch import nn

from dgm_course import paths as pm
from dgm_course.core.ode import euler, heun, iter_solve
from dgm_course.nets import MLP, TokenMLP
from dgm_course.paths import PathField, ancestral, annealed_langevin, ddim, fields, maskgit_step
from dgm_course.paths.model import PathModel


class Listening(nn.Module):
    """A net that counts how often it is asked."""

    def __init__(self, net):
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, x, t, y=None):
        self.calls += 1
        return self.net(x, t)


RECIPES = {
    "ddpm": lambda: pm.ddpm(Listening(MLP(2, 8, 1)), (2,)),
    "ncsn": lambda: pm.ncsn(Listening(MLP(2, 8, 1)), (2,)),
    "flow_matching": lambda: pm.flow_matching(Listening(MLP(2, 8, 1)), (2,)),
    "absorbing": lambda: pm.absorbing(Listening(TokenMLP(2, 3, 8, 1)), (3,), 2),
}
recipes = pytest.mark.parametrize("make", RECIPES.values(), ids=RECIPES)
SHARED = ("loss", "sample", "trajectory", "times", "_iter_solve", "drift", "elbo", "start", "predict")


def listening(model) -> Listening:
    return next(m for m in model.modules() if isinstance(m, Listening))


@recipes
def test_a_recipe_chooses_objects_and_overrides_nothing(make):
    model = make()
    assert type(model) is PathModel and not set(vars(model)) & set(SHARED)
    for name in SHARED:
        assert getattr(model, name).__func__ is getattr(RECIPES["ddpm"](), name).__func__
    assert model.sample.__func__ is PathField.sample and model.trajectory.__func__ is PathField.trajectory


def test_no_model_of_a_path_has_a_sampler_of_its_own():
    def below(cls):
        return {cls}.union(*map(below, cls.__subclasses__()))

    models = [cls for cls in below(PathField) - {PathField} if cls.__module__.startswith("dgm_course.")]
    assert {"ExactField", "ExactTokens", "PathModel"} <= {cls.__name__ for cls in models}
    for cls in models:
        assert not set(vars(cls)) & {"sample", "trajectory", "times", "_iter_solve", "drift"}, cls
        assert "loss" not in vars(cls) or cls is PathModel


METHODS = {  # each with how often it asks the model in a step
    "the path's own": (None, 1),
    "ddim": (ddim, 1),
    "maskgit_step": (maskgit_step, 1),
    "euler": (euler, 1),
    "heun": (heun, 2),
    "ancestral": (ancestral, 1),
    "annealed_langevin": (annealed_langevin(3), 3),
}
FITTING = {recipe: set(METHODS) - {"maskgit_step"} for recipe in RECIPES}
FITTING["absorbing"] = {"the path's own", "ddim", "maskgit_step"}


@pytest.mark.parametrize("recipe, name", [(r, m) for r in RECIPES for m in METHODS if m in FITTING[r]])
def test_there_is_one_loop_of_sampling(recipe, name, monkeypatch):
    """Every step is a turn of ``dynamics.iter_solve``: with the loop taken out nothing moves, and no net is asked."""
    method, asks = METHODS[name]
    model, walked = RECIPES[recipe](), []
    x0 = model.start(5)
    if recipe != "absorbing":  # away from the ends, where a noise says nothing and a score is infinite
        model.path = type(model.path)(model.path.alpha, model.path.sigma, span=(0.05, 0.95), name=model.path.name)
    begun = model.path.initial_state(x0, torch.tensor(model.path.span[0]))

    def counted(field, x, ts, noise, method):
        walked.append(len(ts))
        yield from iter_solve(field, x, ts, noise, method)

    monkeypatch.setattr(fields, "iter_solve", counted)
    assert model.trajectory(x0, 4, method).shape == (5, *begun.shape)
    assert torch.isfinite(model.sample(x0, 4, method)).all()
    assert walked == [5, 5] and listening(model).calls == 2 * 4 * asks
    monkeypatch.setattr(fields, "iter_solve", lambda field, x, ts, noise, method: iter([x]))
    listening(model).calls = 0
    assert torch.equal(model.sample(x0, 4, method), begun)
    assert torch.equal(model.trajectory(x0, 4, method), begun[None])
    assert listening(model).calls == 0


ASKED = {
    "field",
    "net",
    "model",
    "method",
    "score",
    "predict",
    "velocity",
    "forward",
    "drift",
    "step",
    "ddim",
    "euler",
    "heun",
    "maskgit_step",
    "ancestral",
    "langevin",
}


def names(node: ast.AST) -> set[str]:
    """Every name and attribute in a piece of code; a call of an object by itself, self(...), is a name of its own."""
    calls = {"self()" for n in ast.walk(node) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "self"}
    return calls | {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(node)}


def loops_over_a_model(source: str) -> list[int]:
    """Lines of what may be a sampler: a loop whose body asks a model, a comprehension that carries x along, a fold."""
    found = []
    for node in ast.walk(ast.parse(source)):
        loop = isinstance(node, (ast.For, ast.AsyncFor, ast.While))
        if loop and any(names(statement) & {*ASKED, "self()"} for statement in node.body):
            found.append(node.lineno)
        if isinstance(node, ast.NamedExpr) and names(node.value) & {*ASKED, "self()"}:
            found.append(node.lineno)
        if isinstance(node, ast.Call) and names(node.func) & {"reduce", "accumulate"}:
            found.append(node.lineno)
    return sorted(found)


HOUSE = Path(pm.__file__).parents[1]
FILES = sorted((HOUSE / "paths").glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=[f.name for f in FILES])
def test_no_file_of_paths_loops_over_a_model(file):
    assert loops_over_a_model(file.read_text(encoding="utf-8")) == []


def test_such_a_loop_would_be_noticed():
    dynamics = (HOUSE / "core" / "ode.py").read_text(encoding="utf-8")
    lines = [dynamics.splitlines()[n - 1].strip() for n in loops_over_a_model(dynamics)]
    assert "for t, dt in zip(ts, gaps):" in lines and "for _ in range(steps):" in lines
    for loop in (
        "for t, s in zip(ts, ts[1:]):\n    x = self.path.step(self.guess(x, t), s)",
        "for k in reversed(range(steps)):\n    x = x + dt * self(x, ts[k])",
        "while t < 1:\n    x, t = field(x, t), t + dt",
        "for t in ts:\n    if t > 0:\n        eps = self.net(x, t)",
        "xs = [x := method(f, x, t, dt) for t in ts]",
        "x = functools.reduce(lambda x, t: x + f(x, t), ts, x)",
    ):
        assert loops_over_a_model(loop), loop
    for other in (
        "for axis in range(n):\n    p = torch.tensordot(q, p, ([1], [axis]))",
        "terms = [field.guess(x, t) for t in ts]",
        "for x in self._iter_solve(n, steps):\n    pass",
    ):
        assert not loops_over_a_model(other), other
