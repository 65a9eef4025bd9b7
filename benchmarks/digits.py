"""Digits live: train as notebook 08 does, on two cores, and judge as it does.

Prints seconds of training, Fréchet distance over the floor, precision and recall for several seeds, and the same figures of
the shipped weights.

    python benchmarks/digits.py [--seeds 3]
"""
from __future__ import annotations

import argparse
from dataclasses import replace

from dgm_course import data, pretrained
from dgm_course.fit import fit
from dgm_course.tensors import seed


def line(name: str, told: dict) -> str:
    ratio = told["frechet"] / told["frechet_floor"]
    return (f"{name:16} Fréchet {told['frechet']:6.1f} = {ratio:.2f} × floor ({told['frechet_floor']:.1f})   "
            f"precision {told['precision']:.3f}   recall {told['recall']:.3f}   coverage {told['coverage']:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1900, help="of training; the notebook takes 800")
    args = parser.parse_args()
    images = data.mnist()
    print(line("shipped weights", pretrained.likeness(pretrained.load("flow_matching_digits"), images)), flush=True)
    for number in range(args.seeds):
        seed(number)
        model = pretrained.digits_flow()
        recipe = replace(pretrained.live_recipe(args.steps), seed=number)
        history = fit(model, (images.train, None, images.train_labels), recipe)
        told = line(f"live, seed {number}", pretrained.likeness(model, images))
        print(told, f"  {history.seconds:.1f} s of training", flush=True)


if __name__ == "__main__":
    main()
