"""Wrong input of vector quantization: each error names what came and what was expected; empty batches; reprs."""

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

from .models import EVERY, discrete, images, small, table, two_levels

Z = torch.zeros(2, 3, 2, 2).double()
NAN = torch.full((5, 3), math.nan).double()


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda m: Codebook(torch.zeros(0, 3)), r"\(0, 3\): expected \(K, C\), at least two"),
        (lambda m: Codebook(torch.zeros(1, 3)), r"\(1, 3\).*single one"),
        (lambda m: nearest(Z, torch.zeros(5)), r"shape \(5,\): expected \(K, C\)"),
        (lambda m: nearest(Z, NAN), "5 of the 5 vectors.*NaN"),
        (lambda m: nearest(torch.zeros(2, 4, 2).double(), table()), r"\(2, 4, 2\): expected \(B, 3, ...\)"),
        (lambda m: m.codebook(torch.zeros(2, 2, 2, 3).double()), "channels second"),
        (lambda m: m.codebook(Z * math.nan), "z contains NaN in 24 of 24"),
        (lambda m: m.codebook(Z[:0]), "z is an empty batch"),
        (lambda m: m.loss(images(0)), "x is an empty batch"),
        (lambda m: m.loss(images() * math.nan), "x contains NaN"),
        (lambda m: m.decode(torch.full((2, 4, 4), 5)), "run from 5 to 5: expected 0 to 4"),
        (lambda m: lookup(torch.tensor([-1]), table()), "from -1 to -1"),
        (lambda m: lookup(torch.zeros(2, device="meta").long(), table()), "device meta"),
        (lambda m: straight_through(Z, Z[:1]), r"\(2, 3, 2, 2\) and z_q \(1, 3, 2, 2\)"),
        (lambda m: m.loss(torch.zeros(2, 1, 7, 7).double()), r"\(2, 1, 7, 7\).*multiples of 2"),
        (lambda m: GridDecoder(4)(Z), r"\(2, 3, 2, 2\).*expects \(B, 4, h, w\)"),
        (lambda m: GridEncoder(0), "outputs is 0"),
        (lambda m: VQVAE(m.encoder, m.decoder, m.codebook, -1.0), "commitment is -1"),
        (lambda m: EMAUpdate(1.0), "decay is 1.0"),
        (lambda m: DeadCodeReset(1.0), "below is 1.0"),
        (lambda m: UniformCodes(1, (2, 2)), "size is 1"),
        (lambda m: UniformCodes(3, ()), r"grid \(\)"),
        (lambda m: UniformCodes(3, (2, 2)).log_prob(torch.zeros(1, 3).long()), r"shape \(1, 3\)"),
        (lambda m: gumbel_softmax(Z, Z, 0.0), "temperature is 0"),
        (lambda m: gumbel_softmax(Z, Z[:1], 1.0), "the noise"),
        (lambda m: GumbelVAE(m.encoder, m.decoder, table(), 0.0), "temperature is 0"),
        (lambda m: GumbelVAE(m.encoder, m.decoder, table()).loss(images()), "a logit a code"),
        (lambda m: discrete().elbo(EVERY, 0), "n is 0"),
        (lambda m: VQVAE2(None, None, m.codebook, m.codebook, drop_prob=1.0), "drop_prob 1.0"),
        (lambda m: perplexity(torch.zeros(0).long(), 4), "0 codes"),
        (lambda m: perplexity(torch.tensor([4]), 4), "expected integers 0 to 3"),
    ],
)
def test_wrong_values(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong(small())


@pytest.mark.parametrize(
    "wrong, words",
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
def test_wrong_types(wrong, words):
    with pytest.raises(TypeError, match=words):
        wrong()


def test_an_empty_batch_has_no_codes():
    model = small()
    assert model.encode(images(0)).shape == (0, 4, 4) and model.elbo(images(0)).shape == (0,)
    assert model.sample(0, UniformCodes(5, (4, 4))).shape == (0, 1, 8, 8)


def test_reprs(rule):
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
