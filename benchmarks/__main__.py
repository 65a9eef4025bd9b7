"""All ratios against plain implementations in one run, a line each, the two sides in turn: training, sampling, the plane,
a redraw.

    python -m benchmarks [--rounds 3] [--threads 2]
    python -m benchmarks notebooks [--only 06 08]      seconds of Run All (notebooks.py)
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))  # each of its neighbours is a script of its own as well
import autoregressive  # noqa: E402
import plane  # noqa: E402
import redraw  # noqa: E402

import notebooks  # noqa: E402


def main() -> None:
    if sys.argv[1:2] == ["notebooks"]:
        return notebooks.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="of the plain sides, and of trainings"
    )
    args = parser.parse_args()
    print(
        f"torch {torch.__version__}, {platform.machine()}, {args.threads} threads: the median of {args.rounds} rounds "
        "(the least to the most)",
        flush=True,
    )
    autoregressive.compare(args.rounds, args.threads)
    plane.compare(args.rounds, args.threads)
    redraw.digits(args.rounds)


if __name__ == "__main__":
    main()
