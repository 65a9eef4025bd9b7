"""The house stands: imports go downwards, in no circle, and the mathematics knows nothing of notebooks."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from dgm_course.teach.house import floors, imports, modules, outside, wings

# From the ground up. In the mathematics a file imports strictly from below, so the families of one row never
# know each other; in the classroom neighbours on one floor may, as long as there is no circle.
MATHEMATICS = [
    # three of them touch disks and know no formula; the last five serve the loop
    ("tensors", "folders", "checkpoints", "mnist_files", "recipe", "interrupts", "pieces", "recorded", "compiled",
     "symptoms"),
    ("batches", "processes"),  # what a step sees, and who takes which share of it
    # causal: layers that see no future
    ("distributions", "nets", "guidance", "causal_nets", "llama_nets", "adversarial_nets", "latent_nets", "grid_nets",
     "dynamics", "fit"),
    # what models of any path, history, flow or game do, and what priors stand on; their kinds stand on it
    ("paths.fields", "autoregressive.chain", "flows.layers", "gan.games", "vae.heads", "vq.quantize",
     "code_nets", "latent.stages", "latent.rescaling", "latent.sharpness", "latent.scales"),
    ("paths.gaussian", "paths.masked", "autoregressive.families", "autoregressive.blocks", "autoregressive.llama",
     "flows.triangular", "flows.splines", "flows.continuous", "flows.flow", "vae.priors", "vq.codebook", "vq.gumbel",
     "latent.game", "latent.model", "latent.next_scale"),
    ("gaussian_skip", "flows.images", "vae.exact", "vae.model", "vq.model", "vq.levels"),
    ("paths", "data", "measures", "latent_measures"),  # `paths` gathers the names of its files, as families do
    ("gan.model",),  # takes the grid of `measures`; `gan` gathers its names and those of the games
    ("autoregressive", "vae", "vq", "gan", "flows", "path_models", "latent"),
    ("pretrained.files",),  # where weights lie and what an entry is
    ("pretrained.judging",),  # by what they are judged
    # what priors belong to, VQGAN starts from, latents are beside, whose parts other tokenisers use
    ("pretrained.vae", "pretrained.vq", "pretrained.paths"),
    ("pretrained.*",),  # one file a family: its recipes
    ("pretrained",),
    ("overview.systems", "overview.counting"),  # every model with weights, and what a pass of it is
    ("overview.measuring",),
    ("overview.marks",),  # the lecture's table out of what was measured
    ("overview",),
    ("pace",),  # how slow the machine is, by the models that it trains
]
CLASSROOM = [
    ("teach.laws", "teach.latent_laws", "teach.verify", "teach.draw", "teach.draw_*", "teach.play", "teach.players",
     "teach.players.*",
     "teach.reveal", "teach.progress", "teach.house", "teach.exercise_cells", "teach.tidy", "teach.build",
     "teach.site", "teach.site.*"),
    ("teach.check", "teach.homework", "teach.homework.*", "teach.card_pictures", "teach.rehearsal"),
    ("teach",),  # the package itself: the names that notebooks use
]
OFFICE = [("grade.*",), ("grade",)]  # marks, for teachers: it knows the homework, and nothing knows it
PLAN = [*MATHEMATICS, *CLASSROOM, *OFFICE, ("cli",)]
PICTURES = {"matplotlib", "IPython", "ipywidgets", "anywidget", "ipykernel", "traitlets"}

MODULES = modules()


def floor(module: str) -> int:
    """The row of the plan that a module stands on."""
    for number, row in enumerate(PLAN):
        if any(fnmatch(module, name) for name in row):
            return number
    raise AssertionError(f"dgm_course/{module.replace('.', '/')}.py is not on the floor plan: "
                         f"decide its floor in {Path(__file__).name}, a row above all that it imports, "
                         "and say why in the commit.")


def functions() -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return [(f"{module}.{node.name}", node) for module, path in MODULES.items()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


@pytest.mark.parametrize("module", [m for m in MODULES if m])
def test_imports_go_downwards(module):
    for other in imports(module):
        lower = floor(other) < floor(module)
        neighbours = floor(other) == floor(module) >= len(MATHEMATICS)
        assert lower or neighbours, (f"{module} (floor {floor(module)}) imports {other} ({floor(other)}); "
                                     f"a file imports only from the floors below it.")


def test_there_is_no_circle():
    try:
        order = list(TopologicalSorter({m: imports(m) for m in MODULES}).static_order())
    except CycleError as circle:
        pytest.fail(f"These files import each other in a circle: {' -> '.join(circle.args[1])}.")
    assert set(order) == set(MODULES)


@pytest.mark.parametrize("module", [m for m in MODULES if m and not m.startswith("teach") and m != "cli"])
def test_the_mathematics_draws_nothing(module):
    assert not outside(module) & PICTURES, f"{module} belongs to the mathematics and imports what draws."


def test_the_package_itself_imports_next_to_nothing():
    assert not imports("") and outside("") <= {"os"}, "`import dgm_course` must stay light: dgm lab waits for it."


@pytest.mark.parametrize("module", MODULES)
def test_the_package_calls_itself_by_relative_names(module):
    assert "dgm_course" not in outside(module), f"{module}: write `from .x import y`."


def test_functions_are_short():
    lengths = {name: node.end_lineno - node.lineno + 1 for name, node in functions()}
    long = {name: lines for name, lines in lengths.items() if lines > 40}
    assert not long, f"Over 40 lines: {long}."


def test_functions_take_at_most_seven_parameters():
    def count(node):
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        return len([n for n in names if n not in ("self", "cls")])

    many = {name: count(node) for name, node in functions() if count(node) > 7}
    assert not many, f"Over seven parameters: {many}; some of them belong together in an object."


def test_the_plan_would_notice():
    """The rules above can fail: a sideways, an upward and an unknown import are told apart."""
    assert floor("vae") == floor("gan") < floor("pretrained") < floor("teach.draw") < floor("cli")
    assert floor("teach.homework.flow_matching") == floor("teach.check")
    with pytest.raises(AssertionError, match="not on the floor plan"):
        floor("attic")


def test_the_readers_house_is_the_one_that_lies_here():
    """Read a second way: every `from .` line of the files, by their text."""
    here = Path(__file__).resolve().parents[1] / "dgm_course"
    assert {path for name, path in MODULES.items()} == {p for p in here.rglob("*.py") if "__pycache__" not in p.parts}
    text = (here / "measures.py").read_text(encoding="utf-8")
    assert imports("measures") == {line.split()[1][1:] for line in text.splitlines() if line.startswith("from .")}
    assert "torch" in outside("measures")
    with pytest.raises(KeyError, match="no module 'attic'"):
        imports("attic")


def test_the_map_has_families_that_do_not_know_each_other_and_a_ground():
    graph = wings()
    families = {"autoregressive", "vae", "vq", "gan", "flows", "path_models"}
    assert all(not graph[name] & (families - {name}) for name in families)
    height = floors(graph)
    assert height["tensors"] == 0 and all(height[name] > height[other] for name in graph for other in graph[name])
    assert height["overview"] > height["pretrained"] > max(height[name] for name in families)
    with pytest.raises(ValueError, match="circle among a, b"):
        floors({"a": {"b"}, "b": {"a"}, "c": set()})
