"""A file is whole or refused: killed, cut, flipped, foreign, hostile."""

import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from dgm_course.training import checkpoints
from dgm_course.training.checkpoints import CheckpointError, load_into, previous, read, write

OLD, NEW = (
    {"w": torch.arange(6.0).view(2, 3), "k": torch.tensor(1)},
    {"w": torch.ones(500, 40), "k": torch.tensor(2)},
)


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[k], other[k]) and one[k].dtype == other[k].dtype for k in one
    )


# --- round trips ---


def test_every_kind_of_tensor_comes_back(tmp_path):
    tensors = {
        f"t{i}": torch.ones(2, 3).to(dtype)
        for i, dtype in enumerate(
            (
                torch.float64,
                torch.float32,
                torch.float16,
                torch.bfloat16,
                torch.int64,
                torch.uint8,
                torch.bool,
            )
        )
    }
    tensors |= {"scalar": torch.tensor(3.5), "empty": torch.zeros(0, 4), "nan": torch.tensor([1.0, -0.0])}
    file = write(
        tmp_path / "deep" / "folder" / "Gewichte für alle.safetensors", tensors, {"steps": 3, "who": "ü"}
    )
    back, notes = read(file)
    assert same(back, tensors) and notes == {"steps": 3, "who": "ü"}
    assert [f.name for f in file.parent.iterdir()] == [file.name]  # nothing else is left lying about


def test_strided_tied_and_trained_weights_come_back(tmp_path):
    weight = nn.Parameter(torch.randn(4, 3))
    tensors = {
        "turned": weight.T,
        "again": weight,
        "tied": weight,
        "slice": torch.randn(6, 6)[::2, 1::2],
        "spread": torch.zeros(1).expand(5),
    }
    back, _ = read(write(tmp_path / "w.safetensors", tensors))
    assert same(back, {k: v.detach() for k, v in tensors.items()}) and not back["turned"].requires_grad


class Tied(nn.Module):
    """A language model's usual knot: the embedding is the output layer."""

    def __init__(self):
        super().__init__()
        self.embed, self.out = nn.Embedding(7, 3), nn.Linear(3, 7, bias=False)
        self.out.weight = self.embed.weight


def test_tied_weights_stay_tied(tmp_path):
    one, other = Tied(), Tied()
    load_into(other, read(write(tmp_path / "w.safetensors", one.state_dict()))[0])
    assert torch.equal(other.embed.weight, one.embed.weight) and other.out.weight is other.embed.weight


def test_the_file_before_is_kept(tmp_path):
    file = tmp_path / "w.safetensors"
    for tensors in (OLD, NEW, OLD):
        write(file, tensors)
    assert same(read(file)[0], OLD) and same(read(previous(file))[0], NEW)


def test_the_file_before_is_kept_where_there_are_no_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    test_the_file_before_is_kept(tmp_path)


# --- interrupted while writing ---


def half_then(action):
    """A ``save_file`` that writes half of the bytes and then meets its end."""
    real = checkpoints.save_file

    def save(tensors, path, notes):
        real(tensors, path, notes)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        action()

    return save


def fail(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("where", ["save_file", "fsync", "replace", "link"])
def test_a_write_that_fails_leaves_the_old_file(where, tmp_path, monkeypatch):
    file = write(tmp_path / "w.safetensors", OLD)
    if where == "save_file":
        monkeypatch.setattr(checkpoints, "save_file", half_then(fail))
    else:
        monkeypatch.setattr(os, where, fail)
        monkeypatch.setattr(checkpoints.shutil, "copyfile", fail)
    with pytest.raises(OSError):
        write(file, NEW)
    monkeypatch.undo()
    assert same(read(file)[0], OLD) and not list(tmp_path.glob("*.part"))


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_mid_save(where: str, file: str) -> None:
    """What the killed process of the next test does."""
    if where == "half":
        checkpoints.save_file = half_then(die)
    else:
        setattr(os, where, die)
    write(Path(file), NEW)


@pytest.mark.skipif(os.name == "nt", reason="needs a signal that kills")
@pytest.mark.parametrize("where", ["half", "fsync", "replace"])
def test_a_process_killed_in_mid_save_leaves_the_old_file(where, tmp_path):
    file = write(tmp_path / "w.safetensors", OLD)
    call = f"import test_checkpoints; test_checkpoints.die_in_mid_save({where!r}, {str(file)!r})"
    killed = subprocess.run([sys.executable, "-c", call], cwd=Path(__file__).parent, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert same(read(file)[0], OLD)
    write(file, NEW)  # and what the dead left behind is in nobody's way
    assert same(read(file)[0], NEW) and same(read(previous(file))[0], OLD)


# --- damaged, foreign, hostile ---


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99, 0.9999])
@pytest.mark.parametrize("older", [False, True])
def test_a_truncated_file_is_named_and_the_previous_one_offered(share, older, tmp_path):
    file = tmp_path / "w.safetensors"
    if older:
        write(file, OLD)
    whole = write(file, NEW).read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="w.safetensors is damaged or not a safetensors file") as told:
        read(file)
    assert (f"The one before it is {previous(file)}." in str(told.value)) == older
    if older:
        assert same(read(previous(file))[0], OLD)


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    file = write(tmp_path / "w.safetensors", OLD)
    whole = bytearray(file.read_bytes())
    data = 8 + struct.unpack("<Q", whole[:8])[0]
    assert data < len(whole)
    for place in range(len(whole)):
        for bit in (0, 3, 6):
            broken = bytearray(whole)
            broken[place] ^= 1 << bit
            file.write_bytes(broken)
            try:
                tensors, _ = read(file)
            except CheckpointError:
                continue
            assert place < data and same(tensors, OLD), f"byte {place} of {len(whole)} (data from {data})"


def test_a_flipped_bit_in_the_numbers_is_told(tmp_path):
    write(tmp_path / "w.safetensors", NEW)
    file = write(tmp_path / "w.safetensors", OLD)
    whole = bytearray(file.read_bytes())
    whole[-3] ^= 4
    file.write_bytes(whole)
    with pytest.raises(CheckpointError, match="does not match its checksum. The one before it is"):
        read(file)


class Marker:
    """Unpickling this would leave a file behind."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("kind", ["pickle", "old pickle", "torch", "legacy torch", "html", "folder"])
def test_other_kinds_of_file_are_refused_unopened(kind, tmp_path):
    file, marker = tmp_path / "w.safetensors", tmp_path / "marker"
    if kind == "folder":
        file.mkdir()
    elif kind == "html":
        file.write_text("<html><body>Please log in</body></html>" * 50)
    elif kind.endswith("pickle"):
        file.write_bytes(pickle.dumps({"w": Marker(marker)}, protocol=0 if kind == "old pickle" else 4))
    else:
        torch.save({"w": Marker(marker)}, file, _use_new_zipfile_serialization=kind == "torch")
    with pytest.raises(CheckpointError, match="damaged or not a safetensors file"):
        read(file)
    assert not marker.exists()


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
def test_hostile_headers_are_refused_quickly(what, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(HOSTILE[what])
    start = time.perf_counter()
    with pytest.raises(CheckpointError, match="w.safetensors is damaged"):
        read(tmp_path / "w.safetensors")
    assert time.perf_counter() - start < 1


def test_a_missing_file_is_told_and_the_previous_one_offered(tmp_path):
    file = tmp_path / "w.safetensors"
    with pytest.raises(CheckpointError, match="There is no file .*w.safetensors.$"):
        read(file)
    write(file, OLD), write(file, NEW)
    file.unlink()
    with pytest.raises(CheckpointError, match="There is no file .* The one before it is .*previous"):
        read(file)


# --- into a module ---


def net():
    torch.manual_seed(0)
    return nn.Sequential(*[nn.Linear(3, 3) for _ in range(8)])


CHANGES = [
    (lambda t: t.pop("3.bias"), "does not fit Sequential: missing 3.bias"),
    (lambda t: t.update(extra=torch.zeros(2)), "unexpected extra"),
    (lambda t: t.update({"0.weight": torch.zeros(3, 4)}), r"of another shape 0.weight \(3, 4\) for \(3, 3\)"),
    (
        lambda t: [t.pop(f"{i}.weight") for i in range(7)],
        r"missing 0.weight, 1.weight, 2.weight, 3.weight, 4.weight \.\.\.\.",
    ),
    (lambda t: t.clear(), "missing 0.bias, 0.weight, 1.bias, 1.weight, 2.bias ..."),
    (lambda t: (t.pop("0.bias"), t.update(x=torch.zeros(1))), "missing 0.bias; unexpected x"),
]


@pytest.mark.parametrize("change, told", CHANGES, ids=[told[:40] for _, told in CHANGES])
def test_weights_that_do_not_fit_are_listed_and_none_is_loaded(change, told):
    module, tensors = net(), {k: v + 1 for k, v in net().state_dict().items()}
    before = {k: v.clone() for k, v in module.state_dict().items()}
    change(tensors)
    with pytest.raises(CheckpointError, match=told):
        load_into(module, tensors, "weights.safetensors")
    assert same(module.state_dict(), before)


def test_weights_take_the_modules_precision():
    module = net().double()
    load_into(module, {k: v + 1 for k, v in net().state_dict().items()})
    assert torch.equal(module[0].bias, net()[0].bias.double() + 1) or torch.allclose(
        module[0].bias.float(), net()[0].bias + 1
    )
    assert module[0].bias.dtype == torch.float64


def test_the_checksum_sees_names_types_shapes_and_values():
    base = checkpoints.digest(OLD)
    others = [
        {"v": OLD["w"], "k": OLD["k"]},
        {"w": OLD["w"].double(), "k": OLD["k"]},
        {"w": OLD["w"].view(3, 2), "k": OLD["k"]},
        {"w": OLD["w"] + 1e-6, "k": OLD["k"]},
    ]
    assert base == checkpoints.digest(dict(reversed(OLD.items())))
    assert len({base, *map(checkpoints.digest, others)}) == 5
