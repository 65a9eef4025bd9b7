"""What vector quantization refuses, each in a sentence; empty batches; and how everything tells what it is."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.nets import GridDecoder, GridEncoder
from dgm_course.vq import (
    VQVAE,
    VQVAE2,
    Codebook,
    DeadCodeReset,
    EMAUpdate,
    GumbelVAE,
    UniformCodes,
    gumbel_softmax,
    lookup,
    nearest,
    perplexity,
    straight_through,
)

from .models import EVERY, RULES, discrete, images, small, table, two_levels

Z = torch.zeros(2, 3, 2, 2).double()
REFUSED = {
    "no codebook": (lambda m: Codebook(torch.zeros(0, 3)), r"\(0, 3\): expected \(K, C\), at least two"),
    "a single code": (lambda m: Codebook(torch.zeros(1, 3)), r"\(1, 3\).*single one"),
    "a flat codebook": (lambda m: nearest(Z, torch.zeros(5)), r"shape \(5,\): expected \(K, C\)"),
    "a broken codebook": (lambda m: nearest(Z, torch.full((5, 3), math.nan).double()), "5 of the 5 vectors.*NaN"),
    "another width": (
        lambda m: nearest(torch.zeros(2, 4, 2).double(), table()),
        r"\(2, 4, 2\): expected \(B, 3, ...\)",
    ),
    "channels last": (lambda m: m.codebook(torch.zeros(2, 2, 2, 3).double()), "channels come second"),
    "NaN": (lambda m: m.codebook(Z * math.nan), "z contains NaN in 24 of 24"),
    "an empty batch": (lambda m: m.codebook(Z[:0]), "z is an empty batch"),
    "an empty loss": (lambda m: m.loss(images(0)), "x is an empty batch"),
    "NaN pictures": (lambda m: m.loss(images() * math.nan), "x contains NaN"),
    "codes too large": (lambda m: m.decode(torch.full((2, 4, 4), 5)), "run from 5 to 5: expected 0 to 4"),
    "codes below zero": (lambda m: lookup(torch.tensor([-1]), table()), "from -1 to -1"),
    "codes elsewhere": (lambda m: lookup(torch.zeros(2, device="meta").long(), table()), "device meta"),
    "two shapes": (lambda m: straight_through(Z, Z[:1]), r"\(2, 3, 2, 2\) and z_q \(1, 3, 2, 2\)"),
    "pictures of another size": (
        lambda m: m.loss(torch.zeros(2, 1, 7, 7).double()),
        r"\(2, 1, 7, 7\).*multiples of 2",
    ),
    "a grid of another width": (lambda m: GridDecoder(4)(Z), r"\(2, 3, 2, 2\).*expects \(B, 4, h, w\)"),
    "nets of no width": (lambda m: GridEncoder(0), "outputs is 0"),
    "a negative commitment": (lambda m: VQVAE(m.encoder, m.decoder, m.codebook, -1.0), "commitment is -1"),
    "a decay of one": (lambda m: EMAUpdate(1.0), "decay is 1.0"),
    "a revival of all": (lambda m: DeadCodeReset(1.0), "below is 1.0"),
    "one uniform code": (lambda m: UniformCodes(1, (2, 2)), "size is 1"),
    "no grid": (lambda m: UniformCodes(3, ()), r"grid \(\)"),
    "a grid too small": (lambda m: UniformCodes(3, (2, 2)).log_prob(torch.zeros(1, 3).long()), r"shape \(1, 3\)"),
    "temperature zero": (lambda m: gumbel_softmax(Z, Z, 0.0), "temperature is 0"),
    "noise of another shape": (lambda m: gumbel_softmax(Z, Z[:1], 1.0), "the noise"),
    "a cold model": (lambda m: GumbelVAE(m.encoder, m.decoder, table(), 0.0), "temperature is 0"),
    "too few logits": (lambda m: GumbelVAE(m.encoder, m.decoder, table()).loss(images()), "a logit for each code"),
    "no draws": (lambda m: discrete().elbo(EVERY, 0), "n is 0"),
    "all hidden": (lambda m: VQVAE2(None, None, m.codebook, m.codebook, drop_prob=1.0), "drop_prob 1.0"),
    "perplexity of nothing": (lambda m: perplexity(torch.zeros(0).long(), 4), "0 codes"),
    "perplexity of strangers": (lambda m: perplexity(torch.tensor([4]), 4), "expected integers 0 to 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(name):
    action, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        action(small())


@pytest.mark.parametrize(
    "action, words",
    [
        (lambda: lookup(torch.zeros(2), table()), "codes have dtype torch.float32"),
        (lambda: lookup([0, 1], table()), "codes have type list"),
        (lambda: nearest(torch.zeros(2, 3).long(), table()), "z has dtype torch.int64"),
        (lambda: nearest(torch.zeros(2, 3), table()), "z has dtype torch.float32 and the codebook torch.float64"),
        (lambda: nearest([0.0], table()), "z is a list"),
        (lambda: Codebook(torch.zeros(3, 2).long()), "codebook has dtype torch.int64"),
        (lambda: small().encode([0.0]), "x is a list"),
    ],
)
def test_wrong_kinds_are_refused_in_a_sentence(action, words):
    with pytest.raises(TypeError, match=words):
        action()


def test_an_empty_batch_has_no_codes():
    model = small()
    assert model.encode(images(0)).shape == (0, 4, 4) and model.elbo(images(0)).shape == (0,)
    assert model.sample(0, UniformCodes(5, (4, 4))).shape == (0, 1, 8, 8)


@pytest.fixture(params=RULES)
def rule(request):
    return RULES[request.param]


def test_everything_tells_what_it_is(rule):
    for thing, words in (
        (Codebook(table(), rule, DeadCodeReset()), "5 vectors of 3 numbers"),
        (small(rule), "VQ-VAE: "),
        (two_levels(), "VQ-VAE-2"),
        (discrete(), "6 codes a place"),
        (UniformCodes(4, (7, 7)), "67.9 nats"),
        (GridEncoder(3), "4 x 4 pixels"),
        (GridDecoder(3), "one vector of 3"),
    ):
        assert words in repr(thing)
