"""Short discrete sequences whose every probability is known."""

from __future__ import annotations

import torch

from ..core.distributions import TableDistribution


def little_language(length: int = 5) -> TableDistribution:
    """Words over a, b, c, whose last letter rhymes with the first: the neighbours of a place do not determine it.

    p(x) ∝ Π q(x_l | x_{l-1}) · 8^[x_L = x_1], q = 0.7 for the next letter (after c comes a), 0.15 for the others."""
    if not 2 <= length <= 8:
        raise ValueError(f"length is {length}: expected 2 to 8, since the table holds every word.")
    follow = torch.full((3, 3), 0.15)
    follow[torch.arange(3), (torch.arange(3) + 1) % 3] = 0.7
    words = torch.cartesian_prod(*[torch.arange(3)] * length)
    p = follow[words[:, :-1], words[:, 1:]].prod(1) * 8.0 ** (words[:, 0] == words[:, -1])
    return TableDistribution(p.view([3] * length), "little language")


def little_images(flip: float = 0.05) -> TableDistribution:
    """Images of 3 x 3 pixels, row by row: one of six lines, each of its pixels flipped with probability ``flip``.

    p(x) = (1/6) Σ_lines Π_i flip^[x_i ≠ line_i] (1 − flip)^[x_i = line_i]"""
    if not 0 < flip < 0.5:
        raise ValueError(f"flip is {flip}: expected a chance above 0 and below 1/2.")
    place = torch.arange(9)
    lines = torch.stack([place // 3 == k for k in range(3)] + [place % 3 == k for k in range(3)]).long()
    images = torch.cartesian_prod(*[torch.arange(2)] * 9)
    wrong = (images[:, None] != lines).sum(-1)  # (512, 6)
    return TableDistribution((flip**wrong * (1 - flip) ** (9 - wrong)).mean(1).view([2] * 9), "little images")
