"""Training on the device at hand: images a second, the share of what the device can do, and the plain loop beside it.

Models and recipes are those of ``dgm train``, on the embedded images.  The plain loop trains the same network in float32,
takes its batches from a DataLoader on the CPU, steps an Adam that is not fused and reads its loss each time.  What the
device can do is the rate of one large product of matrices, in the dtype that the course computes in; torch counts the
operations of a step.

    python benchmarks/throughput.py [--device cuda] [--steps 20] [--rounds 3] [--batch 32]
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode
from turns import in_turn, ratio

from dgm_course import data, pretrained
from dgm_course.core.tensors import device, threads_for
from dgm_course.training import Recipe, TrainState, batch_stream, train_step

NAMES = (
    "flow_matching_digits",
    "ddpm_digits",
    "absorbing_digits",
    "pixel_cnn_digits",
    "image_gpt_digits",
    "vae_digits",
    "vqvae_digits",
    "flow_digits",
)


def waited(device: torch.device) -> None:
    """Until all that was asked of a GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def plain_batches(table: object, batch: int, device: torch.device) -> Iterator[tuple[Tensor | None, ...]]:
    """The same samples from a DataLoader, moved batch by batch; bits are drawn anew each time."""
    columns = (
        (table.images,)
        if isinstance(table, data.DynamicallyBinarized)
        else table
        if isinstance(table, tuple)
        else (table,)
    )
    loader = DataLoader(
        TensorDataset(*[c.cpu() for c in columns if c is not None]), batch, shuffle=True, drop_last=True
    )
    while True:
        for parts in loader:
            left = iter(part.to(device) for part in parts)
            found = tuple(None if c is None else next(left) for c in columns)
            yield (
                (data.binarise(found[0], "dynamic").long(),)
                if isinstance(table, data.DynamicallyBinarized)
                else found
            )


def plain_steps(model: nn.Module, table: object, recipe: Recipe, device: torch.device) -> Callable[[int], None]:
    """So many steps as tutorials write them."""
    model = model.to(memory_format=torch.contiguous_format).to(device).train()
    for part in model.modules():
        if getattr(part, "precision", None) is not None:
            part.precision = None
    optimizer = torch.optim.Adam(model.parameters(), recipe.lr, recipe.betas, foreach=False)
    batches = plain_batches(table, recipe.batch, device)

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            loss = model.loss(*next(batches))
            loss.backward()
            optimizer.step()
            loss.item()

    return steps


def course_steps(model: nn.Module, table: object, recipe: Recipe, device: torch.device) -> Callable[[int], None]:
    """So many steps of ``fit``."""
    state = TrainState.create(model.to(device), recipe)
    batches = batch_stream(table, recipe, device)

    def steps(count: int) -> None:
        with threads_for(model):
            for _ in range(count):
                train_step(state, batches(state.history.step))
        waited(device)

    return steps


def operations(model: nn.Module, batch: tuple[Tensor | None, ...]) -> float:
    """Multiplications and additions of a step, forwards and backwards, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        model.loss(*batch).backward()
    model.zero_grad()
    return counter.get_total_flops()


def peak(dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of a large product of matrices: the best of ten."""
    n = 8192 if device.type == "cuda" else 1536
    a, best = torch.randn(n, n, device=device, dtype=dtype), float("inf")
    for _ in range(10):
        start = time.perf_counter()
        a @ a
        waited(device)
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best


def compare(name: str, rounds: int, steps: int, device: torch.device, batch: int | None) -> None:
    """Print a line: a training in turn with the plain one."""
    made, images = pretrained.entry(name), data.mnist().to(device)
    model, recipe, table = made.training(made.blank().to(device)), made.recipe(), made.batches(images)
    recipe = replace(recipe, batch=batch or recipe.batch)
    plain = plain_steps(copy.deepcopy(model), table, recipe, device)
    count = operations(model.to(device).train(), batch_stream(table, recipe, device)(0))
    course = course_steps(model, table, recipe, device)
    found = in_turn(rounds, plain=lambda: plain(steps), course=lambda: course(steps))
    dtype = getattr(model, "precision", None) or recipe.precision or torch.float32
    rate = steps / statistics.median(found["course"])
    times = ratio(found["plain"], found["course"])
    print(
        f"{name:22} {rate * recipe.batch:7.0f} images a second in batches of {recipe.batch:3}, {times} the plain loop's, "
        f"{100 * rate * count / peak(dtype, device):3.0f} % of a product's rate in {dtype}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", type=torch.device, default=device())
    parser.add_argument("--steps", type=int, default=20, help="in a turn of each side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, help="images a step, in place of the recipes' own")
    parser.add_argument("names", nargs="*", default=NAMES, help="of weights, as `dgm train` knows them")
    args = parser.parse_args()
    print(f"torch {torch.__version__} on {args.device}, {args.rounds} rounds of {args.steps} steps")
    for name in args.names:
        compare(name, args.rounds, args.steps, args.device, args.batch)


if __name__ == "__main__":
    main()
