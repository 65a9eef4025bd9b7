"""What a call might leave behind: changed arguments, random streams, settings, words on the screen."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import torch
from torch import nn

STREAM = 20_240_214


class Traces:
    """Taken before a call: arguments and torch's settings as they are; the random streams are seeded here.

    After the call `side_effects` says what is no longer so."""

    def __init__(self, args: Sequence[object]) -> None:
        self.args = args
        self.before = [_contents(value) for value in args], _flags(args), _gradients(args)
        seed_streams()

    def side_effects(self, settings: tuple[bool, torch.dtype], left: tuple[bool, torch.dtype]) -> set[str]:
        contents, flags, gradients = self.before
        after = [_contents(value) for value in self.args]
        changed = {
            "random": _streams() != _seeded(),
            "mutated": not all(map(_same_contents, contents, after)),
            "flags": flags != _flags(self.args),
            "backward": not _same_contents(gradients, _gradients(self.args)),
            "grad_mode": settings[0] != left[0],
            "default_dtype": settings[1] != left[1],
        }
        return {name for name, broken in changed.items() if broken}


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Bit for bit, where NaN equals NaN."""
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _contents(value: object) -> list[np.ndarray]:
    if isinstance(value, nn.Module):
        return [_array(part) for part in value.state_dict().values()]
    return [_array(value)] if isinstance(value, torch.Tensor) else []


def _array(value: torch.Tensor) -> np.ndarray:
    return value.detach().cpu().numpy().copy()


def _same_contents(old: list[np.ndarray], new: list[np.ndarray]) -> bool:
    return len(old) == len(new) and all(map(same, old, new))


def _tensors(args: Sequence[object]) -> list[torch.Tensor]:
    """The tensors among the arguments, and the parameters of the networks."""
    held = [value.parameters() if isinstance(value, nn.Module) else [value] for value in args]
    return [part for parts in held for part in parts if isinstance(part, torch.Tensor)]


def _flags(args: Sequence[object]) -> list[bool]:
    modules = [part for value in args if isinstance(value, nn.Module) for part in value.modules()]
    return [part.requires_grad for part in _tensors(args)] + [module.training for module in modules]


def _gradients(args: Sequence[object]) -> list[np.ndarray]:
    found = [part.grad if part.is_leaf else None for part in _tensors(args)]
    return [np.zeros(0) if gradient is None else _array(gradient) for gradient in found]


# --- the process: streams, settings, words


def seed_streams() -> None:
    torch.default_generator.manual_seed(STREAM)
    np.random.seed(STREAM)
    random.seed(STREAM)


@cache
def _seeded() -> tuple:
    """The streams as `seed_streams` leaves them."""
    with undisturbed():
        seed_streams()
        return _streams()


def _streams() -> tuple:
    """Of torch, of NumPy and of Python: as comparable parts."""
    kind, keys, *place = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), (kind, keys.tobytes(), *place), random.getstate()


def settings() -> tuple[bool, torch.dtype]:
    """Whether gradients are on, and torch's default dtype."""
    return torch.is_grad_enabled(), torch.get_default_dtype()


@contextlib.contextmanager
def settings_kept() -> Iterator[None]:
    """Gradient mode and default dtype are afterwards as they were."""
    grad, dtype = settings()
    try:
        yield
    finally:
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Gradients on within; afterwards the notebook's random streams and settings are as if nothing was called."""
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        with quiet(), settings_kept(), torch.enable_grad():
            yield
    finally:
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])
        random.setstate(kept[2])


class _Sink(io.TextIOBase):
    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Prints and warnings of the answer go nowhere: a line on stderr would cost the marks under nbgrader."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(_Sink()), contextlib.redirect_stderr(_Sink()):
        warnings.simplefilter("ignore")
        yield
