"""What a Gaussian path refuses, and its edges: empty batches, precisions, events of any shape."""

from __future__ import annotations

import pytest
import torch

from dgm_course.core.distributions import DiagNormal
from dgm_course.paths import (
    VE,
    VP,
    Conical,
    GaussianPath,
    LinearPath,
    Prediction,
    ancestral,
    annealed_langevin,
    ddim,
)

from .gaussians import DATA, F64, SOURCE, every

X, META, NAN = torch.zeros(4, 2), torch.zeros(4, 2, device="meta"), float("nan")
FLOAT, PATH, MIXED, HALF = DATA.to(torch.float32), Conical(), LinearPath(SOURCE), torch.tensor(0.5)
EXACT, NO_SCORE = PATH.exact(FLOAT), "score needs a standard normal source x0"
REFUSALS = [
    (lambda: PATH.at(1.5), r"t runs from 1.5 to 1.5: expected times in \[0, 1\]"),
    (lambda: PATH.at(torch.tensor([0.2, NAN])), "t runs from nan"),
    (lambda: PATH.corrupt(X, -0.2), "t runs from -0.2"),
    (lambda: PATH.corrupt(X, torch.rand(3)), r"t of shape \(3,\) does not fit x of shape \(4, 2\)"),
    (lambda: PATH.corrupt(X, torch.rand(4, device="meta")), "t is on the device meta and x on cpu"),
    (lambda: PATH.corrupt(X.int(), 0.5), "x1 has dtype torch.int32: expected floating point"),
    (lambda: PATH.corrupt(X * NAN, 0.5), "x1 contains NaN in 8 of 8"),
    (lambda: PATH.corrupt(X, 0.5, X[:2]), r"x0 and x1 differ in shape: \(2, 2\) and \(4, 2\)"),
    (lambda: PATH.corrupt(X, 0.5, X.double()), "x0 and x1 differ in dtype"),
    (lambda: PATH.corrupt(X, 0.5, META), "x0 and x1 differ in device: meta and cpu"),
    (lambda: PATH.velocity(X, X[:3], 0.5), r"x and x1 differ in shape: \(4, 2\) and \(3, 2\)"),
    (lambda: PATH.predict(X, 0.5), "predict was given nothing: expected exactly one of .*data="),
    (lambda: PATH.predict(X, 0.5, data=X, noise=X), r"given \['data', 'noise'\]: expected exactly one"),
    (lambda: PATH.predict(X, 0.5, epsilon=X), r"given \['epsilon'\]: expected exactly one"),
    (lambda: PATH.predict(X, 0.5, velocity=X[:, :1]), "velocity and xt differ in shape"),
    (lambda: PATH.predict(X, 0.5, velocity=META), "velocity and xt differ in device"),
    (lambda: PATH.predict(X, 0.5, velocity=None), "velocity is a NoneType: expected a torch tensor"),
    (lambda: PATH.predict(X, 0.0, noise=X), r"noise does not determine the pair at some t in \[0, 0\]"),
    (lambda: PATH.predict(X, 1.0, data=X), "data does not determine the pair .* expected other times"),
    (lambda: PATH.predict(X, 1.0, score=X), "score does not determine the pair"),
    (lambda: PATH.marginal(FLOAT, torch.rand(3)), r"t has shape \(3,\): expected one time"),
    (lambda: LinearPath(FLOAT).sample_source(torch.zeros(4, 3)), "source's sample and x1 differ in shape"),
    (lambda: MIXED.endpoints(X, X, 0.5).score, NO_SCORE),
    (lambda: MIXED.predict(X, 0.5, score=X), NO_SCORE),
    (lambda: MIXED.exact(DATA).score(X.double(), 0.5), NO_SCORE),
    (lambda: MIXED.exact(DATA).sample(3, 2, noise=1.0), NO_SCORE),
    (lambda: MIXED.exact(DATA).sample(2, 2, annealed_langevin(1)), NO_SCORE),
    (lambda: MIXED.exact(DATA).log_prob(X.double()), "log_prob needs a standard normal source"),
    (
        lambda: LinearPath(DiagNormal(torch.zeros(2), 1.0)).exact(FLOAT),
        "expected a Mixture, for an exact marginal",
    ),
    (lambda: EXACT(torch.zeros(4, 3), 0.5), r"xt has shape \(4, 3\): expected \(B, 2\)"),
    (lambda: EXACT(X * NAN, 0.5), "xt contains NaN"),
    (lambda: EXACT([[1.0, 2.0]], 0.5), "xt is a list: expected a torch tensor"),
    (lambda: EXACT.sample(3, steps=0), "steps is 0: expected at least one"),
    (lambda: EXACT.sample(3, 2, ddim, noise=1.0), "noise was given to a sampler that sets its own"),
    (lambda: EXACT.sample(3, 2, annealed_langevin(1), noise=1.0), "noise was given to a sampler"),
    (lambda: EXACT.sample(3, 2, ancestral, 0.5), "expected a solver such as euler, or no noise"),
    (lambda: EXACT.elbo(X), r"elbo needs a mask path, which this is not: conical.*Expected log_prob\(x\)"),
    (
        lambda: ancestral(VP().exact(FLOAT), X, HALF, -HALF / 5),
        "s lies before t: expected a step towards the data",
    ),
    (lambda: VP(5.0, 1.0), "beta runs from 5.0 to 1.0: expected 0 < beta_min"),
    (lambda: VE(1.0, 0.5), "sigma runs from 1.0 to 0.5: expected 0 < sigma_min"),
]


@pytest.mark.parametrize("act, message", REFUSALS, ids=[f"{i}-{m[:30]}" for i, (_, m) in enumerate(REFUSALS)])
def test_bad_input_is_refused(act, message):
    with pytest.raises((TypeError, ValueError), match=message):
        act()


@every
def test_empty_batches_pass(path):
    field, none = path.exact(DATA), torch.zeros(0, 2, dtype=F64)
    assert field(none, 0.5).shape == field(none, torch.rand(0, dtype=F64)).shape == (0, 2)
    assert field.sample(0, 3).shape == (0, 2) and field.trajectory(0, 3).shape == (4, 0, 2)
    assert path.corrupt(none, torch.rand(0, dtype=F64))[0].shape == path.velocity(none, none, 0.5).shape == (0, 2)


@every
@pytest.mark.parametrize("dtype, rtol, atol", [(torch.float32, 1e-3, 1e-3), (torch.bfloat16, 0.2, 0.4)])
def test_precision_follows_the_data(path, dtype, rtol, atol):
    x, t, field = DATA.sample(4).to(dtype), torch.rand(4, dtype=F64) * 0.9, path.exact(DATA)
    assert field(x, t).dtype == path.corrupt(x, t)[0].dtype == path.velocity(x, x, t).dtype == dtype
    assert all(a.dtype == dtype for a in path.at(t, x))
    assert torch.allclose(field(x, t).double(), field(x.double(), t.to(dtype).double()), rtol=rtol, atol=atol)


@every
def test_events_have_any_shape(path):
    x1, x0, t = torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4), torch.tensor([0.2, 0.5, 0.7])
    xt, _ = GaussianPath(path.alpha, path.sigma).corrupt(x1, t, x0)
    single = [path.velocity(xt[i : i + 1], x1[i : i + 1], t[i]) for i in range(3)]
    assert torch.allclose(path.velocity(xt, x1, t), torch.cat(single), rtol=1e-4, atol=1e-4)


def test_inputs_are_not_modified():
    x = DATA.sample(4).requires_grad_()
    before, version = x.detach().clone(), x._version
    Conical().exact(DATA).predict(x, 0.4).velocity.sum().backward()
    assert torch.equal(x.detach(), before) and x._version == version and torch.isfinite(x.grad).all()
    with pytest.raises(AttributeError):  # a prediction is frozen
        Prediction(X, X, (X, X, X, X)).x1 = X


def test_reprs_name_path_and_data():
    assert repr(Conical()) == "conical path: x_t = alpha(t)·x1 + sigma(t)·x0, x0 from N(0, I), t in [0.0, 1.0]"
    assert "source" in repr(MIXED) and "exact field of the VP path for data" in repr(VP().exact(DATA))
    assert "t = 0.50" in repr(Conical().marginal(DATA, 0.5))
