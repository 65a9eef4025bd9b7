"""A hundred digits drawn anew, as a slider asks for them: the course's way against one panel for each digit.

Both end in a PNG of about the same size.  The plain way is what most notebooks do, ``plt.subplots(10, 10)``.

    python benchmarks/redraw.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import io
import statistics
import time

from matplotlib.figure import Figure
from turns import in_turn, ratio

from dgm_course import data
from dgm_course.teach import plots
from dgm_course.teach.widgets.play import picture_of


def digits(rounds: int) -> None:
    """Print how long each takes, in CPU time of this process."""
    x = data.mnist().test[:100]

    def plain() -> None:
        figure = Figure(figsize=(5, 5))
        for ax, image in zip(figure.subplots(10, 10).flat, x):
            ax.imshow(image[0], cmap="gray_r")
            ax.axis("off")
        figure.savefig(io.BytesIO(), format="png")

    found = in_turn(
        rounds,
        time.process_time,
        plain=plain,
        ours=lambda: picture_of(plots.tiles(x)),
        figure=lambda: plots.images(x).png(),
    )
    for name, what in (("ours", "as a slider's picture"), ("figure", "as a figure")):
        print(
            f"a hundred digits drawn anew {what}: {1000 * statistics.median(found[name]):.0f} ms, a panel for each takes "
            f"{ratio(found['plain'], found[name])} as long",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    digits(parser.parse_args().rounds)


if __name__ == "__main__":
    main()
