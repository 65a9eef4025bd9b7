"""`dgm nbgrader DIR`: a course folder for nbgrader, with the notebooks as they are committed.

nbgrader counts a check cell that raises as failed. It runs a student's code and the checks in one kernel, so its marks are
not protected as those of `dgm grade` are.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

CONFIG = '''"""nbgrader's settings for this course; written by `dgm nbgrader`."""
import os

from nbgrader.preprocessors import (
    CheckCellMetadata, ClearHiddenTests, ClearOutput, ComputeChecksums, LockCells, SaveCells,
)

# Kernels inherit these: short trainings, no graphics card, the same numbers for everybody.
os.environ.setdefault("DGM_BUDGET", "brief")
os.environ.setdefault("DGM_DEVICE", "cpu")

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "dgm"
# The notebooks hold no solutions, so none are cleared (ClearSolutions would replace the whole of each stub).
c.GenerateAssignment.preprocessors = [
    LockCells, ClearOutput, CheckCellMetadata, ComputeChecksums, SaveCells, ClearHiddenTests, ComputeChecksums,
    CheckCellMetadata,
]
c.OverwriteCells.add_missing_cells = True  # a deleted check cell comes back and is graded
c.Execute.timeout = 600  # seconds a cell: some of them train
'''


def course(notebooks: Sequence[Path], folder: Path) -> Iterator[str]:
    """Write the settings, and one assignment for each notebook, named after it."""
    settings = folder / "nbgrader_config.py"
    if settings.exists():
        raise ValueError(f"{settings} is there already: expected a folder without it.")
    for path in notebooks:
        (folder / "source" / path.stem).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / "source" / path.stem / path.name)
    settings.write_text(CONFIG, encoding="utf-8")
    names = [path.stem for path in notebooks]
    yield f"Written: {folder}, with the assignments {', '.join(names)}. In there:"
    yield f"nbgrader generate_assignment {names[0]}     writes release/{names[0]}/ for the students"
    yield f"nbgrader autograde {names[0]}               marks submitted/STUDENT/{names[0]}/{names[0]}.ipynb"
