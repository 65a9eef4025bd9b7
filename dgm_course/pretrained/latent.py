"""Weights of latent space models: VQGAN, a continuous first stage, and diffusion and flow matching over its codes."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from .. import data
from ..core import metrics
from ..core.ode import Method
from ..core.tensors import device, fast_dtype
from ..gan import hinge
from ..latent import (
    Adversarial,
    FirstStage,
    Latent,
    LatentScaler,
    ScaledModel,
    VAEStage,
    VQStage,
    sharpness,
    vqgan,
)
from ..nets.conv import GridEncoder, GridField, PatchCritic
from ..paths import ancestral
from ..paths.model import ddpm, flow_matching, heun_euler_last, logit_normal
from ..training.config import Recipe, constant_then_linear, linear
from ..vae import VAE, GaussianHead, StandardNormal
from ..vq import VQVAE
from .evaluation import balanced, classify, features, judged, squared_error
from .files import Entry, read_into, train_images
from .paths import GUIDANCE, STEPS, digits_ddpm, digits_flow
from .vq import digits_vqvae, picture_head

GRID = (4, 7, 7)  # 196 numbers in place of 784 pixels
LR_RATIO = 4.0  # of the critic: with the decoder's learning rate it learns too slowly


def vqgan_game(model: VQVAE) -> Adversarial:
    """The shipped VQ-VAE, trained further against a critic of patches."""
    read_into(model, "vqvae_digits").requires_grad_(True)
    return vqgan(model, PatchCritic(32), hinge(), lr_ratio=LR_RATIO)


def digits_stage() -> VAE:
    """A VAE with 4 x 7 x 7 latent numbers and a small KL weight."""
    decoder = picture_head(GRID[0], 32)
    return VAE(GaussianHead(GridEncoder(2 * GRID[0], 32), GRID), decoder, StandardNormal(*GRID), kl_weight=0.02)


def stage_game(model: VAE) -> Adversarial:
    """The same for continuous codes.  All layers but those next to the codes are initialised from the VQ-VAE; the critic
    starts at step 500."""
    known = {
        name.replace("encoder.", "encoder.net."): value
        for name, value in read_into(digits_vqvae(), "vqvae_digits").state_dict().items()
    }
    own = model.state_dict()
    fitting = {name for name, value in own.items() if name in known and known[name].shape == value.shape}
    model.load_state_dict(own | {name: known[name].to(own[name]) for name in fitting})
    return Adversarial(VAEStage(model), PatchCritic(32), hinge(), start=500, lr_ratio=LR_RATIO)


def adversarial_recipe(steps: int, lr: float = 5e-4) -> Recipe:
    """Little momentum, since the critic changes too; no average of the weights, which would fit no codebook."""
    return Recipe(steps, 32, lr, warmup=50, decay=linear, clip=100.0, betas=(0.5, 0.99))


def frozen_stage() -> VAEStage:
    """The shipped continuous first stage, on the device."""
    return VAEStage(read_into(digits_stage(), "latent_digits")).to(device())


@torch.no_grad()
def codes_of(images: Tensor) -> Tensor:
    """Means of q(z | x) by the shipped first stage.  (N, 1, 28, 28) -> (N, 4, 7, 7)"""
    stage = frozen_stage()
    return torch.cat([stage.encode(part.to(device())) for part in images.split(500)])


def codes_and_labels(images: data.Images) -> tuple[Tensor, None, Tensor]:
    return codes_of(images.train), None, images.train_labels


def digits_lfm() -> ScaledModel:
    """Flow matching in the latent: conical path, velocity, logit-normal times, conditional on the class."""
    model = flow_matching(GridField(GRID, 56, 4, classes=10), GRID)
    model.time_sampler, model.precision = logit_normal, fast_dtype()
    return ScaledModel(model, LatentScaler.blank(GRID[0]))


def digits_ldm() -> ScaledModel:
    """Diffusion in the latent: VP path, noise prediction, uniform times, conditional on the class."""
    model = ddpm(GridField(GRID, 56, 4, classes=10), GRID)
    model.precision = fast_dtype()
    return ScaledModel(model, LatentScaler.blank(GRID[0]))


def measured(model: ScaledModel) -> ScaledModel:
    """With mean and std of the codes of the 4,000 embedded training images."""
    model.rescaling = LatentScaler.of(codes_of(data.mnist().train)).to(device())
    return model


@torch.no_grad()
def rebuilding(stage: FirstStage, images: Tensor) -> dict[str, float]:
    """Squared error, sharpness and Fréchet distance of reconstructions.  images (N, 1, 28, 28)"""
    back = torch.cat([stage.reconstruct(part) for part in images.split(500)])
    return {
        "squared_error": round(squared_error(images, back), 2),
        "sharpness": round(sharpness(back, images), 3),
        "frechet": round(metrics.frechet_distance(features(back), features(images)), 2),
    }


def rebuilt(stage: FirstStage, images: data.Images) -> dict[str, Any]:
    """``rebuilding`` on the embedded and on the official test images, beside the VQ-VAE without a critic."""
    plain = VQStage(read_into(digits_vqvae(), "vqvae_digits").to(device()))
    own = data.mnist().to(device())
    return rebuilding(stage, own.test) | {
        "vqvae_digits": rebuilding(plain, own.test),
        "official_test": rebuilding(stage, images.test) | {"vqvae_digits": rebuilding(plain, images.test)},
        "protocol": "1,000 test images in [-1, 1]; squared error summed over 784 pixels; sharpness: energy of the Laplacian "
        "over that of the originals; Frechet distance of reconstructions to their originals, features of "
        "digit_classifier",
    }


@torch.no_grad()
def sample_quality(
    model: ScaledModel,
    images: data.Images,
    guidance: float = GUIDANCE,
    steps: int = STEPS,
    method: Method = heun_euler_last,
) -> dict[str, Any]:
    """``judged`` of class-balanced samples, and the share classified as their label."""
    system, asked = Latent(frozen_stage(), model), []

    def sampler(labels: Tensor) -> Tensor:
        fake = system.with_label(labels, guidance).sample(len(labels), steps, method).clamp(-1, 1)
        asked.append(classify(fake).argmax(1) == labels)
        return fake

    found = judged(
        sampler, images, f"guidance {guidance:g}, {method.__name__}, {steps} steps, decoded by latent_digits"
    )
    return found | {"asked": round(float(asked[0].float().mean()), 3)}


@torch.no_grad()
def time_per_sample(
    pixels: Any, codes: Any, steps: int, method: Method, n: int = 50, laps: int = 3
) -> tuple[float, float]:
    """Seconds a sample in pixels and in the latent, decoder included: the fastest of alternating laps.

    On a CPU these are seconds of processor time, which other programs do not prolong."""
    labels = balanced(n, next(codes.parameters()))
    seconds: tuple[list[float], list[float]] = ([], [])
    clock = time.process_time if labels.device.type == "cpu" else time.perf_counter
    for _ in range(laps):
        for system, times in zip((pixels, codes), seconds):
            start = clock()
            system.with_label(labels, GUIDANCE).sample(n, steps, method)
            times.append((clock() - start) / n)
    return min(seconds[0]), min(seconds[1])


def cost(model: ScaledModel, rival: str, pixels: Any, steps: int, method: Method) -> dict[str, Any]:
    """``time_per_sample`` against the shipped model of pixels of the same family."""
    known = read_into(pixels, rival).to(device())
    slow, quick = time_per_sample(known, Latent(frozen_stage(), model), steps, method)
    return {
        "milliseconds_a_sample": round(1000 * quick, 2),
        "in_pixels": round(1000 * slow, 2),
        "times_cheaper": round(slow / quick, 1),
        "cost_protocol": f"50 samples, {method.__name__}, {steps} steps, guidance {GUIDANCE:g}, decoder included, by "
        f"turns with {rival} in one run on {device()}, the quickest of 3 laps each",
    }


def codes_recipe(steps: int) -> Recipe:
    """As for pixels, with twice the batch size, which costs little for small pictures."""
    return Recipe(
        steps, 64, 3e-3, warmup=100, decay=constant_then_linear, ema=0.999, betas=(0.9, 0.99), weight_decay=0.01
    )


ENTRIES = {
    "vqgan_digits": Entry(
        digits_vqvae,
        vqgan_game,
        train_images,
        lambda: adversarial_recipe(1200),
        lambda model, images: rebuilt(VQStage(model), images),
    ),
    "latent_digits": Entry(
        digits_stage,
        stage_game,
        train_images,
        lambda: adversarial_recipe(1400, 1e-3),
        lambda model, images: rebuilt(VAEStage(model), images),
    ),
    "lfm_digits": Entry(
        digits_lfm,
        measured,
        codes_and_labels,
        lambda: codes_recipe(5000),
        lambda model, images: (
            sample_quality(model, data.mnist().to(device()))
            | cost(model, "flow_matching_digits", digits_flow(deep=True), STEPS, heun_euler_last)
        ),
    ),
    "ldm_digits": Entry(
        digits_ldm,
        measured,
        codes_and_labels,
        lambda: codes_recipe(5000),
        lambda model, images: (
            sample_quality(model, data.mnist().to(device()), steps=50, method=ancestral)
            | cost(model, "ddpm_digits", digits_ddpm(), 10, ancestral)
        ),
    ),
}
