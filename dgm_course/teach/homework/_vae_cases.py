"""The questions of the homework on VAEs: Gaussians, bits, log-weights, mixtures, linear worlds.

Deviations are told by their logarithm, ``log_std``, as a network gives them.  Numbers have two digits.
"""

from __future__ import annotations

import numpy as np

from .cases import Case
from .draws import Cases, Rng, in_float32, odd_sizes, points, sizes

SMALL = "Exponentials of such weights are zero in any floating point: take the largest out first, or use torch.logsumexp."
ALONE = "Wrong where there is a single component or latent: is an axis squeezed away, or a softmax over the wrong axis?"


def _batches(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint), the square batch first, where a wrong axis gives wrong values and not an error."""
    side = int(rng.integers(3, 6))
    return [("B = D", (side, side), ""), ("a batch", sizes(rng), ""), ("another batch", sizes(rng), ""),
            ("float32", sizes(rng), ""), *odd_sizes(rng)]


def _log_std(rng: Rng, *shape: int) -> np.ndarray:
    """Logarithms of deviations from about 0.4 to 1.6, none of them 0."""
    size = np.round(rng.uniform(0.15, 0.9, size=shape), 2)
    return np.where(rng.random(size=shape) < 0.6, -size, size / 2)


def _case(name: str, args: dict[str, object], hint: str = "") -> Case:
    return Case(name, in_float32(args) if name == "float32" else args, hint=hint)


def posteriors(rng: Rng) -> Cases:
    """mean, log_std of q(z|x)."""
    for name, shape, hint in _batches(rng):
        yield _case(name, {"mean": points(rng, *shape), "log_std": _log_std(rng, *shape)}, hint)


def likelihoods(rng: Rng) -> Cases:
    """x and the Gaussian it is judged by."""
    for name, shape, hint in _batches(rng):
        args = {"x": points(rng, *shape), "mean": points(rng, *shape), "log_std": _log_std(rng, *shape)}
        yield _case(name, args, hint)


def draws(rng: Rng) -> Cases:
    """mean, log_std, and the noise."""
    for name, shape, hint in _batches(rng):
        args = {"mean": points(rng, *shape), "log_std": _log_std(rng, *shape), "eps": points(rng, *shape)}
        yield _case(name, args, hint)


def losses(rng: Rng) -> Cases:
    """Bits with the decoder's logits, and the encoder's Gaussian, of another dimension."""
    for name, (size, dim), hint in _batches(rng):
        latent = dim + int(rng.integers(1, 4))
        x = (rng.random(size=(size, dim)) < 0.5).astype(float)
        args = {"x": x, "logits": points(rng, size, dim), "mean": points(rng, size, latent),
                "log_std": _log_std(rng, size, latent), "kl_weight": float(np.round(rng.uniform(0.2, 3.0), 2) + 0.003)}
        yield _case(name, args, hint)


def weights(rng: Rng) -> Cases:
    """The three logarithms whose sum and difference is log w, each (k, B)."""
    for name, (k, size), hint in _batches(rng):
        renamed = {"B = D": "k = B", "B = 1": "k = 1", "D = 1": "B = 1", "B = 40": "k = 40"}.get(name, name)
        yield _case(renamed, _logs(rng, k, size, 8.0), "" if renamed == "k = 40" else hint)
    yield Case("images", _logs(rng, *sizes(rng), 900.0), hint=SMALL)


def _logs(rng: Rng, k: int, size: int, level: float) -> dict[str, object]:
    return {"log_p_x": np.round(-level + 1.5 * points(rng, k, size), 2), "log_p_z": np.round(points(rng, k, size) - 3, 2),
            "log_q_z": np.round(points(rng, k, size) - 1, 2)}


def mixtures(rng: Rng) -> Cases:
    """Points, and a mixture of K Gaussians with one deviation."""
    for name, (size, dim), hint in (*_batches(rng), ("K = 1", sizes(rng), ALONE)):
        k = 1 if name == "K = 1" else int(rng.integers(2, 5)) + (name == "B = D")
        shares = rng.uniform(0.5, 3.0, size=k)
        args = {"x": points(rng, size, dim), "weights": shares / shares.sum(), "means": points(rng, k, dim),
                "std": float(np.round(rng.uniform(0.6, 0.9) + 0.8 * rng.integers(0, 2), 2))}
        yield _case(name, args, hint)


def worlds(rng: Rng) -> Cases:
    """x, and a linear-Gaussian world of d latents."""
    for name, (size, dim), hint in (*_batches(rng), ("d = 1", sizes(rng), ALONE)):
        latents = 1 if name == "d = 1" else int(rng.integers(1, 4))
        args = {"x": points(rng, size, dim), "weight": np.round(points(rng, dim, latents), 2), "bias": points(rng, dim),
                "std": float(np.round(rng.uniform(0.5, 0.8) + 0.7 * rng.integers(0, 2), 2))}
        yield _case(name, args, hint)
