"""A small notebook for tests of the site: a formula everywhere one may stand, each kind of output, a player and a slider."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from dgm_course.teach.build.build import KERNEL, execute
from dgm_course.teach.build.clean import tidy

PROSE = r"""# 98 · A *small* one

**The promise.** It has $a<b$ and ends.

| what | here |
|---|---|
| cost | `$5` is no formula, $\lVert x\rVert^2$ is |

$$
\log p(x) \ge \underbrace{E_q}_{\text{mean}} \Big[\tfrac12 x_{<i} \& y\Big]
$$

<details><summary>Answer</summary>Because $x<y$, see **raw** <b>HTML</b>.</details>

## 1 · First & foremost

## 1 · First & foremost

A [notebook](99_other.ipynb#end), a [paper](https://example.org/a).
"""
PLAYER = """import torch
from dgm_course.teach import FramePlayer, TrajectoryPlayer, play
x = torch.randn(20, 30, 2, generator=torch.Generator().manual_seed(0)).cumsum(0) / 4
TrajectoryPlayer(x, lambda x, t: -x, label="Thirty particles & more")"""
SLIDER = """def line(slope):
    \"\"\"A line.\"\"\"
    return torch.zeros(8, 8) + slope
play(line, slope=(0.0, 1.0))"""


def write(folder: Path, run: bool = True) -> Path:
    """98_small.ipynb as a build leaves it: with outputs, without widget state."""
    cells = [
        new_markdown_cell(PROSE, id="prose"),
        new_code_cell(PLAYER, id="player", metadata={"tags": ["slide:fm.conical"]}),
        new_code_cell(SLIDER, id="slider"),
        new_code_cell("print('5 < 6 & so on')", id="words"),
    ]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    notebook = tidy(execute(notebook, folder=folder)) if run else notebook
    nbformat.write(notebook, path := folder / "98_small.ipynb")
    other = new_notebook(cells=[new_markdown_cell("# 99 · The other\n\n## End", id="end")])
    nbformat.write(other, folder / "99_other.ipynb")
    return path
