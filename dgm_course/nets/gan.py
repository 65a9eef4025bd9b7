"""Generators and discriminators.

    G: z (B, latent) -> x (B, *event),        D: x (B, *event) -> (B,), a logit (or, for Wasserstein, any real number)

* `MLPGenerator` and `MLPDiscriminator` for points of the plane; `MixtureLatent` and `PacDiscriminator` wrap them.
* `DCGenerator` and `DCCritic` for 28 x 28 digits (Radford, Metz, Chintala 2016).
* `StyleGenerator`: a style w sets mean and deviation of every channel in every layer (``adain``; StyleGAN).

No discriminator ends in a sigmoid: log(1 − sigmoid) overflows in floating point, so the losses take logits.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_network_input
from ..core.tensors import parameter_count
from .mlp import hidden_layers


def adain(x: Tensor, scale: Tensor, bias: Tensor, eps: float = 1e-8) -> Tensor:
    """AdaIN(x_i, y) = y_s,i (x_i − μ(x_i)) / σ(x_i) + y_b,i for every sample and channel i.      (intro lecture, StyleGAN)

    x (B, C, H, W); scale, bias (B, C).  μ and σ over the H·W pixels of a channel (σ with 1/HW)."""
    if x.ndim != 4 or scale.shape != x.shape[:2] or bias.shape != x.shape[:2]:
        shapes = f"x has shape {tuple(x.shape)}, scale {tuple(scale.shape)}, bias {tuple(bias.shape)}"
        raise ValueError(f"{shapes}: expected (B, C, H, W), (B, C) and (B, C).")
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return scale[..., None, None] * (x - mean) / (variance + eps).sqrt() + bias[..., None, None]


def _expect_noise(z: Tensor, latent: int, who: str, batch_norm: bool = False) -> None:
    expect_network_input(z, (latent,), who, name="z", what="noise")
    if batch_norm and len(z) < 2:
        raise ValueError(
            f"z is a batch of {len(z)}: batch normalisation in training mode compares the samples of a "
            "batch, so it needs at least 2; for one sample call generator.eval() first."
        )


class MLPGenerator(nn.Module):
    """z -> depth hidden layers of `width` ReLU units -> x.  z (B, latent) -> (B, dim)

    norm: a layer before each ReLU, such as ``nn.BatchNorm1d``, called with the width; or None."""

    def __init__(
        self,
        latent: int = 2,
        dim: int = 2,
        width: int = 64,
        depth: int = 2,
        norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.latent, self.dim, self.normed = latent, dim, norm is not None
        hidden: list[nn.Module] = []
        for i, o in pairwise([latent] + [width] * depth):
            hidden += [nn.Linear(i, o), *([norm(o)] if norm else ()), nn.ReLU()]
        self.layers = nn.Sequential(*hidden, nn.Linear(width if depth else latent, dim))

    def forward(self, z: Tensor) -> Tensor:
        _expect_noise(z, self.latent, "MLPGenerator", self.training and self.normed)
        return self.layers(z)

    def extra_repr(self) -> str:
        return f"z in R^{self.latent} -> x in R^{self.dim}, {parameter_count(self):,} parameters"


class MixtureLatent(nn.Module):
    """G(z) = net(strength · one-hot(k), the rest of z), where k is the largest of the first `choices` numbers of z.

    A continuous G maps one Gaussian to a connected set, with bridges between modes; here each of `choices` equally likely
    components has its own starting point.  z (B, net.latent) -> net's x.                (DeLiGAN, Gurumurthy et al. 2017)"""

    def __init__(self, net: nn.Module, choices: int, strength: float = 4.0) -> None:
        super().__init__()
        if not 1 < choices <= net.latent:
            raise ValueError(
                f"choices is {choices}: expected at least 2, and at most the {net.latent} numbers of noise."
            )
        self.net, self.choices, self.strength, self.latent = net, choices, strength, net.latent

    def forward(self, z: Tensor) -> Tensor:
        _expect_noise(z, self.latent, "MixtureLatent")
        chosen = F.one_hot(z[:, : self.choices].argmax(1), self.choices).to(z)
        return self.net(torch.cat([self.strength * chosen, z[:, self.choices :]], 1))

    def extra_repr(self) -> str:
        return f"one of {self.choices} starting points, then {self.latent - self.choices} numbers of noise"


class MLPDiscriminator(nn.Module):
    """x -> depth hidden layers of `width` SiLU units -> one real number, no sigmoid.  x (B, dim) -> (B,)

    dim: 2 for the plane, 2m for `PacDiscriminator(..., m)`.  SiLU is smooth, as gradient penalties need.  Weights start as
    N(0, 2/inputs): with torch's smaller ones D is nearly linear at first and learns fine detail late."""

    def __init__(self, dim: int = 2, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.dim = dim
        sizes = [dim] + [width] * depth
        self.layers = nn.Sequential(*hidden_layers(sizes), nn.Linear(sizes[-1], 1))
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        expect_network_input(x, (self.dim,), "MLPDiscriminator")
        return self.layers(x)[:, 0]

    def extra_repr(self) -> str:
        return f"x in R^{self.dim} -> one number, {parameter_count(self):,} parameters"


class PacDiscriminator(nn.Module):
    """A discriminator of m samples at once: one number for each pack (PacGAN, Lin et al. 2018).

    x (B, C, ...) -> net((B/m, m·C, ...)) -> (B/m,).  A collapsed generator makes packs of equal samples."""

    def __init__(self, net: nn.Module, m: int = 2) -> None:
        super().__init__()
        if m < 1:
            raise ValueError(f"m is {m}: expected at least 1 sample a pack.")
        self.net, self.m = net, m

    def forward(self, x: Tensor) -> Tensor:
        if len(x) % self.m:
            raise ValueError(f"x holds {len(x)} samples: expected a multiple of {self.m}, the size of a pack.")
        return self.net(x.reshape(len(x) // self.m, self.m * x.shape[1], *x.shape[2:]))

    def extra_repr(self) -> str:
        return f"{self.m} samples a pack"


class DCGenerator(nn.Module):
    """z -> 7 x 7 -> 14 x 14 -> 28 x 28 by transposed convolutions of stride two, batch normalisation and ReLU between.

    z (B, latent) -> x (B, 1, 28, 28) in (-1, 1)                                   (intro lecture, DCGAN)"""

    def __init__(self, latent: int = 32, channels: int = 32) -> None:
        super().__init__()
        self.latent, wide = latent, 2 * channels
        self.in_proj = nn.Linear(latent, wide * 49, bias=False)
        self.norm, self.grow = nn.BatchNorm2d(wide), nn.ConvTranspose2d(wide, channels, 4, 2, 1, bias=False)
        self.norm2, self.out_proj = nn.BatchNorm2d(channels), nn.ConvTranspose2d(channels, 1, 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        _expect_noise(z, self.latent, "DCGenerator", self.training)
        h = F.relu(self.norm(self.in_proj(z).view(len(z), -1, 7, 7)))
        return torch.tanh(self.out_proj(F.relu(self.norm2(self.grow(h)))))

    def extra_repr(self) -> str:
        return f"z in R^{self.latent} -> 1x28x28 in (-1, 1), {parameter_count(self):,} parameters"


class DCCritic(nn.Module):
    """28 x 28 -> 14 x 14 -> 7 x 7 -> one number: convolutions of stride two and leaky ReLU.  (B, inputs, 28, 28) -> (B,)

    No batch normalisation: a gradient penalty concerns one sample.  inputs: channels of a picture, or m of a pack."""

    def __init__(self, channels: int = 32, inputs: int = 1) -> None:
        super().__init__()
        self.inputs = inputs
        first, second = nn.Conv2d(inputs, channels, 4, 2, 1), nn.Conv2d(channels, 2 * channels, 4, 2, 1)
        last = nn.Linear(2 * channels * 49, 1)
        self.layers = nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), nn.Flatten(), last)

    def forward(self, x: Tensor) -> Tensor:
        expect_network_input(x, (self.inputs, 28, 28), "DCCritic", what="images")
        return self.layers(x)[:, 0]

    def extra_repr(self) -> str:
        return f"{self.inputs}x28x28 -> one number, {parameter_count(self):,} parameters"


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that keeps the variance: weights N(0, 1/inputs), no bias at first."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=inputs**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


class StyleLayer(nn.Module):
    """h -> conv(h), noise on every pixel, leaky ReLU, AdaIN with (y_s, y_b) = A w.   (B, i, H, W), w (B, W) -> (B, o, ...)

    Each channel learns the strength of its noise.  y_s = 1 + ..., with a large initial A: from a small one the generator
    does not learn to use the style."""

    def __init__(self, inputs: int, outputs: int, styles: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1) if inputs else nn.Identity()
        self.strength = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.affine = _linear(styles, 2 * outputs)

    def forward(self, h: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        h = self.conv(h)
        if h.shape[-1] != self.size:  # after the convolution, which costs a quarter at half the size
            h = F.interpolate(h, scale_factor=2.0)
        h = F.leaky_relu(h + self.strength * noise, 0.2)
        scale, bias = self.affine(w).chunk(2, 1)
        return adain(h, 1 + scale, bias)


class StyleGenerator(nn.Module):
    """z -> w by a mapping network; five layers with style w turn a learned 7 x 7 constant into a digit of 28 x 28.

    z (B, latent) -> x (B, 1, 28, 28) in (-1, 1).  ``mapping`` and ``synthesis`` are its halves.  *Style mixing*: in
    training a share `mixing` of the pictures takes a second style from a random layer on."""

    mixing = 0.5
    sizes = (7, 7, 14, 14, 28)

    def __init__(self, latent: int = 32, styles: int = 32, channels: int = 16) -> None:
        super().__init__()
        self.latent, self.styles = latent, styles
        first, second, third = _linear(latent, styles), _linear(styles, styles), _linear(styles, styles)
        self.map = nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), third)
        wide, half = 4 * channels, 2 * channels
        self.constant = nn.Parameter(torch.randn(wide, 7, 7))
        widths = pairwise((0, wide, wide, half, half, channels))
        self.layers = nn.ModuleList(StyleLayer(i, o, styles, size) for (i, o), size in zip(widths, self.sizes))
        self.out_proj = nn.Conv2d(channels, 1, 3, padding=1)

    def mapping(self, z: Tensor) -> Tensor:
        """w of each z, after z is scaled to length √latent.  (B, latent) -> (B, styles)"""
        _expect_noise(z, self.latent, "StyleGenerator")
        return self.map(z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt())

    def noises(self, n: int, generator: torch.Generator | None = None) -> list[Tensor]:
        """Fresh noise for every pixel of every layer: a list of (n, 1, H, W)."""
        like = {"dtype": self.constant.dtype, "device": self.constant.device, "generator": generator}
        return [torch.randn(n, 1, size, size, **like) for size in self.sizes]

    def synthesis(self, w: Tensor, noises: list[Tensor] | None = None) -> Tensor:
        """A picture from its styles: w (B, styles), or (B, 5, styles) for a style a layer; noises as ``noises(B)`` gives."""
        w = w[:, None].expand(-1, len(self.layers), -1) if w.ndim == 2 else w
        if tuple(w.shape[1:]) != (len(self.layers), self.styles):
            wanted = f"styles (B, {self.styles}) or (B, {len(self.layers)}, {self.styles}), one for each layer"
            raise ValueError(f"w has shape {tuple(w.shape)}: expected {wanted}.")
        h = self.constant.expand(len(w), -1, -1, -1)
        for layer, style, noise in zip(
            self.layers, w.unbind(1), self.noises(len(w)) if noises is None else noises
        ):
            h = layer(h, style, noise)
        return torch.tanh(self.out_proj(h))

    def mix_styles(self, first: Tensor, second: Tensor, layer: int | Tensor) -> Tensor:
        """Styles of `first` below the layer, of `second` from it on.  (B, styles) twice, layer 0 ... 5 -> (B, 5, styles)"""
        layer = torch.as_tensor(layer, device=first.device).reshape(-1, 1)
        below = torch.arange(len(self.layers), device=first.device) < layer
        return torch.where(below[..., None], first[:, None], second[:, None])

    def forward(self, z: Tensor, noises: list[Tensor] | None = None) -> Tensor:
        w = self.mapping(z)
        if self.training and len(z):
            layer = torch.randint(1, len(self.layers), (len(z),), device=z.device)
            layer = torch.where(torch.rand(len(z), device=z.device) < self.mixing, layer, len(self.layers))
            w = self.mix_styles(w, self.mapping(torch.randn_like(z)), layer)
        return self.synthesis(w, noises)

    def extra_repr(self) -> str:
        sizes = f"z in R^{self.latent} -> w in R^{self.styles} -> 1x28x28 in (-1, 1)"
        return f"{sizes}, {parameter_count(self):,} parameters"
