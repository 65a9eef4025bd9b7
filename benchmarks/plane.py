"""Flow matching in the plane: the course's loop against the same training written the usual way.

Eight Gaussians to two moons, MLP of width 64, batch 256.  "The usual way" builds the source point by point in a list, takes
the data from a DataLoader, and steps an unfused Adam; model, loss, learning rate and number of steps are the same.  Both are
timed in turn, in short rounds of one process, in CPU seconds of one thread, so that a busy machine slows both alike.

    python benchmarks/plane.py [--steps 20000] [--seeds 5]
"""
from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dgm_course import data, measures
from dgm_course.dynamics import heun
from dgm_course.fit import Recipe, fit
from dgm_course.nets import MLP
from dgm_course.path_models import Pairs, PathModel
from dgm_course.paths import Linear

BATCH, LR, ROUND = 256, 1e-3, 500
EIGHT, MOONS = data.eight_gaussians(), data.moons()


class Usual:
    """Plain PyTorch, as tutorials have it."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.net = MLP(2, width=64, depth=3)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=LR, foreach=False)
        self.loader = DataLoader(TensorDataset(MOONS.sample(100_000)), batch_size=BATCH, shuffle=True, drop_last=True)
        self.centres, self.std = list(EIGHT.means), float(EIGHT.stds[0, 0])
        self.batches = iter(self.loader)

    def source(self, n: int) -> torch.Tensor:
        which, noise = torch.randint(len(self.centres), (n,)), self.std * torch.randn(n, 2)
        return torch.stack([self.centres[int(which[i])] + noise[i] for i in range(n)])

    def run(self, steps: int) -> None:
        for _ in range(steps):
            try:
                x1, = next(self.batches)
            except StopIteration:
                self.batches = iter(self.loader)
                x1, = next(self.batches)
            x0, t = self.source(len(x1)), torch.rand(len(x1), 1)
            xt = t * x1 + (1 - t) * x0
            loss = ((self.net(xt, t[:, 0]) - (x1 - x0)) ** 2).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            loss.item()


class Course:
    """The library's own loop, resumed from round to round."""

    def __init__(self, seed: int, steps: int) -> None:
        torch.manual_seed(seed)
        self.net = MLP(2, width=64, depth=3)
        self.model, self.done, self.seed = PathModel(self.net, Linear(EIGHT), (2,)), 0, seed

    def run(self, steps: int) -> None:
        fit(self.model, Pairs(MOONS, EIGHT), Recipe(steps, BATCH, LR, seed=self.seed * 1000 + self.done))
        self.done += 1


def distance(net: nn.Module) -> float:
    """Exact 2-Wasserstein distance of 2,000 samples to 2,000 stratified true ones; sources stratified as well."""
    torch.manual_seed(99)
    field = PathModel(net, Linear(EIGHT), (2,))
    return float(measures.wasserstein(field.sample(EIGHT.stratified(2000), steps=100, method=heun), MOONS.stratified(2000)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warm = Usual(0), Course(0, 200)
    for trainer in warm:
        trainer.run(200)
    ratios, totals, distances = [], {"usual": [], "course": []}, {"usual": [], "course": []}
    for seed in range(args.seeds):
        pair = {"usual": Usual(seed), "course": Course(seed, args.steps)}
        spent = {"usual": 0.0, "course": 0.0}
        for number in range(args.steps // ROUND):
            took = {}
            for name in ("usual", "course") if number % 2 else ("course", "usual"):
                start = time.process_time()
                pair[name].run(ROUND)
                took[name] = time.process_time() - start
                spent[name] += took[name]
            ratios.append(took["usual"] / took["course"])
        for name, trainer in pair.items():
            totals[name].append(spent[name])
            distances[name].append(distance(trainer.net))
        print(f"seed {seed}: " + ", ".join(f"{n} {spent[n]:.1f} CPU s, W2 {distances[n][-1]:.3f}" for n in pair), flush=True)
    low, mid, high = (statistics.quantiles(ratios, n=10)[k] for k in (0, 4, 8))
    floor = measures.wasserstein(MOONS.stratified(2000), MOONS.stratified(2000))
    print(f"\nusual / course, CPU seconds: median {mid:.2f} (80 % of {len(ratios)} rounds between {low:.2f} and {high:.2f})")
    for name, values in distances.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0
        print(f"W2 {name:7} {statistics.mean(values):.3f} ± {spread:.3f} over {args.seeds} seeds")
    print(f"W2 floor   {floor:.3f} (two stratified samples of 2,000)")


if __name__ == "__main__":
    main()
