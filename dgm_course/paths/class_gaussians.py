"""The velocity, noise or data that a Gaussian of each class predicts, in closed form, as a skip connection for a network.

For x1 ~ N(m, C) and a prediction a x1 + b x0 (``GaussianPath.rows``):

    E[a x1 + b x0 | x_t]  =  a m + (a α C + b σ I) (α² C + σ² I)⁻¹ (x_t − α m)

With one Gaussian of equal variances this is the skip connection of Karras et al. 2022.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch
from ..core.tensors import flat
from ..nets.unet import UNet
from .gaussian import GaussianPath


class ClassGaussians(nn.Module):
    """N(m_k, C_k) for each class k, and in the last row one for all images.  images (N, *event), labels (N,) from 0

    C_k = V diag(λ) Vᵀ + ρ (I − V Vᵀ) with ``rank`` directions V; shrinkage: share of C_k that is the classes' mean."""

    def __init__(
        self, images: Tensor, labels: Tensor, classes: int = 10, rank: int = 48, shrinkage: float = 0.25
    ) -> None:
        super().__init__()
        x = flat(expect_batch(images, name="images"))
        counts = labels.bincount(minlength=classes)
        if len(labels) != len(x) or len(counts) != classes or not bool((counts > 1).all()):
            raise ValueError(
                f"{len(x)} images and {len(labels)} labels, {counts.tolist()} a class: expected a label for each image, "
                f"and two images or more for each class 0 to {classes - 1}."
            )
        if not 0 < rank < x.shape[1] or not 0 <= shrinkage <= 1:
            limits = f"expected 1 to {x.shape[1] - 1} and 0 to 1"
            raise ValueError(f"rank is {rank} and shrinkage {shrinkage}: {limits}.")
        self.event, self.rank = tuple(images.shape[1:]), rank
        parts = [*(x[labels == k] for k in range(classes)), x]
        covs = torch.stack([part.T.cov(correction=0) for part in parts]).double().cpu()  # eigh is fastest there
        common = (covs[:-1] * (counts / len(x)).to(covs)[:, None, None]).sum(0)
        covs[:-1] = torch.lerp(covs[:-1], common.expand_as(covs[:-1]), shrinkage)
        values, vectors = torch.linalg.eigh(covs)
        self.register_buffer("means", torch.stack([part.mean(0) for part in parts]), persistent=False)
        directions, rest = (
            vectors[:, :, -rank:].transpose(0, 1).flatten(1),
            values[:, :-rank].mean(1, keepdim=True),
        )
        self.register_buffer("directions", directions.to(x), persistent=False)
        self.register_buffer("variances", values[:, -rank:].to(x), persistent=False)
        self.register_buffer("rest", rest.clamp(min=1e-6).to(x), persistent=False)

    def covariance(self, row: int) -> Tensor:
        """C = V diag(λ) Vᵀ + ρ (I − V Vᵀ).  -> (D, D)"""
        v = self.directions.view(len(self.directions), -1, self.rank)[:, row]
        return (v * (self.variances[row] - self.rest[row])) @ v.T + self.rest[row] * torch.eye(len(v)).to(v)

    def conditional_mean(
        self, x: Tensor, row: Tensor, at: tuple[Tensor, Tensor], of: tuple[Tensor, Tensor]
    ) -> Tensor:
        """E[a x1 + b x0 | α x1 + σ x0 = x] for x1 of the Gaussians of those rows.

        x (B, *event), row (B,), at = (α, σ) and of = (a, b), each () or (B, 1, ...)  ->  (B, *event)"""
        alpha, sigma, a, b = (number.reshape(-1, 1) for number in (*at, *of))

        def gain(variance: Tensor) -> Tensor:
            return (a * alpha * variance + b * sigma) / (alpha**2 * variance + sigma**2).clamp(min=1e-6)

        index, centred = row[:, None, None].expand(-1, 1, self.rank), flat(x) - alpha * self.means[row]
        along = (centred @ self.directions).view(len(x), -1, self.rank)  # for all rows: cheaper than a gather
        rest = gain(self.rest[row])
        more = (gain(self.variances[row]) - rest)[:, None] * along.gather(1, index)
        spread = torch.zeros_like(along).scatter(1, index, more).flatten(1) @ self.directions.T
        return (a * self.means[row] + rest * centred + spread).view_as(x)


class GaussianSkip(nn.Module):
    """g + net([x, g], t, y), where g is the prediction of the Gaussian of class y at x.

    net: a `UNet` with twice the channels of x; path, prediction: the model's.  Labels are dropped here with the net's
    probability, so that g and the net see the same."""

    def __init__(self, net: UNet, gaussians: ClassGaussians, path: GaussianPath, prediction: str) -> None:
        super().__init__()
        if net.classes + 1 != len(gaussians.means) or net.inputs != 2 * gaussians.event[0]:
            raise ValueError(
                f"the net has {net.classes} classes and {net.inputs} input channels: expected "
                f"{len(gaussians.means) - 1} and {2 * gaussians.event[0]}, as the Gaussians."
            )
        if not path.gaussian or prediction not in path.predictions:
            names = ", ".join(path.predictions)
            raise ValueError(f"the {prediction} on {path!r}: expected a source N(0, I), and one of {names}.")
        self.net, self.gaussians, self.path, self.prediction = net, gaussians, path, prediction
        self.forget, net.forget = net.forget, 0.0

    def forward(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        row = self.net.rows(x, y)
        if self.training:
            row = torch.where(torch.rand(len(x), device=x.device) < self.forget, self.net.classes, row)
        with torch.autocast(x.device.type, enabled=False):
            at = self.path.at(t, x)
            g = self.gaussians.conditional_mean(x, row, at[:2], self.path.rows(at)[self.prediction])
        return g + self.net(torch.cat([x, g], 1), t, row).to(g.dtype)
