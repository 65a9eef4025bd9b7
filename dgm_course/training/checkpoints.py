"""Tensors on disk that are either whole or refused.

A file is written beside its final name, flushed and then renamed, so that a reader sees the old file or the new one and
never half of one; the file it replaces stays as NAME.previous.  The format is safetensors, which holds arrays and text
and cannot hold code; a SHA-256 of the arrays is kept in the header, so a flipped bit is noticed.
"""
from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


class CheckpointError(RuntimeError):
    """A file that cannot be trusted, or does not fit the model."""


def digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return total.hexdigest()


def write(path: str | Path, tensors: dict[str, Tensor], notes: dict | None = None) -> Path:
    """Write tensors and JSON notes to ``path``, whole or not at all; the previous file becomes NAME.previous."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # cloned one by one: tied and strided weights have no place in the format
    tensors = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        save_file(tensors, part, {"notes": json.dumps(notes or {}), "sha256": digest(tensors)})
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            _keep(path)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _keep(path: Path) -> None:
    """The file as its own previous one, without taking it away: at every moment one of the two can be read."""
    older = previous(path)
    older.unlink(missing_ok=True)
    try:
        os.link(path, older)
    except OSError:  # a file system without links
        shutil.copyfile(path, older)


def previous(path: str | Path) -> Path:
    """Where the file that ``write`` replaced is kept."""
    return Path(path).with_name(Path(path).name + ".previous")


def read(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """The tensors and notes of a file; CheckpointError where it is missing, damaged or of another kind."""
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"There is no file {path}.{_hint(path)}")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            notes = json.loads(header.get("notes", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or not a safetensors file ({error}).{_hint(path)}") from None
    if header.get("sha256") not in (None, digest(tensors)):
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum.{_hint(path)}")
    return tensors, notes


def _hint(path: Path) -> str:
    older = previous(path)
    return f" The one before it is {older}." if older.exists() else ""


def load_into(module: torch.nn.Module, tensors: dict[str, Tensor], name: str = "the file") -> None:
    """Copy tensors into a module of the same names and shapes; nothing is copied where anything differs."""
    expect_fit(module, tensors, name)
    module.load_state_dict({k: tensors[k].to(v) for k, v in module.state_dict().items()})


def expect_fit(module: torch.nn.Module, tensors: dict[str, Tensor], name: str = "the file") -> None:
    """CheckpointError where the tensors are not the module's own in names and shapes: five of each kind are told."""
    own = module.state_dict()
    missing, foreign = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    misfit = [f"{k} {tuple(tensors[k].shape)} for {tuple(own[k].shape)}" for k in own.keys() & tensors.keys()
              if own[k].shape != tensors[k].shape]
    if missing or foreign or misfit:
        told = "; ".join(f"{what} {', '.join(keys[:5])}{' ...' * (len(keys) > 5)}"
                         for what, keys in (("missing", missing), ("unexpected", foreign), ("of another shape", misfit))
                         if keys)
        raise CheckpointError(f"{name} does not fit {type(module).__name__}: {told}.")
