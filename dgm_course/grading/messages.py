"""How results come home from a process that nobody trusts: one JSON line that names the arrays, then their numbers.

No pickle, no zip, no header that is evaluated: sizes are checked before anything is made of them, and a message with
one byte too many or too few is none at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

import numpy as np

MOST_HEADER, MOST_ARRAYS, MOST_AXES = 200_000, 5_000, 8


def encode(packed: Mapping[str, np.ndarray]) -> bytes:
    """Arrays of float64 and of texts (what `pack` gives) as one message: header line, then the numbers in its order."""
    header: dict[str, list] = {}
    numbers: list[bytes] = []
    for name, array in packed.items():
        if array.dtype.kind == "U":
            header[name] = ["text", *map(str, array)]
        else:
            header[name] = ["float64", *array.shape]
            numbers.append(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return json.dumps(header).encode() + b"\n" + b"".join(numbers)


def decode(message: bytes) -> dict[str, np.ndarray]:
    """The way back; a ValueError with a sentence where the message is not exactly what `encode` writes."""
    line, newline, rest = message.partition(b"\n")
    if not newline or len(line) > MOST_HEADER:
        raise ValueError("a result came that does not begin with one short line of names.")
    header = _header(line)
    packed: dict[str, np.ndarray] = {}
    for name, (kind, *parts) in header.items():
        if kind == "text":
            packed[name] = np.array([_short(part) for part in parts], dtype=str)
        else:
            packed[name], rest = _array(name, parts, rest)
    if rest:
        raise ValueError("more than one result came, or numbers that no name belongs to.")
    return packed


def _header(line: bytes) -> dict[str, list]:
    try:
        header = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ValueError("the names of a result are not JSON.") from None
    fits = (
        isinstance(header, dict)
        and len(header) <= MOST_ARRAYS
        and all(isinstance(entry, list) and entry and entry[0] in ("text", "float64") for entry in header.values())
    )
    if not fits:
        raise ValueError("the names of a result are not in the form of `encode`.")
    return header


def _refuse(word: str) -> None:
    raise ValueError(word)


def _short(part: object) -> str:
    if not isinstance(part, str):
        raise ValueError("a text of a result is no text.")
    return part[:500].encode("utf-8", "replace").decode()  # half a surrogate pair could be written nowhere


def _array(name: str, shape: list, rest: bytes) -> tuple[np.ndarray, bytes]:
    """The next array; its size is compared with what came before any memory is asked for."""
    if len(shape) > MOST_AXES or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise ValueError(f"the shape of {name[:60]!r} is no shape.")
    size = 8
    for axis in shape:
        size *= axis
    if size > len(rest):
        raise ValueError(f"{name[:60]!r} promises {size} bytes and {len(rest)} came.")
    return np.frombuffer(rest[:size], "<f8").reshape(shape).astype(np.float64), rest[size:]


# --- frames: how the grader and its own worker speak


def send(fd: int, message: bytes) -> None:
    """Eight bytes of length, then the message."""
    view = memoryview(len(message).to_bytes(8, "big") + message)
    while view:
        view = view[os.write(fd, view) :]


def receive(fd: int) -> bytes:
    """The next message; an EOFError where the other side is gone."""
    return _exactly(fd, int.from_bytes(_exactly(fd, 8), "big"))


def _exactly(fd: int, count: int) -> bytes:
    parts: list[bytes] = []
    while count:
        part = os.read(fd, min(count, 1 << 20))
        if not part:
            raise EOFError("the other side is gone.")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
