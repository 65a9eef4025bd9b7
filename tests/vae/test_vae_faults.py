"""What a VAE refuses, each in a sentence; empty batches; and how everything tells what it is."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.core.distributions import Mixture
from dgm_course.nets import DenseNet
from dgm_course.vae import (
    VAE,
    AggregatedPosterior,
    Autoencoder,
    ClassPrior,
    FixedGaussianHead,
    GaussianHead,
    MixturePrior,
    StandardNormal,
    VampPrior,
    surgery,
)

from .models import EVENT, HEADS, PRIORS, batch, each_head, encoder, one_dimensional

GREY = torch.full((2, *EVENT), 0.37).double()
REFUSED = {
    "grey values are not bits": (lambda v: v.elbo(GREY), "0.37.*not bits.*binarise"),
    "no sample in the bound": (lambda v: v.log_prob_bound(batch("bits"), 0), "k is 0"),
    "no sample of z": (lambda v: v.elbo(batch("bits"), 0), "n is 0"),
    "an empty batch has no loss": (lambda v: v.loss(batch("bits", 0)), "empty batch"),
    "an empty batch has no surgery": (lambda v: surgery(v, batch("bits", 0)), "empty batch"),
    "one draw has no error": (lambda v: surgery(v, batch("bits"), 1), "n is 1"),
    "NaN": (lambda v: v.elbo(torch.full((2, *EVENT), math.nan).double()), "NaN in 12 of 12"),
    "flat images": (lambda v: v.elbo(batch("bits").flatten(1)), r"\(5, 6\).*expects \(B, 1, 2, 3\)"),
    "another device": (lambda v: v.elbo(torch.zeros(2, *EVENT, device="meta")), "device meta"),
    "a label nobody knows": (lambda v: v.elbo(batch("bits"), 1, 3), "knows no classes"),
    "a prior of another size": (
        lambda v: VAE(v.encoder, v.decoder, StandardNormal(3)),
        r"prior is over \(3,\).*\(1,\)",
    ),
    "a negative weight": (lambda v: VAE(v.encoder, v.decoder, v.prior, -1.0), "kl_weight is -1"),
    "a deviation of nothing": (lambda v: FixedGaussianHead(v.decoder.net, EVENT, 0.0), "std is 0"),
    "a network of another size": (lambda v: GaussianHead(DenseNet(1, 6), EVENT)(torch.zeros(2, 1)), "expected 12"),
    "another input": (lambda v: DenseNet(7, 2)(torch.zeros(2, 6)), "6 numbers.*expects 7"),
    "no components": (lambda v: MixturePrior(0, 2), "components is 0"),
    "an empty batch of codes": (lambda v: MixturePrior(2, 2).loss(torch.zeros(0, 2)), "z is an empty batch"),
    "no pseudo-inputs": (lambda v: VampPrior(v.encoder, torch.zeros(0, *EVENT)), "inputs is an empty batch"),
    "z of another size": (lambda v: MixturePrior(2, 2).log_prob(torch.zeros(3, 1)), r"z has shape \(3, 1\)"),
    "one x for many conditions": (
        lambda v: v.decode(torch.zeros(3, 1).double()).log_prob(batch("bits", 2)),
        "one sample for each",
    ),
    "an autoencoder of another size": (
        lambda v: Autoencoder(DenseNet(6, 2), DenseNet(2, 5)).loss(torch.zeros(3, 6)),
        "expected the same",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(name):
    action, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        action(one_dimensional("bits"))


def test_what_is_no_tensor_is_refused():
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
def test_labels_that_cannot_be(y, words):
    vae = VAE(encoder(2, 3), HEADS["bits"](2, 3), StandardNormal(2).double())
    with pytest.raises(ValueError, match=words):
        vae.elbo(batch("bits", 5), 1, y)


def test_an_empty_batch_has_an_empty_bound():
    vae = one_dimensional("bits")
    assert vae.elbo(batch("bits", 0)).shape == (0,) and vae.log_prob_bound(batch("bits", 0), 3).shape == (0,)
    assert vae.sample(0).shape == (0, *EVENT)


@pytest.mark.parametrize("prior", PRIORS)
@each_head
def test_everything_tells_what_it_is(head, prior):
    vae = VAE(encoder(2), HEADS[head](2), PRIORS[prior](), 2.0)
    x = batch(head)
    for thing, words in (
        (vae, "KL weight 2"),
        (vae.encode(x), "DiagNormal"),
        (DenseNet(6, 2), "6 numbers -> 2"),
        (Autoencoder(DenseNet(6, 2), DenseNet(2, 6)), "squared error"),
        (ClassPrior(3, 2), "3 labels"),
    ):
        assert words in repr(thing)
    assert len(repr(vae.decode(torch.zeros(2, 2).double()))) > 20
    assert isinstance(AggregatedPosterior(vae.encode(x)), Mixture)
