"""Answers to the homework on measures, right and wrong."""

from __future__ import annotations

import math

import numpy as np
import torch

from . import Bank

# --- 11.1 precision


def precision(real, fake, k):
    radius = torch.cdist(real, real).sort(dim=1).values[:, k]
    return (torch.cdist(real, fake) <= radius[:, None]).any(0).double().mean()


def precision_stub(real, fake, k):
    """share of fakes in some real ball   (N, D), (M, D), k  ->  a number"""
    raise NotImplementedError("your turn")


def precision_by_loops(real, fake, k):
    real, fake = real.tolist(), fake.tolist()
    radius = [sorted(math.dist(a, b) for b in real)[k] for a in real]
    return sum(any(math.dist(a, f) <= r for a, r in zip(real, radius)) for f in fake) / len(fake)


def precision_by_topk(real, fake, k):
    radius = torch.cdist(real, real).topk(k + 1, largest=False).values.max(1).values
    excess = torch.cdist(fake, real) - radius
    return (excess.min(dim=1).values <= 0).to(real).mean()


def precision_by_masking_the_diagonal(real, fake, k):
    own = ((real[:, None] - real[None]) ** 2).sum(-1)
    own.fill_diagonal_(torch.inf)
    squared = own.kthvalue(k, dim=1).values
    return torch.tensor([bool((((real - f) ** 2).sum(1) <= squared).any()) for f in fake]).float().mean()


def precision_by_numpy(real, fake, k):
    real, fake = real.numpy(), fake.numpy()
    tree = [np.partition(np.linalg.norm(real - a, axis=1), k)[k] for a in real]
    return np.mean([np.any(np.linalg.norm(real - f, axis=1) <= tree) for f in fake])


def precision_counted(real, fake, k):
    return precision(real, fake, k) * len(fake)


def precision_each(real, fake, k):
    radius = torch.cdist(real, real).sort(dim=1).values[:, k]
    return (torch.cdist(real, fake) <= radius[:, None]).any(0)


# --- 11.2 Fréchet


def frechet(mean_a, cov_a, mean_b, cov_b):
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt()[:, None, :] @ vectors.mT
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum(1)
    traces = (cov_a + cov_b).diagonal(dim1=1, dim2=2).sum(1)
    return (mean_a - mean_b).square().sum(1) + traces - 2 * cross


def frechet_stub(mean_a, cov_a, mean_b, cov_b): ...


def frechet_by_eigenvalues_of_the_product(mean_a, cov_a, mean_b, cov_b):
    values = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0)
    traces = torch.einsum("bii->b", cov_a) + torch.einsum("bii->b", cov_b)
    return ((mean_a - mean_b) ** 2).sum(-1) + traces - 2 * values.sqrt().sum(-1)


def frechet_by_singular_values(mean_a, cov_a, mean_b, cov_b):
    total = []
    for pair in zip(mean_a, cov_a, mean_b, cov_b):
        ma, a, mb, b = pair
        roots = []
        for cov in (a, b):
            left, values, _ = torch.linalg.svd(cov)
            roots.append(left @ torch.diag(values.sqrt()) @ left.T)
        cross = torch.linalg.matrix_norm(roots[0] @ roots[1], "nuc")
        total.append(torch.dot(ma - mb, ma - mb) + torch.trace(a) + torch.trace(b) - 2 * cross)
    return torch.stack(total)


def frechet_by_numpy(mean_a, cov_a, mean_b, cov_b):
    """|m|² + ‖A^½ U − B^½‖² with the best turn U: an orthogonal Procrustes problem."""
    out = []
    for ma, a, mb, b in zip(*(x.double().numpy() for x in (mean_a, cov_a, mean_b, cov_b))):
        roots = []
        for cov in (a, b):
            values, vectors = np.linalg.eigh(cov)
            roots.append(vectors * np.sqrt(np.maximum(values, 0)))
        left, _, right = np.linalg.svd(roots[0].T @ roots[1])
        out.append(((ma - mb) ** 2).sum() + ((roots[0] @ left @ right - roots[1]) ** 2).sum())
    return np.array(out)


def frechet_without_a_floor(mean_a, cov_a, mean_b, cov_b):
    lower = torch.linalg.cholesky(cov_a)
    cross = torch.linalg.eigvalsh(lower.mT @ cov_b @ lower).clamp(min=0).sqrt().sum(1)
    return (mean_a - mean_b).square().sum(1) + (cov_a + cov_b).diagonal(dim1=1, dim2=2).sum(1) - 2 * cross


def frechet_summed(mean_a, cov_a, mean_b, cov_b):
    return frechet(mean_a, cov_a, mean_b, cov_b).sum()


def frechet_halved(mean_a, cov_a, mean_b, cov_b):
    return frechet(mean_a, cov_a, mean_b, cov_b) / 2


# --- 11.3 density and coverage


def coverage(real, fake, k):
    radius = torch.cdist(real, real).sort(dim=1).values[:, k]
    inside = (torch.cdist(real, fake) <= radius[:, None]).double()
    return inside.sum(0).mean() / k, inside.amax(1).mean()


def coverage_stub(real, fake, k):
    radius = ...
    return radius, radius


def coverage_by_loops(real, fake, k):
    real, fake = real.tolist(), fake.tolist()
    balls = [(a, sorted(math.dist(a, b) for b in real)[k]) for a in real]
    inside = [[math.dist(a, f) <= r for f in fake] for a, r in balls]
    return sum(map(sum, inside)) / k / len(fake), sum(map(any, inside)) / len(real)


def coverage_by_the_nearest_fake(real, fake, k):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    away = torch.cdist(fake, real)
    return (away <= radius).sum().double() / (k * len(fake)), (away.min(0).values <= radius).double().mean()


def coverage_by_counting(real, fake, k):
    own = torch.cdist(real, real)
    radius = torch.stack([row.sort().values[k] for row in own])
    hits = torch.stack([(torch.linalg.vector_norm(fake - a, dim=1) <= r).sum() for a, r in zip(real, radius)])
    return [float(hits.sum()) / k / fake.shape[0], float((hits > 0).float().mean())]


def coverage_of_each(real, fake, k):
    radius = torch.cdist(real, real).sort(dim=1).values[:, k]
    inside = (torch.cdist(real, fake) <= radius[:, None]).double()
    return inside.sum(0) / k, inside.amax(1)


def coverage_alone(real, fake, k):
    return coverage(real, fake, k)[1]


BANKS = {
    "over.precision": Bank(
        precision,
        precision_stub,
        {
            "counted": (precision_counted, "a sum over the batch where the mean is asked"),
            "each fake": (precision_each, "their mean is missing"),
        },
        {
            "loops": precision_by_loops,
            "topk": precision_by_topk,
            "diagonal": precision_by_masking_the_diagonal,
            "numpy": precision_by_numpy,
        },
    ),
    "over.frechet": Bank(
        frechet,
        frechet_stub,
        {
            "Cholesky": (frechet_without_a_floor, ""),
            "summed": (frechet_summed, "A sum too many"),
            "halved": (frechet_halved, "exactly half"),
        },
        {
            "eigenvalues of the product": frechet_by_eigenvalues_of_the_product,
            "singular values": frechet_by_singular_values,
            "numpy": frechet_by_numpy,
        },
    ),
    "over.coverage": Bank(
        coverage,
        coverage_stub,
        {"one each": (coverage_of_each, "mean is missing"), "coverage alone": (coverage_alone, "density")},
        {
            "loops": coverage_by_loops,
            "nearest fake": coverage_by_the_nearest_fake,
            "counting": coverage_by_counting,
        },
    ),
}
