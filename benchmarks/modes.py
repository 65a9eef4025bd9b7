"""Modes of adversarial games: the plain game and its cures on eight Gaussians and on a grid of 25, over several seeds.

Prints, for each world and game, the modes found (one sample within three deviations), the share of samples that near (a
perfect sampler has 98.9 %), the reverse KL of the shares and the deviation of modes over the true one, mean ± sd over
seeds, and CPU seconds a run.  2,500 samples a count, as PacGAN has it; the ring is the course's (radius 3, std 0.25), the
grid has steps of 1.5 and std 0.1, so no figure compares with the paper's.

Five seeds of 2,000 steps on the ring: plain 1.4 ± 0.9 of 8 modes; an even pace 8.0 ± 0.0, 91.7 ± 2.2 % of high quality;
all but packing 8.0 ± 0.0, 89.2 ± 1.9 %.  The grid is not solved by changes of the game: "all but packing, R1 halved" at
width 128 found all 25 with 68 % after 6,000 steps, and 21 with 79 % after 11,000 (one seed each).  It is by noise that
chooses first, width 128, 3,000 steps: 25 of 25 in each of five seeds, 95.9 ± 3.4 % of high quality, 34 CPU s a run.

    python benchmarks/modes.py [--seeds 5] [--steps 3000] [--width 64] [--world ring] [--game "all four"]
    python benchmarks/modes.py --world grid --game "a choice first" --width 128
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, replace

from dgm_course import data, nets
from dgm_course.core import metrics
from dgm_course.core.tensors import seed
from dgm_course.gan import GAN, R1, Game, non_saturating
from dgm_course.training import Recipe, fit, linear

WORLDS = {"ring": data.eight_gaussians, "grid": data.grid25}


@dataclass(frozen=True)
class Setting:
    """What one row of the table was trained with; lr_ratio: the generator's learning rate over the critic's."""

    game: Game
    lr: float = 3e-4
    lr_ratio: float = 10.0
    pack: int = 1
    latent: int = 2
    choices: int = 0
    batch: int = 128

    def model(self, width: int) -> GAN:
        critic, generator = (
            nets.MLPDiscriminator(2 * self.pack, width),
            nets.MLPGenerator(self.choices + self.latent, width=width),
        )
        return GAN(
            nets.MixtureLatent(generator, self.choices) if self.choices else generator,
            nets.PacDiscriminator(critic, self.pack) if self.pack > 1 else critic,
            self.game,
            lr_ratio=self.lr_ratio,
        )

    def recipe(self, steps: int, number: int) -> Recipe:
        return Recipe(steps, self.batch, self.lr, decay=linear, betas=(0.5, 0.99), seed=number)


PLAIN = Setting(non_saturating())
R1_GAME = non_saturating().with_penalty(R1(0.1))
SETTINGS = {
    "plain": PLAIN,
    "even pace": replace(PLAIN, lr=3e-3, lr_ratio=1.0),
    "more noise": replace(PLAIN, latent=16),
    "R1": replace(PLAIN, game=R1_GAME),
    "packing (2)": replace(PLAIN, pack=2),
    "all four": Setting(R1_GAME, 3e-3, 1.0, 2, 16),
    "all but R1": Setting(non_saturating(), 3e-3, 1.0, 2, 16),
    "all but packing": Setting(R1_GAME, 3e-3, 1.0, 1, 16),
    "all but packing, R1 halved": Setting(non_saturating().with_penalty(R1(0.05)), 3e-3, 1.0, 1, 16),
    "a choice first": Setting(non_saturating().with_penalty(R1(0.05)), 3e-3, 1.0, 1, 2, choices=100, batch=256),
}


def run(
    world: data.ToyDistribution, setting: Setting, width: int, steps: int, number: int
) -> tuple[metrics.ModeCounts, float]:
    """What one seed found, and its CPU seconds."""
    seed(number)
    gan = setting.model(width)
    start = time.process_time()
    fit(gan, world, setting.recipe(steps, number))
    spent = time.process_time() - start
    return metrics.mode_counts(gan.sample(2500), world.means, float(world.stds[0, 0])), spent


def format_values(values: list[float], digits: int) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--game", choices=list(SETTINGS), action="append", help="one of them only")
    parser.add_argument("--world", choices=list(WORLDS), action="append", help="one of them only")
    args = parser.parse_args()
    print(
        "| world | game | modes found | high quality, % | reverse KL | spread | CPU s |\n|---|---|---|---|---|---|---|"
    )
    for name in args.world or list(WORLDS):
        world = WORLDS[name]()
        for label in args.game or list(SETTINGS):
            runs = [run(world, SETTINGS[label], args.width, args.steps, number) for number in range(args.seeds)]
            found, spent = zip(*runs)
            columns = [
                format_values([float(f.covered) for f in found], 1) + f" of {found[0].modes}",
                format_values([100 * f.high_quality for f in found], 1),
                format_values([f.reverse_kl for f in found], 3),
                format_values([f.spread for f in found], 2),
                format_values(list(spent), 0),
            ]
            print(f"| {name} | {label} | " + " | ".join(columns) + " |", flush=True)


if __name__ == "__main__":
    main()
