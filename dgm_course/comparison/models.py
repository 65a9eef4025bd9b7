"""Every model of the course that draws digits: its weights, its sampler, its likelihood.

To add one, add a row to ``SYSTEMS``; ``available`` leaves out rows whose weights are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .. import pretrained
from ..flows.images import CouplingCNN
from ..paths import ancestral, ddim
from ..paths.model import heun_euler_last

GREYS, BITS = "greys", "bits"  # digits in [−1, 1], or of black and white
NATS_OF_BITS, BITS_A_PIXEL = "nats, black and white", "bits a pixel, 256 greys"
NATS_OF_GREYS = "nats, density of greys"
EXACT, BOUND, BY_ODE, NONE = "exact", "a bound", "by an ODE", "none"
Net = nn.Module
Parts = list[Net | list[Net]]


@dataclass(frozen=True)
class Likelihood:
    """The kind of a model's likelihood, its unit, and log_prob(model, x, y) -> (B,) in nats.

    x (B, 1, 28, 28): integer bits where the unit is of bits, else greys in [−1, 1]; y (B,) the labels."""

    kind: str
    unit: str = ""
    log_prob: Callable[[Any, Tensor, Tensor], Tensor] | None = None


@dataclass(frozen=True, repr=False)
class ModelSpec:
    """A sampler of digits.  build(*weights): the model.  make(model, z, y): digits (n, 1, 28, 28) from latents z, or from n.

    source(model, n): latents, where the picture is a function of them.  parts(model): the networks whose passes are counted.
    space: 'pixels' or 'codes'; beside: the system that does the same in pixels."""

    name: str
    family: str
    weights: tuple[str, ...]
    make: Callable[[Any, Any, Tensor], Tensor]
    parts: Callable[[Any], Parts]
    source: Callable[[Any, int], Tensor] | None = None
    likelihood: Likelihood = Likelihood(NONE)
    color_mode: str = GREYS
    conditional: bool = False
    settings: str = ""
    beside: str = ""
    build: Callable[..., Any] = lambda model: model
    space: str = "pixels"

    def load(self) -> Any:
        """The model, with its weights."""
        return self.build(*(pretrained.load(name) for name in self.weights))

    @torch.no_grad()
    def sample_digits(self, model: Any, n: int) -> tuple[Tensor, Tensor | None, Tensor]:
        """n digits in [−1, 1], their latents or None, and the labels 0, 1, ..., 9, 0, ..."""
        y = torch.arange(n) % 10
        z = None if self.source is None else self.source(model, n)
        x = self.make(model, n if z is None else z, y)
        return (2.0 * x.float() - 1 if self.color_mode == BITS else x).clamp(-1, 1), z, y

    def __repr__(self) -> str:
        condition = ", told the class" if self.conditional else ""
        settings = f", {self.settings}" if self.settings else ""
        return f"{self.name} ({self.family}{condition}{settings}): {self.likelihood.kind} likelihood, {self.space}"


def _normal(model: Any, n: int) -> Tensor:
    return torch.randn(n, 32)


def _autoregressive(name: str, weights: str, inner: Callable[[Any], Net] = lambda model: model) -> ModelSpec:
    likelihood = Likelihood(EXACT, NATS_OF_BITS, lambda model, x, y: model.log_prob(x))
    return ModelSpec(
        name,
        "autoregressive",
        (weights,),
        lambda model, n, y: model.sample(n),
        lambda model: [inner(model)],
        likelihood=likelihood,
        color_mode=BITS,
    )


VAE_BOUND = Likelihood(BOUND, NATS_OF_BITS, lambda model, x, y: model.elbo(x, 8))


def _vae(name: str, weights: tuple[str, ...], source: Callable | None = _normal, **more: Any) -> ModelSpec:
    """Samples are the means of the decoder."""

    def means(model: Any, z: Any, y: Tensor) -> Tensor:
        return 2 * model.decode(model.latents(z) if isinstance(z, int) else z).mean - 1

    return ModelSpec(
        name,
        "VAE",
        weights,
        more.pop("make", means),
        lambda model: [model.decoder.net],
        source,
        VAE_BOUND,
        build=lambda vae, *prior: vae.with_prior(*prior) if prior else vae,
        **more,
    )


def _gan(name: str, weights: str) -> ModelSpec:
    return ModelSpec(
        name,
        "GAN",
        (weights,),
        lambda model, z, y: model.generator(z),
        lambda model: [model.generator],
        lambda model, n: model.noise(n),
    )


def _path(name: str, family: str, weights: str, steps: int, method: Callable, **more: Any) -> ModelSpec:
    """Conditional on the class, without guidance; the noise is a latent where the method is deterministic."""

    def make(model: Any, start: Any, y: Tensor) -> Tensor:
        return model.with_label(y).sample(start, steps, method)

    return ModelSpec(
        name,
        family,
        (weights,),
        make,
        lambda model: [model.net],
        likelihood=Likelihood(BY_ODE),
        conditional=True,
        settings=f"{steps} steps of {method.__name__}",
        **more,
    )


def _written(name: str, weights: tuple[str, str], beside: str, parts: Callable[[Any], Parts]) -> ModelSpec:
    """The second model samples codes of the class, and the first decodes them."""
    return ModelSpec(
        name,
        "vector quantization",
        weights,
        lambda pair, n, y: pair[0].picture(pair[1].sample(n, y)),
        parts,
        likelihood=Likelihood(BOUND, NATS_OF_GREYS, lambda pair, x, y: pair[0].elbo(x, pair[1], y)),
        conditional=True,
        build=lambda *pair: pair,
        space="codes",
        beside=beside,
    )


def _in_codes(name: str, family: str, weights: str, steps: int, method: Callable, beside: str) -> ModelSpec:
    """`_path` in the latent of ``latent_digits``.  (notebook 10)"""

    def make(pair: Any, start: Any, y: Tensor) -> Tensor:
        return pair[0].decode(pair[1].with_label(y).sample(start, steps, method)).mean

    source = None if method is ancestral else lambda pair, n: pair[1].generator.start(n)
    return ModelSpec(
        name,
        family,
        ("latent_digits", weights),
        make,
        lambda pair: [pair[0].decoder.net, pair[1].generator.net],
        source,
        Likelihood(BY_ODE),
        conditional=True,
        settings=f"{steps} steps of {method.__name__}",
        build=lambda *pair: pair,
        space="codes",
        beside=beside,
    )


def _noise(model: Any, n: int) -> Tensor:
    return model.start(n)


def _flow_source(model: Any, n: int) -> Tensor:
    return model.base.sample(n)


SYSTEMS: tuple[ModelSpec, ...] = (
    _autoregressive("PixelCNN", "pixel_cnn_digits"),
    _autoregressive("PixelRNN", "pixel_rnn_digits"),
    _autoregressive("ImageGPT", "image_gpt_digits", lambda model: model.model),
    _vae("VAE", ("vae_digits",)),
    _vae("VAE, bits drawn", ("vae_digits",), None, make=lambda model, n, y: model.sample(n), color_mode=BITS),
    _vae("VAE, learned prior", ("vae_digits", "prior_realnvp_digits"), None),
    _written(
        "VQ-VAE with prior",
        ("vqvae_digits", "vq_prior_digits"),
        "PixelCNN",
        lambda pair: [pair[0].decoder.net, pair[1]],
    ),
    _gan("DCGAN", "dcgan_digits"),
    _gan("style GAN", "style_digits"),
    ModelSpec(
        "RealNVP",
        "flow",
        ("flow_digits",),
        lambda model, z, y: model.f.inverse(z),
        lambda model: [[part for part in model.f.modules() if isinstance(part, CouplingCNN)]],
        _flow_source,
        Likelihood(EXACT, BITS_A_PIXEL, lambda model, x, y: model.log_prob(x)),
    ),
    _path("DDPM", "diffusion", "ddpm_digits", 20, ancestral),
    _path("DDIM, same weights", "diffusion", "ddpm_digits", 15, ddim, source=_noise),
    _path("NCSN", "diffusion", "ncsn_digits", 20, ancestral),
    _path("flow matching", "flow matching", "flow_matching_digits", 8, heun_euler_last, source=_noise),
    ModelSpec(
        "absorbing diffusion",
        "diffusion of tokens",
        ("absorbing_digits",),
        lambda model, n, y: model.sample(n, 16),
        lambda model: [model.net],
        likelihood=Likelihood(BOUND, NATS_OF_BITS, lambda model, x, y: model.elbo(x, None, 4)),
        color_mode=BITS,
        settings="16 steps of ddim",
    ),
    _in_codes("latent diffusion", "diffusion", "ldm_digits", 20, ancestral, "DDPM"),
    _in_codes("latent flow matching", "flow matching", "lfm_digits", 8, heun_euler_last, "flow matching"),
    _written(
        "LlamaGen", ("vqgan_digits", "llama_gen_digits"), "ImageGPT", lambda pair: [pair[0].decoder.net, pair[1]]
    ),
    _written(
        "VAR",
        ("var_tokens_digits", "var_digits"),
        "ImageGPT",
        lambda pair: [pair[0].decoder.net, pair[1].out_proj],
    ),
)


def available(systems: tuple[ModelSpec, ...] = SYSTEMS) -> tuple[ModelSpec, ...]:
    """The systems whose weights exist."""
    known = {name for name in pretrained.names() if (pretrained.FOLDER / f"{name}.safetensors").exists()}
    return tuple(system for system in systems if known.issuperset(system.weights))
