"""The regression: the target of each prediction, gradients, its minimiser; and what a perfect network makes of it."""

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


class Affine(nn.Module):
    """x A + t c + b: few parameters, so their gradients can be told from zero."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2).double()

    def forward(self, x, t, y=None):
        t = t.expand(len(x)) if t.ndim == 0 else t
        return self.inner(torch.cat([x, t[:, None]], 1))


class Still(nn.Module):
    """Answers zero and remembers what it was asked."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=F64))

    def forward(self, x, t, y=None):
        self.asked = (x, t, y)
        return 0 * x * self.weight


class Shifted(nn.Module):
    """The exact expectation plus θ · features(x, t): at θ = 0 the minimum, if the loss is right."""

    def __init__(self, path, kind):
        super().__init__()
        self.exact, self.kind, self.theta = path.exact(DATA), kind, nn.Parameter(torch.zeros(5, dtype=F64))

    def forward(self, x, t):
        features = torch.stack([torch.ones_like(x), x / 3, torch.sin(x), torch.cos(2 * x), t[:, None] * x.flip(1)])
        return getattr(self.exact.predict(x, t), self.kind) + torch.einsum("k,kbd->bd", self.theta, features)


def middle(like):
    """t in [0.1, 0.9], where every target has a finite variance."""
    return 0.1 + 0.8 * torch.rand(len(like), dtype=like.dtype)


def chunked(loss, parameters, chunks):
    return torch.stack(
        [torch.cat([g.flatten() for g in torch.autograd.grad(loss(), parameters)]) for _ in range(chunks)]
    )


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
def test_each_prediction_has_its_own_target(kind, target):
    model, x1, x0 = PathModel(Still(), Conical(), (2,), kind), DATA.sample(50), torch.randn(50, 2, dtype=F64)
    loss = model.loss(x1, x0)
    xt, t, y = model.net.asked
    t = t[:, None]
    assert torch.allclose(xt, t * x1 + (1 - t) * x0) and y is None
    assert float(t.std()) > 0.2 and 0 <= float(t.min()) <= float(t.max()) <= 1
    assert loss.item() == pytest.approx(float(target(x1, x0, t).square().mean()))


@pytest.mark.parametrize("path", [VP(), VE()], ids=repr)
def test_times_stay_in_the_span_of_the_path(path):
    model = PathModel(Still(), path, (2,), times=lambda like: torch.ones(len(like), dtype=like.dtype))
    model.loss(DATA.sample(4))
    assert torch.allclose(model.net.asked[1], torch.tensor(0.999, dtype=F64))


def test_labels_and_given_pairs_reach_the_net_in_their_order():
    model, x1 = PathModel(Still(), Conical(), (2,), times=lambda like: torch.ones(len(like))), DATA.sample(20)
    x0, y = SOURCE.sample(20), torch.arange(20)
    for coupling in (pm.independent, pm.optimal_transport):
        model.coupling = coupling
        model.loss(x1, x0, y)
        assert torch.allclose(model.net.asked[0], x1) and torch.equal(model.net.asked[2], y)


@pytest.mark.parametrize("name", PATHS)
def test_the_gradients_of_cfm_and_fm_agree(name):
    """∇ E‖u_t(x | x1) − net‖² = ∇ E‖u_t(x) − net‖², although the two values differ."""
    path, net, chunks, batch = PATHS[name], Affine(), 150, 400
    model, field = PathModel(net, path, (2,), times=middle), path.exact(DATA)

    def fm():
        x1 = DATA.sample(batch)
        t = path.span[1] * middle(x1)
        xt, _ = path.corrupt(x1, t)
        return (field(xt, t).detach() - net(xt, t)).square().mean()

    weights = list(net.parameters())
    ours, theirs = (chunked(loss, weights, chunks) for loss in (lambda: model.loss(DATA.sample(batch)), fm))
    error = ((ours.var(0) + theirs.var(0)) / chunks).sqrt()
    assert ((ours.mean(0) - theirs.mean(0)).abs() < 5 * error).all()
    assert float(theirs.mean(0).abs().max()) > 30 * float(error.max()), "too few samples to tell right from wrong"


@pytest.mark.parametrize(
    "name, kind", [(n, k) for n, k in itertools.product(PATHS, KINDS) if PATHS[n].gaussian or k != "score"]
)
def test_the_exact_expectation_is_the_minimum_of_every_loss(name, kind):
    net = Shifted(PATHS[name], kind)
    model = PathModel(net, PATHS[name], (2,), kind, times=middle)
    rows = chunked(lambda: model.loss(DATA.sample(500)), [net.theta], 60)
    error = rows.std(0) / math.sqrt(len(rows))
    assert (rows.mean(0).abs() < 5 * error).all()
    with torch.no_grad():
        net.theta += 0.3
    assert float(chunked(lambda: model.loss(DATA.sample(500)), [net.theta], 20).mean(0).abs().max()) > 10 * float(
        error.max()
    )


@pytest.mark.parametrize(
    "name, kind",
    [
        (n, k)
        for n, k in itertools.product(("conical", "linear", "VP", "VE"), KINDS)
        if PATHS[n].gaussian or k != "score"
    ],
)
def test_a_perfect_network_is_the_exact_field(name, kind):
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


def test_a_given_class_is_passed_on_and_the_weights_are_shared():
    model = PathModel(Labelled(), Conical(), (2,))
    x = torch.zeros(3, 2)
    assert torch.equal(model.with_label(5)(x, 0.5), torch.full((3, 2), 5.0))
    assert torch.equal(model.with_label(torch.tensor([1, 2, 3]))(x, 0.5)[:, 0], torch.tensor([1.0, 2.0, 3.0]))
    assert (
        model.with_label(4).net is model.net
        and model.label is None
        and model.with_label(4).prediction == "velocity"
    )
    assert model.with_label(2).sample(3, 4).shape == (3, 2) and torch.equal(model.net.seen, torch.full((3,), 2))
    noise = PathModel(Labelled(), VP(), (2,), "noise").with_label(torch.tensor([1, 2, 3]))
    assert torch.equal(noise.predict(x, 0.5).noise[:, 1], torch.tensor([1.0, 2.0, 3.0]))


def test_the_named_models_are_their_lectures():
    net = MLP(2, 8, 1)
    for model, path, prediction in (
        (pm.flow_matching(net, (2,)), "conical", "velocity"),
        (pm.ddpm(net, (2,)), "VP", "noise"),
        (pm.ncsn(net, (2,)), "VE", "noise"),
    ):
        assert (model.path.name, model.prediction) == (path, prediction) and f"{path} path" in repr(model)
        assert torch.isfinite(model.loss(torch.randn(5, 2))) and torch.isfinite(model.sample(4, 3)).all()


def test_the_absorbing_recipe_learns_a_table():
    """From log 2 a token to the entropy of the table, which no model can beat."""
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


def test_ncsn_noise_is_the_score_times_minus_sigma():
    model, x = pm.ncsn(MLP(2, 8, 1), (2,)), torch.randn(5, 2)
    sigma = model.path.sigma(torch.tensor(0.4))
    assert torch.allclose(model.predict(x, 0.4).noise, -sigma * model.score(x, 0.4), rtol=1e-5)


def test_normalised_inputs_have_about_unit_size():
    still = Still()
    x, t = torch.randn(5, 2, dtype=F64), torch.tensor([0.0, 0.3, 0.5, 0.8, 0.99], dtype=F64)
    sigma = VE().sigma(t)
    pm.ScaledInput(still, VE())(x * (1 + sigma**2).sqrt()[:, None], t)
    assert torch.allclose(still.asked[0], x) and torch.equal(still.asked[1], t)
    pm.ScaledInput(still, VE())(x, t, torch.arange(5))
    assert torch.equal(still.asked[2], torch.arange(5))


def test_models_made_of_other_precisions_keep_the_data_s():
    for dtype in (torch.float64, torch.bfloat16):
        model = PathModel(MLP(2, 8, 1).to(dtype), Conical(), (2,))
        assert model.sample(3, 2).dtype == model.loss(torch.randn(4, 2, dtype=dtype)).dtype == dtype


def test_empty_batches_have_samples_but_no_loss():
    model = PathModel(MLP(2, 8, 1), Conical(), (2,))
    assert model.sample(0, 2).shape == (0, 2) and model(torch.zeros(0, 2), 0.5).shape == (0, 2)
    with pytest.raises(
        ValueError, match=r"x1 is an empty batch of shape \(0, 2\): a mean needs at least one sample"
    ):
        model.loss(torch.zeros(0, 2))


class Narrow(nn.Linear):
    def forward(self, x, t):
        return super().forward(x)


def model(path=None, prediction="velocity", net=None):
    return PathModel(net or MLP(2, 8, 1), path or Conical(), (2,), prediction)


X = torch.zeros(4, 2)
SENTENCES = [
    (
        lambda: model(prediction="epsilon"),
        ValueError,
        "prediction is 'epsilon': expected velocity, noise, data, v or score",
    ),
    (lambda: model().loss(torch.zeros(4, 3)), ValueError, r"x1 has shape \(4, 3\): expected \(B, 2\)"),
    (lambda: model().loss(X.int()), TypeError, "x1 has dtype torch.int32: expected floating"),
    (lambda: model().loss(X * float("nan")), ValueError, "x1 contains NaN"),
    (lambda: model().loss(torch.zeros(4, 2, device="meta")), ValueError, "x1 is on the device meta: expected cpu"),
    (lambda: model().loss(X, X[:3]), ValueError, "x0 and x1 differ in shape"),
    (lambda: model().loss(X, X.double()), ValueError, "x0 and x1 differ in dtype"),
    (lambda: model(LinearPath(SOURCE), "score").loss(X), ValueError, "score needs a standard normal source x0"),
    (lambda: model(net=Narrow(2, 1)).loss(X), ValueError, "net's answer and its input differ in shape"),
    (
        lambda: model(net=Narrow(2, 1))(X, 0.5),
        ValueError,
        r"net's answer and its input differ in shape: \(4, 1\) and \(4, 2\)",
    ),
    (lambda: model()(X, 1.5), ValueError, r"t runs from 1.5 to 1.5: expected times in \[0, 1\]"),
    (lambda: model()(X, torch.rand(3)), ValueError, r"t of shape \(3,\) does not fit"),
    (lambda: model(prediction="noise").sample(4), ValueError, "noise does not determine the pair"),
    (lambda: model().sample(4, steps=0), ValueError, "steps is 0: expected at least one"),
    (
        lambda: model().with_label(torch.arange(3))(X, 0.5),
        ValueError,
        r"label has shape \(3,\) for a batch of 4: expected one",
    ),
]


@pytest.mark.parametrize(
    "act, error, message", SENTENCES, ids=[f"{i}-{message[:30]}" for i, (*_, message) in enumerate(SENTENCES)]
)
def test_bad_input_is_answered_with_a_sentence(act, error, message):
    with pytest.raises(error, match=message):
        act()


def test_bounds_keep_every_guess_inside_and_leave_the_point_where_it_is():
    net = MLP(2).double()
    for p in net.parameters():
        torch.nn.init.normal_(p)
    model = PathModel(net, Conical(), (2,))
    model.bounds = (-1.0, 1.0)
    xt, t = torch.randn(50, 2).double() * 3, torch.rand(50).double()
    prediction = model.predict(xt, t)
    assert prediction.x1.abs().max() <= 1
    torch.testing.assert_close(t[:, None] * prediction.x1 + (1 - t[:, None]) * prediction.x0, xt)
    torch.testing.assert_close(model(xt, t), prediction.x1 - prediction.x0)
    assert torch.isfinite(model(xt, 1.0)).all()  # where Heun looks last
    ends = model.sample(200, steps=7)
    assert ends.abs().max() <= 1 + 1e-12  # the last Euler step lands on the guess itself


def test_bounds_that_bind_nowhere_change_nothing():
    net = MLP(2).double()
    free, wide = PathModel(net, Conical(), (2,)), PathModel(net, Conical(), (2,))
    wide.bounds = (-1e6, 1e6)
    xt = torch.randn(20, 2).double()
    torch.testing.assert_close(wide(xt, 0.3), free(xt, 0.3))
