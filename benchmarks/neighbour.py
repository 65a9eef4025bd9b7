"""A training on all cores, alone and beside busy programs: the time with torch's own way of waiting over the course's.

Torch's threads wait for each other awake, which costs nothing alone and much where there are fewer cores than work. The
course asks them to sleep sooner (GOMP_SPINCOUNT, set by `dgm lab`, read by torch on Linux). Each turn is a process
of its own, which prints its seconds.

    python benchmarks/neighbour.py [--rounds 4]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from turns import ratio

from dgm_course.core.notebook_dir import thread_waits

OWN, COURSE = {}, thread_waits({})


def steps(count: int = 60) -> None:
    """Steps of the U-Net for digits; prints their seconds by the clock."""
    from dgm_course import data, pretrained
    from dgm_course.training import fit

    images, model = data.mnist(), pretrained.digits_flow()
    table = (images.train, None, images.train_labels)
    fit(model, table, pretrained.live_recipe(5))
    start = time.perf_counter()
    fit(model, table, pretrained.live_recipe(count))
    print(time.perf_counter() - start)


def train(way: dict[str, str]) -> float:
    """The seconds of one such process."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    said = subprocess.run(
        [sys.executable, __file__, "--one"], env=environment | way, capture_output=True, text=True, check=True
    )
    return float(said.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--one", action="store_true", help="only train, and print the seconds")
    args = parser.parse_args()
    if args.one:
        return steps()
    for busy in range(3):
        neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
        try:
            rounds = [(train(OWN), train(COURSE)) for _ in range(args.rounds)]
        finally:
            for neighbour in neighbours:
                neighbour.kill()
        print(f"beside {busy} busy programs" + ratio(*map(list, zip(*rounds))), flush=True)


if __name__ == "__main__":
    main()
