"""The references of the introduction's homework, held to oracles of another kind; and the rehearsal."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.teach.check import Card
from dgm_course.teach.homework import NOT_YET, PASS, WRONG, exercise
from dgm_course.teach.rehearsal import WARM_UP, rehearse


def reference(name):
    return exercise(f"intro.{name}").reference


@pytest.mark.slow
def test_the_density_behind_the_log_likelihood_integrates_to_one():
    mean, std = torch.tensor([0.3, -0.5]).double(), torch.tensor([0.7, 1.2]).double()
    line = torch.linspace(-9, 9, 181, dtype=torch.float64)
    nodes = torch.cartesian_prod(line, line)
    log_p = torch.stack([reference("log_likelihood")(node[None], mean, std) for node in nodes])
    assert float(log_p.exp().sum() * 0.1**2) == pytest.approx(1, abs=1e-6)


def test_the_log_likelihood_is_largest_at_the_moments_of_the_data():
    """Autograd: at the mean and the (biased) deviation of the data both slopes vanish."""
    x = torch.randn(30, 3, dtype=torch.float64) * 2 + 1
    mean, std = x.mean(0).requires_grad_(), x.std(0, correction=0).requires_grad_()
    slopes = torch.autograd.grad(reference("log_likelihood")(x, mean, std), (mean, std))
    for slope in slopes:
        torch.testing.assert_close(slope, torch.zeros(3).double(), atol=1e-10, rtol=0)


def test_the_posterior_of_two_equally_wide_gaussians_is_a_logistic_function():
    """p(1|x) = sigmoid((x − (m0 + m1)/2)(m1 − m0)/s² + log π1/π0), known since Fisher."""
    x, (m0, m1), s, prior = torch.linspace(-4, 4, 41).double(), (-1.0, 2.0), 0.8, torch.tensor([0.3, 0.7]).double()
    log_p = torch.stack([-0.5 * ((x - m) / s) ** 2 - math.log(s * math.sqrt(2 * math.pi)) for m in (m0, m1)], 1)
    wanted = torch.sigmoid((x - (m0 + m1) / 2) * (m1 - m0) / s**2 + (prior[1] / prior[0]).log())
    torch.testing.assert_close(reference("posterior")(log_p, prior)[:, 1], wanted)


def test_the_posterior_counted_in_a_table_of_events():
    """A thousand events of a joint table: the share of a class among the events with one x."""
    counts = torch.tensor([[10, 90], [300, 100], [250, 250]]).double()  # x in rows, classes in columns
    prior = counts.sum(0) / counts.sum()
    log_p = (counts / counts.sum(0)).log()
    torch.testing.assert_close(reference("posterior")(log_p, prior), counts / counts.sum(1, keepdim=True))


def test_samples_come_from_each_component_as_often_as_its_weight_says():
    n, weights = 40_000, torch.tensor([0.2, 0.5, 0.3]).double()
    means, stds = torch.tensor([[-9.0], [0.0], [9.0]]).double(), torch.tensor([0.5, 1.0, 0.25]).double()
    generator = torch.Generator().manual_seed(0)
    u, eps = torch.rand(n, generator=generator).double(), torch.randn(n, 1, generator=generator).double()
    x = reference("sample_mixture")(u, eps, weights, means, stds)[:, 0]
    for k in range(3):
        own = (x - means[k]).abs() < 4.5
        share = own.double().mean()
        assert abs(share - weights[k]) < 5 * math.sqrt(weights[k] * (1 - weights[k]) / n)
        assert float(x[own].std()) == pytest.approx(float(stds[k]), rel=0.05)


# --- the rehearsal


def unfilled(q):
    raise NotImplementedError("your turn")


@pytest.mark.parametrize(
    "answer, status, words",
    [
        (unfilled, NOT_YET, "Not yet"),
        (lambda q: -torch.log(q), WRONG, "nats"),
        (lambda q: -torch.log2(q), PASS, "Right on"),
        (lambda q: torch.log(1 / q) / math.log(2), PASS, "Right on"),
        (lambda q: -torch.log2(q + 1e-12), WRONG, "tiny"),
        (lambda q: (-torch.log2(q)).sum(), WRONG, ""),
        (lambda q: q, WRONG, ""),
        (lambda q: 1 - q, WRONG, ""),
    ],
)
def test_the_rehearsal_shows_every_kind_of_card_and_never_raises(monkeypatch, answer, status, words):
    monkeypatch.setenv("DGM_STRICT", "1")
    card = rehearse(answer)
    assert isinstance(card, Card) and card.verdict.status == status and words in card.text, card.text


@pytest.mark.parametrize("hint, form", WARM_UP.mistakes, ids=[hint[:30] for hint, _ in WARM_UP.mistakes])
def test_every_slip_of_the_warm_up_is_known(hint, form):
    for seed in (1, 2, 3):
        assert WARM_UP.verdict(form, (seed,)).hint == hint


def test_the_warm_up_is_no_exercise_of_the_course():
    with pytest.raises(KeyError):
        exercise(WARM_UP.id)
