"""The lecture's table, and the same table out of measured figures: a mark is a rule, and stands beside its number.

A tick in a table says neither "compared with what" nor "by what measure".  Here both are written down: quality and coverage
are compared with real digits in the same place, cost with the slowest system, a latent space with the system's own samples.
Change a rule and marks change; the figures stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .measure import Row, milliseconds
from .models import BY_ODE, EXACT, NONE

YES, NO, OPEN, NOT_APPLICABLE, UNSEEN = "✓", "✗", "?", "n/a", "–"
COLUMNS = (
    "efficient",
    "sample quality",
    "coverage",
    "well-behaved latent",
    "disentangled latent",
    "efficient likelihood",
)
LECTURE: dict[str, tuple[str, ...]] = {
    "GANs": (YES, YES, NO, YES, OPEN, NOT_APPLICABLE),
    "VAEs": (YES, NO, OPEN, YES, OPEN, NO),
    "Flows": (YES, NO, OPEN, YES, OPEN, YES),
    "Diffusion": (NO, YES, OPEN, NO, NO, NO),
}
ROW_OF = {"GAN": "GANs", "VAE": "VAEs", "flow": "Flows", "diffusion": "Diffusion"}
AGREES, DISAGREES, LEFT_OPEN, NO_WORD = "agrees", "disagrees", "the lecture leaves it open", ""


@dataclass(frozen=True)
class Thresholds:
    """Where a figure becomes a tick.

    speed: at most this share of the slowest system's seconds; quality, coverage: at least this share of what real digits
    reach; latent: half-way between two samples at least this share of the samples' own recognised, and more than of two
    real digits faded into each other; disentangled: the best coordinate explains at least this share of what all explain
    together, on average over the factors."""

    speed: float = 1 / 20
    quality: float = 0.9
    coverage: float = 0.9
    latent: float = 0.9
    disentangled: float = 0.5


class TableEntry(NamedTuple):
    """A sign, the figure it comes from, the lecture's sign ('' where it has none), and whether the two agree."""

    sign: str
    figure: str
    lecture: str
    verdict: str


USUAL = Thresholds()


def marks(rows: Sequence[Row], rules: Thresholds = USUAL) -> dict[str, dict[str, TableEntry]]:
    """For each system a mark in each column of the lecture's table, the lecture's own beside it."""
    if not rows:
        raise ValueError("there are no rows: expected at least one system that was measured.")
    slowest, table = max(row.seconds for row in rows), {}
    for row in rows:
        found = (
            _efficient(row, slowest, rules),
            _quality(row, rules),
            _coverage(row, rules),
            _latent(row, rules),
            _disentangled(row, rules),
            _likelihood(row),
        )
        said = LECTURE.get(ROW_OF.get(row.system.family, ""), ("",) * len(COLUMNS))
        table[row.name] = {
            column: TableEntry(*pair, word, verdict(pair[0], word))
            for column, pair, word in zip(COLUMNS, found, said, strict=True)
        }
    return table


def verdict(measured: str, lecture: str) -> str:
    """What two signs say of one another."""
    if not lecture or measured == UNSEEN:
        return NO_WORD
    if lecture == OPEN:
        return LEFT_OPEN
    return AGREES if measured == lecture else DISAGREES


def agreement(table: dict[str, dict[str, TableEntry]]) -> dict[str, int]:
    """How many marks agree, disagree, or answer what the lecture leaves open."""
    words = [mark.verdict for row in table.values() for mark in row.values()]
    return {word: words.count(word) for word in (AGREES, DISAGREES, LEFT_OPEN)}


def _sign(holds: bool) -> str:
    return YES if holds else NO


def _efficient(row: Row, slowest: float, rules: Thresholds) -> tuple[str, str]:
    return _sign(row.seconds <= rules.speed * slowest), milliseconds(row.seconds)


def _quality(row: Row, rules: Thresholds) -> tuple[str, str]:
    ours, real = row.quality.precision, row.floor.precision
    return _sign(ours >= rules.quality * real), f"{ours:.2f} of {real:.2f}"


def _coverage(row: Row, rules: Thresholds) -> tuple[str, str]:
    ours, real = row.quality.coverage, row.floor.coverage
    return _sign(ours >= rules.coverage * real), f"{ours:.2f} of {real:.2f}"


def _latent(row: Row, rules: Thresholds) -> tuple[str, str]:
    if row.latent is None:
        return UNSEEN, ""
    middle, own = row.latent.middle, row.latent.own
    return _sign(middle >= rules.latent * own and middle > row.faded[0]), f"{middle:.2f} of {own:.2f}"


def _disentangled(row: Row, rules: Thresholds) -> tuple[str, str]:
    if row.latent is None:
        return UNSEEN, ""
    one, together = row.latent.one, row.latent.all
    return _sign(one >= rules.disentangled * together > 0), f"{one:.2f} of {together:.2f}"


def _likelihood(row: Row) -> tuple[str, str]:
    """Efficient: exact, and one pass for an image."""
    kind = row.system.likelihood.kind
    if kind == NONE:
        return NOT_APPLICABLE, NONE
    if row.likelihood_result is None:
        return NO, kind if kind == BY_ODE else f"{kind}, not computed"
    passes = f"{row.likelihood_result.passes:.3g} pass{'es' * (row.likelihood_result.passes > 1.005)}"
    return _sign(kind == EXACT and row.likelihood_result.passes < 1.005), f"{kind}, {passes}"
