"""What travels between the judge and the answer: questions, instructions, observations; all plain data.

A `Case` is one question (arrays, numbers, and recipes for callables), a `ObserveSpec` says what to look at, an
`Observation` is what one case brought.  Nothing here knows an answer, so a grader may send it anywhere and
take observations back through `pack` and `unpack`: arrays and short texts, never a pickle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from ...core.tensors import expand_time


@dataclass(frozen=True)
class Case:
    """One question: a name the student will read, and the arguments in the order of the signature.

    `args` holds arrays, numbers, or recipes (`Field`, `Network`) from which a callable is built on the spot;
    `shown` holds what the card prints beside a wrong entry (by default the arguments); `hint` is what an
    answer must have overlooked that is wrong on such cases alone; `batch` names the argument whose shape is
    (B, *event), where that is not the first of several axes; `least` is how large the terms of a result are that
    cancel, all of them or nearly so: rounding is then as large as they are, not as what is left.
    """

    name: str
    args: dict[str, object]
    shown: dict[str, object] = field(default_factory=dict)
    hint: str = ""
    batch: str = ""
    least: float = 0.0

    @property
    def sizes(self) -> tuple[int, int]:
        """(B, D) of the batch among the arguments, (B, 1) for numbers (B,); (1, 1) where there is neither."""
        arrays = {name: v for name, v in self.args.items() if isinstance(v, np.ndarray) and v.ndim}
        first = next((v for v in arrays.values() if v.ndim >= 2), next(iter(arrays.values()), np.zeros(1)))
        shape = arrays.get(self.batch, first).shape
        return shape[0], int(np.prod(shape[1:]))


@dataclass(frozen=True)
class ObserveSpec:
    """What to look at: names of the outputs, arguments whose gradient counts, and what is allowed.

    tensors: the rest of the notebook needs torch tensors, in the dtype of the input; tokens: integer ones."""

    outputs: tuple[str, ...] = ("result",)
    gradient: tuple[str, ...] = ()
    random: bool = False
    detached: bool = False
    tensors: bool = False
    tokens: bool = False


@dataclass(frozen=True)
class Observation:
    """What one case brought: arrays by name, or one `trouble` with its `detail`; and `side_effects` broken."""

    values: dict[str, np.ndarray] = field(default_factory=dict)
    gradients: dict[str, np.ndarray] = field(default_factory=dict)
    trouble: str = ""
    detail: str = ""
    side_effects: tuple[str, ...] = ()


class AnswerError(Exception):
    """The answer gave nothing that could be judged; `kind` says why, `detail` what was seen."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


class OutOfTime(BaseException):
    """Raised by the alarm; not an Exception, so that `except Exception` in an answer does not swallow it."""


# --- recipes: callables that travel as plain data

FIELDS: dict[str, Callable] = {
    "u = 2": lambda x, t: 2 + 0 * x,
    "u = −x": lambda x, t: -x,
    "u = 4t": lambda x, t: 4 * t + 0 * x,
    "u = 3t² − x": lambda x, t: 3 * t**2 - x,
    "u = sin(3x) + t": lambda x, t: torch.sin(3 * x) + t,
    "u = x cos(3t)": lambda x, t: x * torch.cos(3 * t),
}


@dataclass(frozen=True)
class Field:
    """A velocity field by its formula; called with (x, t), t a scalar or one time a sample as for any net."""

    formula: str

    def build(self, like: torch.Tensor) -> Callable:
        def velocity(x: torch.Tensor, t: float | torch.Tensor) -> torch.Tensor:
            return FIELDS[self.formula](x, expand_time(t, x))

        return velocity


@dataclass(frozen=True)
class Network:
    """A small network tanh((x, t) W + b) V, its weights being arrays; t may be left out."""

    weights: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def random(cls, rng: np.random.Generator, dim: int, width: int = 8) -> Network:
        shapes = ((dim + 1, width), (width,), (width, dim))
        return cls(tuple(rng.normal(size=shape) for shape in shapes))

    def build(self, like: torch.Tensor) -> nn.Module:
        return _Net([tensor_like(w, like) for w in self.weights])


class _Net(nn.Module):
    def __init__(self, weights: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(w) for w in weights)

    def forward(self, x: torch.Tensor, t: float | torch.Tensor = 0.0) -> torch.Tensor:
        inner, bias, outer = self.weights
        if x.ndim != 2 or x.shape[1] != outer.shape[1]:
            raise ValueError(f"x has shape {tuple(x.shape)}: this network expects (B, {outer.shape[1]}).")
        time = expand_time(t, x).expand(len(x), 1)
        return torch.tanh(torch.cat([x, time], dim=1) @ inner + bias) @ outer


def tensor_like(value: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    made = torch.tensor(value)
    return made.to(device=like.device, dtype=like.dtype if made.is_floating_point() else None)


# --- travelling home


def pack(observations: Sequence[Observation]) -> dict[str, np.ndarray]:
    """Observations as arrays for `np.savez`: numbers as float64, texts as unicode, no pickle needed."""
    packed: dict[str, np.ndarray] = {}
    for k, seen in enumerate(observations):
        packed[f"{k}|text"] = np.array([seen.trouble, seen.detail, *seen.side_effects], dtype=str)
        packed |= {f"{k}|value|{name}": array for name, array in seen.values.items()}
        packed |= {f"{k}|gradient|{name}": array for name, array in seen.gradients.items()}
    return packed


def unpack(packed: Mapping[str, np.ndarray]) -> tuple[Observation, ...]:
    """The way back; anything but float arrays and short texts under the names of `pack` is a ValueError."""
    texts = [packed[f"{k}|text"] for k in range(len(packed)) if f"{k}|text" in packed]
    seen = [_with_text(text) for text in texts]
    for key, array in packed.items():
        place, _, rest = key.partition("|")
        kind, _, name = rest.partition("|")
        held = {"value": "values", "gradient": "gradients"}.get(kind)
        if rest == "text" and place.isdigit() and int(place) < len(seen):
            continue
        if not held or not name or not place.isdigit() or int(place) >= len(seen):
            raise ValueError(f"an observation named {key!r} came; expected 'number|value|name' and the like.")
        if type(array) is not np.ndarray or array.dtype != np.float64:
            raise ValueError(f"observation {key!r} came as {type(array).__name__}; expected an array of float64.")
        getattr(seen[int(place)], held)[name] = array
    return tuple(seen)


def _with_text(text: np.ndarray) -> Observation:
    if type(text) is not np.ndarray or text.dtype.kind != "U" or text.ndim != 1 or not 2 <= text.size <= 12:
        raise ValueError("the text of an observation is not (trouble, detail, manners...).")
    trouble, detail, *side_effects = (str(part)[:500] for part in text)
    return Observation({}, {}, trouble, detail, tuple(side_effects))
