"""The references of the homework on latent spaces, held to oracles of another kind; and the cut gradients."""

from __future__ import annotations

import numpy as np
import torch

from dgm_course.teach.homework import exercise, exercises
from dgm_course.teach.homework.recipes import Layer, Patches


def reference(name):
    return exercise(f"lat.{name}").reference


def test_no_exercise_writes_its_formula_out():
    for task in exercises("latent_space"):
        assert not any(sign in task.prompt for sign in "=+/²∫σα")


def test_the_training_codes_themselves_come_out_at_unit_size():
    codes = 7 + torch.randn(30, 3, 2, 2, dtype=torch.float64) * torch.tensor([0.2, 5.0, 40.0]).double().view(
        3, 1, 1
    )
    rows = reference("rescale")(codes, codes).movedim(1, 0).flatten(1)
    torch.testing.assert_close(rows.mean(1), torch.zeros(3).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(rows.square().mean(1), torch.ones(3).double())


def test_the_balanced_loss_moves_the_layer_as_hard_for_the_critic_as_for_the_picture():
    """Differences of the two losses in every weight, without autograd: their norms, and the quotient."""

    rng = np.random.default_rng(0)
    like = torch.zeros(0, dtype=torch.float64)
    layer, critic = Layer(rng.normal(size=(4, 3))).build(like), Patches.random(rng, 3).build(like)
    x, h = (torch.tensor(rng.normal(size=(5, n))) for n in (3, 4))
    losses = (lambda w: ((x - h @ w) ** 2).sum(1).mean(), lambda w: -critic(h @ w).mean())
    norms = []
    with torch.no_grad():
        weight = layer.weight.clone()
        for loss in losses:
            slopes = []
            for place in range(weight.numel()):
                step = torch.zeros_like(weight)
                step.view(-1)[place] = 1e-5
                slopes.append(float(loss(weight + step) - loss(weight - step)) / 2e-5)
            norms.append(sum(slope**2 for slope in slopes) ** 0.5)
        wanted = losses[0](weight) + 0.6 * norms[0] / (norms[1] + 0.1) * losses[1](weight)
    found = reference("balanced_loss")(x, h, layer, critic, 0.6, 0.1)
    torch.testing.assert_close(found.detach(), wanted, rtol=1e-6, atol=1e-8)


def test_with_the_true_arrow_the_preview_is_the_code_itself():
    """From x0 straight to z1 the arrow is z1 − x0, whatever the time; guidance of equal fields changes nothing."""
    z1, x0 = torch.randn(2, 6, 3, 2, 2, dtype=torch.float64)
    t, mean, std = torch.rand(6).double(), torch.randn(3).double(), torch.rand(3).double() + 0.5
    wide = t[:, None, None, None]
    zt = wide * z1 + (1 - wide) * x0
    found = reference("preview")(zt, t, z1 - x0, z1 - x0, 3.0, mean, std)
    torch.testing.assert_close(found, mean[:, None, None] + std[:, None, None] * z1)
