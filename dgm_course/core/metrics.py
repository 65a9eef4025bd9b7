"""How far a model is from the truth, in numbers that say what they are.

Four kinds of measure live here.  Between two *samples*: energy distance, exact Wasserstein, Fréchet,
precision and recall, modes.  Between two *densities*: KL and JSD on a grid.  Of a *trajectory*: how straight.
Of a *likelihood*: bits per dimension.

Three habits.  A distance between finite samples is never zero, even for a perfect model: print it beside
``floor``, what two samples of the truth give for the same n.  The unbiased energy distance may be
negative; its mean over repeats is the true value.  And a measure carries its settings: n, k,
the feature network.

All take floating tensors (N, *event), flatten the event, compute in float64 and give a Python number.  Images
are best measured in the features of a fixed network, which the caller computes: pixels are a poor ruler.
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
LARGEST = 10_000  # points a side for which a full matrix of distances is still built
ROWS = 128  # rows of that matrix held at once where only its mean is wanted: few, so that they stay in the cache

# --- guards ---------------------------------------------------------------------------------------


def _points(x: Tensor, name: str, least: int = 1) -> Tensor:
    """(N, *event) -> (N, D) in float64, once it holds ``least`` finite samples."""
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
        raise ValueError(
            f"{names[0]} is {tuple(x.shape)} on {x.device}, {names[1]} is {tuple(y.shape)} on "
            f"{y.device}: expected the same event and the same device."
        )
    return a, b


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """‖x_i − y_j‖, (N, M).  In few dimensions without the matrix trick, so that equal points are 0 apart."""
    mode = "donot_use_mm_for_euclid_dist" if x.shape[1] <= 32 else "use_mm_for_euclid_dist"
    return torch.cdist(x, y, compute_mode=mode)


def _refuse_large(*sets: Tensor) -> None:
    n, m = len(sets[0]), len(sets[-1])
    if max(n, m) > LARGEST:
        raise ValueError(
            f"{n:,} and {m:,} points need a matrix of {8e-9 * n * m:.1f} GB and a very long "
            f"time: expected at most {LARGEST:,} a side, so take a random subset of each."
        )


# --- between two samples --------------------------------------------------------------------------


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E‖x − y‖ − E‖x − x'‖ − E‖y − y'‖, zero only for equal distributions (Székely & Rizzo 2013).

    x (N, *event), y (M, *event), in units of length.  U-statistic: unbiased, so at times negative."""
    x, y = _two(x, y, 2)

    def total(a: Tensor, b: Tensor) -> float:
        return sum(float(_distances(rows, b).sum()) for rows in a.split(ROWS))

    within = sum(total(a, a) / (len(a) * (len(a) - 1)) for a in (x, y))  # a point and itself add 0
    return 2 * total(x, y) / (len(x) * len(y)) - within


def wasserstein(x: Tensor, y: Tensor, p: float = 2) -> float:
    """W_p = (min over couplings of E‖x − y‖^p)^{1/p}, exact for the two samples (POT's network simplex).

    In units of length; n and m may differ.  Biased upwards as an estimate between distributions, by about the
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
    """E‖x1 − x0‖² of pairs as they stand, row by row: at least W2², and W2² for the optimal pairing.

    Rectified flow never raises it.  x0, x1 (B, *event); in units of length squared; unbiased."""
    a, b = _two(x0, x1, names=("x0", "x1"))
    if len(a) != len(b):
        raise ValueError(f"x0 holds {len(a)} and x1 {len(b)} samples: expected pairs, row i with row i.")
    return float((b - a).square().sum(1).mean())


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """‖m_a − m_b‖² + tr(S_a + S_b − 2 (S_a^½ S_b S_a^½)^½): squared W2 of Gaussians fitted to a and b.

    a (N, D), b (M, D): features of a fixed network (Heusel 2017 took Inception's).  In feature units squared.
    Biased upwards, the more the smaller n: compare equal n, beside the floor, never across networks."""
    a, b = _two(a, b, 2, ("a", "b"))

    def square(x):
        return torch.cov(x.T).reshape(x.shape[1], -1)

    return frechet_of_gaussians(a.mean(0), square(a), b.mean(0), square(b))


def frechet_of_gaussians(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """‖m_a − m_b‖² + tr(S_a + S_b − 2 (S_a^½ S_b S_a^½)^½), the squared W2 of N(m_a, S_a) and N(m_b, S_b).

    means (D,), covariances (D, D), symmetric and without negative eigenvalues; singular ones are welcome."""
    shapes = {tuple(x.shape) for x in (mean_a, mean_b)}, {tuple(x.shape) for x in (cov_a, cov_b)}
    if shapes != ({(len(mean_a),)}, {(len(mean_a),) * 2}):
        raise ValueError(
            f"means of shape {', '.join(map(str, shapes[0]))} and covariances of shape "
            f"{', '.join(map(str, shapes[1]))}: expected (D,) and (D, D)."
        )
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T  # symmetric, stable where singular
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    shift = (mean_a - mean_b).square().sum()
    return max(float(shift + cov_a.trace() + cov_b.trace() - 2 * cross), 0.0)


class PrecisionRecallCoverage(NamedTuple):
    """Shares in [0, 1]: fakes that look real, reals that could be fakes, reals with a fake nearby."""

    precision: float
    recall: float
    coverage: float


def precision_recall_coverage(real: Tensor, fake: Tensor, k: int = 5) -> PrecisionRecallCoverage:
    """Each point owns the ball up to its k-th neighbour within its own set (N, D).  Then the share of

    fakes in some real ball (precision), reals in some fake ball (recall: Kynkäänniemi 2019), and reals whose
    own ball holds a fake (coverage: Naeem 2020; one outlier cannot inflate it).  All depend on k, N and M."""
    real, fake = _two(real, fake, k + 1, ("real", "fake"))
    _refuse_large(real, fake)
    radius_real, radius_fake = _neighbour_radius(real, k), _neighbour_radius(fake, k)
    apart = _distances(real, fake)  # (N, M)
    shares = (
        (apart <= radius_real[:, None]).any(0),
        (apart <= radius_fake).any(1),
        (apart <= radius_real[:, None]).any(1),
    )
    return PrecisionRecallCoverage(*(float(share.double().mean()) for share in shares))


def density(real: Tensor, fake: Tensor, k: int = 5) -> float:
    """How many real balls a fake lies in, over k, on average: 1 where fakes are as dense as the reals (Naeem 2020).

    Balls as in ``precision_recall_coverage``.  Counted and not merely found, so a stray real point with its huge ball cannot
    make fakes look good; may exceed 1 where fakes crowd where reals are."""
    real, fake = _two(real, fake, k + 1, ("real", "fake"))
    _refuse_large(real, fake)
    return float((_distances(real, fake) <= _neighbour_radius(real, k)[:, None]).double().sum(0).mean()) / k


def _neighbour_radius(x: Tensor, k: int) -> Tensor:
    """Distance to the k-th nearest other point of the set.  (N, D) -> (N,)"""
    return _distances(x, x).topk(k + 1, largest=False).values[:, -1]  # the nearest is the point itself


@dataclass(frozen=True)
class ModeCounts:
    """What ``mode_counts`` found, beside what a perfect sampler would get."""

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
    """Each sample (N, D) goes to its nearest mode of means (K, D); it is of high quality within radius·std.

    Covered: modes with one such sample.  Reverse KL: Σ q_k log(q_k / w_k), q the shares of the nearest modes,
    in nats; its floor is (K − 1)/2N.  Spread: rms distance of the good samples over that of N(0, std² I) cut
    at the radius; below 1 modes shrink, and a quality above the ideal is that same fault.  (As in PacGAN.)"""
    x, centres = _two(samples, means, names=("samples", "means"))
    (k, d), cut = centres.shape, x.new_tensor(radius**2 / 2)
    distance, nearest = _distances(x, centres).min(1)
    good = distance <= radius * std
    q = torch.bincount(nearest, minlength=k) / len(x)
    w = torch.full_like(q, 1 / k) if weights is None else (weights / weights.sum()).to(q)
    mass, second = (torch.special.gammainc(x.new_tensor(d / 2 + i), cut) for i in (0, 1))  # chi² laws
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
    """Mean and standard deviation of a measure between two samples of one and the same truth."""

    mean: float
    sd: float

    def __repr__(self) -> str:
        return f"{self.mean:.4g} ± {self.sd:.2g} between two samples of the truth"


def floor(sampler: Any, measure: Callable[[Tensor, Tensor], float], n: int, repeats: int = 10) -> Floor:
    """What ``measure`` gives a perfect model: two fresh samples of n from ``sampler``, ``repeats`` times.

    ``sampler`` has ``.sample(n)`` or is itself a function of n.  At the floor, no one can tell."""
    if repeats < 2:
        raise ValueError(f"repeats is {repeats}: a standard deviation needs at least 2.")
    draw = getattr(sampler, "sample", sampler)
    values = torch.tensor([measure(draw(n), draw(n)) for _ in range(repeats)], dtype=torch.float64)
    return Floor(float(values.mean()), float(values.std()))


# --- of a trajectory ------------------------------------------------------------------------------


def _velocities(trajectory: Tensor, ts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """|Δt| (T−1,), the velocities Δx/Δt (T−1, B, D), the mean velocity of each particle (B, D)."""
    if trajectory.ndim < 3 or trajectory.shape[1] == 0 or ts.shape != trajectory.shape[:1]:
        raise ValueError(
            f"trajectory is {tuple(trajectory.shape)} and ts {tuple(ts.shape)}: expected "
            "(T, B, *event) and (T,), at least one particle."
        )
    x = _points(trajectory, "trajectory", 2).reshape(*trajectory.shape[:2], -1)
    dt = ts.to(x).diff()
    if not ((dt > 0).all() or (dt < 0).all()):
        raise ValueError("ts turns back or stands still: expected times in strict order.")
    return dt.abs(), x.diff(dim=0) / dt[:, None, None], (x[-1] - x[0]) / dt.sum()


def straightness(trajectory: Tensor, ts: Tensor) -> float:
    """S = ∫ E‖(x1 − x0) − ẋ‖² dt over a unit of time (Liu 2023): 0 where one Euler step is exact.

    In length squared.  Steps are taken as straight, so coarse `ts` hide bends: biased downwards."""
    dt, velocity, chord = _velocities(trajectory, ts)
    return float((dt * (velocity - chord).square().sum(-1).mean(1)).sum())


def normalised_straightness(trajectory: Tensor, ts: Tensor) -> float:
    """S / E‖x1 − x0‖²: the same for a picture at any scale.  No unit; 0 is straight."""
    moved = transport_cost(trajectory[0], trajectory[-1])
    if moved == 0:
        raise ValueError("no particle ends away from where it started: straightness has no scale.")
    return straightness(trajectory, ts) / moved * float(abs(ts[-1] - ts[0]))


# --- between two densities, and of a likelihood ---------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """Midpoints of ``points`` cells a side over [low, high]^dim, for sums in place of integrals."""

    low: float = -6.0
    high: float = 6.0
    points: int = 300
    dim: int = 2
    dtype: torch.dtype = torch.float64

    def log_masses(self, log_prob: LogDensity, name: str) -> Tensor:
        """log(p(x) · cell) at every midpoint, (points^dim,); ValueError where over 1% of p lies elsewhere."""
        side = (self.high - self.low) / self.points
        axis = self.low + side * (torch.arange(self.points, dtype=self.dtype) + 0.5)
        x = torch.cartesian_prod(*[axis] * self.dim).reshape(-1, self.dim)
        values = torch.cat([log_prob(part).detach().double() for part in x.split(20_000)])
        masses = values + self.dim * math.log(side)
        total = float(masses.exp().sum())
        if not abs(total - 1) < 0.01:
            raise ValueError(
                f"{name} sums to {total:.4f} over [{self.low:g}, {self.high:g}]^{self.dim}: "
                "expected 1, so widen the grid, refine it, or normalise the density."
            )
        return masses


GRID = Grid()


def kl_on_grid(log_p: LogDensity, log_q: LogDensity, grid: Grid = GRID) -> float:
    """KL(p ‖ q) = ∫ p (log p − log q), by midpoints; log_p, log_q: (B, D) -> (B,), as ``mixture.log_prob``.

    In nats.  Exact up to the grid: halve the cells and see."""
    return _kl(grid.log_masses(log_p, "p"), grid.log_masses(log_q, "q"))


def jsd_on_grid(log_p: LogDensity, log_q: LogDensity, grid: Grid = GRID) -> float:
    """JSD = ½ KL(p ‖ m) + ½ KL(q ‖ m), m = (p + q)/2, in nats: from 0 (equal) to log 2 (apart)."""
    p, q = grid.log_masses(log_p, "p"), grid.log_masses(log_q, "q")
    middle = torch.logaddexp(p, q) - math.log(2)
    return 0.5 * _kl(p, middle) + 0.5 * _kl(q, middle)


def _kl(p: Tensor, q: Tensor) -> float:
    """Σ e^p (p − q); where p is −inf a term is 0, also against another −inf."""
    return float(torch.where(p > -math.inf, p.exp() * (p - q), 0.0).sum())


def bits_per_dim(nll: Tensor | float, dims: int, bin_width: float = 1.0) -> Tensor | float:
    """(nll / dims − ln bin_width) / ln 2, from nats a sample to bits a dimension; any shape, kept.

    ``bin_width`` turns a density of dequantised pixels into bits of a pixel: 1/256 for 8-bit data in [0, 1],
    2/256 in [-1, 1]; 1 for a model of discrete values.  A bound in, a bound out."""
    if dims < 1 or not bin_width > 0:
        raise ValueError(f"dims is {dims} and bin_width {bin_width}: expected at least 1, and above 0.")
    return (nll / dims - math.log(bin_width)) / math.log(2)


def perplexity(codes: Tensor, size: int) -> float:
    """exp(−Σ q_k ln q_k), q the shares of the ``size`` codes: how many are in effective use, 1 to size.

    codes: integers of any shape.  Biased downwards for few codes."""
    if codes.is_floating_point() or not codes.numel() or int(codes.min()) < 0 or int(codes.max()) >= size:
        raise ValueError(f"{codes.numel()} codes of dtype {codes.dtype}: expected integers 0 to {size - 1}.")
    q = torch.bincount(codes.flatten(), minlength=size).double() / codes.numel()
    return float(torch.exp(-torch.xlogy(q, q).sum()))
