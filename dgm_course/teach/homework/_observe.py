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
import re
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from ._cases import Case, Observation, OutOfTime, Trouble, Watch

MOST_NUMBERS = 10_000_000
PLAIN_SCALARS = (bool, int, float)
STREAM = 20_240_214


def observe(answer: Callable, cases: Sequence[Case], watch: Watch = Watch()) -> tuple[Observation, ...]:
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
        values = _named(_call(answer, _built(case))[0], watch)
        gradients = _gradients(answer, case, watch) if watch.gradient else {}
        return Observation(values, gradients or {})
    except Trouble as trouble:
        return Observation(trouble=trouble.kind, detail=trouble.detail)


def _observe_case(answer: Callable, case: Case, watch: Watch, thorough: bool) -> Observation:
    try:
        _check_signature(answer, case)
        result, manners = _call(answer, _built(case))
        values = _named(result, watch)
        if watch.random:
            manners.discard("random")
        if watch.detached and _tracks_gradient(result):
            manners.add("tracks")
        again = _named(_call(answer, _built(case))[0], watch)
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
    except Exception as error:                      # whatever a strange result does while it is being read
        return Observation(trouble="raised", detail=_told(error, answer))


def _built(case: Case, device: str = "cpu", leaves: Sequence[str] = ()) -> list[object]:
    """Fresh arguments: arrays become tensors of their own dtype, recipes callables of the batch's dtype."""
    kinds = [v.dtype for v in case.args.values() if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    like = torch.from_numpy(np.empty(0, kinds[0] if kinds else np.float32)).to(device)
    built = [_build_one(value, like, device) for value in case.args.values()]
    for name, value in zip(case.args, built):
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
    if not all(_same_contents(old, _contents(new)) for old, new in zip(before, args)):
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
    words = _text(error).lower()
    if isinstance(error, NotImplementedError) and ("not implemented for" not in words and "meta" not in words):
        return "unfilled"
    return "unfilled" if "ellipsis" in words else "raised"


def _told(error: BaseException, answer: Callable) -> str:
    """'ValueError: ..., in line 3: `x = y`', the line taken from the answer's own file."""
    home = getattr(getattr(answer, "__code__", None), "co_filename", None)
    said = f"{type(error).__name__}: {_text(error)}"
    frames = [f for f in traceback.extract_tb(error.__traceback__, limit=50) if f.filename == home]
    if not frames:
        return said
    line = (frames[-1].line or linecache.getline(frames[-1].filename, frames[-1].lineno or 0)).strip()
    return f"{said}  ·  at `{line[:120]}`" if line else said


def _text(error: BaseException) -> str:
    try:
        said = str(error)
    except BaseException:
        said = "(no message)"
    return re.sub(r"0x[0-9a-f]+", "0x…", said.strip().split("\n")[0])[:300]


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
    code = getattr(answer, "__code__", None)
    if code is None or any(i.opname not in idle for i in dis.get_instructions(code)):
        return False
    return all(const is None or const is Ellipsis or isinstance(const, str) for const in code.co_consts)


# --- from whatever came back to plain arrays ------------------------------------------------------------------

def _named(result: object, watch: Watch) -> dict[str, np.ndarray]:
    names = watch.outputs
    if len(names) == 1:
        return {names[0]: plain(result)}
    parts = list(result) if type(result) in (tuple, list) or isinstance(result, tuple) else plain(result)
    if isinstance(parts, np.ndarray) and parts.ndim == 0 or len(parts) != len(names):
        came = f"an array of shape {parts.shape}" if isinstance(parts, np.ndarray) else f"{len(parts)} values"
        raise Trouble("count", f"{came} came, expected {len(names)}: ({', '.join(names)})")
    return {name: plain(part) for name, part in zip(names, parts)}


def plain(value: object, depth: int = 0) -> np.ndarray:
    """A float64 copy, of exactly the type ndarray.  Tensors, arrays, numbers and lists of them; no subclasses."""
    if value is None:
        raise Trouble("none")
    if value is Ellipsis:
        raise Trouble("unfilled")
    if type(value) in (torch.Tensor, nn.Parameter):
        return _from_tensor(value)
    if type(value) is np.ndarray:
        return _from_array(value)
    if type(value) in PLAIN_SCALARS or (isinstance(value, np.generic) and type(value).__module__ == "numpy"):
        return _from_array(np.array(value))
    if type(value) in (list, tuple) and depth < 3 and 0 < len(value) <= 10_000:
        return _stacked([plain(part, depth + 1) for part in value])
    raise Trouble("type", type(value).__name__)


def _from_tensor(value: torch.Tensor) -> np.ndarray:
    if value.is_complex():
        raise Trouble("type", "complex tensor")
    if value.numel() > MOST_NUMBERS:
        raise Trouble("type", f"tensor of {value.numel()} numbers")
    try:
        dense = value.detach().to_dense() if value.layout != torch.strided else value.detach()
        return np.array(dense.to(device="cpu", dtype=torch.float64).numpy(), dtype=np.float64, copy=True)
    except (RuntimeError, NotImplementedError) as error:
        raise Trouble("type", f"tensor that cannot be read ({_text(error)})") from None


def _from_array(value: np.ndarray) -> np.ndarray:
    if value.dtype.kind not in "biuf" or value.size > MOST_NUMBERS:
        raise Trouble("type", f"array of {value.dtype} with {value.size} entries")
    return np.array(value, dtype=np.float64, copy=True)


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    if len({part.shape for part in parts}) > 1:
        raise Trouble("type", f"list of arrays with shapes {[part.shape for part in parts][:4]}")
    return np.stack(parts)


def _tracks_gradient(result: object) -> bool:
    parts = result if isinstance(result, (tuple, list)) else [result]
    return any(type(part) in (torch.Tensor, nn.Parameter) and part.requires_grad for part in parts)


# --- gradients, devices ---------------------------------------------------------------------------------------

def _gradients(answer: Callable, case: Case, watch: Watch) -> dict[str, np.ndarray] | None:
    """Gradient of a fixed weighting of the outputs, by each watched argument; None where nothing flows."""
    args = _built(case, leaves=watch.gradient)
    result = _call(answer, args)[0]
    parts = list(result) if isinstance(result, (tuple, list)) else [result]
    parts = [part for part in parts if isinstance(part, torch.Tensor) and part.requires_grad]
    if not parts:
        return None
    total = sum((part * _ramp(part)).sum() for part in parts)
    watched = {name: _leaves(value) for name, value in zip(case.args, args) if name in watch.gradient}
    flat = [leaf for leaves in watched.values() for leaf in leaves]
    try:
        found = iter(torch.autograd.grad(total, flat, allow_unused=True))
    except RuntimeError as error:
        raise Trouble("raised", f"RuntimeError in the backward pass: {_text(error)}") from None
    return {name: np.concatenate([_flat(next(found), leaf) for leaf in leaves])
            for name, leaves in watched.items()}


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
        said = _text(error).lower()
        return "on the same device, but" in said or "not on the expected device" in said
    except KeyboardInterrupt:
        raise
    except OutOfTime:
        raise Trouble("timeout") from None
    except BaseException:
        pass
    return False


# --- watching -------------------------------------------------------------------------------------------------

def _contents(value: object) -> list[np.ndarray]:
    if isinstance(value, nn.Module):
        return [part.detach().cpu().numpy().copy() for part in value.state_dict().values()]
    return [value.detach().cpu().numpy().copy()] if isinstance(value, torch.Tensor) else []


def _same_contents(old: list[np.ndarray], new: list[np.ndarray]) -> bool:
    return len(old) == len(new) and all(_same(a, b) for a, b in zip(old, new))


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _seed_streams() -> None:
    torch.default_generator.manual_seed(STREAM)
    np.random.seed(STREAM)
    random.seed(STREAM)


def _streams() -> tuple:
    return torch.get_rng_state().numpy().copy(), np.random.get_state(), random.getstate()


def _same_stream(a: tuple, b: tuple) -> bool:
    return np.array_equal(a[0], b[0]) and all(np.array_equal(p, q) for p, q in zip(a[1], b[1])) and a[2] == b[2]


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
