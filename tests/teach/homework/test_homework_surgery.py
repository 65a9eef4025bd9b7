"""The references of the homework on ELBO surgery, held to oracles of another kind: quadrature, entropy, search, a flow."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dgm_course.flows import ActNorm, Flow, couplings
from dgm_course.teach.homework import exercise
from dgm_course.teach.homework.recipes import Encoder

LINE = torch.linspace(-14, 14, 14_001, dtype=torch.float64)
STEP = float(LINE[1] - LINE[0])
MEAN, STD = torch.tensor([-2.0, 0.5, 1.5]).double(), torch.tensor([0.4, 0.9, 0.6]).double()


def reference(name: str):
    return exercise(f"surgery.{name}").reference


def density(x, mean, std):
    return torch.exp(-((x - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))


EACH = density(LINE, MEAN[:, None], STD[:, None])  # (3, nodes)
AGG = EACH.mean(0)


def table(draws: int):
    """z_si ~ q_i, and all log q(z_si | x_j).  -> (k, n), (k, n, n)"""
    z = MEAN + STD * torch.randn(draws, 3).double()
    return z, density(z[:, :, None], MEAN, STD).log()


def test_the_aggregated_posterior_integrates_to_one_and_is_the_mean():
    found = reference("aggregated_log_prob")(LINE[:, None], MEAN[:, None], STD.log()[:, None]).exp()
    assert float(found.sum() * STEP) == pytest.approx(1, abs=1e-9)
    torch.testing.assert_close(found, AGG)


def test_the_information_is_what_a_guess_of_the_datum_gains():
    belief = EACH / EACH.sum(0)
    wanted = math.log(3) - float((AGG * torch.special.entr(belief).sum(0)).sum() * STEP)
    assert reference("mutual_information")(table(200_000)[1]).item() == pytest.approx(wanted, abs=0.005)
    far = torch.full((4, 5, 5), -800.0).double() + 790 * torch.eye(5).double()
    assert reference("mutual_information")(far).item() == pytest.approx(math.log(5))
    assert reference("mutual_information")(torch.full((4, 5, 5), -3.0)).item() == pytest.approx(0, abs=1e-6)


def test_the_marginal_kl_is_the_integral_and_vanishes_where_the_prior_is_q_agg():
    prior = density(LINE, 0.0, 1.0)
    inside = AGG > 0
    wanted = float((AGG * (AGG / prior).log())[inside].sum() * STEP)
    z, log_q = table(200_000)
    assert reference("marginal_kl")(log_q, density(z, 0.0, 1.0).log()).item() == pytest.approx(wanted, abs=0.02)
    assert reference("marginal_kl")(log_q, log_q.exp().mean(2).log()).item() == pytest.approx(0, abs=1e-12)


def test_no_other_gaussian_is_nearer_in_forward_kl():
    mean, log_std = (part.item() for part in reference("best_gaussian")(MEAN[:, None], STD.log()[:, None]))

    def cross_entropy(m, s):
        return -float((AGG * density(LINE, m, s).clamp(min=1e-300).log()).sum() * STEP)

    best = cross_entropy(mean, math.exp(log_std))
    for m, s in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01), (0.5, 0.2)):
        assert cross_entropy(mean + m, math.exp(log_std + s)) > best


def test_a_vamp_prior_integrates_to_one_and_its_inputs_learn():
    encoder = Encoder.random(np.random.default_rng(0), 4, 1).build(LINE)
    inputs = torch.randn(3, 4).double().requires_grad_()
    log_p = reference("vamp_log_prob")(LINE[:, None], inputs, encoder)
    assert float(log_p.detach().exp().sum() * STEP) == pytest.approx(1, abs=1e-6)
    (slope,) = torch.autograd.grad(log_p[::100].sum(), inputs)
    moved = inputs.detach().clone()
    moved[1, 2] += 1e-6
    change = (reference("vamp_log_prob")(LINE[:, None], moved, encoder) - log_p)[::100].sum() / 1e-6
    assert change.item() == pytest.approx(slope[1, 2].item(), rel=1e-3)


def test_the_elbo_with_a_flow_is_the_flows_own_log_prob_in_the_bound():
    flow = Flow([ActNorm(3), *couplings(3, 2, 8).layers], 3).double()
    for p in flow.parameters():
        torch.nn.init.normal_(p, std=0.3)
    z, log_p_x, log_q = torch.randn(5, 4, 3).double(), torch.randn(5, 4).double(), torch.randn(5, 4).double()
    z_star, ladj = (part.view(5, 4, *part.shape[1:]) for part in flow(z.flatten(0, 1)))
    wanted = (log_p_x + flow.log_prob(z.flatten(0, 1)).view(5, 4) - log_q).mean(0)
    torch.testing.assert_close(reference("flow_elbo")(log_p_x, z_star, ladj, log_q), wanted)
