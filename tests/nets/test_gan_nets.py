"""Generators and discriminators: AdaIN, packs, styles, mixtures, batch normalisation, inversion."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dgm_course import data, nets
from dgm_course.gan import GAN, R1, AffineGenerator, invert, non_saturating
from dgm_course.training import Recipe, fit


def test_adain_sets_mean_and_std():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 6, dtype=torch.float64) * torch.tensor([1, 10, 0.1]).view(3, 1, 1) + 2
    scale, bias = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    y = nets.adain(x, scale, bias)
    torch.testing.assert_close(y.mean((2, 3)), bias)
    torch.testing.assert_close(y.var((2, 3), correction=0).sqrt(), scale.abs(), rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(nets.adain(3 * x - 7, scale, bias), y, rtol=1e-5, atol=1e-6)
    assert torch.isfinite(nets.adain(torch.ones(1, 3, 4, 4), torch.ones(1, 3), torch.zeros(1, 3))).all()


def test_packs_are_neighbours_and_train():
    seen, net = [], nets.MLPDiscriminator(4, 8, 1)
    net.register_forward_pre_hook(lambda net, given: seen.append(given[0].detach()))
    gan = GAN(nets.MLPGenerator(2, 2, 8, 1), nets.PacDiscriminator(net, 2))
    x = torch.arange(12.0).view(6, 2)
    assert gan.scores(x).shape == (3,)
    assert torch.equal(seen[-1], x.view(3, 4))
    assert fit(gan, data.moons(), Recipe(2, 6)).finished
    images = nets.PacDiscriminator(nets.DCCritic(8, inputs=2), 2)
    assert images(torch.randn(4, 1, 28, 28)).shape == (2,) and "2 samples a pack" in repr(images)
    with pytest.raises(ValueError, match="5 samples: expected a multiple of 2"):
        images(torch.randn(5, 1, 28, 28))


def test_picture_generators_have_range_and_gradients():
    for make in (lambda: nets.DCGenerator(4, 8), lambda: nets.StyleGenerator(4, 8, 4)):
        torch.manual_seed(0)
        gan = GAN(make(), nets.DCCritic(8), non_saturating().with_penalty(R1(0.1)))
        x = gan.sample(3)
        assert x.shape == (3, 1, 28, 28) and x.abs().max() <= 1
        for objective in gan.objectives().values():
            objective.loss(torch.randn(4, 1, 28, 28)).backward()
        silent = [name for name, p in gan.named_parameters() if p.grad is None]
        assert not silent and "1x28x28" in repr(gan.generator)


def test_style_generator_mixes_layers():
    torch.manual_seed(0)
    g = nets.StyleGenerator(4, 8, 4).eval()
    for layer in g.layers:
        nn.init.normal_(layer.strength, std=0.3)
    a, b = g.mapping(torch.randn(2, 4)), g.mapping(torch.randn(2, 4))
    noises = g.noises(2)
    assert torch.equal(g.synthesis(g.mix_styles(a, b, 5), noises), g.synthesis(a, noises))
    assert torch.equal(g.synthesis(g.mix_styles(a, b, 0), noises), g.synthesis(b, noises))
    mixed = g.mix_styles(a, b, torch.tensor([2, 4]))
    assert torch.equal(mixed[0, 1], a[0]) and torch.equal(mixed[0, 2], b[0]) and torch.equal(mixed[1, 3], a[1])
    again = g.synthesis(a, g.noises(2, torch.Generator().manual_seed(1)))
    assert torch.equal(again, g.synthesis(a, g.noises(2, torch.Generator().manual_seed(1))))
    assert not torch.allclose(again, g.synthesis(a, noises))
    torch.testing.assert_close(g.mapping(3 * torch.ones(1, 4)), g.mapping(torch.ones(1, 4)))


def test_mixture_latent_is_a_fair_choice():
    identity = nn.Identity()
    identity.latent = 5
    z = torch.randn(20_000, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen = nets.MixtureLatent(identity, 3, strength=4.0)(z)
    assert torch.equal(seen[:, 3:], z[:, 3:]) and (seen[:, :3].sum(1) == 4.0).all()
    shares = (seen[:, :3] == 4.0).double().mean(0)
    assert (shares - 1 / 3).abs().max() < 5 * math.sqrt(2 / 9 / 20_000)
    picked = z[:, :3].gather(1, seen[:, :3].argmax(1, keepdim=True))[:, 0]
    assert torch.equal(picked, z[:, :3].amax(1))


def test_mixture_latent_separates_modes():
    torch.manual_seed(0)
    net = nets.MLPGenerator(4, 2, 16, 1)
    with torch.no_grad():
        net.layers[0].weight[:, 2:] = 0.0  # the choice alone counts
    x = nets.MixtureLatent(net, 2)(torch.randn(100, 4))
    assert len(x.unique(dim=0)) == 2


def test_batch_norm_precedes_each_relu():
    torch.manual_seed(0)
    g, seen = nets.MLPGenerator(3, 2, 16, 2, norm=nn.BatchNorm1d), []
    for layer in g.layers:
        if isinstance(layer, nn.ReLU):
            layer.register_forward_pre_hook(lambda layer, given: seen.append(given[0].detach()))
    assert g(torch.randn(500, 3)).shape == (500, 2)
    for given in seen:
        assert given.mean(0).abs().max() < 1e-5 and (given.std(0, correction=0) - 1).abs().max() < 0.01
    assert g.eval()(torch.zeros(1, 3)).shape == (1, 2) and len(seen) == 4


def test_untrained_style_changes_the_picture():
    torch.manual_seed(0)
    g = nets.StyleGenerator().eval()
    with torch.no_grad():
        pictures = g.synthesis(g.mapping(torch.randn(400, 32)), g.noises(400))
    assert pictures.std(0).mean() > 0.25  # two pictures differ, pixel by pixel


def test_inversion_finds_z_in_the_range():
    torch.manual_seed(0)
    g, z = AffineGenerator(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 2.0])), torch.randn(5, 2)
    found = invert(g, g(z).detach(), steps=300, starts=2)
    torch.testing.assert_close(found.z, z, atol=2e-2, rtol=0)
    assert found.error.max() < 1e-3 and found.image.shape == (5, 2)
    assert all(p.requires_grad for p in g.parameters())
    flat = nets.MLPGenerator(1, 2, 8, 1)  # a curve in the plane: most points are off it
    outside = invert(flat, torch.tensor([[50.0, -50.0]]), steps=20)
    assert outside.error > 1
