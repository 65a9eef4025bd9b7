"""The references of the homework on absorbing diffusion, held to oracles of another kind: counting, Bayes, quadrature."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from dgm_course.teach.homework import exercise
from dgm_course.teach.homework.recipes import Conditionals

from .answers.absorbing_diffusion import BANKS


def test_transition_matrices_multiply_to_the_product_of_the_betas():
    """Q_T ... Q_1 = ᾱ I + (1 − ᾱ) e_m 1ᵀ, and tokens that walk by the columns are masked as often."""
    betas, q, tokens = (0.1, 0.35, 0.2), torch.eye(4), torch.randint(0, 3, (20_000,))
    first = tokens
    for beta in betas:
        step = exercise("abs.transition_matrix").reference(beta, 3)
        q, tokens = step @ q, torch.multinomial(step[:, tokens].T, 1)[:, 0]
    survive = np.prod([1 - beta for beta in betas])
    wanted = survive * torch.eye(4) + (1 - survive) * torch.eye(4)[3][:, None]
    assert torch.allclose(q, wanted.float(), atol=1e-6)
    assert ((tokens == first) | (tokens == 3)).all()
    share = (tokens == first).double().mean().item()
    assert share == pytest.approx(survive, abs=5 * (survive * (1 - survive) / 20_000) ** 0.5)


def test_corruption_leaves_each_token_with_probability_survive_on_its_own():
    survive, x = torch.tensor([0.0, 0.2, 0.7, 1.0]).repeat(10_000), torch.randint(0, 5, (40_000, 3))
    xt = exercise("abs.corrupt").reference(x, torch.rand(x.shape), survive, 5)
    seen = (xt == x).view(10_000, 4, 3).double()
    chance = survive[:4].double()
    assert ((xt == x) | (xt == 5)).all()
    assert (seen.mean(0) - chance[:, None]).abs().max() < 5 * 0.5 / 100
    assert (seen.prod(2).mean(0) - chance**3).abs().max() < 5 * 0.5 / 100  # three in a sequence
    assert ((seen[1:] * seen[:-1]).mean((0, 2)) - chance**2).abs().max() < 5 * 0.5 / 100  # two sequences


def test_posterior_and_chance_by_bayes_rule_over_all_states():
    """q(x_{k−1} | x_k, x_0) ∝ Q_k[x_k, ·] Q_{1:k−1}[·, x_0] in float64, from matrices alone."""
    before, now, size = (
        torch.tensor([0.8, 1.0], dtype=torch.float64),
        torch.tensor([0.3, 0.45], dtype=torch.float64),
        4,
    )
    eye, absorb = torch.eye(size).double(), torch.eye(size).double()[3][:, None].expand(size, size)
    x = torch.tensor([[0, 1, 2, 2], [1, 0, 2, 1]])
    xk = torch.tensor([[0, 3, 3, 2], [3, 3, 2, 1]])
    came = exercise("abs.posterior").reference(xk, x, before, now, 3)
    chance = exercise("abs.unmask_probability").reference(before, now)
    for row in range(2):
        keep, way = now[row] / before[row], before[row]
        step, far = keep * eye + (1 - keep) * absorb, way * eye + (1 - way) * absorb
        joint = step[xk[row]] * far[:, x[row]].T
        assert torch.allclose(came[row], joint / joint.sum(1, keepdim=True), atol=1e-12)
        assert chance[row].item() == pytest.approx(1 - (far[3, 0] / (step @ far)[3, 0]).item())


def test_the_weight_counts_every_token_once():
    """The share that appears between two times is ∫ w_t (1 − α_t) dt: from 0 to ½ it is α(½), from 0 to 1 it is 1."""
    t = (torch.arange(4000).double() + 0.5) / 4000
    for schedule in (lambda t: t, lambda t: t**2, lambda t: 1 - torch.cos(t * np.pi / 2)):
        shares = exercise("abs.elbo_weight").reference(schedule, t) * (1 - schedule(t)) / 4000
        assert shares[:2000].sum().item() == pytest.approx(schedule(torch.tensor(0.5)).item(), rel=1e-5)
        assert shares.sum().item() == pytest.approx(1, rel=1e-5)


def test_the_weighted_loss_of_independent_tokens_is_their_log_likelihood():
    """α = t, w = 1/(1 − t): Σ over times and over which of two tokens are hidden is −log p(x_1) − log p(x_2)."""
    log_p = torch.tensor([[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]]).double().log()
    x, xts = (
        torch.tensor([1, 2]),
        torch.tensor([[3, 3], [3, 3], [3, 2], [1, 3], [1, 2]]),
    )  # the first twice, at half
    t = ((torch.arange(1000).double() + 0.5) / 1000)[:, None]
    hidden = (xts == 3).double().sum(1)
    chance = (
        t ** (2 - hidden) * (1 - t) ** hidden * torch.tensor([0.5, 0.5, 1, 1, 1])
    )  # of each pattern, at each time
    weight = (5 * chance / (1 - t)).flatten()
    came = exercise("abs.masked_loss").reference(
        (log_p + 1.7).expand(5000, 2, 3), x.expand(5000, 2), xts.repeat(1000, 1), weight, 3
    )
    assert came.item() == pytest.approx(-(log_p[0, 1] + log_p[1, 2]).item(), rel=1e-6)


def test_steps_of_sampling_lead_from_masks_to_the_proposals_at_the_schedule():
    x, marks, shares = torch.full((200, 200), 7), (0.0, 0.1, 0.35, 0.8, 1.0), []
    for now, after in itertools.pairwise(marks):
        proposal = torch.randint(0, 7, x.shape)
        moved = exercise("abs.unmask_step").reference(x, proposal, torch.rand(x.shape), now, after, 7)
        assert torch.equal(moved[x < 7], x[x < 7]) and torch.equal(moved[moved != x], proposal[moved != x])
        x = moved
        shares.append((x < 7).double().mean().item())
    assert shares == pytest.approx(marks[1:], abs=5 * 0.5 / 200)


def test_any_order_is_a_distribution_and_lies_above_the_mean_of_the_logarithms():
    """Each order sums to one over all sequences, and so does their average; the bound sums to less."""
    for case in exercise("abs.any_order_log_likelihood").inputs(4)[:2]:
        model = case.args["log_conditional"].build(torch.zeros(0, dtype=torch.float64))
        places, symbols = case.args["log_conditional"].weights[0].shape[:2]
        x = torch.tensor(list(itertools.product(range(symbols), repeat=places)))
        log_p = exercise("abs.any_order_log_likelihood").reference(model, x)
        assert log_p.double().exp().sum().item() == pytest.approx(1, abs=1e-5)
        assert BANKS["abs.any_order_log_likelihood"].wrong["ELBO"][0](model, x).exp().sum() < 0.999


def test_any_order_is_how_often_tokens_come_when_revealed_in_random_order():
    """Two symbols, three places: draw an order and the tokens along it, and count the eight sequences."""
    model = Conditionals.random(np.random.default_rng(3), 3, 2).build(torch.zeros(0))
    rows, order = torch.arange(40_000), torch.rand(40_000, 3).argsort(1)
    x, visible = torch.zeros(40_000, 3, dtype=torch.long), torch.zeros(40_000, 3, dtype=torch.bool)
    for place in order.T:
        one = model(visible, x.index_put((rows, place), torch.tensor(1)))[rows, place].exp()
        x[rows, place] = (torch.rand(40_000) < one).long()
        visible[rows, place] = True
    seen = torch.bincount(x @ torch.tensor([4, 2, 1]), minlength=8) / 40_000
    whole = torch.tensor(list(itertools.product((0, 1), repeat=3)))
    chance = exercise("abs.any_order_log_likelihood").reference(model, whole).exp()
    assert ((seen - chance).abs() < 5 * (chance * (1 - chance) / 40_000).sqrt()).all()
