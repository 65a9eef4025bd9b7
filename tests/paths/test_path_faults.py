"""Gaussian paths at the edges: empty batches, precisions, events of any shape, and a sentence for what cannot be."""

from __future__ import annotations

import pytest
import torch

from dgm_course.core.distributions import DiagNormal
from dgm_course.paths import VE, VP, Conical, GaussianPath, LinearPath, Prediction, ancestral, annealed_langevin

from .gaussians import DATA, F64, SOURCE, every


@every
def test_empty_batches(path):
    field, none = path.exact(DATA), torch.zeros(0, 2, dtype=F64)
    assert field(none, 0.5).shape == field(none, torch.rand(0, dtype=F64)).shape == (0, 2)
    assert field.sample(0, 3).shape == (0, 2) and field.trajectory(0, 3).shape == (4, 0, 2)
    assert path.corrupt(none, torch.rand(0, dtype=F64))[0].shape == (0, 2)
    assert path.velocity(none, none, 0.5).shape == (0, 2)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_precision_follows_the_data(path, dtype):
    x, t = DATA.sample(4).to(dtype), torch.rand(4, dtype=F64) * 0.9
    assert path.exact(DATA)(x, t).dtype == path.corrupt(x, t)[0].dtype == path.velocity(x, x, t).dtype == dtype
    assert all(a.dtype == dtype for a in path.at(t, x))
    reference = path.exact(DATA)(x.double(), t.to(dtype).double())
    assert torch.allclose(
        path.exact(DATA)(x, t).double(),
        reference,
        rtol=0.2 if dtype == torch.bfloat16 else 1e-3,
        atol=0.4 if dtype == torch.bfloat16 else 1e-3,
    )


@every
def test_events_of_any_shape(path):
    """The Gaussian paths know nothing of the plane: images go through them as well."""
    x1, x0, t = torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4), torch.tensor([0.2, 0.5, 0.7])
    xt, _ = GaussianPath(path.alpha, path.sigma).corrupt(x1, t, x0)
    flat_t = [path.velocity(xt[i : i + 1], x1[i : i + 1], t[i]) for i in range(3)]
    assert torch.allclose(path.velocity(xt, x1, t), torch.cat(flat_t), rtol=1e-4, atol=1e-4)


def test_inputs_that_want_gradients_are_unharmed():
    x = DATA.sample(4).requires_grad_()
    before, version = x.detach().clone(), x._version
    Conical().exact(DATA).predict(x, 0.4).velocity.sum().backward()
    assert torch.equal(x.detach(), before) and x._version == version and torch.isfinite(x.grad).all()


def test_reprs_teach():
    assert repr(Conical()) == "conical path: x_t = alpha(t)·x1 + sigma(t)·x0, x0 from N(0, I), t in [0.0, 1.0]"
    assert "source" in repr(LinearPath(SOURCE)) and "exact field of the VP path for data" in repr(VP().exact(DATA))
    assert "t = 0.50" in repr(Conical().marginal(DATA, 0.5))


X, META = torch.zeros(4, 2), torch.zeros(4, 2, device="meta")
FLOAT = DATA.to(torch.float32)
SENTENCES = [
    (lambda: Conical().at(1.5), ValueError, r"t runs from 1.5 to 1.5: expected times in \[0, 1\]"),
    (lambda: Conical().at(torch.tensor([0.2, float("nan")])), ValueError, "t runs from nan"),
    (lambda: Conical().corrupt(X, -0.2), ValueError, "t runs from -0.2"),
    (
        lambda: Conical().corrupt(X, torch.rand(3)),
        ValueError,
        r"t of shape \(3,\) does not fit x of shape \(4, 2\)",
    ),
    (lambda: Conical().corrupt(X.int(), 0.5), TypeError, "x1 has dtype torch.int32: expected floating point"),
    (lambda: Conical().corrupt(X * float("nan"), 0.5), ValueError, "x1 contains NaN in 8 of 8"),
    (lambda: Conical().corrupt(X, 0.5, X[:2]), ValueError, r"x0 and x1 differ in shape: \(2, 2\) and \(4, 2\)"),
    (lambda: Conical().corrupt(X, 0.5, X.double()), ValueError, "x0 and x1 differ in dtype"),
    (lambda: Conical().corrupt(X, 0.5, META), ValueError, "x0 and x1 differ in device: meta and cpu"),
    (
        lambda: Conical().corrupt(X, torch.rand(4, device="meta")),
        ValueError,
        "t is on the device meta and x on cpu",
    ),
    (
        lambda: LinearPath(DATA.to(torch.float32)).sample_source(torch.zeros(4, 3)),
        ValueError,
        r"source's sample and x1 differ in shape",
    ),
    (lambda: Conical().velocity(X, X[:3], 0.5), ValueError, r"x and x1 differ in shape: \(4, 2\) and \(3, 2\)"),
    (lambda: Conical().velocity(X, META, 0.5), ValueError, "x and x1 differ in device"),
    (lambda: Conical().score(X, X[0], 0.5), ValueError, "x and x1 differ in shape"),
    (lambda: LinearPath(SOURCE).score(X, X, 0.5), ValueError, "score needs a standard normal source x0"),
    (lambda: LinearPath(SOURCE).endpoints(X, X, 0.5).score, ValueError, "score needs a standard normal source"),
    (lambda: LinearPath(SOURCE).predict(X, 0.5, score=X), ValueError, "score needs a standard normal source"),
    (
        lambda: LinearPath(SOURCE).exact(DATA).score(X.double(), 0.5),
        ValueError,
        "score needs a standard normal source",
    ),
    (
        lambda: LinearPath(SOURCE).exact(DATA).sample(3, 2, noise=1.0),
        ValueError,
        "score needs a standard normal source",
    ),
    (
        lambda: LinearPath(SOURCE).exact(DATA).log_prob(X.double()),
        ValueError,
        "log_prob needs a standard normal source",
    ),
    (
        lambda: LinearPath(DiagNormal(torch.zeros(2), 1.0)).exact(FLOAT),
        ValueError,
        "exact marginal needs a Mixture as source",
    ),
    (lambda: Conical().predict(X, 0.5), ValueError, "predict was given nothing: expected exactly one of data="),
    (
        lambda: Conical().predict(X, 0.5, data=X, noise=X),
        ValueError,
        r"given \['data', 'noise'\]: expected exactly one",
    ),
    (lambda: Conical().predict(X, 0.5, epsilon=X), ValueError, r"given \['epsilon'\]: expected exactly one"),
    (lambda: Conical().predict(X, 0.5, velocity=X[:, :1]), ValueError, r"velocity and xt differ in shape"),
    (lambda: Conical().predict(X, 0.5, velocity=META), ValueError, r"velocity and xt differ in device"),
    (
        lambda: Conical().predict(X, 0.5, velocity=None),
        TypeError,
        "velocity is a NoneType: expected a torch tensor",
    ),
    (
        lambda: Conical().predict(X, 0.0, noise=X),
        ValueError,
        r"noise does not determine the pair at some t in \[0, 0\]",
    ),
    (
        lambda: Conical().predict(X, 1.0, data=X),
        ValueError,
        "data does not determine the pair .* expected other times",
    ),
    (lambda: Conical().predict(X, 1.0, score=X), ValueError, "score does not determine the pair"),
    (
        lambda: Conical().exact(FLOAT)(torch.zeros(4, 3), 0.5),
        ValueError,
        r"xt has shape \(4, 3\): expected \(B, 2\)",
    ),
    (lambda: Conical().exact(FLOAT)(X * float("nan"), 0.5), ValueError, "xt contains NaN"),
    (lambda: Conical().exact(FLOAT)([[1.0, 2.0]], 0.5), TypeError, "xt is a list: expected a torch tensor"),
    (lambda: Conical().exact(FLOAT).sample(3, steps=0), ValueError, "steps is 0: expected at least one"),
    (lambda: Conical().marginal(FLOAT, torch.rand(3)), ValueError, r"t has shape \(3,\): expected one time"),
    (
        lambda: Conical().exact(FLOAT).elbo(X),
        ValueError,
        r"conical path has a density by the continuity equation: expected log_prob\(x\), not elbo",
    ),
    (
        lambda: VP().exact(FLOAT).sample(2, 3, ancestral, 0.5),
        ValueError,
        "noise was given to a method that has its own",
    ),
    (lambda: VE().exact(FLOAT).sample(2, 3, annealed_langevin(), 0.5), ValueError, "expected noise with a solver"),
    (
        lambda: ancestral(VP().exact(FLOAT), X, torch.tensor(0.5), torch.tensor(-0.1)),
        ValueError,
        "s lies before t: expected a step towards the data",
    ),
    (
        lambda: LinearPath(SOURCE).exact(DATA).sample(2, 2, annealed_langevin(1)),
        ValueError,
        "score needs a standard normal",
    ),
    (lambda: VP(5.0, 1.0), ValueError, "beta runs from 5.0 to 1.0: expected 0 < beta_min"),
    (lambda: VE(1.0, 0.5), ValueError, "sigma runs from 1.0 to 0.5: expected 0 < sigma_min"),
]


@pytest.mark.parametrize(
    "act, error, message", SENTENCES, ids=[f"{i}-{message[:30]}" for i, (*_, message) in enumerate(SENTENCES)]
)
def test_bad_input_is_answered_with_a_sentence(act, error, message):
    with pytest.raises(error, match=message):
        act()


def test_a_guess_is_a_value():
    with pytest.raises(AttributeError):
        Prediction(X, X, (X, X, X, X)).x1 = X
