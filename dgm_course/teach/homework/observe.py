"""What a student's function does, written down as plain numbers.

An exercise is judged in two steps that never meet: here the answer is called and everything it does is
written into float64 arrays; in `judge` those arrays are compared with others.  This file knows no answers,
so a grader can run it alone, in another process, on the plain `Case`s that `Exercise.inputs` makes.

Each case is called twice with equal, fresh arguments.  Watched beside the values: what the call leaves behind
(`side_effects`), whether both calls agree, whether gradients flow, and whether created tensors follow the
device of the input (a call on torch's data-free `meta` device shows it).
"""

from __future__ import annotations

import dis
import inspect
import linecache
import traceback
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from .arrays import are_tensors, named, plain, text_of, tracks_gradient
from .cases import AnswerError, Case, Observation, ObserveSpec, OutOfTime
from .side_effects import Traces, same, settings, settings_kept, undisturbed

USUAL = ObserveSpec()


def observe(answer: Callable, cases: Sequence[Case], watch: ObserveSpec = USUAL) -> tuple[Observation, ...]:
    """Call the answer on every case and write down what it does; stops at the first case it cannot answer."""
    seen: list[Observation] = []
    with undisturbed():
        for number, case in enumerate(cases):
            seen.append(_observe_case(answer, case, watch, thorough=number == len(cases) - 1))
            if seen[-1].trouble:
                break
    return tuple(seen)


def values_of(answer: Callable, cases: Sequence[Case], watch: ObserveSpec) -> tuple[Observation, ...]:
    """The values (and gradients) alone, for a function that is trusted: a reference or a known mistake."""
    return tuple(LazyObservations(answer, cases, watch))


class LazyObservations(Sequence):
    """`values_of`, each computed when it is needed and then kept: most mistakes are told apart by the first case."""

    def __init__(self, form: Callable, cases: Sequence[Case], watch: ObserveSpec) -> None:
        self.form, self.cases, self.watch = form, tuple(cases), watch
        self._known: dict[int, Observation] = {}

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, k: int) -> Observation:
        case = self.cases[k]  # an IndexError ends a loop
        if k not in self._known:
            with undisturbed():
                self._known[k] = _trusted_case(self.form, case, self.watch)
        return self._known[k]

    def __reduce__(self) -> tuple:
        return tuple, (tuple(self),)  # what travels is plain


def _trusted_case(answer: Callable, case: Case, watch: ObserveSpec) -> Observation:
    try:
        values = named(_call(answer, _built(case))[0], watch)
        gradients = _gradients(answer, case, watch) if watch.gradient else {}
        return Observation(values, gradients or {})
    except AnswerError as trouble:
        return Observation(trouble=trouble.kind, detail=trouble.detail)


def _observe_case(answer: Callable, case: Case, watch: ObserveSpec, thorough: bool) -> Observation:
    try:
        _check_signature(answer, case)
        args = _built(case)
        result, side_effects = _call(answer, args)
        for kind in ("backward", "flags"):  # with these no gradient can be taken
            if kind in side_effects and "mutated" not in side_effects:
                raise AnswerError(kind)
        values = named(result, watch)
        if watch.random:
            side_effects.discard("random")
        if watch.detached and tracks_gradient(result):
            side_effects.add("tracks")
        if (watch.tensors or watch.tokens) and not are_tensors(result, args, watch):
            side_effects.add("tokens" if watch.tokens else "tensors")
        again = named(_call(answer, _built(case))[0], watch)
        if not all(same(values[name], again[name]) for name in values):
            side_effects.add("unstable")
        gradients = _gradients(answer, case, watch) if watch.gradient else {}
        if gradients is None:
            side_effects.add("detached")
        if thorough and _leaves_device(answer, case):
            side_effects.add("device")
        return Observation(values, gradients or {}, side_effects=tuple(sorted(side_effects)))
    except AnswerError as trouble:
        stub = trouble.kind == "none" and is_stub(answer)
        return Observation(trouble="unfilled" if stub else trouble.kind, detail=trouble.detail)
    except OutOfTime:
        return Observation(trouble="timeout")
    except Exception as error:  # whatever a strange result does while it is being read
        return Observation(trouble="raised", detail=_described(error, answer))


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
    traces, found = Traces(args), settings()
    with settings_kept():
        result = _run(answer, args)
        left = settings()
    return result, traces.side_effects(found, left)


def _run(answer: Callable, args: Sequence[object]) -> object:
    try:
        return answer(*args)
    except KeyboardInterrupt:
        raise
    except OutOfTime:
        raise AnswerError("timeout") from None
    except BaseException as error:
        raise AnswerError(_kind(error), _described(error, answer)) from None


def _kind(error: BaseException) -> str:
    words = text_of(error).lower()
    if isinstance(error, NotImplementedError) and ("not implemented for" not in words and "meta" not in words):
        return "unfilled"
    return "unfilled" if "ellipsis" in words else "raised"


def _described(error: BaseException, answer: Callable) -> str:
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
        raise AnswerError("unfilled")
    if not callable(answer):
        raise AnswerError("uncallable", type(answer).__name__)
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*case.args)
    except TypeError:
        asked = ", ".join(case.args)
        raise AnswerError("signature", f"yours takes {signature}; it is called with ({asked})") from None


def is_stub(answer: Callable) -> bool:
    """True where the body is nothing but a docstring, `pass` or `...`."""
    idle = {"RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "NOP", "COPY_FREE_VARS", "MAKE_CELL"}
    code = getattr(inspect.unwrap(answer), "__code__", None)
    if code is None or any(i.opname not in idle for i in dis.get_instructions(code)):
        return False
    return all(const is None or const is Ellipsis or isinstance(const, str) for const in code.co_consts)


# --- gradients, devices


def _gradients(answer: Callable, case: Case, watch: ObserveSpec) -> dict[str, np.ndarray] | None:
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
        raise AnswerError("raised", f"RuntimeError in the backward pass: {text_of(error)}") from None
    return {
        name: np.concatenate([_flat(next(found), leaf) for leaf in leaves]) for name, leaves in watched.items()
    }


def _ramp(part: torch.Tensor) -> torch.Tensor:
    return torch.linspace(1, 2, max(part.numel(), 1), dtype=part.dtype)[: part.numel()].reshape(part.shape)


def _leaves(value: object) -> list[torch.Tensor]:
    return list(value.parameters()) if isinstance(value, nn.Module) else [value]


def _flat(gradient: torch.Tensor | None, leaf: torch.Tensor) -> np.ndarray:
    return np.zeros(leaf.numel()) if gradient is None else plain(gradient).ravel()


def warm_up() -> None:
    """The first sum on the meta device imports a second's worth of modules, which is not the answer's time."""
    torch.ones(2, device="meta") + torch.ones(2, 1, device="meta")


def _leaves_device(answer: Callable, case: Case) -> bool:
    """True where a tensor made inside the answer stays on the CPU although the input lives elsewhere."""
    try:
        with settings_kept():
            answer(*_built(case, device="meta"))
    except (RuntimeError, ValueError, TypeError) as error:
        said = text_of(error).lower()
        return any(
            words in said for words in ("on the same device, but", "not on the expected device", "one device")
        )
    except KeyboardInterrupt:
        raise
    except OutOfTime:
        raise AnswerError("timeout") from None
    except BaseException:
        pass
    return False
