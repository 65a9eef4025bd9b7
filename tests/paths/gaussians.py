"""A mixture in the plane, a source, the paths between them, and their schedules by differences."""

from __future__ import annotations

import pytest
import torch

from dgm_course.core.distributions import Mixture
from dgm_course.paths import VE, VP, Conical, Cosine, GaussianPath, LinearPath

F64 = torch.float64
DATA = Mixture(
    torch.tensor([1.0, 2.0, 3.0]).double(),
    torch.tensor([[-1.5, 0.5], [1.0, 1.5], [0.5, -1.0]], dtype=F64),
    torch.tensor([[0.4, 0.6], [0.7, 0.4], [0.5, 0.5]]),
    "data",
)
SOURCE = Mixture(
    torch.tensor([1.0, 3.0]).double(),
    torch.tensor([[1.0, 0.0], [-0.5, 1.0]], dtype=F64),
    torch.tensor([[0.6, 0.5], [0.8, 0.9]]),
    "source",
)
PATHS = {
    "conical": Conical(),
    "linear": LinearPath(SOURCE),
    "jittered": LinearPath(SOURCE, jitter=0.3),
    "VP": VP(),
    "VE": VE(),
    "cosine": Cosine(),
    "home-made": GaussianPath(lambda t: t * (2 - t), lambda t: (1 - t) ** 3 + 0.1, name="home-made"),
}
GAUSSIAN = [name for name, path in PATHS.items() if path.gaussian]
CLEAR = [name for name, path in PATHS.items() if not path.jitter]
TIMES = (0.05, 0.35, 0.6, 0.9)

every = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
gaussian = pytest.mark.parametrize("path", [PATHS[n] for n in GAUSSIAN], ids=GAUSSIAN)
clear = pytest.mark.parametrize("path", [PATHS[n] for n in CLEAR], ids=CLEAR)
when = pytest.mark.parametrize("t", TIMES)


def scalar(t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=F64)


def slope(f, t, h=1e-4):
    """f' by a five-point difference, error O(h⁴)."""
    return (8 * (f(t + h) - f(t - h)) - (f(t + 2 * h) - f(t - 2 * h))) / (12 * h)


def scales(path, t):
    """alpha, sigma and their derivatives, without automatic differentiation."""
    t = scalar(t) if isinstance(t, float) else t
    return path.alpha(t), path.sigma(t), slope(path.alpha, t), slope(path.sigma, t)


def triple(path, t, n=6):
    """x1, x0 and the x_t between them."""
    x1, x0 = DATA.sample(n), (SOURCE.sample(n) if path.source else torch.randn(n, 2, dtype=F64))
    alpha, sigma, _, _ = scales(path, t)
    column = lambda a: a[:, None] if a.ndim else a
    return x1, x0, column(alpha) * x1 + column(sigma) * x0
