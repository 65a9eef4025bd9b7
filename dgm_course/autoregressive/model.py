"""The chain rule as a model: exact log-probabilities, and samples place by place.  A family defines the network f.

Training sees all places at once; sampling goes one by one.  What a network has computed about the past stays valid, so
``iter_logits`` caches it: a generator that yields the logits of one place after the other and is sent the symbols drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_labels, expect_some
from ..core.tensors import parameter_count, threads_for

Labels = Tensor | int | None
Logits = Generator[Tensor, Tensor, None]  # yields logits (n · m, K) of m places, is sent their symbols (n · m,)


def check_min(least: int, **numbers: int) -> None:
    """ValueError where one of the numbers is below ``least``."""
    for name, number in numbers.items():
        if number < least:
            raise ValueError(f"{name.replace('_', ' ')} is {number}: expected at least {least}.")


def at_least_float32(x: Tensor) -> Tensor:
    """x, with bfloat16 and float16 made float32: a sum of many terms needs the digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Autoregressive(nn.Module):
    """p(x) = Π_i softmax(f(x_<i))[x_i] over symbols 0 ... K − 1, K = ``vocabulary``.  A family defines f in ``read``.

    event: shape of one sample, such as (1, 28, 28) or (L,).  classes: number of labels, 0 for none.
    order: places in the order of generation, a permutation of 0 ... L − 1; None: row-major.
    label_embedding: what a label (without labels, a bias) adds to the first features."""

    graph_safe = True  # a training step is the same operations each time

    def __init__(
        self,
        vocabulary: int,
        event: Sequence[int],
        width: int,
        classes: int = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__()
        check_min(1, vocabulary=vocabulary, width=width, axis_of_the_event=min(event, default=0))
        check_min(0, classes=classes)
        self.vocabulary, self.event, self.width, self.classes = vocabulary, tuple(event), width, classes
        self.length = math.prod(self.event)
        order = torch.arange(self.length) if order is None else torch.as_tensor(order)
        if order.is_floating_point() or not torch.equal(order.sort().values, torch.arange(self.length)):
            raise ValueError(f"order is {order.tolist()[:10]}: expected a permutation of 0 to {self.length - 1}.")
        self.register_buffer("order", order)  # saved with the weights, which mean nothing in another order
        self.label_embedding = nn.Embedding(max(1, classes), width)

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        """Logits of every place from those before.  seen (B, *event, K) unit vectors, label (B,) -> (B, *event, K)"""
        raise NotImplementedError(f"{type(self).__name__} does not say what f is: expected it to define read.")

    def wavefronts(self) -> Sequence[Tensor]:
        """The places that each step of ``iter_logits`` draws, counted in the order of generation.  Here: one at a time.

        Places that do not depend on each other may share a step, if all that they depend on came before."""
        return torch.arange(self.length, device=self.order.device).split(1)

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        """The logits of ``read`` for n samples, step by step: (n · m, K) for the m places of a wavefront."""
        return uncached(self, n, label)

    def forward(self, x: Tensor, y: Labels = None) -> Tensor:
        """x (B, *event) symbols, y () or (B,) labels -> logits (B, *event, K)"""
        return self.read(self.one_hot(self._symbols(x)), self._labels(y, len(x)))

    def log_prob(self, x: Tensor, y: Labels = None) -> Tensor:
        """log p(x | y) = Σ_i log softmax(f(x_<i))[x_i], in nats.  x (B, *event) -> (B,)    (intro lecture, Chain Rule)"""
        logits = at_least_float32(self(x, y))
        nll = F.cross_entropy(logits.flatten(0, -2), x.flatten().long(), reduction="none")
        return -nll.view(len(x), self.length).sum(1)

    def loss(self, x: Tensor, y: Labels = None) -> Tensor:
        """−mean log p(x | y): nats a sample; for two symbols, the binary cross-entropy.     (intro lecture, How to train)"""
        return -self.log_prob(expect_some(x), y).mean()

    def sample(
        self,
        n: int,
        y: Labels = None,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        iter_logits: LogitsIterator | None = None,
    ) -> Tensor:
        """x_i ~ softmax(f(x_<i) / temperature), place by place.  y () or (n,) labels -> (n, *event)

        iter_logits: another source of the logits, one place at a time: `uncached`, `guided`."""
        check_min(0, n=n)
        blank = torch.zeros(n, *self.event, dtype=torch.long, device=self.order.device)
        return self.inpaint(blank, blank[:1].bool(), y, temperature, generator, iter_logits)

    def inpaint(
        self,
        x: Tensor,
        known: Tensor,
        y: Labels = None,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        iter_logits: LogitsIterator | None = None,
    ) -> Tensor:
        """A sample of p(the rest | the known part), which must come first in the order of generation.  -> (n, *event)

        x (n, *event) symbols, of which only the known count; known (*event) or (n, *event), True where x is given"""
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature is {temperature}: expected a finite number above 0 (1: as learned).")
        shape, n = x.shape, len(self._symbols(x))
        given, x = self._prefix(known, n), x.long().view(n, self.length)[:, self.order]
        dtype = torch.promote_types(self.label_embedding.weight.dtype, torch.float32)
        u = torch.rand(self.length, n, generator=generator, dtype=dtype, device=x.device)  # one for each place
        wavefronts = self.wavefronts() if iter_logits is None else Autoregressive.wavefronts(self)
        # cached operations are too small to share between cores, a whole pass is not
        with torch.inference_mode(), threads_for(None if iter_logits is None else self):
            label = self._labels(y, n)
            steps = self.iter_logits(n, label) if iter_logits is None else iter_logits(self, n, label)
            x = _fill(steps, wavefronts, x, given, u.mT, temperature)
        return x[:, self.rank()].view(shape)  # a copy made outside inference mode may take part in gradients

    def one_hot(self, x: Tensor) -> Tensor:
        """Symbols as unit vectors in the dtype of the weights.  (...) -> (..., K)"""
        return F.one_hot(x.long(), self.vocabulary).to(self.label_embedding.weight.dtype)

    def rank(self) -> Tensor:
        """The step at which each place is generated, the inverse of ``order``.  (L,)"""
        return self.order.argsort()

    def _symbols(self, x: Tensor) -> Tensor:
        """x where it is a batch (B, *event) of symbols, or an error."""
        if not isinstance(x, Tensor) or x.is_floating_point() or x.dtype == torch.bool:
            symbols = f"symbols, a tensor of integers 0 to {self.vocabulary - 1}"
            raise TypeError(f"x has {_kind(x)}: expected {symbols}; for grey values data.binarise(x).long().")
        if tuple(x.shape[1:]) != self.event:
            expected = ", ".join(map(str, ("B", *self.event)))
            raise ValueError(f"x has shape {tuple(x.shape)}: this {type(self).__name__} expects ({expected}).")
        if x.device != self.order.device:
            raise ValueError(f"x is on the device {x.device}: expected {self.order.device}, where the model is.")
        low, high = (int(end) for end in torch.aminmax(x)) if x.numel() and x.device.type == "cpu" else (0, 0)
        if low < 0 or high >= self.vocabulary:
            raise ValueError(f"x runs from {low} to {high}: expected symbols 0 to {self.vocabulary - 1}.")
        return x

    def _labels(self, y: Labels, n: int) -> Tensor:
        """Rows of ``label_embedding``, one a sample.  (n,)"""
        return expect_labels(y, self.classes, n, self.order.device)

    def _prefix(self, known: Tensor, n: int) -> Tensor:
        """known in the order of generation, (n, L), where it is a prefix of that order, or an error."""
        if not isinstance(known, Tensor) or known.dtype != torch.bool:
            raise TypeError(f"known has {_kind(known)}: expected a tensor of booleans, True where x is given.")
        if tuple(known.shape) not in (self.event, (1, *self.event), (n, *self.event)):
            raise ValueError(f"known has shape {tuple(known.shape)}: expected {self.event} or {(n, *self.event)}.")
        given = known.to(self.order.device).reshape(-1, self.length)[:, self.order]
        late = (given[:, 1:] & ~given[:, :-1]).any(0).nonzero()
        if len(late):
            before, place = self.order[int(late[0]) :][:2].tolist()
            raise ValueError(
                f"known is no beginning of the order: place {place} is known, and place {before}, just before it, not."
            )
        return given.expand(n, self.length)

    def __repr__(self) -> str:
        label = f", given one of {self.classes} classes" if self.classes else ""
        return (
            f"{type(self).__name__}: {' x '.join(map(str, self.event))} places of {self.vocabulary} symbols, each given "
            f"those before it{label}; {parameter_count(self):,} parameters"
        )


LogitsIterator = Callable[[Autoregressive, int, Tensor], Logits]


def uncached(model: Autoregressive, n: int, label: Tensor) -> Logits:
    """The logits by a whole pass for every place, of which one place is used: L times too much work."""
    x = torch.zeros(n, model.length, dtype=torch.long, device=label.device)
    for place in model.order.tolist():
        logits = model.read(model.one_hot(x).view(n, *model.event, model.vocabulary), label)
        x[:, place] = yield logits.flatten(1, -2)[:, place]


def sample_categorical(logits: Tensor, u: Tensor, temperature: float = 1.0) -> Tensor:
    """The smallest k with u < Σ_(j≤k) softmax(logits / temperature)_j.  logits (n, K), u (n,) in [0, 1) -> (n,)"""
    logits = logits.to(u)
    if temperature != 1:  # at most zero, so that no temperature overflows
        logits = (logits - logits.amax(-1, keepdim=True)) / temperature
    cdf = logits.softmax(-1).cumsum(-1)
    return (u[:, None] * cdf[:, -1:] >= cdf).sum(-1)  # a last sum of 0.9999999 counts as 1


def _fill(
    steps: Logits, wavefronts: Sequence[Tensor], x: Tensor, given: Tensor, u: Tensor, temperature: float
) -> Tensor:
    """x with the places that are not given drawn step by step.  x, given, u (n, L), in the order of generation"""
    by_step, sizes = torch.cat(tuple(wavefronts)), [len(front) for front in wavefronts]
    known = [bool(part.any()) for part in given.any(0)[by_step].split(sizes)]
    numbers, wanted, fixed = (part[:, by_step].split(sizes, 1) for part in (u, x, given))
    tokens: list[Tensor | None] = [None]
    for i, some in enumerate(known):  # few operations a step: they are what sampling costs
        logits = steps.send(tokens[-1])
        token = sample_categorical(logits, numbers[i].flatten(), temperature)
        tokens.append(torch.where(fixed[i].flatten(), wanted[i].flatten(), token) if some else token)
    if logits.isnan().any():
        raise ValueError("the logits are NaN: the weights are broken, and nothing can be drawn from them.")
    drawn = torch.cat([token.view(-1, size) for token, size in zip(tokens[1:], sizes)], 1)
    return drawn[:, by_step.argsort()]


def receptive_field(model: Autoregressive, place: Sequence[int], samples: int = 16) -> Tensor:
    """mean |∂ logits[place] / ∂ x_j|: how much each place j matters; exactly 0 where no path leads.  (*event)

    A gradient with respect to unit vectors, at random symbols: place (0, 14, 14) is the middle of (1, 28, 28)."""
    if len(place) != len(model.event) or any(not 0 <= i < size for i, size in zip(place, model.event)):
        raise ValueError(f"place is {tuple(place)}: expected one index for each axis of {model.event}.")
    source, device = torch.Generator().manual_seed(0), model.order.device
    x = torch.randint(model.vocabulary, (samples, *model.event), generator=source).to(device)
    seen = model.one_hot(x).requires_grad_()
    logits = model.read(seen, torch.arange(samples, device=device) % max(1, model.classes))
    weight = torch.randn(samples, model.vocabulary, generator=source).to(logits)  # random, so that none cancel
    (grad,) = torch.autograd.grad((logits[(slice(None), *place)] * weight).sum(), seen)
    return grad.abs().sum(-1).mean(0)


def _kind(x: object) -> str:
    return f"dtype {x.dtype}" if isinstance(x, Tensor) else f"type {type(x).__name__}"
