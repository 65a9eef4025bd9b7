"""Weights of the path family: flow matching, DDPM, NCSN and absorbing diffusion on digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from .. import data
from ..core.ode import Method
from ..core.tensors import budget, device, fast_dtype
from ..nets.unet import DeepUNet, LightUNet, TokenUNet, UNet
from ..paths import Conical, GaussianPath, ancestral
from ..paths.class_gaussians import ClassGaussians, GaussianSkip
from ..paths.model import (
    PathModel,
    absorbing,
    ddpm,
    flow_matching,
    heun_euler_last,
    logit_normal,
    ncsn,
    stratified_logit_normal,
)
from ..training.config import Recipe, constant_then_linear, linear
from .evaluation import classification_accuracy_score, judged, judged_often, nats_of_bits
from .files import Entry, identity, images_and_labels

GUIDANCE, STEPS = 1.4, 8  # of evaluated samples: more guidance raises precision and lowers recall


def digits_flow(deep: bool = False) -> PathModel:
    """Class-conditional flow matching on 28 × 28 digits: conical path, velocity, logit-normal times.

    deep: with the network of long trainings."""
    model = flow_matching((DeepUNet if deep else UNet)(channels=32, classes=10), (1, 28, 28))
    model.time_sampler = logit_normal
    return _for_pixels(model)


def live_digits(images: data.Images, path: GaussianPath | None = None, prediction: str = "velocity") -> PathModel:
    """For a minute of training: a light network, whose second input is the prediction of a Gaussian for each class.

    Flow matching; with path VP() and prediction "noise" it is DDPM."""
    path = path or Conical()
    net = LightUNet(channels=24, classes=10, inputs=2)
    skip = GaussianSkip(net, ClassGaussians(images.train, images.train_labels), path, prediction)
    return _for_pixels(PathModel(skip, path, (1, 28, 28), prediction, stratified_logit_normal))


def digits_ddpm() -> PathModel:
    """DDPM on 28 × 28 digits: VP path, noise prediction, uniform times, conditional on the class."""
    return _for_pixels(ddpm(UNet(channels=32, classes=10), (1, 28, 28)))


def digits_ncsn() -> PathModel:
    """A noise-conditioned score network on 28 × 28 digits: VE path, noise prediction, logit-normal times, with the class.

    The mean of the digits has norm 22 (they are mostly −1), so the noise must be larger than in the plane."""
    model = ncsn(UNet(channels=32, classes=10), (1, 28, 28), sigma_max=30.0)
    model.time_sampler = logit_normal
    return _for_pixels(model)


def _for_pixels(model: PathModel) -> PathModel:
    model.bounds, model.precision = (-1.0, 1.0), fast_dtype()
    return model


def digits_absorbing() -> PathModel:
    """Masked diffusion of black and white digits: the ELBO's weights, one mask token, no class."""
    model = absorbing(TokenUNet(vocabulary=2, channels=32), (1, 28, 28), vocabulary=2)
    model.precision = fast_dtype()
    return model


def digits_recipe(
    steps: int, lr: float = 2e-3, ema: float = 0.999, decay: Callable[[float], float] = linear
) -> Recipe:
    """Many small steps and a rate that ends at zero, which a comparison of short trainings chose."""
    return Recipe(steps, 32, lr, warmup=100, decay=decay, ema=ema, betas=(0.9, 0.99), weight_decay=0.01)


def long(steps: int) -> Recipe:
    """The same for minutes of a GPU."""
    return replace(digits_recipe(steps, ema=0.9998, decay=constant_then_linear), batch=64, compiled=True)


def bits_recipe(steps: int, ema: float = 0.999, decay: Callable[[float], float] = linear) -> Recipe:
    """As for grey digits, with clipped gradients: a masked token near the data can have a very large weight."""
    return Recipe(
        steps, 32, 3e-3, warmup=100, decay=decay, ema=ema, betas=(0.9, 0.99), weight_decay=0.01, clip=50.0
    )


def nats(model: PathModel, images: Tensor, draws: int = 16, steps: int | None = None) -> dict[str, Any]:
    """The bound on −log p of black and white digits, with its standard error over the images.  images (N, 1, 28, 28)"""
    time = "continuous time" if steps is None else f"{steps} steps"
    return nats_of_bits(
        lambda x: model.elbo(x, steps, draws), images, f"bound on -log p in {time}, {draws} draws an image"
    )


def sample_quality(
    model: PathModel,
    images: data.Images,
    n: int = 1000,
    guidance: float = GUIDANCE,
    steps: int = STEPS,
    method: Method = heun_euler_last,
) -> dict[str, Any]:
    """``judged`` of n class-balanced samples."""
    how = f"guidance {guidance:g}, {method.__name__}, {steps} steps"
    return judged(lambda y: model.with_label(y, guidance).sample(n, steps, method), images, how, n)


def sample_quality_often(
    model: PathModel,
    images: data.Images,
    learned: data.Images,
    guidance: float = GUIDANCE,
    steps: int = STEPS,
    method: Method = heun_euler_last,
) -> dict[str, Any]:
    """``judged_often`` of the model's samples; learned: the set that it was trained on."""
    how = f"guidance {guidance:g}, {method.__name__}, {steps} steps"
    return judged_often(
        lambda y: model.with_label(y, guidance).sample(len(y), steps, method), images, learned, how
    )


def as_teacher(
    model: PathModel, images: data.Images, steps: int = STEPS, method: Method = heun_euler_last
) -> dict[str, Any]:
    """The classification accuracy score of the model's samples, unguided, which vary more."""
    how = f"no guidance, {method.__name__}, {steps} steps"
    return classification_accuracy_score(lambda y: model.with_label(y).sample(len(y), steps, method), images, how)


def live_recipe(quick: int = 900) -> Recipe:
    """The recipe of live digits: twenty seconds on two cores in notebook 08; 22,500 steps with the full budget."""
    return digits_recipe(budget(quick=quick, full=22_500), lr=3e-3, ema=budget(quick=0.99, full=0.9995))


ENTRIES = {
    "flow_matching_digits": Entry(
        lambda: digits_flow(deep=True),
        identity,
        images_and_labels,
        lambda: replace(long(118_000), batch=128),
        lambda model, images: (
            sample_quality(model, data.mnist().to(device()))
            | as_teacher(model, images)
            | {"often": sample_quality_often(model, data.mnist().to(device()), images, guidance=1.2)}
        ),
    ),
    "ddpm_digits": Entry(
        digits_ddpm,
        identity,
        images_and_labels,
        lambda: long(60_000),
        lambda model, images: (
            sample_quality(model, data.mnist().to(device()), steps=50, method=ancestral)
            | as_teacher(model, images, 50, ancestral)
        ),
    ),
    "ncsn_digits": Entry(
        digits_ncsn,
        identity,
        images_and_labels,
        lambda: long(60_000),
        lambda model, images: sample_quality(model, data.mnist().to(device()), steps=50, method=ancestral),
    ),
    "absorbing_digits": Entry(
        digits_absorbing,
        identity,
        lambda images: data.DynamicallyBinarized(images.train),
        lambda: replace(long(150_000), lr=3e-3, clip=50.0),
        lambda model, images: (
            nats(model, data.mnist().test.to(device())) | {"official_test": nats(model, images.test, draws=2)}
        ),
    ),
}
