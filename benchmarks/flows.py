"""Two moons by a flow: CPU seconds until held-out points cost 0.043 nats more than the entropy, beside zuko's RealNVP.

zuko (a well-made flow library, no part of the course: pip install zuko) gets eight of its couplings, Adam, batches of 512
and several learning rates; the best counts.  The two train in turn, so that a busy machine slows both alike.  Evaluation is
not counted.

    python benchmarks/flows.py [--seeds 3]
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dgm_course import data, flows
from dgm_course.core.tensors import seed
from dgm_course.training import History, Recipe, fit, linear

MOONS, MARGIN, LOOK = data.moons(), 0.043, 20


class GoalTimer:
    """CPU seconds of a training until its held-out nats reach the goal."""

    def __init__(self, held_out: Tensor, goal: float) -> None:
        self.held_out, self.goal, self.spent, self.steps, self.best = held_out, goal, 0.0, 0, float("inf")
        self.reached: float | None = None

    @torch.no_grad()
    def look(self, log_prob: object, spent: float, steps: int) -> None:
        self.spent, self.steps = self.spent + spent, self.steps + steps
        self.best = min(self.best, -float(log_prob(self.held_out).mean()))
        if self.reached is None and self.best <= self.goal:
            self.reached = self.spent

    def __repr__(self) -> str:
        return (
            f"{'not reached' if self.reached is None else f'{self.reached:.1f} CPU s'} (best {self.best:.3f} nats, "
            f"{1000 * self.spent / max(1, self.steps):.1f} ms a step)"
        )


def theirs(rate: float, points: Tensor, watch: GoalTimer) -> Iterator[None]:
    """zuko's RealNVP, some steps at each turn."""
    import zuko

    model = zuko.flows.RealNVP(2, transforms=8, hidden_features=(64, 64))
    optimizer = torch.optim.Adam(model.parameters(), rate)
    while True:
        start = time.process_time()
        for _ in range(LOOK):
            loss = -model().log_prob(points[torch.randint(len(points), (512,))]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        watch.look(lambda x: model().log_prob(x), time.process_time() - start, LOOK)
        yield


def train_all(number: int, steps: int, rates: tuple[float, ...]) -> dict[str, GoalTimer]:
    """The course's RealNVP through ``fit``; at every pause the others have their turn."""
    seed(number)
    points, held_out = MOONS.sample(16_384), MOONS.sample(4096)
    goal = -float(MOONS.log_prob(held_out).mean()) + MARGIN
    watches = {"course": GoalTimer(held_out, goal)} | {
        f"zuko, rate {r:g}": GoalTimer(held_out, goal) for r in rates
    }
    others = [theirs(rate, points, watches[f"zuko, rate {rate:g}"]) for rate in rates]
    flow: nn.Module = flows.Flow(flows.couplings(2, 8), 2)
    mark = time.process_time()

    def pause(history: History) -> None:
        nonlocal mark
        if history.step % LOOK == 0:
            watches["course"].look(flow.log_prob, time.process_time() - mark, LOOK)
            for other in others:
                next(other)
            mark = time.process_time()

    fit(flow, points, Recipe(steps, 256, 4e-3, warmup=20, decay=linear, seed=number), report=pause)
    return watches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rates = (1e-3, 3e-3) if importlib.util.find_spec("zuko") else ()
    if not rates:
        print("zuko is not installed: the course's flow alone")
    ratios = []
    for number in range(args.seeds):
        watches = train_all(number, args.steps, rates)
        for name, watch in watches.items():
            print(f"seed {number}, {name:16} {watch}", flush=True)
        reached = [w.reached for name, w in watches.items() if name != "course" and w.reached]
        if reached and watches["course"].reached:
            ratios.append(min(reached) / watches["course"].reached)
    if ratios:
        print(
            f"zuko's best / course, CPU seconds: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
            f"{max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
