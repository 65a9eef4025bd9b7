"""Wrong input of a VAE: each error names what came and what was expected; empty batches; reprs."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.nets import DenseNet
from dgm_course.vae import (
    VAE,
    Autoencoder,
    ClassPrior,
    FixedGaussianHead,
    GaussianHead,
    MixturePrior,
    StandardNormal,
    VampPrior,
    surgery,
)

from .models import EVENT, HEADS, batch, each_head, encoder, one_dimensional

GREY = torch.full((2, *EVENT), 0.37).double()
DENSE = DenseNet(1, 6)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda v: v.elbo(GREY), "0.37.*not bits.*binarise"),
        (lambda v: v.log_prob_bound(batch("bits"), 0), "k is 0"),
        (lambda v: v.elbo(batch("bits"), 0), "n is 0"),
        (lambda v: v.loss(batch("bits", 0)), "empty batch"),
        (lambda v: surgery(v, batch("bits", 0)), "empty batch"),
        (lambda v: surgery(v, batch("bits"), 1), "n is 1"),
        (lambda v: v.elbo(torch.full((2, *EVENT), math.nan).double()), "NaN in 12 of 12"),
        (lambda v: v.elbo(batch("bits").flatten(1)), r"\(5, 6\).*expects \(B, 1, 2, 3\)"),
        (lambda v: v.elbo(torch.zeros(2, *EVENT, device="meta")), "device meta"),
        (lambda v: v.elbo(batch("bits"), 1, 3), "knows no classes"),
        (lambda v: VAE(v.encoder, v.decoder, StandardNormal(3)), r"prior is over \(3,\).*\(1,\)"),
        (lambda v: VAE(v.encoder, v.decoder, v.prior, -1.0), "kl_weight is -1"),
        (lambda v: FixedGaussianHead(v.decoder.net, EVENT, 0.0), "std is 0"),
        (lambda v: GaussianHead(DENSE, EVENT)(torch.zeros(2, 1)), "expected 12"),
        (lambda v: DENSE(torch.zeros(2, 6)), "6 numbers.*expects 1"),
        (lambda v: MixturePrior(0, 2), "components is 0"),
        (lambda v: MixturePrior(2, 2).loss(torch.zeros(0, 2)), "z is an empty batch"),
        (lambda v: VampPrior(v.encoder, torch.zeros(0, *EVENT)), "inputs is an empty batch"),
        (lambda v: MixturePrior(2, 2).log_prob(torch.zeros(3, 1)), r"z has shape \(3, 1\)"),
        (lambda v: v.decode(torch.zeros(3, 1).double()).log_prob(batch("bits", 2)), "one sample for each"),
        (lambda v: Autoencoder(DenseNet(6, 2), DenseNet(2, 5)).loss(torch.zeros(3, 6)), "expected the same"),
    ],
)
def test_wrong_input(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong(one_dimensional("bits"))


def test_x_that_is_no_tensor():
    with pytest.raises(TypeError, match="x is a list"):
        one_dimensional("bits").elbo([1, 0])


@pytest.mark.parametrize(
    "y, words",
    [
        (None, "not given: expected one of 3"),
        (3, "runs from 3 to 3"),
        (torch.zeros(2).long(), r"shape \(2,\)"),
        (torch.zeros(5), "float32"),
    ],
)
def test_wrong_labels(y, words):
    vae = VAE(encoder(2, 3), HEADS["bits"](2, 3), StandardNormal(2).double())
    with pytest.raises(ValueError, match=words):
        vae.elbo(batch("bits", 5), 1, y)


def test_an_empty_batch_has_an_empty_bound():
    vae = one_dimensional("bits")
    assert vae.elbo(batch("bits", 0)).shape == (0,) and vae.log_prob_bound(batch("bits", 0), 3).shape == (0,)
    assert vae.sample(0).shape == (0, *EVENT)


@each_head
def test_reprs(head, prior):
    vae = VAE(encoder(2), HEADS[head](2), prior, 2.0)
    assert "KL weight 2" in repr(vae) and "Gaussian over (2,)" in repr(vae.encode(batch(head)))
    assert len(repr(vae.decode(torch.zeros(2, 2).double()))) > 20
    assert "3 labels" in repr(ClassPrior(3, 2)) and "6 numbers -> 2" in repr(DenseNet(6, 2))
    assert "squared error" in repr(Autoencoder(DenseNet(6, 2), DenseNet(2, 6)))
