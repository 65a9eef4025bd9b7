"""A head start for images: what a Gaussian of each class would answer, in closed form, and a network for what is left.

If the images of a class were Gaussian, N(m, C), then on a path x_t = α x1 + σ x0 everything would be linear.  Whatever is
predicted is a row a x1 + b x0 (`GaussianPath.rows`): the velocity has (α', σ'), the noise (0, 1).  Its expectation is

    E[a x1 + b x0 | x_t]  =  a m + (a α C + b σ I) (α² C + σ² I)⁻¹ (x_t − α m)

Digits are not Gaussian, but the answer is right about what matters most while there is much noise (where the ink lies, and
how it varies), and needs no training.  `GaussianSkip` hands it to a network, as a second picture beside x_t and as a first
guess to be added to.  (An input scaled and added to the output is the skip connection of Karras et al. 2022: there the guess
of one Gaussian of equal variances.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch
from ..core.tensors import flat
from ..nets.unet import UNet
from .gaussian import GaussianPath


class ClassGaussians(nn.Module):
    """N(m_k, C_k) for each class k, and in the last row one for all images together.

    images (N, *event), labels (N,) from 0 to classes − 1.  rank: how many directions of C_k have a variance of their own;
    the others share their mean, so that C_k = V diag(λ) Vᵀ + ρ (I − V Vᵀ).  shrinkage: how much of C_k is the mean of the
    covariances of all classes, since a few hundred images say little about 784² numbers."""

    def __init__(
        self, images: Tensor, labels: Tensor, classes: int = 10, rank: int = 48, shrinkage: float = 0.25
    ) -> None:
        super().__init__()
        x = flat(expect_batch(images, name="images"))
        counts = labels.bincount(minlength=classes)
        if len(labels) != len(x) or len(counts) != classes or not bool((counts > 1).all()):
            raise ValueError(
                f"{len(x)} images and {len(labels)} labels, of the classes {counts.tolist()}: expected a label "
                f"for each image, and of each class 0 to {classes - 1} two images or more."
            )
        if not 0 < rank < x.shape[1] or not 0 <= shrinkage <= 1:
            raise ValueError(
                f"rank is {rank} and shrinkage {shrinkage}: expected 1 to {x.shape[1] - 1}, and a share from 0 to 1."
            )
        self.event, self.rank = tuple(images.shape[1:]), rank
        each = [x[labels == k] for k in range(classes)]
        covs = (
            torch.stack([part.T.cov(correction=0) for part in (*each, x)]).double().cpu()
        )  # eigh is most at home there
        common = (covs[:-1] * (counts / len(x)).to(covs)[:, None, None]).sum(0)
        covs[:-1] = torch.lerp(covs[:-1], common.expand_as(covs[:-1]), shrinkage)
        values, vectors = torch.linalg.eigh(covs)
        self.register_buffer("means", torch.stack([part.mean(0) for part in (*each, x)]), persistent=False)
        for name, value in {
            "directions": vectors[:, :, -rank:].transpose(0, 1).flatten(1),
            "variances": values[:, -rank:],
            "rest": values[:, :-rank].mean(1, keepdim=True).clamp(min=1e-6),
        }.items():
            self.register_buffer(name, value.to(x), persistent=False)

    def covariance(self, row: int) -> Tensor:
        """C = V diag(λ) Vᵀ + ρ (I − V Vᵀ), written out.  -> (D, D)"""
        v = self.directions.view(len(self.directions), -1, self.rank)[:, row]
        return (v * (self.variances[row] - self.rest[row])) @ v.T + self.rest[row] * torch.eye(len(v)).to(v)

    def conditional_mean(
        self, x: Tensor, row: Tensor, at: tuple[Tensor, Tensor], of: tuple[Tensor, Tensor]
    ) -> Tensor:
        """E[a x1 + b x0 | α x1 + σ x0 = x] for x1 of the Gaussians of those rows.

        x (B, *event), row (B,), at = (α, σ) and of = (a, b), each () or (B, 1, ...)  ->  (B, *event)"""
        alpha, sigma, a, b = (number.reshape(-1, 1) for number in (*at, *of))

        def gain(variance):
            return (a * alpha * variance + b * sigma) / (alpha**2 * variance + sigma**2).clamp(min=1e-6)

        own, apart = row[:, None, None].expand(-1, 1, self.rank), flat(x) - alpha * self.means[row]
        along = (apart @ self.directions).view(
            len(x), -1, self.rank
        )  # of all rows: one product is cheaper than a gather
        rest = gain(self.rest[row])
        more = (gain(self.variances[row]) - rest)[:, None] * along.gather(1, own)
        spread = torch.zeros_like(along).scatter(1, own, more).flatten(1) @ self.directions.T
        return (a * self.means[row] + rest * apart + spread).view_as(x)


class GaussianSkip(nn.Module):
    """g + net([x, g], t, y), where g is what the Gaussian of the class y expects of the prediction at x.

    net: a `UNet` with twice as many input channels as x has.  path and prediction: those of the model it is for, since g
    depends on them.  Labels are forgotten here, by the share that the net would have forgotten, so that both are told the
    same."""

    def __init__(self, net: UNet, gaussians: ClassGaussians, path: GaussianPath, prediction: str) -> None:
        super().__init__()
        if net.classes + 1 != len(gaussians.means) or net.inputs != 2 * gaussians.event[0]:
            raise ValueError(
                f"the net knows {net.classes} classes and takes {net.inputs} channels: expected "
                f"{len(gaussians.means) - 1} and {2 * gaussians.event[0]}, as the Gaussians have it."
            )
        if not path.gaussian or prediction not in path.predictions:
            raise ValueError(
                f"a skip for the {prediction} on the {path.name} path: expected a source N(0, I), and one of "
                f"{', '.join(path.predictions)}."
            )
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
