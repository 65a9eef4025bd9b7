"""What a student's function does, written down as plain numbers.

An exercise is judged in two steps that never meet: here the answer is called and everything it does is
written into float64 arrays; in `_judge` those arrays are compared with others.  This file knows no answers,
so a grader can run it alone, in another process, on the plain `Case`s that `Exercise.inputs` makes.

Each case is called twice with equal, fresh arguments.  Watched beside the values: whether arguments were
changed, whether the global random stream was used, whether both calls agree, whether gradients flow, and
whether created tensors follow the device of the input (a call on torch's data-free `meta` device shows it).
"""

from __future__ import annotations

import contextlib
import dis
import inspect
import io
import linecache
import random
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from ._cases import Case, Observation, OutOfTime, Trouble, Watch
from ._plain import named, plain, text_of, tracks_gradient

STREAM = 20_240_214
USUAL = Watch()


def observe(answer: Callable, cases: Sequence[Case], watch: Watch = USUAL) -> tuple[Observation, ...]:
    """Call the answer on every case and write down what it does; stops at the first case it cannot answer."""
    seen: list[Observation] = []
    with quiet(), _random_state_kept():
        for number, case in enumerate(cases):
            seen.append(_observe_case(answer, case, watch, thorough=number == len(cases) - 1))
            if seen[-1].trouble:
                break
    return tuple(seen)


def values_of(answer: Callable, cases: Sequence[Case], watch: Watch) -> tuple[Observation, ...]:
    """The values (and gradients) alone, for a function that is trusted: a reference or a known slip."""
    with quiet(), _random_state_kept():
        return tuple(_trusted_case(answer, case, watch) for case in cases)


def _trusted_case(answer: Callable, case: Case, watch: Watch) -> Observation:
    try:
        values = named(_call(answer, _built(case))[0], watch)
        gradients = _gradients(answer, case, watch) if watch.gradient else {}
        return Observation(values, gradients or {})
    except Trouble as trouble:
        return Observation(trouble=trouble.kind, detail=trouble.detail)


def _observe_case(answer: Callable, case: Case, watch: Watch, thorough: bool) -> Observation:
    try:
        _check_signature(answer, case)
        result, manners = _call(answer, _built(case))
        values = named(result, watch)
        if watch.random:
            manners.discard("random")
        if watch.detached and tracks_gradient(result):
            manners.add("tracks")
        again = named(_call(answer, _built(case))[0], watch)
        if not all(_same(values[name], again[name]) for name in values):
            manners.add("unstable")
        gradients = _gradients(answer, case, watch) if watch.gradient else {}
        if gradients is None:
            manners.add("detached")
        if thorough and _leaves_device(answer, case):
            manners.add("device")
        return Observation(values, gradients or {}, manners=tuple(sorted(manners)))
    except Trouble as trouble:
        stub = trouble.kind == "none" and is_stub(answer)
        return Observation(trouble="unfilled" if stub else trouble.kind, detail=trouble.detail)
    except OutOfTime:
        return Observation(trouble="timeout")
    except Exception as error:  # whatever a strange result does while it is being read
        return Observation(trouble="raised", detail=_told(error, answer))


def _built(case: Case, device: str = "cpu", leaves: Sequence[str] = ()) -> list[object]:
    """Fresh arguments: arrays become tensors of their own dtype, recipes callables of the batch's dtype."""
    kinds = [v.dtype for v in case.args.values() if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    like = torch.from_numpy(np.empty(0, kinds[0] if kinds else np.float32)).to(device)
    built = [_build_one(value, like, device) for value in case.args.values()]
    for name, value in zip(case.args, built, strict=False):
        if name in leaves and isinstance(value, torch.Tensor):
            value.requires_grad_(True)
    return built


def _build_one(value: object, like: torch.Tensor, device: str) -> object:
    if hasattr(value, "build"):
        return value.build(like)
    return torch.tensor(value).to(device) if isinstance(value, np.ndarray) else value


def _call(answer: Callable, args: list[object]) -> tuple[object, set[str]]:
    """One call on a seeded stream; returns the result and which manners it broke."""
    before = [_contents(value) for value in args]
    _seed_streams()
    stream = _streams()
    result = _run(answer, args)
    manners = set() if _same_stream(stream, _streams()) else {"random"}
    if not all(_same_contents(old, _contents(new)) for old, new in zip(before, args, strict=False)):
        manners.add("mutated")
    return result, manners


def _run(answer: Callable, args: Sequence[object]) -> object:
    try:
        return answer(*args)
    except KeyboardInterrupt:
        raise
    except OutOfTime:
        raise Trouble("timeout") from None
    except BaseException as error:
        raise Trouble(_kind(error), _told(error, answer)) from None


def _kind(error: BaseException) -> str:
    words = text_of(error).lower()
    if isinstance(error, NotImplementedError) and (
        "not implemented for" not in words and "meta" not in words
    ):
        return "unfilled"
    return "unfilled" if "ellipsis" in words else "raised"


def _told(error: BaseException, answer: Callable) -> str:
    """'ValueError: ..., in line 3: `x = y`', the line taken from the answer's own file."""
    home = getattr(getattr(inspect.unwrap(answer), "__code__", None), "co_filename", None)
    said = f"{type(error).__name__}: {text_of(error)}"
    frames = [f for f in traceback.extract_tb(error.__traceback__, limit=50) if f.filename == home]
    if not frames:
        return said
    line = (frames[-1].line or linecache.getline(frames[-1].filename, frames[-1].lineno or 0)).strip()
    return f"{said}  ·  at `{line[:120]}`" if line else said


def _check_signature(answer: Callable, case: Case) -> None:
    if answer is Ellipsis:
        raise Trouble("unfilled")
    if not callable(answer):
        raise Trouble("uncallable", type(answer).__name__)
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*case.args)
    except TypeError:
        asked = ", ".join(case.args)
        raise Trouble("signature", f"yours takes {signature}; it is called with ({asked})") from None


def is_stub(answer: Callable) -> bool:
    """True where the body is nothing but a docstring, `pass` or `...`."""
    idle = {"RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "NOP", "COPY_FREE_VARS", "MAKE_CELL"}
    code = getattr(inspect.unwrap(answer), "__code__", None)
    if code is None or any(i.opname not in idle for i in dis.get_instructions(code)):
        return False
    return all(const is None or const is Ellipsis or isinstance(const, str) for const in code.co_consts)


# --- gradients, devices


def _gradients(answer: Callable, case: Case, watch: Watch) -> dict[str, np.ndarray] | None:
    """Gradient of a fixed weighting of the outputs, by each watched argument; None where nothing flows."""
    args = _built(case, leaves=watch.gradient)
    result = _call(answer, args)[0]
    parts = list(result) if isinstance(result, (tuple, list)) else [result]
    parts = [part for part in parts if isinstance(part, torch.Tensor) and part.requires_grad]
    if not parts:
        return None
    total = sum((part * _ramp(part)).sum() for part in parts)
    named = dict(zip(case.args, args, strict=True))
    watched = {name: _leaves(named[name]) for name in watch.gradient}
    flat = [leaf for leaves in watched.values() for leaf in leaves]
    try:
        found = iter(torch.autograd.grad(total, flat, allow_unused=True))
    except RuntimeError as error:
        raise Trouble("raised", f"RuntimeError in the backward pass: {text_of(error)}") from None
    return {
        name: np.concatenate([_flat(next(found), leaf) for leaf in leaves])
        for name, leaves in watched.items()
    }


def _ramp(part: torch.Tensor) -> torch.Tensor:
    return torch.linspace(1, 2, max(part.numel(), 1), dtype=part.dtype)[: part.numel()].reshape(part.shape)


def _leaves(value: object) -> list[torch.Tensor]:
    return list(value.parameters()) if isinstance(value, nn.Module) else [value]


def _flat(gradient: torch.Tensor | None, leaf: torch.Tensor) -> np.ndarray:
    return np.zeros(leaf.numel()) if gradient is None else plain(gradient).ravel()


def _leaves_device(answer: Callable, case: Case) -> bool:
    """True where a tensor made inside the answer stays on the CPU although the input lives elsewhere."""
    try:
        answer(*_built(case, device="meta"))
    except (RuntimeError, ValueError, TypeError) as error:
        said = text_of(error).lower()
        return "on the same device, but" in said or "not on the expected device" in said
    except KeyboardInterrupt:
        raise
    except OutOfTime:
        raise Trouble("timeout") from None
    except BaseException:
        pass
    return False


# --- watching


def _contents(value: object) -> list[np.ndarray]:
    if isinstance(value, nn.Module):
        return [part.detach().cpu().numpy().copy() for part in value.state_dict().values()]
    return [value.detach().cpu().numpy().copy()] if isinstance(value, torch.Tensor) else []


def _same_contents(old: list[np.ndarray], new: list[np.ndarray]) -> bool:
    return len(old) == len(new) and all(_same(a, b) for a, b in zip(old, new, strict=False))


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _seed_streams() -> None:
    torch.default_generator.manual_seed(STREAM)
    np.random.seed(STREAM)
    random.seed(STREAM)


def _streams() -> tuple:
    return torch.get_rng_state().numpy().copy(), np.random.get_state(), random.getstate()


def _same_stream(a: tuple, b: tuple) -> bool:
    return (
        np.array_equal(a[0], b[0])
        and all(np.array_equal(p, q) for p, q in zip(a[1], b[1], strict=True))
        and a[2] == b[2]
    )


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    """The notebook's own random streams go on afterwards as if nothing had been called."""
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
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
