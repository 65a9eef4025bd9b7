"""Metrics: between two samples, between two densities, of a trajectory, of a likelihood, of a latent space.

All take floating tensors (N, *event), flatten the event, compute in float64 and return a Python number.  A distance
between finite samples is never zero, so report it beside ``floor``: its value between two samples of the truth at the
same n.  The unbiased energy distance may be negative.  Compare images in the features of a fixed network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .checks import expect_batch, expect_some
from .tensors import flat

LogDensity = Callable[[Tensor], Tensor]
LARGEST = 10_000  # points a side of the largest full matrix of distances
ROWS = 128  # rows of it computed at once if only the mean is needed: they fit into the cache


def _points(x: Tensor, name: str, least: int = 1) -> Tensor:
    """(N, *event) -> (N, D) in float64, if it holds at least ``least`` finite samples."""
    x = flat(expect_some(expect_batch(x, name=name), name).detach())
    if len(x) < least:
        raise ValueError(f"{name} holds {len(x)} sample(s): this measure needs at least {least}.")
    if not torch.isfinite(x).all():
        raise ValueError(f"{name} contains infinite values in {int((~torch.isfinite(x)).sum())} places.")
    return (x.cpu() if x.device.type == "mps" else x).double()  # mps has no float64


def _two(x: Tensor, y: Tensor, least: int = 1, names: tuple[str, str] = ("x", "y")) -> tuple[Tensor, Tensor]:
    """Two sets of points of one dimension on one device; their sizes may differ."""
    a, b = _points(x, names[0], least), _points(y, names[1], least)
    if a.shape[1] != b.shape[1] or a.device != b.device:
        came = f"{names[0]} is {tuple(x.shape)} on {x.device}, {names[1]} is {tuple(y.shape)} on {y.device}"
        raise ValueError(f"{came}: expected the same event and the same device.")
    return a, b


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """‖x_i − y_j‖, (N, M).  Up to 32 dimensions without matrix products, so that equal points have distance 0."""
    mode = "donot_use_mm_for_euclid_dist" if x.shape[1] <= 32 else "use_mm_for_euclid_dist"
    return torch.cdist(x, y, compute_mode=mode)


def _refuse_large(*sets: Tensor) -> None:
    n, m = len(sets[0]), len(sets[-1])
    if max(n, m) > LARGEST:
        came = f"{n:,} and {m:,} points need a matrix of {8e-9 * n * m:.1f} GB"
        raise ValueError(f"{came}: expected at most {LARGEST:,} points a side, such as a random subset of each.")


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E‖x − y‖ − E‖x − x'‖ − E‖y − y'‖, zero only for equal distributions (Székely & Rizzo 2013).

    x (N, *event), y (M, *event), in units of length.  U-statistic: unbiased, so at times negative."""
    x, y = _two(x, y, 2)

    def total(a: Tensor, b: Tensor) -> float:
        return sum(float(_distances(rows, b).sum()) for rows in a.split(ROWS))

    within = sum(total(a, a) / (len(a) * (len(a) - 1)) for a in (x, y))  # the diagonal adds 0
    return 2 * total(x, y) / (len(x) * len(y)) - within


def wasserstein(x: Tensor, y: Tensor, p: float = 2) -> float:
    """W_p = (min over couplings of E‖x − y‖^p)^{1/p}, exact for the two samples (POT's network simplex).

    In units of length; sizes may differ.  As an estimate between distributions it is biased upwards by about the
    ``floor`` of the same n.  Half a second at n = 2,000, 20 s and 4 GB at 10,000; ValueError beyond."""
    import ot

    a, b = _two(x, y)
    _refuse_large(a, b)
    if not p >= 1:
        raise ValueError(f"p is {p}: expected 1 (earth mover), 2, or more.")
    cost = _distances(a, b).pow_(p).cpu().numpy()
    value, log = ot.emd2([], [], cost, numItermax=100_000_000, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"the transport solver stopped early: {log['warning']}")
    return max(float(value), 0.0) ** (1 / p)


def transport_cost(x0: Tensor, x1: Tensor) -> float:
    """E‖x1 − x0‖² of the pairs, row by row: at least W2², with equality for the optimal pairing.

    x0, x1 (B, *event); in units of length squared; unbiased.  Rectified flow never increases it."""
    a, b = _two(x0, x1, names=("x0", "x1"))
    if len(a) != len(b):
        raise ValueError(f"x0 holds {len(a)} and x1 {len(b)} samples: expected pairs, row i with row i.")
    return float((b - a).square().sum(1).mean())


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """‖m_a − m_b‖² + tr(S_a + S_b − 2 (S_a^½ S_b S_a^½)^½): squared W2 of Gaussians fitted to a and b.

    a (N, D), b (M, D): features of a fixed network (Inception in Heusel 2017).  In feature units squared.  Biased
    upwards for small n: compare equal n and one network, beside the floor."""
    a, b = _two(a, b, 2, ("a", "b"))
    cov_a, cov_b = (torch.cov(x.T).reshape(x.shape[1], -1) for x in (a, b))
    return frechet_of_gaussians(a.mean(0), cov_a, b.mean(0), cov_b)


def frechet_of_gaussians(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """‖m_a − m_b‖² + tr(S_a + S_b − 2 (S_a^½ S_b S_a^½)^½), the squared W2 of N(m_a, S_a) and N(m_b, S_b).

    means (D,), covariances (D, D), symmetric and positive semidefinite, possibly singular."""
    shapes = [tuple(x.shape) for x in (mean_a, mean_b, cov_a, cov_b)]
    d = len(mean_a)
    if shapes != [(d,), (d,), (d, d), (d, d)]:
        came = "means of shape {} and {}, covariances of shape {} and {}".format(*shapes)
        raise ValueError(f"{came}: expected (D,) and (D, D).")
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T  # symmetric, stable where singular
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    shift = (mean_a - mean_b).square().sum()
    return max(float(shift + cov_a.trace() + cov_b.trace() - 2 * cross), 0.0)


class PrecisionRecallCoverage(NamedTuple):
    """Shares in [0, 1]; see ``precision_recall_coverage``."""

    precision: float
    recall: float
    coverage: float


def precision_recall_coverage(real: Tensor, fake: Tensor, k: int = 5) -> PrecisionRecallCoverage:
    """A point's ball reaches to its k-th neighbour in its own set.  real (N, D), fake (M, D); all depend on k, N and M.

    precision: the share of fakes in a real ball; recall: of reals in a fake ball (Kynkäänniemi 2019); coverage: of real
    balls that hold a fake (Naeem 2020), which one outlier cannot inflate."""
    real, fake = _two(real, fake, k + 1, ("real", "fake"))
    _refuse_large(real, fake)
    radius_real, radius_fake = _neighbour_radius(real, k), _neighbour_radius(fake, k)
    distances = _distances(real, fake)  # (N, M)
    in_real, in_fake = distances <= radius_real[:, None], distances <= radius_fake
    shares = (in_real.any(0), in_fake.any(1), in_real.any(1))
    return PrecisionRecallCoverage(*(float(share.double().mean()) for share in shares))


def density(real: Tensor, fake: Tensor, k: int = 5) -> float:
    """The mean number of real balls that hold a fake, over k: 1 if fakes are as dense as the reals (Naeem 2020).

    Balls as in ``precision_recall_coverage``.  One stray real point with a huge ball cannot inflate it; it may exceed 1."""
    real, fake = _two(real, fake, k + 1, ("real", "fake"))
    _refuse_large(real, fake)
    return float((_distances(real, fake) <= _neighbour_radius(real, k)[:, None]).double().sum(0).mean()) / k


def _neighbour_radius(x: Tensor, k: int) -> Tensor:
    """Distance to the k-th nearest other point of the set.  (N, D) -> (N,)"""
    return _distances(x, x).topk(k + 1, largest=False).values[:, -1]  # the nearest is the point itself


@dataclass(frozen=True)
class ModeCounts:
    """The result of ``mode_counts``, beside what a perfect sampler would get."""

    covered: int
    modes: int
    high_quality: float
    ideal_quality: float
    reverse_kl: float
    reverse_kl_floor: float
    spread: float

    def __repr__(self) -> str:
        spread = (
            "no good sample, no spread" if math.isnan(self.spread) else f"spread {self.spread:.2f} of the true std"
        )
        return (
            f"{self.covered} of {self.modes} modes; high quality {self.high_quality:.1%} (a perfect "
            f"sampler: {self.ideal_quality:.1%}); reverse KL {self.reverse_kl:.4f} nats (floor "
            f"{self.reverse_kl_floor:.4f}); {spread}"
        )


def mode_counts(
    samples: Tensor, means: Tensor, std: float, weights: Tensor | None = None, radius: float = 3.0
) -> ModeCounts:
    """Assign each sample (N, D) to its nearest mode of means (K, D); within radius·std it is of high quality.

    covered: modes with such a sample.  reverse_kl: Σ q_k log(q_k / w_k) in nats, q the shares of the nearest modes; floor
    (K − 1)/2N.  spread: rms distance of the good samples over that of N(0, std² I) cut at the radius.  (As in PacGAN.)"""
    x, centres = _two(samples, means, names=("samples", "means"))
    (k, d), cut = centres.shape, x.new_tensor(radius**2 / 2)
    distance, nearest = _distances(x, centres).min(1)
    good = distance <= radius * std
    q = torch.bincount(nearest, minlength=k) / len(x)
    w = torch.full_like(q, 1 / k) if weights is None else (weights / weights.sum()).to(q)
    mass, second = (torch.special.gammainc(x.new_tensor(d / 2 + i), cut) for i in (0, 1))  # of chi²
    expected = std * math.sqrt(d * float(second / mass))
    return ModeCounts(
        covered=int(nearest[good].unique().numel()),
        modes=k,
        high_quality=float(good.double().mean()),
        ideal_quality=float(mass),
        reverse_kl=float(torch.xlogy(q, q / w).sum()),
        reverse_kl_floor=(k - 1) / (2 * len(x)),
        spread=float(distance[good].square().mean().sqrt()) / expected if good.any() else math.nan,
    )


class Floor(NamedTuple):
    """Mean and standard deviation of a metric between two samples of the truth."""

    mean: float
    sd: float

    def __repr__(self) -> str:
        return f"{self.mean:.4g} ± {self.sd:.2g} between two samples of the truth"


def floor(sampler: Any, measure: Callable[[Tensor, Tensor], float], n: int, repeats: int = 10) -> Floor:
    """``measure`` between two fresh samples of n from ``sampler``, ``repeats`` times: the value of a perfect model.

    ``sampler`` has a method ``sample(n)`` or is a function of n."""
    if repeats < 2:
        raise ValueError(f"repeats is {repeats}: a standard deviation needs at least 2.")
    draw = getattr(sampler, "sample", sampler)
    values = torch.tensor([measure(draw(n), draw(n)) for _ in range(repeats)], dtype=torch.float64)
    return Floor(float(values.mean()), float(values.std()))


def straightness(trajectory: Tensor, ts: Tensor) -> float:
    """S = ∫ E‖(x1 − x0) − ẋ‖² dt over a unit of time (Liu 2023): 0 if one Euler step is exact.

    trajectory (T, B, *event), ts (T,) monotone.  In length squared.  Biased downwards for a coarse `ts`."""
    if trajectory.ndim < 3 or trajectory.shape[1] == 0 or ts.shape != trajectory.shape[:1]:
        came = f"trajectory is {tuple(trajectory.shape)} and ts {tuple(ts.shape)}"
        raise ValueError(f"{came}: expected (T, B, *event) and (T,), at least one particle.")
    x = _points(trajectory, "trajectory", 2).reshape(*trajectory.shape[:2], -1)
    dt = ts.to(x).diff()
    if not ((dt > 0).all() or (dt < 0).all()):
        raise ValueError("ts is not strictly monotone: expected times in strict order.")
    velocity, chord = x.diff(dim=0) / dt[:, None, None], (x[-1] - x[0]) / dt.sum()
    return float((dt.abs() * (velocity - chord).square().sum(-1).mean(1)).sum())


def normalised_straightness(trajectory: Tensor, ts: Tensor) -> float:
    """S / E‖x1 − x0‖², which does not depend on scale: 0 is straight."""
    moved = transport_cost(trajectory[0], trajectory[-1])
    if moved == 0:
        raise ValueError("every particle ends where it started: straightness has no scale.")
    return straightness(trajectory, ts) / moved * float(abs(ts[-1] - ts[0]))


@dataclass(frozen=True)
class Grid:
    """Midpoints of ``points`` cells a side over [low, high]^dim, for numerical integrals."""

    low: float = -6.0
    high: float = 6.0
    points: int = 300
    dim: int = 2
    dtype: torch.dtype = torch.float64

    def log_masses(self, log_prob: LogDensity, name: str) -> Tensor:
        """log(p(x) · cell) at every midpoint, (points^dim,); ValueError unless they sum to 1 within 1%."""
        side = (self.high - self.low) / self.points
        axis = self.low + side * (torch.arange(self.points, dtype=self.dtype) + 0.5)
        x = torch.cartesian_prod(*[axis] * self.dim).reshape(-1, self.dim)
        values = torch.cat([log_prob(part).detach().double() for part in x.split(20_000)])
        masses = values + self.dim * math.log(side)
        total = float(masses.exp().sum())
        if not abs(total - 1) < 0.01:
            box = f"[{self.low:g}, {self.high:g}]^{self.dim}"
            advice = "widen or refine the grid, or normalise the density"
            raise ValueError(f"{name} sums to {total:.4f} over {box}: expected 1, so {advice}.")
        return masses


GRID = Grid()


def kl_on_grid(log_p: LogDensity, log_q: LogDensity, grid: Grid = GRID) -> float:
    """KL(p ‖ q) = ∫ p (log p − log q) in nats, by midpoints; log_p, log_q: (B, D) -> (B,), as ``mixture.log_prob``."""
    return _kl(grid.log_masses(log_p, "p"), grid.log_masses(log_q, "q"))


def jsd_on_grid(log_p: LogDensity, log_q: LogDensity, grid: Grid = GRID) -> float:
    """JSD = ½ KL(p ‖ m) + ½ KL(q ‖ m), m = (p + q)/2, in nats: from 0 (equal) to log 2 (apart)."""
    p, q = grid.log_masses(log_p, "p"), grid.log_masses(log_q, "q")
    middle = torch.logaddexp(p, q) - math.log(2)
    return 0.5 * _kl(p, middle) + 0.5 * _kl(q, middle)


def _kl(p: Tensor, q: Tensor) -> float:
    """Σ e^p (p − q); a term with p = −inf is 0."""
    return float(torch.where(p > -math.inf, p.exp() * (p - q), 0.0).sum())


def bits_per_dim(nll: Tensor | float, dims: int, bin_width: float = 1.0) -> Tensor | float:
    """(nll / dims − ln bin_width) / ln 2, from nats a sample to bits a dimension; any shape, kept.

    bin_width: of dequantised pixels, 1/256 for 8-bit data in [0, 1], 2/256 in [-1, 1]; 1 for discrete values."""
    if dims < 1 or not bin_width > 0:
        raise ValueError(f"dims is {dims} and bin_width {bin_width}: expected at least 1, and above 0.")
    return (nll / dims - math.log(bin_width)) / math.log(2)


def perplexity(codes: Tensor, size: int) -> float:
    """exp(−Σ q_k ln q_k), q the shares of the ``size`` codes: the effective number of codes in use, 1 to size.

    codes: integers of any shape.  Biased downwards for few samples."""
    if codes.is_floating_point() or not codes.numel() or int(codes.min()) < 0 or int(codes.max()) >= size:
        raise ValueError(f"{codes.numel()} codes of dtype {codes.dtype}: expected integers 0 to {size - 1}.")
    q = torch.bincount(codes.flatten(), minlength=size).double() / codes.numel()
    return float(torch.exp(-torch.xlogy(q, q).sum()))


class Factors(NamedTuple):
    """Factors of variation of digits, (N,) each: mean ink, height (std of the rows, in pixels), slant (columns a row)."""

    ink: Tensor
    height: Tensor
    slant: Tensor


def factors(images: Tensor) -> Factors:
    """Moments of the ink w = (x + 1)/2: Σ w / HW, std of the rows, −cov(row, column) / var(row); 0 for an empty page.

    images (N, 1, H, W) in [−1, 1].  A slant above 0 leans to the right."""
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"images have shape {tuple(images.shape)}: expected (N, 1, H, W).")
    w = (expect_batch(images, name="images").double().clamp(-1, 1)[:, 0] + 1) / 2
    rows, columns = (torch.arange(size, dtype=w.dtype, device=w.device) for size in w.shape[1:])
    mass = w.sum((1, 2)).clamp(min=1e-9)

    def mean(values: Tensor) -> Tensor:
        return (w * values).sum((1, 2)) / mass

    down, right = rows[:, None] - mean(rows[:, None])[:, None, None], columns - mean(columns)[:, None, None]
    variance = mean(down.square())
    return Factors(w.mean((1, 2)), variance.sqrt(), -mean(down * right) / variance.clamp(min=1e-9))


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """(sin((1 − t)ω) a + sin(tω) b) / sin ω, ω the angle between a and b (B, *event): it keeps their length.

    A straight line between two draws of a high-dimensional normal passes through regions without mass."""
    if a.shape != b.shape:
        raise ValueError(f"a has shape {tuple(a.shape)} and b {tuple(b.shape)}: expected the same.")
    cosine = torch.nn.functional.cosine_similarity(flat(a), flat(b)).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = torch.acos(cosine).reshape(-1, *[1] * (a.ndim - 1))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def path_length_ratio(path: Tensor) -> float:
    """Σ_i ‖f_(i+1) − f_i‖ / ‖f_last − f_first‖, the mean over the paths of features (T, B, D): 1 is straight.

    It increases with T, so compare equal T."""
    if path.ndim != 3 or len(path) < 3:
        raise ValueError(
            f"path has shape {tuple(path.shape)}: expected (T, B, D), at least three points of each path."
        )
    length, chord = path.diff(dim=0).double().norm(dim=2).sum(0), (path[-1] - path[0]).double().norm(dim=1)
    if bool((chord == 0).any()):
        raise ValueError("a path ends where it began: its length ratio has no scale.")
    return float((length / chord).mean())


class Explained(NamedTuple):
    """Shares of a factor's variance on held-out samples: by the best coordinate, and by all of them, linearly."""

    one: float
    all: float


def explained(z: Tensor, y: Tensor, ridge: float = 0.1) -> Explained:
    """1 − Σ(y − ŷ)²/Σ(y − ȳ)², at least 0, of y (N,) by one coordinate of z (N, *event), and by ridge regression on all.

    The first half of the samples selects the coordinate and fits; the second half evaluates."""
    z, y = flat(expect_batch(z, name="z")).double(), expect_batch(y, (), "y").double()
    if len(z) != len(y) or len(z) < 8:
        raise ValueError(f"z holds {len(z)} samples and y {len(y)}: expected as many, at least 8.")
    half, scale = len(z) // 2, z.std(0).clamp(min=1e-9)
    z, y = (z - z[:half].mean(0)) / scale, y - y[:half].mean()
    slopes = (z[:half] * y[:half, None]).mean(0) / z[:half].square().mean(0).clamp(min=1e-9)
    best = int((slopes.square() * z[:half].square().mean(0)).argmax())
    dual = torch.linalg.solve(z[:half] @ z[:half].T + ridge * z.shape[1] * torch.eye(half).to(z), y[:half])
    by_one, by_all = slopes[best] * z[half:, best], z[half:] @ (z[:half].T @ dual)
    return Explained(_share(y[half:], by_one), _share(y[half:], by_all))


def _share(y: Tensor, estimate: Tensor) -> float:
    return max(0.0, 1 - float((y - estimate).square().sum() / (y - y.mean()).square().sum().clamp(min=1e-12)))
