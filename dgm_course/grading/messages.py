"""A result as bytes: one JSON line that names the arrays, then their numbers. No pickle, no zip, nothing evaluated.

Sizes are checked before memory is allocated; a message with one byte too many or too few is refused.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

MOST_HEADER, MOST_ARRAYS, MOST_AXES = 200_000, 5_000, 8


def encode(packed: Mapping[str, np.ndarray]) -> bytes:
    """One message of float64 and text arrays (from `pack`): header line, then the numbers in its order."""
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
    """The inverse of `encode`; ValueError with the reason for any other message."""
    line, newline, rest = message.partition(b"\n")
    if not newline or len(line) > MOST_HEADER:
        raise ValueError(f"the result does not begin with a line of names of at most {MOST_HEADER} bytes.")
    packed: dict[str, np.ndarray] = {}
    for name, (kind, *parts) in _header(line).items():
        if kind == "text":
            packed[name] = np.array([_text(part) for part in parts], dtype=str)
        else:
            packed[name], rest = _array(name, parts, rest)
    if rest:
        raise ValueError(f"more than one result came: {len(rest)} bytes belong to no name.")
    return packed


def strict_json(text: str | bytes) -> Any:
    """JSON without NaN and infinities; ValueError or RecursionError for anything else."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


def _header(line: bytes) -> dict[str, list]:
    try:
        header = strict_json(line)
    except (ValueError, RecursionError):
        raise ValueError("the names of the result are not JSON.") from None
    if (
        isinstance(header, dict)
        and len(header) <= MOST_ARRAYS
        and all(isinstance(entry, list) and entry and entry[0] in ("text", "float64") for entry in header.values())
    ):
        return header
    raise ValueError("the names of the result are not in the form that `encode` writes.")


def _text(part: object) -> str:
    if not isinstance(part, str):
        raise ValueError(f"a text of the result is {type(part).__name__}: expected str.")
    return part[:500].encode("utf-8", "replace").decode()  # a lone surrogate could not be written to a file


def _array(name: str, shape: list, rest: bytes) -> tuple[np.ndarray, bytes]:
    """The next array and the bytes after it; its size is checked before memory is allocated."""
    if len(shape) > MOST_AXES or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise ValueError(f"the shape of {name[:60]!r} is not a list of at most {MOST_AXES} sizes.")
    size = 8 * math.prod(shape)
    if size > len(rest):
        raise ValueError(f"{name[:60]!r} promises {size} bytes and {len(rest)} came.")
    return np.frombuffer(rest[:size], "<f8").reshape(shape).astype(np.float64), rest[size:]


# --- between the grader and its own worker


def send(fd: int, message: bytes) -> None:
    """Write eight bytes of length, then the message."""
    view = memoryview(len(message).to_bytes(8, "big") + message)
    while view:
        view = view[os.write(fd, view) :]


def receive(fd: int) -> bytes:
    """Read the next message; EOFError where the other process has ended."""
    return _exactly(fd, int.from_bytes(_exactly(fd, 8), "big"))


def _exactly(fd: int, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        part = os.read(fd, min(count - len(content), 1 << 20))
        if not part:
            raise EOFError(f"the other process ended after {len(content)} of {count} bytes.")
        content += part
    return bytes(content)
