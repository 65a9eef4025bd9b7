"""Files that are whole or refused: safetensors for weights, torch.save for the checkpoints of a training.

A file is written beside its final name, flushed and renamed; the file it replaces stays as NAME.previous.  Reading runs no
code from a file, and detects a flipped bit by a SHA-256 (safetensors) or by the zip format's CRC-32 (checkpoints).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    """Write tensors and JSON notes as safetensors, whole or not at all."""
    own = torch.contiguous_format  # the format has no place for tied and strided weights
    tensors = {name: tensor.detach().cpu().clone(memory_format=own) for name, tensor in tensors.items()}
    header = {"notes": json.dumps(notes or {}), "sha256": digest(tensors)}
    return _replace(path, lambda part: save_file(tensors, part, header))


def read(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """The tensors and notes that ``write`` wrote; CheckpointError where the file is missing, damaged or of another kind."""
    path = _existing(path)
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


def save(path: str | Path, state: dict[str, Any]) -> Path:
    """Write nested dicts and lists of tensors, numbers and text with torch.save, whole or not at all."""
    return _replace(path, lambda part: torch.save(state, part))


def load(path: str | Path) -> dict[str, Any]:
    """What ``save`` wrote, on the CPU; CheckpointError where the file is missing, damaged or of another kind."""
    path = _existing(path)
    try:
        with zipfile.ZipFile(path) as file:
            if file.testzip() is not None:  # torch.load does not compare the checksums
                raise ValueError("a checksum differs")
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError(f"it holds a {type(state).__name__}")
    except Exception as error:  # damage shows anywhere in the two readers
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is damaged or not a checkpoint of fit ({reason}).{_hint(path)}") from None
    return state


def previous(path: str | Path) -> Path:
    """Where the file that was replaced is kept."""
    return Path(path).with_name(Path(path).name + ".previous")


def _replace(path: str | Path, write_to: Callable[[Path], object]) -> Path:
    """Write a file beside ``path``, flush it and rename it; the one before becomes NAME.previous."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        write_to(part)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            _keep(path)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _keep(path: Path) -> None:
    """Link or copy the file to its previous one, so that one of the two can be read at every moment."""
    older = previous(path)
    older.unlink(missing_ok=True)
    try:
        os.link(path, older)
    except OSError:  # a file system without links
        shutil.copyfile(path, older)


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"There is no file {path}.{_hint(path)}")
    return path


def _hint(path: Path) -> str:
    older = previous(path)
    return f" The one before it is {older}." if older.exists() else ""


def load_into(module: torch.nn.Module, tensors: dict[str, Tensor], name: str = "the file") -> None:
    """Copy tensors into a module; CheckpointError, and nothing copied, where a name or shape differs."""
    expect_fit(module, tensors, name)
    module.load_state_dict({k: tensors[k].to(v) for k, v in module.state_dict().items()})


def expect_fit(module: torch.nn.Module, tensors: dict[str, Tensor], name: str = "the file") -> None:
    """CheckpointError where names or shapes are not the module's; it lists the first five of each kind."""
    own = module.state_dict()
    missing, foreign = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    misfit = [
        f"{k} {tuple(tensors[k].shape)} for {tuple(own[k].shape)}"
        for k in own.keys() & tensors.keys()
        if own[k].shape != tensors[k].shape
    ]
    kinds = {"missing": missing, "unexpected": foreign, "of another shape": misfit}
    if listed := [f"{kind} {', '.join(k[:5])}{' ...' * (len(k) > 5)}" for kind, k in kinds.items() if k]:
        raise CheckpointError(f"{name} does not fit {type(module).__name__}: {'; '.join(listed)}.")
