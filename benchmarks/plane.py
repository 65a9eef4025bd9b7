"""Flow matching in the plane: the course's loop against the same training written the usual way.

Eight Gaussians to two moons, MLP of width 64, batch 256.  "The usual way" builds the source point by point in a list, takes
the data from a DataLoader, and steps an unfused Adam; model, loss, learning rate and number of steps are the same.  The
course's loop is stopped every few hundred steps for the other to catch up, so that a busy machine slows both alike; what is
compared is CPU seconds.  The usual way leaves torch its number of threads (``--threads 1`` takes them away), the course's
loop uses one for a small network.

    python benchmarks/plane.py [--steps 20000] [--seeds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from turns import in_turn, ratio

from dgm_course import data
from dgm_course.core import metrics
from dgm_course.core.ode import heun
from dgm_course.nets import MLP
from dgm_course.paths import LinearPath
from dgm_course.paths.model import IndependentPairs, PathModel
from dgm_course.training import History, Recipe, fit

BATCH, LR, ROUND = 256, 1e-3, 500
EIGHT, MOONS = data.eight_gaussians(), data.moons()


class Usual:
    """Plain PyTorch, as tutorials have it."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.net = MLP(2, width=64, depth=3)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=LR, foreach=False)
        self.loader = DataLoader(
            TensorDataset(MOONS.sample(100_000)), batch_size=BATCH, shuffle=True, drop_last=True
        )
        self.centres, self.std = EIGHT.means, float(EIGHT.stds[0, 0])
        self.batches = iter(self.loader)

    def source(self, n: int) -> torch.Tensor:
        which, noise = torch.multinomial(torch.ones(8), n, replacement=True), self.std * torch.randn(n, 2)
        return torch.stack([self.centres[which[i]] + noise[i] for i in range(n)])

    def run(self, steps: int) -> None:
        for _ in range(steps):
            try:
                (x1,) = next(self.batches)
            except StopIteration:
                self.batches = iter(self.loader)
                (x1,) = next(self.batches)
            x0, t = self.source(len(x1)), torch.rand(len(x1), 1)
            xt = t * x1 + (1 - t) * x0
            loss = ((self.net(xt, t[:, 0]) - (x1 - x0)) ** 2).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            loss.item()


def train_all(seed: int, steps: int, threads: int) -> tuple[dict[str, nn.Module], dict[str, list[float]]]:
    """Both trainings in step: whenever the course has done a round it pauses, and the usual way does one.

    -> the two networks, CPU seconds of each round"""
    usual, took, mark = Usual(seed), {"usual": [], "course": []}, time.process_time()

    def round_done(history: History) -> None:
        nonlocal mark
        if history.step % ROUND == 0:
            took["course"].append(time.process_time() - mark)
            start, before = time.process_time(), torch.get_num_threads()
            torch.set_num_threads(threads)
            usual.run(ROUND)
            torch.set_num_threads(before)
            mark = time.process_time()
            took["usual"].append(mark - start)

    torch.manual_seed(seed)
    model = PathModel(MLP(2, width=64, depth=3), LinearPath(EIGHT), (2,))
    mark = time.process_time()
    fit(model, IndependentPairs(MOONS, EIGHT), Recipe(steps, BATCH, LR, seed=seed), report=round_done)
    return {"usual": usual.net, "course": model.net}, took


def compare(rounds: int, threads: int, steps: int = ROUND) -> None:
    """Print how long the usual loop takes over the course's, in CPU seconds of so many steps each."""
    usual = Usual(0)
    model = PathModel(MLP(2, width=64, depth=3), LinearPath(EIGHT), (2,))

    def plain() -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        usual.run(steps)
        torch.set_num_threads(before)

    found = in_turn(
        rounds,
        time.process_time,
        usual=plain,
        course=lambda: fit(model, IndependentPairs(MOONS, EIGHT), Recipe(steps, BATCH, LR)),
    )
    print(
        f"the plane: {1000 * statistics.median(found['course']) / steps:.2f} CPU ms a step of training, the usual loop "
        f"takes {ratio(found['usual'], found['course'])} as long",
        flush=True,
    )


def distance(net: nn.Module) -> float:
    """Exact 2-Wasserstein distance of 2,000 samples to 2,000 stratified true ones; sources stratified as well."""
    torch.manual_seed(99)
    field = PathModel(net, LinearPath(EIGHT), (2,))
    return float(
        metrics.wasserstein(field.sample(EIGHT.stratified(2000), steps=100, method=heun), MOONS.stratified(2000))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--threads",
        type=int,
        default=torch.get_num_threads(),
        help="of the usual way; torch's own number unless given",
    )
    args = parser.parse_args()
    train_all(0, ROUND, args.threads)  # the first steps of a process are slow
    ratios, distances = [], {"usual": [], "course": []}
    for seed in range(args.seeds):
        nets, took = train_all(seed, args.steps, args.threads)
        ratios += [usual / course for usual, course in zip(took["usual"], took["course"])]
        for name, net in nets.items():
            distances[name].append(distance(net))
        message = ", ".join(f"{n} {sum(took[n]):.1f} CPU s, W2 {distances[n][-1]:.3f}" for n in nets)
        print(f"seed {seed}: {message}", flush=True)
    low, mid, high = (statistics.quantiles(ratios, n=10)[k] for k in (0, 4, 8))
    floor = metrics.wasserstein(MOONS.stratified(2000), MOONS.stratified(2000))
    print(
        f"\nusual / course, CPU seconds: median {mid:.2f} (80 % of {len(ratios)} rounds between {low:.2f} and {high:.2f})"
    )
    for name, values in distances.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0
        print(f"W2 {name:7} {statistics.mean(values):.3f} ± {spread:.3f} over {args.seeds} seeds")
    print(f"W2 floor   {floor:.3f} (two stratified samples of 2,000)")


if __name__ == "__main__":
    main()
