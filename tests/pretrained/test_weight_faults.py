"""Weights and their card are two files, written one after the other; and files that are none of the course's."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import dgm_course
from dgm_course import pretrained
from dgm_course.training import checkpoints, fit, read_history
from dgm_course.training.checkpoints import CheckpointError

from ..training.models import RECIPE, TABLE, Curve, tiny_in


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    return tiny_in(tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a signal that kills")
@pytest.mark.parametrize("where", ["before the weights", "between weights and card", "in mid-card"])
def test_a_killed_training_command_resumes(where, tiny):
    pretrained.train("tiny", tiny)
    old = (tiny / "tiny.json").read_text()
    call = f"import tests.training.models as m; m.die_while_training({where!r}, {str(tiny)!r})"
    killed = subprocess.run([sys.executable, "-c", call], cwd=Path(__file__).parents[2], timeout=600)
    assert killed.returncode == -signal.SIGKILL
    assert (tiny / "tiny.json").read_text() == old and (tiny / "tiny.half.pt").exists()
    pretrained.load("tiny")
    assert pretrained.train("tiny") == tiny / "tiny.safetensors"
    assert pretrained.card("tiny")["steps"] == 20
    assert sorted(f.name for f in tiny.iterdir() if ".part" not in f.name) == [
        "tiny.json",
        "tiny.safetensors",
        "tiny.safetensors.previous",
    ]


def test_a_damaged_card_is_named(tiny):
    pretrained.train("tiny", tiny)
    (tiny / "tiny.json").write_text('{"name": "ti')
    with pytest.raises(CheckpointError, match="tiny.json is damaged"):
        pretrained.card("tiny")


# --- foreign files at every door ---


class Marker:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


DOORS = {
    "tiny.safetensors": {"load": lambda file: pretrained.load("tiny"), "read": checkpoints.read},
    "tiny.half.pt": {
        "train": lambda file: pretrained.train("tiny"),
        "resume": lambda file: fit(Curve(), TABLE, RECIPE, resume=file),
        "read_history": lambda file: read_history(file, RECIPE),
    },
}


@pytest.mark.parametrize("name, door", [(name, door) for name, doors in DOORS.items() for door in doors])
@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_is_refused_unopened_at_every_door(name, door, kind, tiny):
    file, marker = tiny / name, tiny / "marker"
    if kind == "pickle":
        file.write_bytes(pickle.dumps({"w": Marker(marker)}))
    else:
        torch.save({"w": Marker(marker)}, file)
    with pytest.raises(CheckpointError, match="damaged or not a (safetensors file|checkpoint of fit)"):
        DOORS[name][door](file)
    assert not marker.exists()


def test_nothing_in_the_course_unpickles_a_file():
    for file in Path(dgm_course.__file__).parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not any(word in text for word in ("pickle.load(", "allow_pickle=True", "weights_only=False")), file
        assert text.count("torch.load(") == text.count("weights_only=True"), file


def test_a_tensor_named_twice_is_refused(tmp_path):
    one = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
    text = f'{{"a":{one},"a":{one.replace("0,8", "8,16")}}}'.encode()
    (tmp_path / "w.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 16)
    with pytest.raises(CheckpointError, match="w.safetensors is damaged"):
        checkpoints.read(tmp_path / "w.safetensors")


@pytest.mark.skipif(sys.platform == "win32", reason="resource is of POSIX")
def test_a_huge_header_takes_little_memory(tmp_path):
    import resource

    (tmp_path / "w.safetensors").write_bytes((95_000_000).to_bytes(8, "little") + b"{" * 1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError):
        checkpoints.read(tmp_path / "w.safetensors")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (
        1 if sys.platform == "darwin" else 1024
    ) < 50e6
