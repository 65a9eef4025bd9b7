"""Learned paths: the target of each prediction, the minimum of the loss, and a perfect network as the exact field."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from dgm_course import paths as pm
from dgm_course.core.distributions import TableDistribution
from dgm_course.core.ode import heun
from dgm_course.nets import MLP, TokenMLP
from dgm_course.paths import VE, VP, Conical, Cosine, LinearPath
from dgm_course.paths.model import PathModel
from dgm_course.training import Recipe, fit, linear

from .models import DATA, F64, SOURCE, Knows

PATHS = {
    "conical": Conical(),
    "linear": LinearPath(SOURCE),
    "jittered": LinearPath(SOURCE, 0.3),
    "VP": VP(),
    "VE": VE(0.1, 3.0),
    "cosine": Cosine(),
}
KINDS = ("velocity", "noise", "data", "v", "score")


class Zero(nn.Module):
    """Gives zero and records its arguments."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=F64))

    def forward(self, x, t, y=None):
        self.arguments = (x, t, y)
        return 0 * x * self.weight


class Shifted(nn.Module):
    """The exact expectation plus θ · features(x, t); the minimum of the loss is at θ = 0."""

    def __init__(self, path, kind):
        super().__init__()
        self.exact, self.kind, self.theta = path.exact(DATA), kind, nn.Parameter(torch.zeros(5, dtype=F64))

    def forward(self, x, t):
        features = torch.stack([torch.ones_like(x), x / 3, torch.sin(x), torch.cos(2 * x), t[:, None] * x.flip(1)])
        return getattr(self.exact.predict(x, t), self.kind) + torch.einsum("k,kbd->bd", self.theta, features)


def middle(like):
    """t in [0.1, 0.9], where every target has a finite variance."""
    return 0.1 + 0.8 * torch.rand(len(like), dtype=like.dtype)


def gradients(model, chunks):
    """∇_θ loss for several batches.  (chunks, 5)"""
    losses = (model.loss(DATA.sample(500)) for _ in range(chunks))
    return torch.stack([torch.autograd.grad(loss, model.net.theta)[0] for loss in losses])


@pytest.mark.parametrize(
    "kind, target",
    [
        ("velocity", lambda x1, x0, t: x1 - x0),
        ("noise", lambda x1, x0, t: x0),
        ("data", lambda x1, x0, t: x1),
        ("v", lambda x1, x0, t: t * x0 - (1 - t) * x1),
        ("score", lambda x1, x0, t: -x0 / (1 - t)),
    ],
)
def test_each_prediction_has_its_target(kind, target):
    model, x1, x0 = PathModel(Zero(), Conical(), (2,), kind), DATA.sample(50), torch.randn(50, 2, dtype=F64)
    loss = model.loss(x1, x0)
    xt, t, y = model.net.arguments
    t = t[:, None]
    assert torch.allclose(xt, t * x1 + (1 - t) * x0) and y is None
    assert float(t.std()) > 0.2 and 0 <= float(t.min()) <= float(t.max()) <= 1
    assert loss.item() == pytest.approx(float(target(x1, x0, t).square().mean()))


@pytest.mark.parametrize("path", [VP(), VE()], ids=repr)
def test_times_stay_in_span_of_path(path):
    model = PathModel(Zero(), path, (2,), times=lambda like: torch.ones(len(like), dtype=like.dtype))
    model.loss(DATA.sample(4))
    assert torch.allclose(model.net.arguments[1], torch.tensor(0.999, dtype=F64))


def test_labels_and_pairs_reach_the_net():
    model, x1 = PathModel(Zero(), Conical(), (2,), times=lambda like: torch.ones(len(like))), DATA.sample(20)
    x0, y = SOURCE.sample(20), torch.arange(20)
    for coupling in (pm.independent, pm.optimal_transport):
        model.coupling = coupling
        model.loss(x1, x0, y)
        assert torch.allclose(model.net.arguments[0], x1) and torch.equal(model.net.arguments[2], y)


ALL = [(n, k) for n, k in itertools.product(PATHS, KINDS) if PATHS[n].gaussian or k != "score"]


@pytest.mark.parametrize("name, kind", ALL)
def test_exact_expectation_minimises_every_loss(name, kind):
    net = Shifted(PATHS[name], kind)
    model = PathModel(net, PATHS[name], (2,), kind, times=middle)
    found = gradients(model, 60)
    error = found.std(0) / math.sqrt(len(found))
    assert (found.mean(0).abs() < 5 * error).all()
    with torch.no_grad():
        net.theta += 0.3
    assert float(gradients(model, 20).mean(0).abs().max()) > 10 * float(error.max())


@pytest.mark.parametrize("name, kind", [(n, k) for n, k in ALL if n in ("conical", "linear", "VP", "VE")])
def test_perfect_network_is_the_exact_field(name, kind):
    path = PATHS[name]
    model, exact, x = PathModel(Knows(path, kind), path, (2,), kind), path.exact(DATA), SOURCE.sample(8)
    for t in (0.2, torch.rand(8, dtype=F64) * 0.9 + 0.05):
        assert torch.allclose(model(x, t), exact(x, t), rtol=1e-7, atol=1e-7)
        assert torch.equal(model.velocity(x, t), model(x, t))
        if path.gaussian:
            assert torch.allclose(model.score(x, t), exact.score(x, t), rtol=1e-7, atol=1e-7)
    if kind == "velocity":
        assert torch.allclose(model.trajectory(x, 5, heun), exact.trajectory(x, 5, heun))


class Labelled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x, t, y):
        self.seen = y
        return (y.to(x)[:, None] - x) * self.weight


def test_label_is_passed_on_with_shared_weights():
    model = PathModel(Labelled(), Conical(), (2,))
    x = torch.zeros(3, 2)
    assert torch.equal(model.with_label(5)(x, 0.5), torch.full((3, 2), 5.0))
    assert torch.equal(model.with_label(torch.tensor([1, 2, 3]))(x, 0.5)[:, 0], torch.tensor([1.0, 2.0, 3.0]))
    assert model.with_label(4).net is model.net and model.label is None
    assert model.with_label(2).sample(3, 4).shape == (3, 2) and torch.equal(model.net.seen, torch.full((3,), 2))
    noise = PathModel(Labelled(), VP(), (2,), "noise").with_label(torch.tensor([1, 2, 3]))
    assert torch.equal(noise.predict(x, 0.5).noise[:, 1], torch.tensor([1.0, 2.0, 3.0]))


def test_named_models_have_their_path_and_prediction():
    net = MLP(2, 8, 1)
    for model, path, prediction in (
        (pm.flow_matching(net, (2,)), "conical", "velocity"),
        (pm.ddpm(net, (2,)), "VP", "noise"),
        (pm.ncsn(net, (2,)), "VE", "noise"),
    ):
        assert (model.path.name, model.prediction) == (path, prediction) and f"{path} path" in repr(model)
        assert torch.isfinite(model.loss(torch.randn(5, 2))) and torch.isfinite(model.sample(4, 3)).all()


def test_absorbing_model_learns_a_table():
    """From log 2 a token to the entropy of the table."""
    data = TableDistribution(torch.tensor([[[0.30, 0.02], [0.05, 0.10]], [[0.04, 0.16], [0.25, 0.08]]]), "data")
    model = pm.absorbing(TokenMLP(2, 3, 32, 1), (3,), 2)
    assert model.time_sampler is pm.stratified and model.prediction == "data" and "absorbing path" in repr(model)
    test = data.stratified(4000)
    history = fit(model, data, Recipe(400, batch=256, lr=2e-2, decay=linear))
    with torch.no_grad():
        before = -pm.absorbing(TokenMLP(2, 3, 32, 1), (3,), 2).elbo(test)
        after = -model.elbo(test, draws=16)
    error = float(after.std()) / math.sqrt(len(test))
    assert float(before.mean()) == pytest.approx(3 * math.log(2), abs=0.1)
    assert -5 * error < float(after.mean() - data.entropy) < 5 * error + 0.02
    late = history.loss[-50:]
    assert abs(float(late.mean() - data.entropy)) < 0.02 + 5 * float(late.std()) / math.sqrt(50)
    found = torch.bincount(model.sample(4000, 50) @ torch.tensor([4, 2, 1]), minlength=8) / 4000
    assert float((found - data.probs.flatten()).abs().sum() / 2) < 0.05


def test_scaled_inputs_have_about_unit_size():
    net = Zero()
    x, t = torch.randn(5, 2, dtype=F64), torch.tensor([0.0, 0.3, 0.5, 0.8, 0.99], dtype=F64)
    sigma = VE().sigma(t)
    pm.ScaledInput(net, VE())(x * (1 + sigma**2).sqrt()[:, None], t)
    assert torch.allclose(net.arguments[0], x) and torch.equal(net.arguments[1], t)
    pm.ScaledInput(net, VE())(x, t, torch.arange(5))
    assert torch.equal(net.arguments[2], torch.arange(5))


def test_precision_is_that_of_the_data():
    for dtype in (torch.float64, torch.bfloat16):
        model = PathModel(MLP(2, 8, 1).to(dtype), Conical(), (2,))
        assert model.sample(3, 2).dtype == model.loss(torch.randn(4, 2, dtype=dtype)).dtype == dtype


def test_empty_batches_pass():
    model = PathModel(MLP(2, 8, 1), Conical(), (2,))
    assert model.sample(0, 2).shape == (0, 2) and model(torch.zeros(0, 2), 0.5).shape == (0, 2)


class Narrow(nn.Linear):
    def forward(self, x, t):
        return super().forward(x)


def model(path=None, prediction="velocity", net=None):
    return PathModel(net or MLP(2, 8, 1), path or Conical(), (2,), prediction)


X, NARROW = torch.zeros(4, 2), Narrow(2, 1)
REFUSALS = [
    (lambda: model(prediction="epsilon"), "'epsilon': expected velocity, noise, data, v or score"),
    (lambda: model().loss(torch.zeros(4, 3)), r"x1 has shape \(4, 3\): expected \(B, 2\)"),
    (lambda: model().loss(X[:0]), r"x1 is an empty batch of shape \(0, 2\): a mean needs at least one sample"),
    (lambda: model().loss(X.int()), "x1 has dtype torch.int32: expected floating"),
    (lambda: model().loss(X * float("nan")), "x1 contains NaN"),
    (lambda: model().loss(torch.zeros(4, 2, device="meta")), "x1 is on the device meta: expected cpu"),
    (lambda: model().loss(X, X[:3]), "x0 and x1 differ in shape"),
    (lambda: model().loss(X, X.double()), "x0 and x1 differ in dtype"),
    (lambda: model(LinearPath(SOURCE), "score").loss(X), "score needs a standard normal source x0"),
    (lambda: model(net=NARROW).loss(X), "net's output and its input differ in shape"),
    (lambda: model(net=NARROW)(X, 0.5), r"net's output and its input differ in shape: \(4, 1\) and \(4, 2\)"),
    (lambda: model()(X, 1.5), r"t runs from 1.5 to 1.5: expected times in \[0, 1\]"),
    (lambda: model()(X, torch.rand(3)), r"t of shape \(3,\) does not fit"),
    (lambda: model(prediction="noise").sample(4), "noise does not determine the pair"),
    (lambda: model().sample(4, steps=0), "steps is 0: expected at least one"),
    (lambda: model().with_label(torch.arange(3))(X, 0.5), r"label has shape \(3,\): expected \(\) or \(4,\)"),
]


@pytest.mark.parametrize("act, message", REFUSALS, ids=[f"{i}-{m[:30]}" for i, (_, m) in enumerate(REFUSALS)])
def test_bad_input_is_refused(act, message):
    with pytest.raises((TypeError, ValueError), match=message):
        act()


@pytest.mark.parametrize("bound", [1.0, 1e6])
def test_bounds_clamp_predictions_consistently(bound):
    """x̂1 stays inside, the pair still meets at x_t; bounds that bind nowhere change nothing."""
    net = MLP(2).double()
    for p in net.parameters():
        nn.init.normal_(p)
    free, bounded = PathModel(net, Conical(), (2,)), PathModel(net, Conical(), (2,))
    bounded.bounds = (-bound, bound)
    xt, t = torch.randn(50, 2).double() * 3, torch.rand(50).double()
    prediction = bounded.predict(xt, t)
    assert prediction.x1.abs().max() <= bound
    torch.testing.assert_close(t[:, None] * prediction.x1 + (1 - t[:, None]) * prediction.x0, xt)
    torch.testing.assert_close(bounded(xt, t), prediction.x1 - prediction.x0)
    assert torch.isfinite(bounded(xt, 1.0)).all()  # the last evaluation of Heun
    assert bounded.sample(200, steps=7).abs().max() <= bound * (1 + 1e-12)  # the last Euler step ends at x̂1
    if bound > 1:
        torch.testing.assert_close(bounded(xt, 0.3), free(xt, 0.3))
