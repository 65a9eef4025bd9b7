"""The notebook build on small masters: what it removes, what it names, what it refuses."""

from __future__ import annotations

import re
import subprocess
import sys

import nbformat
import pytest

from dgm_course.teach.build import build
from dgm_course.teach.build.clean import LANGUAGE, WIDGET, faults, tidy
from dgm_course.teach.build.exercise_cells import MasterError, solution_blocks, without_markers, without_solutions

MASTER = '''# %% [markdown]
# # A small notebook

# %% tags=["slide:fm.conical"]
import matplotlib.pyplot as plt
from ipywidgets import IntSlider
plt.plot([0, 1]);

# %%
slider = IntSlider(value=3, description="t")
slider

# %%
print("same text")

# %%
print("same text")

# %% exercise="fm.double_it"
def double_it(x):
    """2 x"""
    if x is None:
        ### BEGIN SOLUTION
        return "nothing doubled"
        ### END SOLUTION
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %% check="fm.double_it" points=2
try:
    print(double_it(21))
except NotImplementedError as not_yet:
    print(not_yet)

# %% [markdown] exercise="fm.why" points=1
# Why twice?
'''


def master(folder, text=MASTER, name="03_small"):
    (folder / "source").mkdir(parents=True, exist_ok=True)
    path = folder / "source" / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The small notebook, built in a folder whose name has a space and an accent."""
    folder = tmp_path_factory.mktemp("a b é")
    build.build(master(folder), folder / "03_small.ipynb")
    return folder / "03_small.ipynb"


def solution(body):
    return f'# %% exercise="a.b"\n{body}\n\n# %% check="a.b" points=1\na_b = 1\n'


def test_a_stub_parses_and_only_raises():
    source = (
        "def f(x):\n    for i in x:\n        ### BEGIN SOLUTION\n        y = i\n        return y\n"
        "        ### END SOLUTION\n    return 0"
    )
    stub = without_solutions(source)
    assert stub == 'def f(x):\n    for i in x:\n        raise NotImplementedError("your turn")\n    return 0'
    space: dict = {}
    exec(stub, space)
    with pytest.raises(NotImplementedError, match="your turn"):
        space["f"]([1])
    lines = ["    for i in x:", "        y = i", "        return y", "    return 0"]
    assert without_markers(source).split("\n")[1:] == lines
    assert solution_blocks(source) == ["        y = i\n        return y"]


def test_the_student_sees_stubs_and_the_teacher_solutions(tmp_path):
    path = master(tmp_path)
    cells = {c.id: c for c in build.student(path).cells}
    assert cells["fm-double_it"].source.count('raise NotImplementedError("your turn")') == 2
    assert "2 * x" not in str(build.student(path)) and "nothing doubled" not in str(build.student(path))
    answer = {c.id: c for c in build.solved(path).cells}["fm-double_it"].source
    assert answer.endswith("    return 2 * x") and "SOLUTION" not in answer
    assert [c.id for c in build.student(path).cells] == [c.id for c in build.solved(path).cells]


def test_nbgrader_metadata(tmp_path):
    cells = {c.id: c for c in build.student(master(tmp_path)).cells}
    common = {"schema_version": 3, "task": False}
    answer, test = cells["fm-double_it"].metadata, cells["fm-double_it-test"].metadata
    code, solution = {"cell_type": "code"}, {"solution": True, "locked": False}
    assert answer == {"nbgrader": {**common, **code, **solution, "grade_id": "fm-double_it", "grade": False}}
    graded = {"grade_id": "fm-double_it-test", "grade": True, "solution": False, "locked": True, "points": 2}
    assert test == {"editable": False, "deletable": False, "nbgrader": {**common, **code, **graded}}
    by_hand = {"grade_id": "fm-why", "grade": True, "points": 1, "cell_type": "markdown"}
    assert cells["fm-why"].metadata.nbgrader == {**common, **solution, **by_hand}


def test_nbgrader_itself_accepts_it(built):
    nbgraderformat = pytest.importorskip("nbgrader.nbgraderformat.v3")
    nbgraderformat.MetadataValidatorV3().validate_nb(nbformat.read(built, as_version=4))


def test_ids_survive_an_inserted_cell(tmp_path):
    before = build.student(master(tmp_path))
    nbformat.validate(before)
    ids = [c.id for c in before.cells]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", i) for i in ids)
    new = "# %%\nnew = 1\n\n" + MASTER
    assert [c.id for c in build.student(master(tmp_path, new)).cells][1:] == ids
    other = build.student(master(tmp_path, name="04_other"))
    assert other.cells[0].id != ids[0]


def test_the_built_notebook_is_run_and_clean(built):
    notebook = nbformat.read(built, as_version=4)
    nbformat.validate(notebook)
    assert faults(notebook) == []
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert sum(o.output_type == "stream" for o in code[3].outputs) == 1, "pieces of a stream are joined"
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    assert any("image/png" in o.get("data", {}) for o in code[0].outputs)
    assert code[-1].outputs[0].text == "your turn\n"
    assert notebook.metadata.language_info == LANGUAGE and LANGUAGE["pygments_lexer"] == "ipython3"
    assert not any(c.metadata.get("execution") for c in code) and "widgets" not in notebook.metadata


def test_two_builds_are_equal_to_the_byte(built, tmp_path):
    build.build(master(tmp_path), tmp_path / "03_small.ipynb")
    assert (tmp_path / "03_small.ipynb").read_bytes() == built.read_bytes()
    assert b"widget-view" in built.read_bytes()


def test_outdated_notebook_is_found_without_running(built, tmp_path, capsys):
    path, target = master(tmp_path), tmp_path / "03_small.ipynb"
    assert not build.is_current(path, target)
    target.write_bytes(built.read_bytes())
    assert build.is_current(path, target)
    path.write_text(MASTER.replace("return 2 * x", "return x + x"))
    assert build.is_current(path, target), "another solution leaves the student's notebook as it is"
    path.write_text(MASTER.replace("points=2", "points=3"))
    assert build.main(["--check", "--notebooks", str(tmp_path)]) == 1
    assert "out of date: run `make notebooks`" in capsys.readouterr().out


def test_a_hand_edited_notebook_is_out_of_date(built, tmp_path):
    edited = nbformat.read(built, as_version=4)
    edited.cells[0].source += " edited by hand"
    nbformat.write(edited, tmp_path / "03_small.ipynb")
    assert not build.is_current(master(tmp_path), tmp_path / "03_small.ipynb")


def test_solved_copies(tmp_path, capsys):
    master(tmp_path)
    assert build.main(["3", "--notebooks", str(tmp_path), "--solved", str(tmp_path / "teacher")]) == 0
    assert "return 2 * x" in (tmp_path / "teacher" / "03_small.ipynb").read_text()
    assert build.main(["vae", "--notebooks", str(tmp_path)]) == 2
    assert "No notebook is called 'vae'; there are: 03_small." in capsys.readouterr().err


def test_solved_runs_and_answers(tmp_path):
    done = build.execute(build.solved(master(tmp_path)), timeout=600, env={"DGM_STRICT": "1"}, folder=tmp_path)
    assert {c.id: c for c in done.cells}["fm-double_it-test"].outputs[0].text == "42\n"


BAD = {
    "an end without a begin": (solution("def f():\n    ### END SOLUTION"), "comes where"),
    "two begins": (solution("def f():\n    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION"), "comes where"),
    "no end": (solution("def f():\n    ### BEGIN SOLUTION\n    return 1"), "never followed"),
    "no markers": (solution("def f():\n    return 1"), "has no `### BEGIN SOLUTION`"),
    "outside a function": (solution("### BEGIN SOLUTION\nx = 1\n### END SOLUTION"), "stand in a function"),
    "not Python": (solution("def f(:\n    ### BEGIN SOLUTION\n    x\n    ### END SOLUTION"), "is not Python"),
    "a solution in a plain cell": (
        "# %%\ndef f():\n    ### BEGIN SOLUTION\n    x = 1\n    ### END SOLUTION",
        "a solution needs a cell",
    ),
    "a check without an exercise": ('# %% check="a.b" points=1\nx = 1', "before its exercise, or has none"),
    "a check before its exercise": ('# %% check="fm.double_it" points=1\n\n' + MASTER, "before its exercise"),
    "no check": (MASTER.replace('# %% check="fm.double_it" points=2', "# %%"), "has no check cell"),
    "an exercise twice": (MASTER + MASTER, "stands there twice"),
    "two checks": (MASTER + '\n# %% check="fm.double_it" points=1\nx = 1', "two check cells"),
    "no points": (MASTER.replace(" points=2", ""), "needs points="),
    "negative points": (MASTER.replace("points=2", "points=-2"), "needs points="),
    "a misspelt key": (MASTER.replace("exercise=", "excercise="), "'excercise' is no key"),
    "a name that nbgrader refuses": (MASTER.replace("fm.double_it", "fm.Double it"), "small letters"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_master_is_refused_in_a_sentence(tmp_path, case, capsys):
    text, said = BAD[case]
    with pytest.raises(MasterError, match=re.escape(said)) as refused:
        build.student(master(tmp_path, text))
    assert re.match(r"03_small\.py: (cell \d+: )?\w", str(refused.value))
    assert build.main(["--notebooks", str(tmp_path)]) == 1
    assert said in capsys.readouterr().err and not (tmp_path / "03_small.ipynb").exists()


RUNS_BADLY = {
    "raises": ("1 / 0", "raised ZeroDivisionError"),
    "warns": ("import warnings; warnings.warn('old name')", "writes to stderr"),
    "names a path": ("print('/home/somebody/course')", "names a folder of the machine, /home/somebody"),
    "names this folder": ("import os; print(os.getcwd())", "names a folder of the machine"),
    "shows an address": ("object()", "shows a memory address"),
    "prints too much": ("print('0123456789' * 200_000)", "2.0 MB, more than 1.5"),
}


@pytest.mark.parametrize("case", RUNS_BADLY)
def test_a_notebook_that_runs_badly_is_not_written(tmp_path, case):
    code, said = RUNS_BADLY[case]
    target = tmp_path / "03_small.ipynb"
    target.write_text("the old one")
    with pytest.raises(MasterError, match=re.escape(said)) as refused:
        build.build(master(tmp_path, f"# %%\nok = 1\n\n# %%\n{code}\n"), target, timeout=600)
    assert f"Cell 2 (`{code[:50]}`)".lower() in str(refused.value).lower()
    assert target.read_text() == "the old one" and not list(tmp_path.glob("*.part"))


def test_a_cell_that_never_ends_is_named(tmp_path):
    endless = master(tmp_path, "# %%\nwhile True:\n    pass\n")
    with pytest.raises(MasterError, match=r"Cell 1 \(`while True:`\) was still running after 2 seconds"):
        build.build(endless, tmp_path / "03_small.ipynb", timeout=2)


def test_kernel_is_this_python(tmp_path, monkeypatch):
    monkeypatch.setenv("DGM_BUDGET", "full")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    code = (
        "# %%\nimport os, sys\nprint(sys.executable)\nprint(*[os.environ.get(k) for k in "
        "('DGM_BUDGET', 'DGM_DEVICE', 'OMP_NUM_THREADS', 'EXTRA')])\nprint(os.getcwd())\n"
        "print(os.environ['MPLBACKEND'])"
    )
    done = build.execute(build.student(master(tmp_path, code)), 60, {"EXTRA": "x"}, tmp_path)
    python, settings, where, backend = done.cells[0].outputs[0].text.splitlines()
    assert (python, settings) == (sys.executable, "quick cpu 2 x")
    assert where == str(tmp_path.resolve()) and "inline" in backend


def test_web_addresses_and_pictures_are_no_paths():
    cell = nbformat.v4.new_markdown_cell("[a page](https://example.org/home/someone) and 3/opt/2")
    picture = nbformat.v4.new_output("display_data", {"image/png": "AB/tmp/CD"})
    code = nbformat.v4.new_code_cell("x", outputs=[picture])
    assert faults(nbformat.v4.new_notebook(cells=[cell, code])) == []


def test_a_long_cell_is_a_fault():
    twenty, more = (nbformat.v4.new_code_cell("\n".join("x" * n)) for n in (20, 21))
    (fault,) = faults(nbformat.v4.new_notebook(cells=[twenty, more]))
    assert fault == "Cell 2 (`x`) has 21 lines; a code cell has 20 at most."


def test_widget_ids_come_from_their_place():
    def once(random):
        data = {WIDGET: {"model_id": random}, "text/html": f"<p id={random}>"}
        cell = nbformat.v4.new_code_cell("w", outputs=[nbformat.v4.new_output("display_data", data)], id="w")
        return tidy(nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"state": random}}))

    assert once("a" * 32) == once("b" * 32) and "b" * 32 not in str(once("b" * 32))


def test_the_command_line_runs_as_a_module(tmp_path):
    command = [sys.executable, "-m", "dgm_course.teach.build", "--notebooks", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "nothing to build" in done.stdout


def test_only_published_course_has_the_install_cell(tmp_path, monkeypatch):
    path = master(tmp_path)
    monkeypatch.setattr(build, "PUBLISHED", "")
    before = build.student(path)
    assert not any("colab" in cell.source for cell in before.cells)
    monkeypatch.setattr(build, "PUBLISHED", "someone/course")
    after = build.student(path)
    nbformat.validate(after)
    assert [cell.id for cell in after.cells if "colab" not in cell.source] == [cell.id for cell in before.cells]
    assert "google.colab" in after.cells[1].source and faults(after) == []
    assert [cell.source for cell in build.solved(path).cells[:2]] == [cell.source for cell in after.cells[:2]]


@pytest.mark.parametrize("where", ["colab", "kaggle", "here"])
def test_install_cell_runs_only_elsewhere(monkeypatch, where):
    called = []

    class Shell:
        def run_line_magic(self, name, words):
            called.append((name, words))

    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)
    if where == "colab":
        monkeypatch.setitem(sys.modules, "google.colab", sys)
    if where == "kaggle":
        monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    exec(build.ELSEWHERE.format(address="someone/course"), {"get_ipython": Shell})
    assert called == ([] if where == "here" else [("pip", "install -q git+https://github.com/someone/course")])
