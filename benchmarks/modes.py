"""Modes of adversarial games: the plain game and its cures on eight Gaussians and on a grid of 25, over several seeds.

Prints, for each world and game, the modes found (one sample within three deviations), the share of samples that near (a
perfect sampler has 98.9 %), the reverse KL of the shares and the deviation of modes over the true one, mean ± sd over
seeds, and CPU seconds a run.  2,500 samples a count, as PacGAN has it; the ring is the course's (radius 3, std 0.25), the
grid has steps of 1.5 and std 0.1, so no figure compares with the paper's.

    python benchmarks/modes.py [--seeds 5] [--world ring]
"""
from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, replace

from dgm_course import adversarial_nets as nets
from dgm_course import data, measures
from dgm_course.fit import Recipe, constant, fit, linear
from dgm_course.gan import GAN, R1, Game, non_saturating
from dgm_course.tensors import seed

WORLDS = {"ring": data.eight_gaussians, "grid": data.grid25}


@dataclass(frozen=True)
class Setting:
    """What one row of the table was trained with; pace: the generator's learning rate over the critic's."""

    game: Game
    lr: float = 2e-4
    pace: float = 10.0
    pack: int = 1
    ema: float = 0.0
    settle: bool = False  # the rate goes to zero, linearly

    def recipe(self, steps: int, number: int) -> Recipe:
        decay = linear if self.settle else constant
        return Recipe(steps, 128, self.lr, decay=decay, ema=self.ema, betas=(0.5, 0.9), seed=number)


PLAIN = Setting(non_saturating())
R1_ONLY = replace(PLAIN, game=non_saturating().plus(R1(0.1)))
SETTINGS = {
    "plain": PLAIN,
    "two time scales": replace(PLAIN, lr=2e-3, pace=0.5),
    "R1": R1_ONLY,
    "packing (2)": replace(PLAIN, pack=2),
    "all, and rest at the end": replace(R1_ONLY, lr=2e-3, pace=0.5, pack=2, ema=0.99, settle=True),
}


def run(world: data.World, setting: Setting, steps: int, number: int) -> tuple[measures.ModeCounts, float]:
    """What one seed found, and its CPU seconds."""
    seed(number)
    critic = nets.Critic(2 * setting.pack, 64, 2)
    gan = GAN(nets.Sculptor(2, 2, 64, 2), nets.Packed(critic, setting.pack), setting.game, pace=setting.pace)
    start = time.process_time()
    fit(gan, world, setting.recipe(steps, number))
    spent = time.process_time() - start
    return measures.mode_counts(gan.sample(2500), world.means, float(world.stds[0, 0])), spent


def told(values: list[float], digits: int) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--world", choices=list(WORLDS), action="append", help="one of them only")
    args = parser.parse_args()
    print("| world | game | modes found | high quality, % | reverse KL | spread | CPU s |\n|---|---|---|---|---|---|---|")
    for name in args.world or list(WORLDS):
        world = WORLDS[name]()
        for label, setting in SETTINGS.items():
            found, spent = zip(*[run(world, setting, args.steps, number) for number in range(args.seeds)])
            columns = [told([float(f.covered) for f in found], 1) + f" of {found[0].modes}",
                       told([100 * f.high_quality for f in found], 1), told([f.reverse_kl for f in found], 3),
                       told([f.spread for f in found], 2), told(list(spent), 0)]
            print(f"| {name} | {label} | " + " | ".join(columns) + " |", flush=True)


if __name__ == "__main__":
    main()
