"""Densities against scipy, quadrature and autograd; samples against moments; tables against their entries."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import stats

from dgm_course.core.distributions import DiagNormal, Mixture, StandardNormal, TableDistribution

F64 = torch.float64


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(5)


def lopsided() -> Mixture:
    """Unequal weights and widths in every direction, without symmetry."""
    return Mixture(
        torch.tensor([1.0, 2.0, 5.0]),
        torch.tensor([[-2.0, 0.5], [1.0, 1.5], [0.5, -1.0]], dtype=F64),
        torch.tensor([[0.3, 0.9], [0.7, 0.4], [0.5, 0.6]]),
    )


def wide() -> DiagNormal:
    return DiagNormal(
        torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=F64), torch.tensor([[0.5, 2.0], [1.5, 0.1]], dtype=F64), 2
    )


def test_normal_log_prob_is_scipys(rng):
    p, x = wide(), torch.randn(7, 2, 2, dtype=F64, generator=rng)
    expected = stats.norm(p.mean.numpy(), p.stddev.numpy()).logpdf(x.numpy()).sum((1, 2))
    assert np.allclose(p.log_prob(x).numpy(), expected, rtol=1e-12)


def test_shapes_are_torchs():
    """One distribution a row, n samples of each; log_prob broadcasts over the batch as torch does."""
    p = DiagNormal(torch.zeros(3, 2, 4), torch.ones(4), 2)
    assert (p.batch_shape, p.event_shape, p.mean.shape) == ((3,), (2, 4), (3, 2, 4))
    assert p.sample().shape == (3, 2, 4) and p.sample(5).shape == p.sample((5,)).shape == (5, 3, 2, 4)
    assert p.log_prob(torch.zeros(5, 3, 2, 4)).shape == p.log_prob(torch.zeros(5, 1, 2, 4)).shape == (5, 3)
    expected = torch.distributions.Independent(torch.distributions.Normal(p.mean, p.stddev), 2)
    x = torch.randn(5, 3, 2, 4)
    assert torch.allclose(p.log_prob(x), expected.log_prob(x))


def test_only_rsample_carries_a_gradient():
    mean = torch.zeros(3, 2, requires_grad=True)
    p = DiagNormal(mean, 1.0)
    assert p.rsample(4).requires_grad and not p.sample(4).requires_grad
    assert torch.equal(torch.autograd.grad(p.rsample(4).sum(), mean)[0], torch.full((3, 2), 4.0))


def test_standard_normal_follows_its_model():
    p = StandardNormal(2, 3).double()
    x = torch.randn(4, 2, 3, dtype=F64)
    assert torch.allclose(p.log_prob(x), DiagNormal(torch.zeros(2, 3, dtype=F64), 1.0, 2).log_prob(x))
    assert p.sample(5).shape == (5, 2, 3) and p.sample(5).dtype == F64 and not p.state_dict()


def test_mixture_log_prob_is_scipys(rng):
    p, x = lopsided(), torch.randn(9, 2, dtype=F64, generator=rng)
    density = sum(
        float(w) * stats.multivariate_normal(m.numpy(), np.diag(s.numpy() ** 2)).pdf(x.numpy())
        for w, m, s in zip(torch.tensor([1, 2, 5]) / 8, p.means, p.stds, strict=True)
    )
    assert np.allclose(p.log_prob(x).exp().numpy(), density, rtol=1e-6)  # weights were given in float32


def test_mixture_mass_mean_and_covariance():
    p, line = lopsided(), torch.linspace(-8, 8, 801, dtype=F64)
    nodes = torch.cartesian_prod(line, line)
    mass = p.log_prob(nodes).exp() * (line[1] - line[0]) ** 2
    assert float(mass.sum()) == pytest.approx(1, abs=1e-9)
    mean = mass @ nodes
    assert torch.allclose(p.mean, mean, atol=1e-9)
    assert torch.allclose(p.cov, (nodes - mean).T @ ((nodes - mean) * mass[:, None]), atol=1e-9)


def test_score_is_the_gradient_of_log_prob(rng):
    """Both are finite far away; the score is differentiable itself and leaves x as it is."""
    p, x = lopsided(), 2 * torch.randn(20, 2, dtype=F64, generator=rng).requires_grad_()
    before = x.detach().clone()
    assert torch.allclose(p.score(x), torch.autograd.grad(p.log_prob(x).sum(), x)[0], rtol=1e-10, atol=1e-12)
    assert torch.autograd.grad(p.score(x).sum(), x)[0].shape == x.shape and torch.equal(x.detach(), before)
    far = torch.tensor([[300.0, -300.0]], dtype=F64)
    assert torch.isfinite(p.log_prob(far)).all() and torch.isfinite(p.score(far)).all()


def test_responsibilities_are_bayes_rule(rng):
    p, x = lopsided(), torch.randn(6, 2, dtype=F64, generator=rng)
    each = torch.stack(
        [w * DiagNormal(m, s).log_prob(x).exp() for w, m, s in zip(p.weights, p.means, p.stds, strict=True)], 1
    )
    assert torch.allclose(p.responsibilities(x), each / each.sum(1, keepdim=True), rtol=1e-10)


@pytest.mark.parametrize("p", [wide(), lopsided()], ids=repr)
def test_samples_have_the_moments(p):
    torch.manual_seed(5)
    x = p.sample(40_000)
    centred = x - p.mean
    assert ((x.mean(0) - p.mean).abs() < 5 * x.std(0) / 200).all()
    variance = p.variance if isinstance(p, DiagNormal) else p.cov.diagonal()
    assert ((centred.square().mean(0) - variance).abs() < 5 * centred.square().std(0) / 200).all()
    if isinstance(p, Mixture):
        product = centred[:, 0] * centred[:, 1]
        assert abs(float(product.mean() - p.cov[0, 1])) < 5 * float(product.std()) / 200


def test_stratified_counts(rng):
    p = Mixture(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([[0.0], [100.0], [200.0]]), 0.1)
    x = p.stratified(800, rng)
    assert torch.bincount((x[:, 0] / 100).round().long()).tolist() == [100, 200, 500]
    assert p.stratified(13, rng).shape == (13, 1)
    assert (x[:100, 0] > 50).any()  # shuffled


def test_generators_leave_the_global_stream():
    state = torch.get_rng_state()
    draws = [lopsided().sample(5, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*draws) and torch.equal(state, torch.get_rng_state())


def test_empty_batches():
    p = lopsided()
    x = p.sample(0)
    assert x.shape == (0, 2) and p.log_prob(x).shape == (0,) and p.score(x).shape == x.shape
    assert wide().log_prob(wide().sample(0)).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_dtypes_are_kept(dtype):
    p = lopsided().to(dtype)
    x = p.sample(3)
    assert {x.dtype, p.log_prob(x).dtype, p.score(x).dtype, p.mean.dtype} == {dtype}
    g = StandardNormal(2).to(dtype)
    assert {g.sample(3).dtype, g.log_prob(x).dtype} == {dtype}


def test_reprs():
    assert "3 Gaussians in 2 dimensions" in repr(lopsided()) and "Gaussian over (2, 2): mean 0.625" in repr(wide())
    assert "coins: all 4 sequences of 2 out of 2 symbols, 1.39 nats" in repr(COINS)


TABLES = {
    "three places": torch.tensor([[[6.0, 1.0], [2.0, 3.0]], [[1.0, 4.0], [7.0, 2.0]]], dtype=F64),
    "three symbols": torch.tensor([[2.0, 1.0, 0.5], [0.0, 3.0, 1.0], [1.0, 0.0, 1.5]], dtype=F64),
    "one place": torch.tensor([1.0, 5.0, 2.0, 2.0], dtype=F64),
}
tables = pytest.mark.parametrize("counts", TABLES.values(), ids=TABLES)


@tables
def test_table_probabilities_and_entropy(counts):
    p, k = TableDistribution(counts), len(counts)
    words = list(itertools.product(range(k), repeat=counts.ndim))
    assert p.sequences.tolist() == [list(word) for word in words] and p.symbols == k and p.event == (counts.ndim,)
    log_prob = p.log_prob(p.sequences)
    for word, value in zip(words, log_prob):
        assert float(value.exp()) == pytest.approx(float(counts[word] / counts.sum()))
    assert float(log_prob.exp().sum()) == pytest.approx(1)
    some = log_prob[torch.isfinite(log_prob)]
    assert float(p.entropy) == pytest.approx(stats.entropy(counts.flatten().numpy()))
    assert float(p.entropy) == pytest.approx(-float(some @ some.exp()))
    for dtype in (torch.int32, torch.uint8):
        assert torch.equal(p.log_prob(p.sequences.to(dtype)), log_prob)


@tables
def test_table_samples_have_the_probabilities(counts, rng):
    p, n = TableDistribution(counts), 30_000
    x = p.sample(n, rng)
    assert x.shape == (n, *p.event) and x.dtype == torch.int64
    for word, prob in zip(p.sequences, p.probs.flatten()):
        share = float((x == word).all(1).double().mean())
        assert abs(share - float(prob)) <= 5 * math.sqrt(float(prob * (1 - prob)) / n)
    draws = [p.sample(5, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*draws)


@tables
def test_stratified_sequences(counts):
    p, n = TableDistribution(counts), 10 * int(2 * counts.sum())
    x = p.stratified(n)
    found = [int((x == word).all(1).sum()) for word in p.sequences]
    assert found == [round(n * float(prob)) for prob in p.probs.flatten()]
    exact = [Fraction(count) / Fraction(float(counts.sum())) for count in counts.flatten().tolist()]
    for n in (7, 101):
        edges = [0, *(round(n * edge) for edge in itertools.accumulate(exact))]
        found = [int((p.stratified(n) == word).all(1).sum()) for word in p.sequences]
        assert found == [b - a for a, b in itertools.pairwise(edges)] and sum(found) == n
    assert p.stratified(0).shape == (0, *p.event)


@tables
def test_conditionals_by_enumeration(counts):
    p, k, length = TableDistribution(counts), len(counts), counts.ndim
    for state in itertools.product(range(k + 1), repeat=length):
        words = itertools.product(range(k), repeat=length)
        fitting = [word for word in words if all(seen in (k, token) for seen, token in zip(state, word))]
        total = sum(float(counts[word]) for word in fitting)
        ours = p.conditional(torch.tensor([state]))[0]
        assert ours.shape == (length, k)
        for place, token in itertools.product(range(length), range(k)):
            mass = sum(float(counts[word]) for word in fitting if word[place] == token)
            if total:
                assert float(ours[place, token]) == pytest.approx(mass / total, abs=1e-12)
            else:
                assert math.isnan(float(ours[place, token]))


def test_conditionals_of_a_batch():
    p, x = TableDistribution(TABLES["three places"]), torch.randint(3, (20, 3))
    assert torch.equal(p.conditional(x), torch.cat([p.conditional(row[None]) for row in x]))
    assert p.conditional(x[:0]).shape == (0, 3, 2)
    assert p.log_prob(x[:0]).shape == (0,) and p.sample(0).shape == (0, 3)


def test_table_in_another_precision():
    p = TableDistribution(TABLES["three symbols"], "words")
    rough = p.to(torch.float32)
    assert rough.name == "words" and rough.log_prob(p.sequences).dtype == torch.float32
    assert torch.allclose(rough.probs.double(), p.probs, atol=1e-7)
    assert (
        rough.conditional(torch.tensor([[3, 1]])).dtype == torch.float32 and rough.sample(4).dtype == torch.int64
    )
    assert TableDistribution(torch.tensor([1, 3])).probs.tolist() == [0.25, 0.75]


TWO = torch.zeros(2, 2)
COINS = TableDistribution(torch.ones(2, 2), "coins")
WRONG = [
    (lambda: DiagNormal(torch.zeros(2), 0.0), "deviation is 0: expected it above 0"),
    (lambda: DiagNormal(torch.zeros(2), math.nan), "deviation is nan: expected"),
    (lambda: wide().log_prob(torch.zeros(3, 4)), r"\(3, 4\): expected \(..., 2, 2\)"),
    (lambda: wide().log_prob(torch.zeros(3, 2, 2, device="meta")), "device meta: expected cpu"),
    (
        lambda: Mixture(torch.ones(3), TWO, 1.0),
        r"\(3,\) and means of shape \(2, 2\): expected \(K,\) and \(K, D\)",
    ),
    (lambda: Mixture(torch.ones(2), torch.zeros(2), 1.0), r"expected \(K,\) and \(K, D\)"),
    (lambda: Mixture(torch.tensor([1.0, 0.0]), TWO, 1.0), "a weight is 0: expected all of them above 0"),
    (lambda: Mixture(torch.ones(2), TWO, 0.0), "stds of shape .*all above 0"),
    (lambda: Mixture(torch.ones(2), TWO, torch.ones(2)), r"stds of shape \(2,\): expected a number, \(K, 1\)"),
    (lambda: Mixture(torch.ones(2), TWO, torch.ones(3, 1)), r"stds of shape \(3, 1\): expected"),
    (lambda: lopsided().log_prob(torch.zeros(3, 3)), r"\(3, 3\): expected \(B, 2\)"),
    (lambda: lopsided().log_prob(torch.full((3, 2), math.nan)), "NaN in 6 of 6"),
    (lambda: lopsided().log_prob(torch.zeros(3, 2, device="meta")), "device meta: expected cpu"),
    (lambda: TableDistribution(torch.ones(2, 3)), r"probs have shape \(2, 3\): expected \(K, ..., K\)"),
    (lambda: TableDistribution(torch.tensor(1.0)), r"probs have shape \(\): expected"),
    (lambda: TableDistribution(torch.tensor([0.5, -0.1])), "probs hold a negative or infinite number"),
    (lambda: TableDistribution(TWO), "or only zeros: expected probabilities"),
    (lambda: TableDistribution(torch.tensor([1.0, math.nan])), "infinite number, or only zeros: expected prob"),
    (lambda: TableDistribution(torch.tensor([1.0, math.inf])), "or infinite number, or only zeros"),
    (lambda: COINS.log_prob(torch.tensor([[0, 2]])), "x runs from 0 to 2: expected tokens 0 to 1"),
    (lambda: COINS.log_prob(torch.tensor([[0, -1]])), "x runs from -1 to 0"),
    (lambda: COINS.log_prob(torch.zeros(3, 2)), r"dtype torch.float32: expected integer tokens \(B, 2\)"),
    (lambda: COINS.log_prob(torch.zeros(3, 3).long()), r"x has shape \(3, 3\) .*tokens \(B, 2\)"),
    (lambda: COINS.log_prob(torch.zeros(2).long()), r"x has shape \(2,\)"),
    (lambda: COINS.log_prob(torch.zeros(3, 2).bool()), "dtype torch.bool: expected integer tokens"),
    (lambda: COINS.conditional(torch.tensor([[0, 3]])), "x runs from 0 to 3: expected tokens 0 to 2"),
]


@pytest.mark.parametrize("call, message", WRONG)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_integers_are_refused():
    with pytest.raises(TypeError, match="means has dtype torch.int64: expected floating"):
        Mixture(torch.ones(2), TWO.long(), 1.0)
    with pytest.raises(TypeError, match="torch.int32: expected floating"):
        lopsided().score(torch.zeros(3, 2).int())
