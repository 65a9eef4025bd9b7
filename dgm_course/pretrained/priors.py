"""Learned priors for the frozen encoder and decoder of `vae_digits`.

    mean ELBO = RL − MI − KL(q_agg ‖ p(z|λ)):  only the last term depends on λ     (lecture 5, Learnable VAE Prior)

A prior is fitted by maximum likelihood to codes of training images.  Its figure is the rise of the ELBO over N(0, I) on
held-out images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .. import data
from ..core.tensors import device, seed
from ..flows import Flow, autoregressive, couplings
from ..training.config import Recipe, linear
from ..vae import VAE, AggregatedPosterior, DiagNormal, MixturePrior, VampPrior
from .evaluation import judged, mean_and_error
from .files import Entry, identity, read_into
from .vae import IMAGE, digits_vae

LATENT = 32


def frozen() -> Any:
    """The VAE whose prior is exchanged, with its weights, on the device."""
    return read_into(digits_vae(), "vae_digits").to(device())


@torch.no_grad()
def codes(images: Tensor, model: VAE | None = None) -> AggregatedPosterior:
    """q_agg of images, one dynamic draw of bits each: what a prior is fitted to.  images (N, 1, 28, 28) in [-1, 1]"""
    encode = (model or frozen()).encode
    seed(0)
    parts = [encode(data.binarise(part, "dynamic")) for part in images.split(2000)]
    return AggregatedPosterior(
        DiagNormal(torch.cat([q.mean for q in parts]), torch.cat([q.stddev for q in parts]))
    )


def digits_mixture() -> MixturePrior:
    """A hundred Gaussians."""
    return MixturePrior(100, LATENT)


def digits_vamp() -> VampPrior:
    """A hundred learned images, encoded by the frozen encoder, which is not part of the weights."""
    return VampPrior(frozen().encoder.cpu(), torch.zeros(100, *IMAGE))


def digits_couplings() -> Flow:
    """RealNVP in the latent space: eight smooth couplings."""
    return Flow(couplings(LATENT, 8, 128, unit=nn.SiLU), LATENT)


def digits_autoregression() -> Flow:
    """MAF in the latent space: four smooth masked autoregressive layers."""
    return Flow(autoregressive(LATENT, 4, 128, unit=nn.SiLU), LATENT)


@torch.no_grad()
def at_codes(prior: MixturePrior) -> MixturePrior:
    """Initialise the means at codes of training images, and the widths at about the distance between them."""
    few = codes(data.mnist().train.to(device()))
    prior.means.copy_(few.sample(len(prior.means)))
    prior.log_stds.fill_(-0.3)
    return prior


@torch.no_grad()
def at_images(prior: VampPrior) -> VampPrior:
    """Its invented inputs start as bits of training images."""
    seed(0)
    prior.inputs.copy_(data.DynamicallyBinarized(data.mnist().train).sample(len(prior.inputs)))
    return prior


@torch.no_grad()
def gain(prior: Any, images: Tensor, draws: int = 16) -> dict[str, Any]:
    """How many nats the ELBO rises where `prior` takes the place of N(0, I).  images (N, 1, 28, 28) in [-1, 1]

    The same codes serve both, so nothing but the prior differs; the KL to N(0, I) is sampled here, too."""
    model, rises, bounds = frozen(), [], []
    changed = model.with_prior(prior)
    seed(0)
    for x in data.DynamicallyBinarized(images).fixed().split(500):
        q = model.encode(x)
        z = q.sample(draws)
        rises.append((changed.log_prior(z) - model.log_prior(z)).mean(0))
        bounds.append((model.log_likelihood(x, z) + changed.log_prior(z) - q.log_prob(z)).mean(0))
    rise, bound = torch.cat(rises), torch.cat(bounds)
    return mean_and_error("gain", rise, 3) | {
        "nats": round(-float(bound.mean()), 2),
        "nats_error": mean_and_error("nats", bound, 3)["standard_error"],
        "protocol": f"rise of the ELBO over N(0, I) with the encoder and decoder of vae_digits, and -ELBO itself, "
        f"{draws} draws of z an image, {len(rise):,} images, each pixel one fixed Bernoulli draw of its "
        "brightness",
    }


def figure(prior: nn.Module, images: data.Images) -> dict[str, Any]:
    """The gain on both held-out sets, and how its samples compare with real digits, beside those of N(0, I)."""
    model = frozen()
    own = data.mnist().to(device())

    def quality(chosen: Any) -> dict[str, Any]:
        def means(labels: Tensor) -> Tensor:
            return 2 * model.decode(chosen.sample(len(labels))).mean - 1

        figures = judged(means, own, "means of the decoder, z from the prior")
        return figures | {"protocol": figures["protocol"].replace("class-balanced samples", "samples", 1)}

    return gain(prior, own.test) | {
        "decoder": "vae_digits",
        "official_test": gain(prior, images.test),
        "samples": quality(prior),
        "samples_of_standard_normal": quality(model.prior),
    }


def prior_entry(
    blank: Callable[[], Any], recipe: Recipe, training: Callable[[Any], nn.Module] = identity
) -> Entry:
    """Maximum likelihood on the frozen encoder's codes of the training images."""
    return Entry(blank, training, lambda images: codes(images.train), lambda: recipe, figure)


ENTRIES = {
    "prior_mixture_digits": prior_entry(
        digits_mixture, Recipe(2000, 256, 1e-2, warmup=100, decay=linear), at_codes
    ),
    "prior_vamp_digits": prior_entry(digits_vamp, Recipe(1500, 256, 3e-3, warmup=100, decay=linear), at_images),
    "prior_realnvp_digits": prior_entry(
        digits_couplings, Recipe(5000, 256, 2e-3, warmup=200, decay=linear, ema=0.995, clip=20.0)
    ),
    "prior_maf_digits": prior_entry(
        digits_autoregression, Recipe(4000, 256, 2e-3, warmup=200, decay=linear, ema=0.995, clip=20.0)
    ),
}
