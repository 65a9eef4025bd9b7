"""The regression, its targets and its minimiser; couplings by brute force; what a model makes of it."""

import ast
import itertools
import math
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import nn

from dgm_course import path_models as pm
from dgm_course.distributions import Mixture, Table
from dgm_course.dynamics import euler, heun, walk
from dgm_course.fit import Recipe, fit, linear
from dgm_course.nets import MLP, TokenMLP
from dgm_course.path_models import PathModel
from dgm_course.paths import VE, VP, Conical, Cosine, Linear, PathField, ancestral, annealed_langevin, confident, fields, hop

F64 = torch.float64
DATA = Mixture(
    torch.tensor([1.0, 2.0]),
    torch.tensor([[-1.5, 0.5], [1.0, 1.5]], dtype=F64),
    torch.tensor([[0.4, 0.6], [0.7, 0.4]]),
    "data",
)
SOURCE = Mixture(torch.tensor([1.0, 3.0]), torch.tensor([[1.0, 0.0], [-0.5, 1.0]], dtype=F64), 0.7, "source")
PATHS = {
    "conical": Conical(),
    "linear": Linear(SOURCE),
    "jittered": Linear(SOURCE, 0.3),
    "VP": VP(),
    "VE": VE(0.1, 3.0),
    "cosine": Cosine(),
}
KINDS = ("velocity", "noise", "data", "v", "score")


@pytest.fixture(autouse=True)
def steady():
    torch.manual_seed(2)


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
        features = torch.stack(
            [torch.ones_like(x), x / 3, torch.sin(x), torch.cos(2 * x), t[:, None] * x.flip(1)]
        )
        return getattr(self.exact.guess(x, t), self.kind) + torch.einsum("k,kbd->bd", self.theta, features)


def middle(like):
    """t in [0.1, 0.9], where every target has a finite variance."""
    return 0.1 + 0.8 * torch.rand(len(like), dtype=like.dtype)


def chunked(loss, parameters, chunks):
    return torch.stack(
        [torch.cat([g.flatten() for g in torch.autograd.grad(loss(), parameters)]) for _ in range(chunks)]
    )


# --- the objective ---


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
    assert float(theirs.mean(0).abs().max()) > 30 * float(error.max()), (
        "too few samples to tell right from wrong"
    )


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
    assert float(
        chunked(lambda: model.loss(DATA.sample(500)), [net.theta], 20).mean(0).abs().max()
    ) > 10 * float(error.max())


# --- when to look, who travels with whom ---


def test_times_have_their_distributions():
    like = torch.zeros(40_000, 2, dtype=F64)
    for times, quartiles in ((pm.uniform, (0.25, 0.5, 0.75)), (pm.logit_normal, (0.3375, 0.5, 0.6625))):
        t = times(like)
        assert t.shape == (40_000,) and t.dtype == F64
        found = torch.quantile(t, torch.tensor([0.25, 0.5, 0.75], dtype=F64))
        assert torch.allclose(found, torch.tensor(quartiles, dtype=F64), atol=0.015)


def test_stratified_times_are_each_uniform_and_together_evenly_spread():
    size, like = 64, torch.zeros(64, 2)
    draws = torch.stack([pm.stratified(like) for _ in range(2000)])
    gaps = draws.sort(1).values.diff(dim=1)
    assert torch.allclose(gaps, torch.full_like(gaps, 1 / size), atol=1e-6) and 0 <= draws.min() <= draws.max() < 1
    for place in (0, 17, 63):
        assert stats.kstest(draws[:, place].numpy(), "uniform").pvalue > 1e-4
    beside = draws[:, 0] - draws[:, 1]  # neighbours in the batch are no neighbours in time
    assert float(beside.abs().mean()) == pytest.approx(1 / 3, abs=0.03)
    plain = torch.stack([pm.uniform(like) for _ in range(2000)])
    assert float(draws.mean(1).std()) < 0.2 * float(plain.mean(1).std())
    assert pm.stratified(like[:0]).shape == (0,) and pm.stratified(like[:1]).shape == (1,)


@pytest.mark.parametrize("times", [pm.uniform, pm.stratified, pm.logit_normal])
def test_tokens_have_their_times_too(times):
    t = times(torch.zeros(50, 3, dtype=torch.long))
    assert t.shape == (50,) and t.is_floating_point() and 0 <= t.min() < t.max() <= 1


@pytest.mark.parametrize("event", [(2,), (1, 3, 2)])
def test_optimal_transport_is_the_best_of_all_permutations(event):
    for _ in range(5):
        x0, x1 = torch.randn(6, *event, dtype=F64), torch.randn(6, *event, dtype=F64) + 1
        best = min(float((x0[list(p)] - x1).square().sum()) for p in itertools.permutations(range(6)))
        y0, y1 = pm.optimal_transport(x0, x1)
        assert float((y0 - y1).square().sum()) == pytest.approx(best)
        assert torch.equal(y1, x1)  # the data, and so their labels, stay where they are
        assert sorted(map(tuple, y0.flatten(1).tolist())) == sorted(map(tuple, x0.flatten(1).tolist()))


def test_couplings_of_nothing():
    none = torch.zeros(0, 1, 4, 4)
    assert all(x.shape == none.shape for x in pm.optimal_transport(none, none) + pm.independent(none, none))


def test_pairs_draw_both_sides_in_fits_order():
    x1, x0 = pm.Pairs(Mixture(torch.ones(1), torch.full((1, 2), 100.0), 1.0), SOURCE).sample(7)
    assert x1.shape == x0.shape == (7, 2) and float(x1.min()) > 50 > float(x0.max())


# --- a model that knows ---


class Knows(nn.Module):
    def __init__(self, path, kind):
        super().__init__()
        self.exact, self.kind, self.weight = path.exact(DATA), kind, nn.Parameter(torch.zeros(1, dtype=F64))

    def forward(self, x, t):
        return getattr(self.exact.guess(x, t), self.kind)


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


def test_reflow_pairs_are_joined_by_the_models_own_flow():
    model = PathModel(Knows(Conical(), "velocity"), Conical(), (2,))
    x1, x0 = pm.reflow_pairs(model, 9, steps=6)
    assert torch.equal(x1, model.sample(x0, 6, heun)) and not torch.allclose(x1, model.sample(x0, 6, euler))
    assert not x1.requires_grad


def test_reflow_straightens():
    """Rectified pairs never cross: at t = 1/2 the conditional velocity is almost a function of x_t."""
    model = PathModel(Knows(Conical(), "velocity"), Conical(), (2,))
    x1, x0 = pm.reflow_pairs(model, 2000, 30)

    def unexplained(x1, x0):  # variance of the velocity around its nearest neighbour's in x_t, halved
        xt, u = (x1 + x0) / 2, x1 - x0
        near = (torch.cdist(xt, xt) + 1e9 * torch.eye(len(xt))).argmin(1)
        return float((u - u[near]).square().sum(1).mean() / 2)

    assert unexplained(x1, x0) < 0.1 * unexplained(DATA.sample(2000), torch.randn(2000, 2, dtype=F64))


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
    assert torch.equal(model.given(5)(x, 0.5), torch.full((3, 2), 5.0))
    assert torch.equal(model.given(torch.tensor([1, 2, 3]))(x, 0.5)[:, 0], torch.tensor([1.0, 2.0, 3.0]))
    assert model.given(4).net is model.net and model.label is None and model.given(4).prediction == "velocity"
    assert model.given(2).sample(3, 4).shape == (3, 2) and torch.equal(model.net.seen, torch.full((3,), 2))
    noise = PathModel(Labelled(), VP(), (2,), "noise").given(torch.tensor([1, 2, 3]))
    assert torch.equal(noise.guess(x, 0.5).noise[:, 1], torch.tensor([1.0, 2.0, 3.0]))


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
    data = Table(torch.tensor([[[0.30, 0.02], [0.05, 0.10]], [[0.04, 0.16], [0.25, 0.08]]]), "data")
    model = pm.absorbing(TokenMLP(2, 3, 32, 1), (3,), 2)
    assert model.times_of is pm.stratified and model.prediction == "data" and "absorbing path" in repr(model)
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


# --- four models, one code


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
SHARED = ("loss", "sample", "trajectory", "times", "_walk", "drift", "elbo", "start", "guess")


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
        assert not set(vars(cls)) & {"sample", "trajectory", "times", "_walk", "drift"}, cls
        assert "loss" not in vars(cls) or cls is PathModel


METHODS = {  # each with how often it asks the model in a step
    "the path's own": (None, 1),
    "hop": (hop, 1),
    "confident": (confident, 1),
    "euler": (euler, 1),
    "heun": (heun, 2),
    "ancestral": (ancestral, 1),
    "annealed_langevin": (annealed_langevin(3), 3),
}
FITTING = {recipe: set(METHODS) - {"confident"} for recipe in RECIPES}
FITTING["absorbing"] = {"the path's own", "hop", "confident"}


@pytest.mark.parametrize("recipe, name", [(r, m) for r in RECIPES for m in METHODS if m in FITTING[r]])
def test_there_is_one_loop_of_sampling(recipe, name, monkeypatch):
    """Every step is a turn of ``dynamics.walk``: with the loop taken out nothing moves, and no net is asked."""
    method, asks = METHODS[name]
    model, walked = RECIPES[recipe](), []
    x0 = model.start(5)
    if recipe != "absorbing":  # away from the ends, where a noise says nothing and a score is infinite
        model.path = type(model.path)(model.path.alpha, model.path.sigma, span=(0.05, 0.95), name=model.path.name)
    begun = model.path.begin(x0, torch.tensor(model.path.span[0]))

    def counted(field, x, ts, noise, method):
        walked.append(len(ts))
        yield from walk(field, x, ts, noise, method)

    monkeypatch.setattr(fields, "walk", counted)
    assert model.trajectory(x0, 4, method).shape == (5, *begun.shape)
    assert torch.isfinite(model.sample(x0, 4, method)).all()
    assert walked == [5, 5] and listening(model).calls == 2 * 4 * asks
    monkeypatch.setattr(fields, "walk", lambda field, x, ts, noise, method: iter([x]))
    listening(model).calls = 0
    assert torch.equal(model.sample(x0, 4, method), begun)
    assert torch.equal(model.trajectory(x0, 4, method), begun[None])
    assert listening(model).calls == 0


ASKED = {"field", "net", "model", "method", "score", "guess", "velocity", "forward", "drift", "step", "hop", "euler", "heun",
         "confident", "ancestral", "langevin"}


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


HOUSE = Path(pm.__file__).parent
FILES = [HOUSE / "path_models.py", *sorted((HOUSE / "paths").glob("*.py"))]


@pytest.mark.parametrize("file", FILES, ids=[f.name for f in FILES])
def test_no_file_of_paths_loops_over_a_model(file):
    assert loops_over_a_model(file.read_text(encoding="utf-8")) == []


def test_such_a_loop_would_be_noticed():
    dynamics = (HOUSE / "dynamics.py").read_text(encoding="utf-8")
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
        "for x in self._walk(n, steps):\n    pass",
    ):
        assert not loops_over_a_model(other), other


def test_ncsn_noise_is_the_score_times_minus_sigma():
    model, x = pm.ncsn(MLP(2, 8, 1), (2,)), torch.randn(5, 2)
    sigma = model.path.sigma(torch.tensor(0.4))
    assert torch.allclose(model.guess(x, 0.4).noise, -sigma * model.score(x, 0.4), rtol=1e-5)


def test_normalised_inputs_have_about_unit_size():
    still = Still()
    x, t = torch.randn(5, 2, dtype=F64), torch.tensor([0.0, 0.3, 0.5, 0.8, 0.99], dtype=F64)
    sigma = VE().sigma(t)
    pm.Normalised(still, VE())(x * (1 + sigma**2).sqrt()[:, None], t)
    assert torch.allclose(still.asked[0], x) and torch.equal(still.asked[1], t)
    pm.Normalised(still, VE())(x, t, torch.arange(5))
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
    (
        lambda: model().loss(torch.zeros(4, 2, device="meta")),
        ValueError,
        "x1 is on the device meta: expected cpu",
    ),
    (lambda: model().loss(X, X[:3]), ValueError, "x0 and x1 differ in shape"),
    (lambda: model().loss(X, X.double()), ValueError, "x0 and x1 differ in dtype"),
    (lambda: model(Linear(SOURCE), "score").loss(X), ValueError, "score needs a standard normal source x0"),
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
        lambda: model().given(torch.arange(3))(X, 0.5),
        ValueError,
        r"label has shape \(3,\) for a batch of 4: expected one",
    ),
]


@pytest.mark.parametrize(
    "act, error, told", SENTENCES, ids=[f"{i}-{told[:30]}" for i, (*_, told) in enumerate(SENTENCES)]
)
def test_bad_input_is_answered_with_a_sentence(act, error, told):
    with pytest.raises(error, match=told):
        act()


def test_bounds_keep_every_guess_inside_and_leave_the_point_where_it_is():
    net = MLP(2).double()
    for p in net.parameters():
        torch.nn.init.normal_(p)
    model = PathModel(net, Conical(), (2,))
    model.bounds = (-1.0, 1.0)
    xt, t = torch.randn(50, 2).double() * 3, torch.rand(50).double()
    guess = model.guess(xt, t)
    assert guess.x1.abs().max() <= 1
    torch.testing.assert_close(t[:, None] * guess.x1 + (1 - t[:, None]) * guess.x0, xt)
    torch.testing.assert_close(model(xt, t), guess.x1 - guess.x0)
    assert torch.isfinite(model(xt, 1.0)).all()  # where Heun looks last
    ends = model.sample(200, steps=7)
    assert ends.abs().max() <= 1 + 1e-12  # the last Euler step lands on the guess itself


def test_bounds_that_bind_nowhere_change_nothing():
    net = MLP(2).double()
    free, wide = PathModel(net, Conical(), (2,)), PathModel(net, Conical(), (2,))
    wide.bounds = (-1e6, 1e6)
    xt = torch.randn(20, 2).double()
    torch.testing.assert_close(wide(xt, 0.3), free(xt, 0.3))
