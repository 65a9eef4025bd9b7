"""Digits live: train for a minute on two cores from the embedded images, and judge as notebook 08 does.

Prints seconds of training, Fréchet distance over the floor, precision and recall: by the notebook's sampler, and by a
hundred ancestral steps, shorter ones near the noise, guided by the class and by the same network as it was early in its
training.  Then the figures of the shipped weights, from their card.

    python benchmarks/digits.py [--seeds 3] [--steps 2400]
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from dgm_course import data, pretrained
from dgm_course.core.tensors import seed
from dgm_course.paths import ancestral
from dgm_course.paths.model import PathModel
from dgm_course.training import History, fit


class Autoguided(nn.Module):
    """v + weight (v - v_worse) + (guidance - 1) (v - v(x, t)), all but the last given y.      (Karras et al. 2024)"""

    def __init__(self, net: nn.Module, worse: nn.Module, weight: float, guidance: float) -> None:
        super().__init__()
        self.net, self.worse, self.weight, self.guidance = net, worse, weight, guidance

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        v = self.net(x, t, y)
        return v + self.weight * (v - self.worse(x, t, y)) + (self.guidance - 1) * (v - self.net(x, t))


def line(name: str, figures: dict) -> str:
    ratio = figures["frechet"] / figures["frechet_floor"]
    return (
        f"{name:28} Fréchet {figures['frechet']:6.2f} = {ratio:.2f} × floor ({figures['frechet_floor']:.2f})   "
        f"precision {figures['precision']:.3f}   recall {figures['recall']:.3f}   coverage {figures['coverage']:.3f}"
    )


def trained(images: data.Images, steps: int, number: int) -> tuple[PathModel, PathModel, float]:
    """The model of a minute, itself after a tenth of its steps, and the seconds."""
    seed(number)
    model = pretrained.live_digits(images)
    young, early = copy.deepcopy(model), steps // 20 * 2

    def keep(history: History) -> None:
        if history.step == early:
            young.load_state_dict(
                {
                    name.removeprefix("average.module."): value
                    for name, value in history.tensors.items()
                    if name.startswith("average.module.")
                }
            )

    recipe = replace(pretrained.live_recipe(steps), seed=number)
    history = fit(model, (images.train, None, images.train_labels), recipe, report=keep)
    return model, young.eval(), history.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2400, help="of training; the notebook takes 900")
    args = parser.parse_args()
    images, times = data.mnist(), 1 - (1 - torch.linspace(0, 1, 101)) ** 0.7
    for number in range(args.seeds):
        model, young, seconds = trained(images, args.steps, number)
        print(line(f"live, seed {number}, {seconds:.0f} s", pretrained.sample_quality(model, images)), flush=True)
        labels = pretrained.balanced(1000, images.test)
        guided = model.with_label(labels)
        guided.net = Autoguided(model.net, young.net, 0.5, 1.3)
        figures = pretrained.judged(
            lambda _, guided=guided: guided.sample(1000, times, ancestral), images, "autoguided"
        )
        print(line("    autoguided, ancestral", figures), flush=True)
    card = pretrained.card("flow_matching_digits")["held_out"]
    print(line("shipped, from its card", card))
    print(line("    guidance 1.2, five draws", card["often"]))


if __name__ == "__main__":
    main()
