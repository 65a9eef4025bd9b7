"""Names are the field's: words that this library once made up do not come back."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from dgm_course.teach.import_graph import modules, parsed

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "TEACHING.md", "CHANGELOG.md", "benchmarks/README.md")
# The word and what is said in its place.
WORDS = {
    "told": "conditional", "hop": "ddim", "hops": "ddim", "guess": "predict", "guesses": "predictions",
    "sieve": "worker_package", "pen": "sandbox", "prisoner": "child", "yard": "SandboxPaths", "parcel": "buffer",
    "slip": "mistake", "slips": "mistakes", "cuts": "gradient_mistakes", "manners": "side_effects",
    "fronts": "wavefronts", "detour": "path_length_ratio", "tally": "PassCounter", "sculptor": "MLPGenerator",
    "asker": "CouplingCNN", "askers": "conditioners", "duel": "DiracGAN", "surprising": "nonsaturating_loss",
    "discrepancy": "loss", "recorder": "GraphRunner", "patient": "defer_interrupt",
    "likeness": "sample_quality",
}  # fmt: skip


def names(tree: ast.Module) -> set[str]:
    """Every name that a module binds or reads as an attribute, in parts between underscores."""
    found: set[str] = set()
    for node in ast.walk(tree):
        name = getattr(node, "name", None) or getattr(node, "arg", None) or getattr(node, "attr", None)
        name = node.id if isinstance(node, ast.Name) else name
        found |= set(name.lower().split("_")) if isinstance(name, str) else set()
    return found


@pytest.mark.parametrize("module", sorted(modules()))
def test_no_made_up_word_names_anything(module):
    assert not names(parsed(module)) & WORDS.keys()


@pytest.mark.parametrize("page", PAGES)
def test_no_made_up_word_on_a_page(page):
    words = set(re.findall(r"[a-z_]+", (ROOT / page).read_text(encoding="utf-8").lower()))
    assert not words & (WORDS.keys() - {"told", "surprising", "guess"})


def test_a_made_up_word_is_noticed():
    assert names(ast.parse("def draw_hop(told): self.sieve = 1")) >= {"hop", "told", "sieve"}
