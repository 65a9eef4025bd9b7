"""The ELBO and the loss of a mask path against sums of KL terms and the mean over all orders of the tokens."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from dgm_course.paths import MaskPath
from dgm_course.paths.model import stratified

from .masks import CONDITIONAL, DARK, DATA, F64, WORDS, K, L, alpha, appears, every, followed, lookup, nexts


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(4)  # gradients of small variance


def one_hot_of(word) -> torch.Tensor:
    """As ``conditional_table``, for a known word."""
    table = torch.zeros(*[K + 1] * L, L, K, dtype=F64)
    table[..., range(L), word] = 1
    return table


def chain_bound(path, table, word, steps: int) -> float:
    """−Σ_k E_q KL(q(x_{k−1} | x_k, x_0) ‖ p(x_{k−1} | x_k)), summed over all masks."""
    total = 0.0
    for k in range(steps):
        t, s = k / steps, (k + 1) / steps
        chance = appears(path, t, s)
        for hidden in itertools.product((0, 1), repeat=L):
            state = tuple(K if h else v for h, v in zip(hidden, word))
            weight = (1 - alpha(path, t)) ** sum(hidden) * alpha(path, t) ** (L - sum(hidden))
            p = nexts(table, chance, state)
            total += weight * sum(
                q * math.log(q / p[other]) for other, q in nexts(one_hot_of(word), chance, state).items() if q > 0
            )
    return -total


def in_any_order(log_conditional: torch.Tensor, word) -> torch.Tensor:
    """The mean over all L! orders of Σ log p(next token | those before), the bound in continuous time."""
    total = []
    for order in itertools.permutations(range(L)):
        state = list(DARK)
        for place in order:
            total.append(log_conditional[tuple(state)][place, word[place]])
            state[place] = word[place]
    return torch.stack(total).sum() / math.factorial(L)


def rows(n: int) -> torch.Tensor:
    """Each word n times, one after the other."""
    return torch.tensor(WORDS).repeat_interleave(n, 0)


def assert_means(values: torch.Tensor, expected: torch.Tensor, slack: float = 1e-5) -> None:
    """The mean of each word's values (W·n,) is what is expected (W,), within five standard errors."""
    values = values.double().view(len(expected), -1)
    assert torch.isfinite(values).all()
    error = values.std(1) / math.sqrt(values.shape[1])
    assert ((values.mean(1) - expected).abs() <= 5 * error + slack).all(), (values.mean(1), expected, error)


@every
def test_bound_of_perfect_model_is_log_p(path):
    assert_means(path.exact(DATA).elbo(rows(2000)), DATA.probs.log().flatten())


@every
def test_bound_is_the_mean_over_orders(path):
    model = lookup(path)
    expected = torch.stack([in_any_order(model.net.log_conditional, word) for word in WORDS]).detach()
    with torch.no_grad():
        assert_means(model.elbo(rows(2000), draws=4), expected)
    assert float(expected.exp().sum()) < 1 - 1e-3  # a bound, and here not tight


@every
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_bound_in_steps_is_sum_of_kls(path, steps):
    words = torch.tensor([chain_bound(path, CONDITIONAL, word, steps) for word in WORDS], dtype=F64)
    field = path.exact(DATA)
    assert_means(field.elbo(rows(1000), steps, draws=2), words)
    model = lookup(path)
    with torch.no_grad():
        wrong = [chain_bound(path, model.net.log_conditional.exp(), word, steps) for word in WORDS]
        assert_means(model.elbo(rows(1000), steps, draws=1), torch.tensor(wrong, dtype=F64))
    sampled = followed(path, CONDITIONAL, steps)[:K, :K, :K].log().flatten()
    assert (words <= sampled + 1e-12).all()


def test_draws_reduce_the_noise_of_bound():
    field, x = MaskPath(2).exact(DATA), torch.tensor([[0, 1, 1]]).repeat(1500, 1)
    for steps in (None, 3):
        few, many = field.elbo(x, steps, draws=1), field.elbo(x, steps, draws=16)
        assert float(many.std()) < 0.6 * float(few.std())
        error = math.hypot(float(few.std()), float(many.std())) / math.sqrt(1500)
        assert abs(float(few.mean() - many.mean())) < 5 * error
    with torch.inference_mode():
        assert torch.isfinite(field.elbo(x[:5])).all()


@every
@pytest.mark.parametrize("times", [None, stratified], ids=["uniform", "stratified"])
def test_loss_and_gradient_are_those_of_bound(path, times):
    """E loss = −E elbo, and the same of the gradients, both added up over all orders."""
    model, chunks, due = lookup(path, times), 120, DATA.stratified(400)
    weights = [float((due == torch.tensor(word)).all(1).double().mean()) for word in WORDS]
    bound = -sum(w * in_any_order(model.net.log_conditional, word) for w, word in zip(weights, WORDS))
    (expected,) = torch.autograd.grad(bound, model.net.logits)
    values, slopes = [], []
    for _ in range(chunks):
        values.append(model.loss(due))
        slopes.append(torch.autograd.grad(values[-1], model.net.logits)[0])
    values, slopes = torch.stack(values).detach(), torch.stack(slopes)
    assert abs(float(values.mean() - bound.detach())) < 5 * float(values.std()) / math.sqrt(chunks)
    assert ((slopes.mean(0) - expected).abs() <= 5 * slopes.std(0) / math.sqrt(chunks) + 1e-9).all()
    assert float(expected.abs().max()) > 10 * float(slopes.std(0).max()) / math.sqrt(chunks)  # enough to tell


@every
def test_weights_change_loss_but_not_bound(path):
    """∫ dt E Σ_masked −log p, by the midpoint rule over all masks."""
    even = replace(path, weight=lambda path, t: torch.ones_like(t))
    model, word, expected = lookup(even), (0, 1, 1), 0.0
    said = model.net.log_conditional.detach()
    for t in (torch.arange(400, dtype=F64) + 0.5) / 400:
        a = float(path.alpha(t))
        for hidden in itertools.product((0, 1), repeat=L):
            state = tuple(K if h else v for h, v in zip(hidden, word))
            cost = sum(float(said[state][i, v]) for i, v in enumerate(word) if hidden[i])
            expected -= (1 - a) ** sum(hidden) * a ** (L - sum(hidden)) * cost / 400
    x = torch.tensor([word]).repeat(500, 1)
    with torch.no_grad():
        values = torch.stack([model.loss(x) for _ in range(60)])
        assert abs(float(values.mean()) - expected) < 5 * float(values.std()) / math.sqrt(60) + 1e-4
        bound = in_any_order(said, word)
        assert abs(float(bound) + expected) > 0.1
        assert_means(model.elbo(x), bound[None])
