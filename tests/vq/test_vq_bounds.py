"""The loss of a VQ-VAE, which term moves what, and its bound by enumeration; one level, two levels, training."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from dgm_course.autoregressive import MADE
from dgm_course.nets import DenseNet, GridDecoder, GridEncoder
from dgm_course.training import Recipe, fit
from dgm_course.vae import BernoulliHead
from dgm_course.vq import VQVAE, Codebook, EMAUpdate, GumbelVAE, UniformCodes, kl_to_uniform, lookup, nearest

from .models import EVERY, bits_head, images, small, table, two_levels

# --- the loss: which term moves what


def movers(model, term):
    """The names of the parts whose gradient of a term is not zero."""
    parts = {"encoder": model.encoder, "decoder": model.decoder, "codebook": model.codebook}
    weights = [(name, p) for name, part in parts.items() for p in part.parameters()]
    slopes = torch.autograd.grad(term.sum(), [p for _, p in weights], retain_graph=True, allow_unused=True)
    return {name for (name, _), slope in zip(weights, slopes) if slope is not None and slope.abs().max() > 0}


def test_each_term_moves_its_own_parts():
    model, x = small(), images()
    for term, wanted in zip(range(3), ({"encoder", "decoder"}, {"codebook"}, {"encoder"})):
        assert movers(model, model.terms(x)[term]) == wanted


def test_each_stop_gradient_matters():
    """Written without it, a term moves one part more: so the test above can tell."""
    model, x = small(), images()
    z, e = model.encoder(x), model.codebook.lookup(model.encode(x))
    assert movers(model, (z - e).square()) == {"encoder", "codebook"}
    unstopped = z + (e - z)
    assert movers(model, -model.decoder(unstopped).log_prob(x)) == {"codebook", "decoder"}


def test_a_moving_average_codebook_has_no_gradient():
    model, x = small(EMAUpdate()), images()
    assert not list(model.codebook.parameters()) and model.terms(x).codebook.abs().max() == 0
    assert movers(model, model.loss(x)) == {"encoder", "decoder"}


@pytest.mark.parametrize("commitment", [0.0, 0.25, 2.0])
def test_the_loss_by_loops(commitment):
    """With σ² = ½ the surprise is the squared error and a constant."""
    model, x = small(commitment=commitment).eval(), images()
    model.decoder.log_std.fill_(math.log(0.5**0.5))
    z, codes = model.encoder(x), model.encode(x)
    total = 0.0
    for i, (picture, found) in enumerate(zip(x, model.decode(codes).mean)):
        total += float((picture - found.detach()).square().sum()) + 32 * math.log(math.pi)
        for r, c in itertools.product(range(4), range(4)):
            away = float((z[i, :, r, c] - model.codebook.vectors[codes[i, r, c]]).square().sum().detach())
            total += (1 + commitment) * away
    assert model.loss(x).item() == pytest.approx(total / len(x))


# --- the bound


def one_place(size=6):
    """Bits of 2 x 2 explained by one code: p(x) can be summed up."""
    encoder = nn.Sequential(DenseNet(4, 3, 8, 1), nn.Unflatten(1, (3, 1)))
    return VQVAE(encoder, bits_head(), Codebook(table(size))).double()


def test_the_gap_is_the_kl_to_the_posterior():
    model = one_place()
    with torch.no_grad():
        each = [model.decode(torch.full((16, 1), k)).log_prob(EVERY) - math.log(6) for k in range(6)]
        joint = torch.stack(each, 1)
        log_p, posterior = joint.logsumexp(1), joint.log_softmax(1)
        gap = -posterior.gather(1, model.encode(EVERY))[:, 0]  # KL(one-hot ‖ p(c|x)) = −log p(c*|x)
        torch.testing.assert_close(model.elbo(EVERY), log_p - gap)
    assert log_p.exp().sum().item() == pytest.approx(1) and (gap > 0).all()


def test_the_elbo_charges_log_k_a_place():
    model, x = small().eval(), images()
    for size in (2, 5, 64):
        certain = torch.full((1, size), -1e4).double().index_fill(1, torch.tensor([1]), 0.0)
        assert kl_to_uniform(certain).item() == pytest.approx(math.log(size))
    charged = model.decode(model.encode(x)).log_prob(x) - model.elbo(x)
    torch.testing.assert_close(charged, torch.full((6,), 16 * math.log(5)).double())


def test_a_learned_prior_raises_the_bound():
    model, x = small().eval(), images(64)
    codes = model.encode(x)
    prior = MADE(5, (4, 4), 32, 1).double()
    uniform = UniformCodes(5, (4, 4))
    torch.testing.assert_close(model.elbo(x, uniform), model.elbo(x), atol=1e-4, rtol=0)
    fit(prior, codes, Recipe(200, 64, 1e-2))
    with torch.no_grad():
        gain = model.elbo(x, prior) - model.elbo(x)
        torch.testing.assert_close(gain, prior.log_prob(codes) + 16 * math.log(5))
    assert gain.mean() > 1
    assert model.sample(3, prior).shape == model.sample(3, uniform).shape == (3, 1, 8, 8)
    assert model.picture(prior.sample(3)).shape == (3, 1, 8, 8)


def test_uniform_codes():
    prior = UniformCodes(3, (2, 2))
    every = torch.tensor(list(itertools.product(range(3), repeat=4))).view(81, 2, 2)
    assert prior.log_prob(every).exp().sum().item() == pytest.approx(1)
    counts = torch.bincount(prior.sample(5000).flatten(), minlength=3) / 20_000
    assert (counts - 1 / 3).abs().max() < 5 * (2 / 9 / 20_000) ** 0.5


# --- training, in one level, in two, and with random codes


@pytest.mark.parametrize(
    "build",
    [
        lambda: small(EMAUpdate(0.9), bits=True).float(),
        lambda: small(bits=True).float(),
        lambda: GumbelVAE(GridEncoder(6, 8, 1), BernoulliHead(GridDecoder(3, 8, 1), (1, 8, 8)), torch.randn(6, 3)),
    ],
)
def test_training_raises_the_bound_and_resumes_exactly(build, tmp_path):
    x = (torch.arange(8)[None, None, :, None] < torch.randint(1, 8, (200, 1, 1, 1))).expand(200, 1, 8, 8).long()
    model = build()
    start = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        before = model.eval().elbo(x).mean()
    recipe = Recipe(120, 32, 5e-3)
    fit(model, x, recipe)
    with torch.no_grad():
        assert model.elbo(x).mean() > before + 5

    class Stop(Exception):
        pass

    def stop(history):
        if history.step == 60:
            raise Stop

    again = build()
    again.load_state_dict(start)
    with pytest.raises(Stop):
        fit(again, x, recipe, save=tmp_path / "half", report=stop)
    fit(again, x, recipe, resume=tmp_path / "half")
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))


def test_the_decoder_uses_both_levels():
    model, x = two_levels().eval(), torch.randn(3, 1, 28, 28)
    codes = model.encode(x)
    assert codes.top.shape == (3, 4, 4) and codes.bottom.shape == (3, 7, 7)
    with torch.no_grad():
        whole, changed = model.decode(*codes).mean, model.decode((codes.top + 1) % 6, codes.bottom).mean
        other, alone = model.decode(codes.top, (codes.bottom + 1) % 7).mean, model.decode(codes.top).mean
    assert whole.shape == alone.shape == (3, 1, 28, 28)
    assert all((whole - picture).abs().max() > 1e-4 for picture in (changed, other, alone))
    surprise = -model.decode(*codes).log_prob(x)
    torch.testing.assert_close(-model.elbo(x) - surprise, torch.full((3,), 16 * math.log(6) + 49 * math.log(7)))


@pytest.mark.parametrize("commitment", [0.0, 0.25])
def test_the_loss_of_two_levels(commitment):
    """The bottom depends on the top, and the decoder on both; no bottom is dropped here."""
    model, x = two_levels().eval(), torch.randn(3, 1, 28, 28)
    model.drop_prob, model.commitment = 0.0, commitment
    with torch.no_grad():
        model.nets.grow[-1].weight.mul_(30)  # so that what the top says changes the bottom's codes
        h, codes = model.nets.features(x), model.encode(x)
        outputs = [model.nets.top(h), model.nets.bottom(h, model.nets.grow(lookup(codes.top, model.top.vectors)))]
        assert torch.equal(nearest(outputs[1], model.bottom.vectors), codes.bottom)
        away = [
            (z - lookup(part, book.vectors)).square().flatten(1).sum(1)
            for z, part, book in zip(outputs, codes, (model.top, model.bottom))
        ]
        wanted = -model.decode(*codes).log_prob(x) + (1 + commitment) * sum(away)
        assert model.loss(x).item() == pytest.approx(wanted.mean().item(), rel=1e-5)
        model.drop_prob = 0.999
        hidden = -model.decode(codes.top).log_prob(x) + (1 + commitment) * sum(away)
        assert model.loss(x).item() == pytest.approx(hidden.mean().item(), rel=1e-5)


def test_two_levels_train_every_weight():
    model, x = two_levels(), torch.randn(4, 1, 28, 28)
    model.loss(x).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
