"""Seconds that Run All takes for each notebook as it is handed out (quick budget, CPU, two threads), one after the other.

    python -m benchmarks notebooks [--only 06 08] [--rounds 1]

Run it while nothing else runs. `dgm doctor` says how much slower this machine is than the one of the figures in README.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat

from dgm_course.teach import build

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def run_all(path: Path) -> float:
    """Seconds by the clock, from starting the kernel to its end."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    build.execute(notebook, timeout=1800, folder=NOTEBOOKS)
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks notebooks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[""], help="numbers of notebooks; all of them unless given")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each")
    options = parser.parse_args(arguments)
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        if path.stem.startswith(tuple(options.only)):
            seconds = [run_all(path) for _ in range(options.rounds)]
            spread = f"({min(seconds):.1f} to {max(seconds):.1f})"
            print(f"{path.stem:28} {statistics.median(seconds):6.1f} s {spread}", flush=True)


if __name__ == "__main__":
    main()
