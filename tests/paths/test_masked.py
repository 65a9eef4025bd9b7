"""Mask paths: schedules, transitions against products of matrices, posteriors by Bayes, corruption by enumeration."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from dgm_course.core.distributions import TableDistribution
from dgm_course.paths import MaskPath, cosine_reveal, elbo_weight, geometric_reveal, linear_reveal

from .masks import BETAS, DATA, F64, PAIR, PATHS, K, alpha, assert_frequencies, every, lookup, scalar

SINGLE = TableDistribution(torch.tensor([0.2, 0.5, 0.2, 0.1], dtype=F64), "single")
TIMES = (0.0, 0.15, 0.5, 0.85)
when = pytest.mark.parametrize("t", TIMES)


def one_step(beta: float, k: int) -> torch.Tensor:
    """The slides' Q, entry by entry: columns are "from"."""
    q = torch.zeros(k + 1, k + 1, dtype=F64)
    for token in range(k):
        q[token, token], q[k, token] = 1 - beta, beta
    q[k, k] = 1
    return q


def multiplied(betas, k: int) -> torch.Tensor:
    """Q_T ... Q_2 Q_1, from data towards masks."""
    q = torch.eye(k + 1, dtype=F64)
    for beta in betas:
        q = one_step(float(beta), k) @ q
    return q


def matrix(path, s: float, t: float, k: int) -> torch.Tensor:
    """One big step from s down to t: a token visible at s is visible at t with probability alpha_t / alpha_s."""
    return one_step(1 - alpha(path, t) / alpha(path, s), k)


@every
def test_at_is_schedule_and_slope(path):
    t = torch.linspace(0.02, 0.97, 20, dtype=F64)  # clear of the kinks of the chain
    value, slope = path.at(t)
    h = 1e-6
    assert torch.allclose(value, path.alpha(t)) and not value.requires_grad and not slope.requires_grad
    assert torch.allclose(slope, (path.alpha(t + h) - path.alpha(t - h)) / (2 * h), rtol=1e-5, atol=1e-7)
    assert alpha(path, 0.0) == pytest.approx(0, abs=1e-12) and alpha(path, 1.0) == pytest.approx(1, abs=1e-12)
    with torch.no_grad():
        assert torch.equal(path.at(t)[1], slope)
    with torch.inference_mode():
        assert torch.equal(path.at(t * 1)[1], slope) and float(path.at(0.5)[1]) > 0


def test_schedules_are_those_of_papers():
    s = torch.linspace(0, 1, 11, dtype=F64)  # the diffusion slides' clock
    assert torch.equal(linear_reveal(1 - s), 1 - s)
    assert torch.allclose(1 - cosine_reveal(s), torch.cos(s * math.pi / 2))  # the share that MaskGIT keeps masked
    rate = 1e-4 ** (1 - s) * 20**s  # SEDD: a token survives with exp(−rate)
    assert torch.allclose(geometric_reveal(1 - s), torch.exp(-rate), atol=2e-4)


@every
def test_last_step_is_finite_in_float32(path):
    near = 1 - torch.logspace(-6, -1, 200)
    assert torch.isfinite(elbo_weight(path, near)).all() and (elbo_weight(path, near) >= 0).all()
    for t in (0.0, 0.5, 0.9, 0.98, 0.998):
        assert float(path.unmask(t, 1.0)) >= 1
    late = lookup(path, lambda like: 1 - 1e-4 * torch.rand(len(like)))
    assert torch.isfinite(late.loss(DATA.sample(2000)))


@every
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_transitions_are_products_and_compose(path, k):
    path, steps = replace(path, vocabulary=k), 6
    betas = path.betas(steps)
    assert betas.shape == (steps,) and ((betas > 0) & (betas <= 1)).all()
    for a, b in itertools.combinations(range(steps + 1), 2):
        s, t = 1 - a / steps, 1 - b / steps
        assert torch.allclose(path.transition(scalar(s), scalar(t)), multiplied(betas[a:b], k), atol=1e-9)
    whole, first, second = (path.transition(scalar(s), scalar(t)) for s, t in ((0.9, 0.2), (0.9, 0.6), (0.6, 0.2)))
    assert torch.allclose(whole, second @ first) and torch.allclose(whole, matrix(path, 0.9, 0.2, k))
    assert torch.allclose(whole.sum(0), torch.ones(k + 1, dtype=F64)) and (whole >= 0).all()


def test_chain_of_betas_is_the_path():
    assert torch.allclose(MaskPath.chain(BETAS, 4).betas(5), BETAS, atol=1e-12)
    assert MaskPath.chain(BETAS.float(), 4).betas(5).shape == (5,)
    for path in PATHS.values():
        again, grid = MaskPath.chain(path.betas(7), K), torch.linspace(0, 1, 8, dtype=F64)
        assert torch.allclose(again.alpha(grid), path.alpha(grid), atol=1e-9)
        assert torch.allclose(again.betas(7), path.betas(7), atol=1e-9)
        assert torch.allclose(again.weights(7), path.weights(7), atol=1e-9)


@every
def test_weights_are_those_of_the_slides(path):
    steps = 6
    betas, weights = path.betas(steps), path.weights(steps)
    bars = torch.cat([torch.ones(1, dtype=F64), (1 - betas).cumprod(0)])
    assert torch.allclose(weights, bars[:-1] * betas / (1 - bars[1:]))


@every
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("t, s", [(0.0, 0.4), (0.3, 0.35), (0.2, 0.9), (0.7, 1.0)])
def test_posterior_is_bayes_on_matrices(path, k, t, s):
    path = replace(path, vocabulary=k)
    down, clean = matrix(path, s, t, k), matrix(path, 1.0, s, k)
    seen = down[k] * clean[:, 0]  # of a masked token that is 0 in truth
    assert float(path.unmask(scalar(t), scalar(s))) == pytest.approx(float(seen[0] / seen.sum()))
    for x1 in range(k):
        for xt in (x1, k) if t > 0 else (k,):
            joint = down[xt] * clean[:, x1]
            ours = path.posterior(torch.tensor([[xt]]), torch.tensor([[x1]]), scalar(t), scalar(s))
            assert ours.shape == (1, 1, k + 1)
            assert torch.allclose(ours[0, 0], joint / joint.sum(), atol=1e-9)
            assert xt == k or float(ours[0, 0, x1]) == 1  # case 1: visible stays


@every
def test_posterior_of_sequence_is_by_token(path):
    xt, x1 = torch.tensor([[2, 1, 2], [2, 2, 2], [0, 2, 1]]), torch.tensor([[0, 1, 1], [1, 0, 0], [0, 0, 1]])
    early, late = torch.tensor([0.1, 0.2, 0.3], dtype=F64), torch.tensor([0.4, 0.8, 1.0], dtype=F64)
    for t, s in ((early, late), (scalar(0.1), late), (early, scalar(0.6)), (scalar(0.1), scalar(0.6))):
        ours = path.posterior(xt, x1, t, s)
        assert ours.shape == (3, 3, 3)
        for i, j in itertools.product(range(3), repeat=2):
            one = path.posterior(xt[i, j].view(1, 1), x1[i, j].view(1, 1), t.expand(3)[i], s.expand(3)[i])
            assert torch.allclose(ours[i, j], one[0, 0])


def summed(path, data: TableDistribution, t: float) -> torch.Tensor:
    """p_t, added up over all sequences and all masks."""
    k, length, a = data.symbols, data.probs.ndim, alpha(path, t)
    out = torch.zeros([k + 1] * length, dtype=F64)
    for word in itertools.product(range(k), repeat=length):
        for hidden in itertools.product((0, 1), repeat=length):
            state = tuple(k if h else v for h, v in zip(hidden, word))
            out[state] += data.probs[word] * (1 - a) ** sum(hidden) * a ** (length - sum(hidden))
    return out


@every
@pytest.mark.parametrize("data", [DATA, PAIR, SINGLE], ids=["L3", "L2", "L1"])
def test_marginal_is_sum_over_sequences_and_masks(path, data):
    path = replace(path, vocabulary=data.symbols)
    for t in (*TIMES, 1.0):
        p_t = path.marginal(data, t)
        assert p_t.symbols == data.symbols + 1 and p_t.event == data.event and f"t = {t:.2f}" in p_t.name
        assert torch.allclose(p_t.probs, summed(path, data, t), atol=1e-6)
    assert torch.allclose(path.marginal(data, scalar(0.35)).probs, summed(path, data, 0.35), atol=1e-12)


@every
@when
def test_corruption_has_frequencies_of_marginal(path, t):
    xt, x0 = path.corrupt(DATA.sample(20_000), scalar(t))
    assert x0.shape == xt.shape and 0 <= float(x0.min()) <= float(x0.max()) < 1
    assert_frequencies(xt, summed(path, DATA, t))


@every
def test_times_may_be_one_a_sample(path):
    n = 30_000
    t = torch.tensor([0.1, 0.5, 0.9]).repeat(n // 3)
    xt, _ = path.corrupt(torch.ones(n, 2, dtype=torch.long), t)
    for i in range(3):
        hidden, p = (xt[i::3] == K).double(), 1 - alpha(path, float(t[i]))
        assert ((hidden.mean(0) - p).abs() <= 5 * math.sqrt(p * (1 - p) / len(hidden)) + 1e-6).all()
        both = float((hidden[:, 0] * hidden[:, 1]).mean())  # p² where tokens are independent
        assert abs(both - p * p) <= 5 * math.sqrt(p * p * (1 - p * p) / len(hidden)) + 1e-6


@every
def test_tokens_appear_and_stay_for_fixed_x0(path):
    x1 = DATA.sample(200)
    x0, before = path.sample_source(x1), None
    for t in torch.linspace(0, 1, 21):
        xt, same = path.corrupt(x1, t, x0)
        assert same is x0 and torch.equal(xt[xt != K], x1[xt != K])
        if before is not None:
            assert not ((before != K) & (xt == K)).any()
        before = xt
    assert torch.equal(before, x1) and (path.corrupt(x1, 0.0, x0)[0] == K).all()
    assert torch.equal(path.interpolate(path.endpoints(x1, x0, 0.4)), path.corrupt(x1, 0.4, x0)[0])


def test_events_have_any_shape():
    path, x1 = MaskPath(4), torch.randint(4, (3, 1, 5, 5))
    xt, x0 = path.corrupt(x1, torch.tensor([0.0, 0.5, 1.0]))
    assert (xt[0] == 4).all() and torch.equal(xt[2], x1[2]) and 0 < int((xt[1] == 4).sum()) < 25
    assert path.posterior(xt, x1, torch.tensor([0.0, 0.5, 0.9]), 1.0).argmax(-1).equal(x1)
    prediction = path.predict(xt, 0.5, data=torch.randn(3, 1, 5, 5, 4))
    assert path.step(prediction, 1.0).shape == x1.shape and not (path.step(prediction, 1.0) == 4).any()
