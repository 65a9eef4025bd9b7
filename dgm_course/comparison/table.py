"""The lecture's table, and the same table from measured figures, each mark by a rule and with its number.

Quality and coverage are compared with real digits, cost with the slowest system, a latent space with its own samples.
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
    """The rules of a tick.  speed: at most this share of the slowest system's seconds; quality, coverage: at least this
    share of the floor; latent: interpolations are recognised at least this share as often as samples, and more often than
    means of two real digits; disentangled: the best coordinate explains at least this share of what all explain."""

    speed: float = 1 / 20
    quality: float = 0.9
    coverage: float = 0.9
    latent: float = 0.9
    disentangled: float = 0.5


class TableEntry(NamedTuple):
    """A sign, its figure, the lecture's sign ('' where it has none), and whether the two agree."""

    sign: str
    figure: str
    lecture: str
    verdict: str


USUAL = Thresholds()


def marks(rows: Sequence[Row], rules: Thresholds = USUAL) -> dict[str, dict[str, TableEntry]]:
    """For each system an entry in each column of the lecture's table."""
    if not rows:
        raise ValueError("there are no rows: expected at least one measured system.")
    slowest, table = max(row.seconds for row in rows), {}
    for row in rows:
        found = [_efficient(row, slowest, rules), _against_floor(row, "precision", rules.quality)]
        found += [_against_floor(row, "coverage", rules.coverage), _latent(row, rules), _disentangled(row, rules)]
        found.append(_likelihood(row))
        said = LECTURE.get(ROW_OF.get(row.system.family, ""), ("",) * len(COLUMNS))
        table[row.name] = {
            column: TableEntry(*pair, word, verdict(pair[0], word))
            for column, pair, word in zip(COLUMNS, found, said, strict=True)
        }
    return table


def verdict(measured: str, lecture: str) -> str:
    """Whether two signs agree."""
    if not lecture or measured == UNSEEN:
        return NO_WORD
    if lecture == OPEN:
        return LEFT_OPEN
    return AGREES if measured == lecture else DISAGREES


def agreement(table: dict[str, dict[str, TableEntry]]) -> dict[str, int]:
    """How many entries agree, disagree, or are open in the lecture."""
    words = [mark.verdict for row in table.values() for mark in row.values()]
    return {word: words.count(word) for word in (AGREES, DISAGREES, LEFT_OPEN)}


def _sign(holds: bool) -> str:
    return YES if holds else NO


def _efficient(row: Row, slowest: float, rules: Thresholds) -> tuple[str, str]:
    return _sign(row.seconds <= rules.speed * slowest), milliseconds(row.seconds)


def _against_floor(row: Row, figure: str, share: float) -> tuple[str, str]:
    ours, real = getattr(row.quality, figure), getattr(row.floor, figure)
    return _sign(ours >= share * real), f"{ours:.2f} of {real:.2f}"


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
    passes = row.likelihood_result.passes
    return _sign(kind == EXACT and passes < 1.005), f"{kind}, {passes:.3g} pass{'es' * (passes > 1.005)}"
