"""A file is whole or refused: killed, cut, flipped, foreign, hostile.  Both formats: safetensors, and torch.save."""

import json
import os
import pickle
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from dgm_course.training import checkpoints
from dgm_course.training.checkpoints import CheckpointError, load_into, previous

OLD, NEW = (
    {"w": torch.arange(6.0).view(2, 3), "k": torch.tensor(1)},
    {"w": torch.ones(500, 40), "k": torch.tensor(2)},
)
FORMATS = {
    "safetensors": (checkpoints.write, lambda path: checkpoints.read(path)[0]),
    "pt": (checkpoints.save, checkpoints.load),
}
DAMAGED = "is damaged or not a (safetensors file|checkpoint of fit)"


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[k], other[k]) and one[k].dtype == other[k].dtype for k in one
    )


@pytest.fixture(params=FORMATS)
def form(request, tmp_path):
    """(file, write, read) of a format."""
    return tmp_path / f"w.{request.param}", *FORMATS[request.param]


# --- round trips

TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
WEIGHT = nn.Parameter(torch.randn(4, 3)).detach()
TENSORS = {f"t{i}": torch.ones(2, 3).to(dtype) for i, dtype in enumerate(TYPES)} | {
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 4),
    "turned": WEIGHT.T,
    "again": WEIGHT,
    "tied": WEIGHT,
    "slice": torch.randn(6, 6)[::2, 1::2],
    "spread": torch.zeros(1).expand(5),
}


def test_every_kind_of_tensor_comes_back(form):
    file, write, read = form
    file = file.parent / "deep" / "Gewichte für alle" / file.name
    assert same(read(write(file, TENSORS)), TENSORS)
    assert [f.name for f in file.parent.iterdir()] == [file.name]


def test_notes_and_nested_states_come_back(tmp_path):
    notes = {"steps": 3, "who": "ü"}
    assert checkpoints.read(checkpoints.write(tmp_path / "w", OLD, notes))[1] == notes
    state = {
        "a": [OLD, {"b": None, "c": "ü", 1: 2.5}],
        "optimizer": torch.optim.Adam([torch.ones(1)]).state_dict(),
    }
    torch.testing.assert_close(checkpoints.load(checkpoints.save(tmp_path / "s", state))["a"][0], OLD)
    assert checkpoints.load(tmp_path / "s")["a"][1] == state["a"][1]


def test_tied_weights_stay_tied(tmp_path):
    """A language model's embedding is its output layer."""

    def tied():
        model = nn.ModuleDict({"embed": nn.Embedding(7, 3), "out": nn.Linear(3, 7, bias=False)})
        model["out"].weight = model["embed"].weight
        return model

    one, other = tied(), tied()
    load_into(other, checkpoints.read(checkpoints.write(tmp_path / "w", one.state_dict()))[0])
    assert torch.equal(other["embed"].weight, one["embed"].weight) and other["out"].weight is other["embed"].weight


@pytest.mark.parametrize("links", [True, False])
def test_the_previous_file_is_kept(links, form, monkeypatch):
    file, write, read = form
    if not links:
        monkeypatch.setattr(os, "link", fail)
    for tensors in (OLD, NEW, OLD):
        write(file, tensors)
    assert same(read(file), OLD) and same(read(previous(file)), NEW)


# --- interrupted while writing


def fail(*_, **__):
    raise OSError(28, "No space left on device")


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def break_at(where: str, action, patch) -> None:
    """Make a write end by ``action``: in the middle of its bytes, or in a call of os."""

    def half(writer):
        def write(*args):
            writer(*args)
            path = next(arg for arg in args if isinstance(arg, Path))
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            action()

        return write

    if where == "half":
        patch(checkpoints, "save_file", half(checkpoints.save_file))
        patch(torch, "save", half(torch.save))
    else:
        patch(os, where, action)
        patch(checkpoints.shutil, "copyfile", action)


def die_in_a_write(where: str, form: str, file: str) -> None:
    """What the killed process does."""
    break_at(where, die, setattr)
    FORMATS[form][0](Path(file), NEW)


@pytest.mark.parametrize("where", ["half", "fsync", "replace", "link"])
def test_a_failed_write_leaves_the_old_file(where, form, monkeypatch):
    file, write, read = form
    write(file, OLD)
    break_at(where, fail, monkeypatch.setattr)
    with pytest.raises(OSError):
        write(file, NEW)
    assert same(read(file), OLD) and not list(file.parent.glob("*.part"))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a signal that kills")
@pytest.mark.parametrize("where", ["half", "fsync", "replace"])
def test_a_killed_write_leaves_the_old_file(where, form):
    file, write, read = form
    write(file, OLD)
    call = f"import tests.training.test_checkpoints as t; t.die_in_a_write({where!r}, {file.suffix[1:]!r}, {str(file)!r})"
    killed = subprocess.run([sys.executable, "-c", call], cwd=Path(__file__).parents[2], timeout=600)
    assert killed.returncode == -signal.SIGKILL
    assert same(read(file), OLD)
    write(file, NEW)  # what the killed process left is in nobody's way
    assert same(read(file), NEW) and same(read(previous(file)), OLD)


# --- damaged, foreign, hostile


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99, 0.9999])
@pytest.mark.parametrize("older", [False, True])
def test_a_truncated_file_offers_the_previous_one(share, older, form):
    file, write, read = form
    if older:
        write(file, OLD)
    whole = write(file, NEW).read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=f"{file.name} {DAMAGED}") as raised:
        read(file)
    assert (f"The one before it is {previous(file)}." in str(raised.value)) == older


@pytest.mark.slow
def test_a_flipped_bit_changes_no_tensor(form):
    """It is noticed, or lies where it changes nothing, as in the padding."""
    file, write, read = form
    whole, noticed = write(file, OLD).read_bytes(), 0
    for place in range(0, len(whole), 1 if file.suffix == ".safetensors" else 7):
        for bit in (0, 3, 6):
            broken = bytearray(whole)
            broken[place] ^= 1 << bit
            file.write_bytes(broken)
            try:
                assert same(read(file), OLD), f"byte {place} of {len(whole)}"
            except CheckpointError:
                noticed += 1
    assert noticed > 100


def test_a_flipped_bit_in_the_numbers_is_named(form):
    file, write, read = form
    write(file, NEW)
    whole = bytearray(write(file, OLD).read_bytes())
    whole[whole.find(OLD["w"].numpy().tobytes()) + 5] ^= 4
    file.write_bytes(whole)
    with pytest.raises(
        CheckpointError, match="(does not match its checksum|a checksum differs).* The one before it is"
    ):
        read(file)


class Marker:
    """Unpickling this would leave a file behind."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize(
    "kind", ["pickle", "old pickle", "torch", "legacy torch", "html", "folder", "other format"]
)
def test_other_kinds_are_refused_without_running(kind, form):
    file, _, read = form
    marker = Marker(file.with_name("marker"))
    if kind == "folder":
        file.mkdir()
    elif kind == "html":
        file.write_text("<html><body>Please log in</body></html>" * 50)
    elif kind == "other format":
        (torch.save if file.suffix == ".safetensors" else checkpoints.save_file)(OLD, file)
    elif kind.endswith("pickle"):
        file.write_bytes(pickle.dumps({"w": marker}, protocol=0 if kind == "old pickle" else 4))
    else:
        torch.save({"w": marker}, file, _use_new_zipfile_serialization=kind == "torch")
    with pytest.raises(CheckpointError, match=DAMAGED):
        read(file)
    assert not Path(marker.path).exists()


def header(entries, data=b"\0" * 16):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(start, end, shape):
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


HOSTILE = {
    "a header longer than the file": struct.pack("<Q", 2**62) + b"{}",
    "a header of 200 MB that is not there": struct.pack("<Q", 200_000_000) + b"{}" * 10,
    "a header that is not JSON": header(b"{not json at all}"),
    "a header that is not text": header(b"\xff\xfe\xfd\xfc"),
    "deep nesting": header(b"[" * 100_000),
    "overlapping tensors": header({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}),
    "offsets beyond the end": header({"a": entry(0, 4000, [1000])}),
    "offsets that overflow": header({"a": entry(0, 2**63, [2**61])}),
    "a shape that overflows": header({"a": entry(0, 16, [2**40, 2**40])}),
    "an unknown dtype": header({"a": {"dtype": "PICKLE", "shape": [2], "data_offsets": [0, 8]}}),
    "notes that are not JSON": header({"__metadata__": {"notes": "{broken"}, "a": entry(0, 16, [4])}),
    "a wrong checksum": header({"__metadata__": {"sha256": "0" * 64}, "a": entry(0, 16, [4])}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_headers_are_refused(what, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(HOSTILE[what])
    with pytest.raises(CheckpointError, match="w.safetensors is damaged"):
        checkpoints.read(tmp_path / "w.safetensors")


def test_a_missing_file_offers_the_previous_one(form):
    file, write, read = form
    with pytest.raises(CheckpointError, match=f"There is no file .*{file.name}.$"):
        read(file)
    write(file, OLD), write(file, NEW)
    file.unlink()
    with pytest.raises(CheckpointError, match="There is no file .* The one before it is .*previous"):
        read(file)


# --- into a module


def net():
    torch.manual_seed(0)
    return nn.Sequential(*[nn.Linear(3, 3) for _ in range(8)])


CHANGES = {
    "does not fit Sequential: missing 3.bias": lambda t: t.pop("3.bias"),
    "unexpected extra": lambda t: t.update(extra=torch.zeros(2)),
    r"of another shape 0.weight \(3, 4\) for \(3, 3\)": lambda t: t.update({"0.weight": torch.zeros(3, 4)}),
    r"missing 0.bias, 0.weight, 1.bias, 1.weight, 2.bias \.\.\.": lambda t: t.clear(),
    "missing 0.bias; unexpected x": lambda t: (t.pop("0.bias"), t.update(x=torch.zeros(1))),
}


@pytest.mark.parametrize("message", CHANGES)
def test_weights_that_do_not_fit_are_listed(message):
    module, tensors = net(), {k: v + 1 for k, v in net().state_dict().items()}
    before = {k: v.clone() for k, v in module.state_dict().items()}
    CHANGES[message](tensors)
    with pytest.raises(CheckpointError, match=message):
        load_into(module, tensors, "weights.safetensors")
    assert same(module.state_dict(), before)


def test_weights_take_the_modules_precision():
    module = net().double()
    load_into(module, net().state_dict())
    assert torch.equal(module[0].bias, net()[0].bias.double()) and module[0].bias.dtype == torch.float64


def test_the_digest_sees_names_types_shapes_values():
    other = (OLD["w"].double(), OLD["w"].view(3, 2), OLD["w"] + 1e-6)
    changed = ({"v": OLD["w"], "k": OLD["k"]}, *(OLD | {"w": w} for w in other))
    base = checkpoints.digest(OLD)
    assert base == checkpoints.digest(dict(reversed(OLD.items())))
    assert len({base, *map(checkpoints.digest, changed)}) == 5
