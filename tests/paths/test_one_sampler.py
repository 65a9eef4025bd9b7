"""One loss and one sampling loop for all path models; the named models only choose their parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dgm_course import paths as pm
from dgm_course.core.ode import euler, heun, iter_solve
from dgm_course.nets import MLP, TokenMLP
from dgm_course.paths import PathField, ancestral, annealed_langevin, ddim, fields, maskgit_step
from dgm_course.paths.model import PathModel


class Counting(nn.Module):
    """A net that counts its evaluations."""

    def __init__(self, net):
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, x, t, y=None):
        self.calls += 1
        return self.net(x, t)


RECIPES = {
    "ddpm": lambda: pm.ddpm(Counting(MLP(2, 8, 1)), (2,)),
    "ncsn": lambda: pm.ncsn(Counting(MLP(2, 8, 1)), (2,)),
    "flow_matching": lambda: pm.flow_matching(Counting(MLP(2, 8, 1)), (2,)),
    "absorbing": lambda: pm.absorbing(Counting(TokenMLP(2, 3, 8, 1)), (3,), 2),
}
SHARED = ("loss", "sample", "trajectory", "times", "_iter_solve", "drift", "elbo", "start", "predict")


def counter(model) -> Counting:
    return next(m for m in model.modules() if isinstance(m, Counting))


@pytest.mark.parametrize("make", RECIPES.values(), ids=RECIPES)
def test_named_models_are_plain_path_models(make):
    assert type(make()) is PathModel and not set(vars(make())) & set(SHARED)


def test_no_subclass_overrides_sampling():
    def below(cls):
        return {cls}.union(*map(below, cls.__subclasses__()))

    models = [cls for cls in below(PathField) - {PathField} if cls.__module__.startswith("dgm_course.")]
    assert {"ExactField", "ExactTokens", "PathModel"} <= {cls.__name__ for cls in models}
    for cls in models:
        assert not set(vars(cls)) & {"sample", "trajectory", "times", "_iter_solve", "drift"}, cls


METHODS = {  # each with its evaluations a step
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
def test_all_sampling_runs_in_iter_solve(recipe, name, monkeypatch):
    """Without the loop of ``ode.iter_solve`` nothing moves and no net is evaluated."""
    method, evaluations = METHODS[name]
    model, solved = RECIPES[recipe](), []
    x0 = model.start(5)
    if recipe != "absorbing":  # the noise is undetermined at one end, the score infinite at the other
        model.path = type(model.path)(model.path.alpha, model.path.sigma, span=(0.05, 0.95), name=model.path.name)
    start = model.path.initial_state(x0, torch.tensor(model.path.span[0]))

    def counted(field, x, ts, noise, method):
        solved.append(len(ts))
        yield from iter_solve(field, x, ts, noise, method)

    monkeypatch.setattr(fields, "iter_solve", counted)
    assert model.trajectory(x0, 4, method).shape == (5, *start.shape)
    assert torch.isfinite(model.sample(x0, 4, method)).all()
    assert solved == [5, 5] and counter(model).calls == 2 * 4 * evaluations
    monkeypatch.setattr(fields, "iter_solve", lambda field, x, ts, noise, method: iter([x]))
    counter(model).calls = 0
    assert torch.equal(model.sample(x0, 4, method), start)
    assert torch.equal(model.trajectory(x0, 4, method), start[None])
    assert counter(model).calls == 0
