"""One training loop for the whole course.

A model is trained by asking it for a loss: ``model.loss(*batch) -> scalar``.  A GAN is two such players who take turns;
it offers ``players()``, and an ordinary model is the game with one player.  Everything else here is craft that every
lecture needs and none is about: batches, a learning rate that warms up and decays, an average of the weights, a record
of the loss, a place to stop and go on.

Nothing is hidden in the state.  The order of the data is a function of (seed, step), fresh noise comes from torch's
generator whose state is kept, so a run that was stopped at any step and resumed gives the very bits of a run that was
not (on a CPU).  Press "stop" in a notebook: the step under way is finished, the model is usable, and
``fit(..., resume=history)`` goes on.  Where torchrun started several processes, each takes its share of every batch
(``processes``); where the memory is full, a batch is taken in pieces (``pieces``); on a GPU the steps of models that allow
it are recorded once and replayed (``recorded``).
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ..core.tensors import threads_for
from . import checkpoints, distributed
from .batches import feed
from .compiled import Compiled
from .config import Recipe, Schedule, constant, cosine, held_then_linear, linear
from .diagnostics import Symptom, Watch, told
from .gpu import Recorder, settings, steady
from .interrupts import patient
from .pieces import Pieces

__all__ = ["History", "Player", "Recipe", "Schedule", "TrainingError", "constant", "cosine", "feed", "fit",
           "held_then_linear", "linear", "players", "read_history", "warm_average"]

@contextmanager
def still(module: nn.Module) -> Iterator[None]:
    """The module's weights take no part in gradients: what passes through it is judged by it, and does not move it."""
    before = [p.requires_grad for p in module.parameters()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for p, moves in zip(module.parameters(), before):
            p.requires_grad_(moves)


@dataclass
class Player:
    """One side of a game: a module whose parameters move, and the loss it wants small, called with the batch.

    every: it moves at each ``every``-th step only, so that the others take k steps to its one; in between its recorded
    loss is NaN.  pace: its learning rate over the recipe's (two time scales)."""

    module: nn.Module
    loss: Callable[..., Tensor]
    every: int = 1
    pace: float = 1.0

    def __post_init__(self) -> None:
        if self.every < 1 or not self.pace > 0:
            raise ValueError(f"every is {self.every} and pace {self.pace}: expected at least 1, and above 0.")


def players(model: nn.Module) -> dict[str, Player]:
    """The sides of the game: what the model offers, or the model alone."""
    if hasattr(model, "players"):
        return model.players()
    if not hasattr(model, "loss"):
        raise TypeError(f"{type(model).__name__} has no loss: expected a module with loss(*batch) -> scalar, or players().")
    return {"model": Player(model, model.loss)}


class TrainingError(RuntimeError):
    """A loss that is no number any more."""


@dataclass
class History:
    """What a run leaves: the losses of each player, the time it took, all that is needed to go on, and what looked ill."""

    recipe: Recipe
    losses: dict[str, Tensor]
    step: int = 0
    seconds: float = 0.0
    tensors: dict[str, Tensor] = field(default_factory=dict, repr=False)
    symptoms: list[Symptom] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return self.step >= self.recipe.steps

    @property
    def loss(self) -> Tensor:
        """The losses so far of the first player.  (step,)"""
        return next(iter(self.losses.values()))[:self.step]

    def smooth(self, window: int = 50) -> Tensor:
        """The losses averaged over the last ``window`` steps."""
        total = torch.cat([torch.zeros(1).double(), self.loss.cpu().double().cumsum(0)])
        start = (torch.arange(1, len(total)) - window).clamp(min=0)
        return ((total[1:] - total[start]) / (torch.arange(1, len(total)) - start)).float()

    def __repr__(self) -> str:
        last = f", loss {float(self.smooth()[0]):.3g} -> {float(self.smooth()[-1]):.3g}" if self.step else ""
        left = "" if self.finished else f" of {self.recipe.steps} (stopped: fit(..., resume=history) goes on)"
        seen = "".join(f"; seen: {symptom.name}" for symptom in self.symptoms)
        return f"{self.step} steps{left} in {self.seconds:.0f} s{last}{seen}"


def fit(model: nn.Module, data: Any, recipe: Recipe, *, resume: History | str | Path | None = None,
        save: str | Path | None = None, report: Callable[[History], None] | None = None) -> History:
    """Train ``model`` in place on ``data`` and return the History; with an EMA the averaged weights are in the model.

    data: a tensor (N, *event), a tuple of them (None where the loss has an argument to leave out), an object with
    sample(n), or a function n -> batch.  resume: a History,
    or the file an earlier ``save`` wrote; the recipe must be the same.  save: a file, written some twenty times.
    TrainingError where a loss or a weight is NaN or infinite: the model then has the weights of its last good moment.
    A model with ``symptoms(*batch)`` is looked at now and then, and what is ill is printed, once (see ``symptoms``)."""
    run = _Run(model, recipe, resume)
    batches, mark, watch = feed(data, recipe, run.device), max(1, recipe.steps // 20), Watch(model, recipe.steps)
    try:
        with _quiet_random(run), patient(run.team.signals) as asked, threads_for(model):
            start = time.perf_counter() - run.history.seconds
            while not run.history.finished and not run.team.stops(bool(asked), run.history.step, run.device):
                batch = batches(run.history.step)
                run.step(batch)
                run.history.seconds = time.perf_counter() - start
                if run.history.step % mark == 0:
                    run.remember(save)
                if run.team.first:
                    run.tell(watch.look(run.history.step, batch))
                    if report:
                        report(run.history)
            run.remember(save)
    finally:
        run.finish()
    return run.history


class _Run:
    """The moving parts of one call of ``fit``."""

    def __init__(self, model: nn.Module, recipe: Recipe, resume: History | str | Path | None) -> None:
        self.model, self.recipe, self.sides = model.train(), recipe, players(model)
        weights = list(model.parameters())
        if not weights:
            raise ValueError(f"{type(model).__name__} has no parameters: expected a module with weights to train.")
        self.device = weights[0].device
        self.team, self.pieces = distributed.team(self.device), Pieces()
        self.recordable = self.device.type == "cuda" and self.team.size == 1 and steady(model)
        self.compiled = recipe.compiled and self.recordable
        self.losses = {name: Compiled(side.loss) if self.compiled else side.loss for name, side in self.sides.items()}
        self.recorder = Recorder(self.recordable, unwatched=int(self.compiled))
        self.optimizers = {name: self.optimizer(side) for name, side in self.sides.items()}
        self.average = AveragedModel(model) if recipe.ema else None
        empty = {name: torch.full((recipe.steps,), float("nan"), device=self.device) for name in self.sides}
        self.history = History(recipe, empty)
        self.live = False  # whether torch's generators are this run's own at the moment
        self.random = {kind: torch.Generator(kind).manual_seed(self.team.seed(recipe.seed)).get_state()
                       for kind in {"cpu", self.device.type} & {"cpu", "cuda"}}
        if resume is not None:
            self.restore(resume if isinstance(resume, History) else read_history(resume, recipe))
        self.team.begin(model, self.history.step, self.device)
        self.remember()

    def optimizer(self, side: Player) -> torch.optim.Optimizer:
        """AdamW in one operation; where steps are replayed, with a learning rate that lies on the device."""
        rate = torch.tensor(self.recipe.lr, device=self.device) if self.recordable else self.recipe.lr
        return torch.optim.AdamW(side.module.parameters(), rate, self.recipe.betas, weight_decay=self.recipe.weight_decay,
                                 fused=self.device.type in ("cpu", "cuda"), capturable=self.recordable)

    def step(self, batch: tuple[Tensor, ...]) -> None:
        """One turn of every player whose turn it is."""
        now, rate = self.history.step, self.recipe.rate(self.history.step)
        own, weight = self.team.share(batch)
        names = tuple(name for name, side in self.sides.items() if not (now + 1) % side.every)
        for name in names:
            set_rate(self.optimizers[name], rate * self.sides[name].pace)
        kind = (names, *settings(self.model)) if self.recorder.on else names
        losses = self.recorder.take(kind, own, lambda own: [self.turn(name, own, weight) for name in names])
        for name, loss in zip(names, losses):
            self.history.losses[name][now] = loss
        self.team.follow(self.model)
        if self.average is not None:
            self.blend(self.average)
        self.history.step = now + 1
        if self.history.step % 50 == 0:  # not at every step, since each look waits for a GPU
            self.check(now + 1)

    def turn(self, name: str, own: tuple[Tensor, ...], weight: float) -> Tensor:
        """A player's move, and its loss before it."""
        now, parameters, optimizer = self.history.step, list(self.sides[name].module.parameters()), self.optimizers[name]
        loss = self.pieces.gradient(self.measured(name), own, optimizer.zero_grad)
        loss = self.team.mean(parameters, loss, weight)
        if self.device.type == "cpu":
            self.history.losses[name][now] = loss
            if not torch.isfinite(loss):
                self.check(now + 1)
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip)
        optimizer.step()
        return loss

    def blend(self, average: AveragedModel) -> None:
        """Move the running average on.  AveragedModel's own update would wait for a GPU at every step, to read its count."""
        means, owns = list(average.module.parameters()), list(self.model.parameters())
        with torch.no_grad():
            if int(average.n_averaged) == 0:  # a number on the CPU, wherever the weights are
                torch._foreach_copy_(means, owns)
            else:
                warm_average(self.recipe.ema)(means, owns, average.n_averaged)
        average.n_averaged += 1

    def measured(self, name: str) -> Callable[..., Tensor]:
        """The loss of a player, in the recipe's precision and looked at: batch -> ()"""
        def loss(*batch: Tensor) -> Tensor:
            with self.precision():
                return _scalar(self.losses[name](*batch), name)
        return loss

    def precision(self) -> AbstractContextManager:
        """Autocast where the recipe names a dtype; it costs too much to enter for nothing."""
        return torch.autocast(self.device.type, self.recipe.precision) if self.recipe.precision else nullcontext()

    def check(self, steps: int) -> None:
        """Stop where a loss of so many steps was no number."""
        for name, losses in self.history.losses.items():
            every = self.sides[name].every
            broken = (~torch.isfinite(losses[every - 1:steps:every])).nonzero()
            if not len(broken):
                continue
            bad, of = every * (int(broken[0]) + 1) - 1, self.recipe.steps
            self.fail(f"The loss of '{name}' became {float(losses[bad])} at step {bad} of {of}" if self.sound() else
                      f"The gradient of step {max(0, bad - 1)} of {of} was no number: the weights are broken, "
                      f"and the loss of '{name}' at step {bad} is {float(losses[bad])}")

    def sound(self) -> bool:
        """Whether every weight is a number: a broken gradient shows in the weights first."""
        return all(bool(torch.isfinite(p).all()) for p in self.model.parameters())

    def fail(self, what: str) -> None:
        """Back to the last good moment, and say so."""
        now = min(self.history.step, self.recipe.steps - 1)
        self.restore(self.history)
        raise TrainingError(f"{what} (learning rate {self.recipe.rate(now):.2g}). The model is as it was at step "
                            f"{self.history.step}. A smaller learning rate, clip=1.0 or a look at the data usually helps.")

    def tell(self, symptoms: list[Symptom]) -> None:
        """Say them where the reader looks: in the cell's output, and not among the errors."""
        self.history.symptoms += symptoms
        for symptom in symptoms:
            print(told(symptom, self.history.step))

    def remember(self, save: str | Path | None = None) -> None:
        """Copy everything that the next step depends on into the history, and to a file if one is wanted."""
        self.check(self.history.step)
        if self.history.tensors and not self.sound():
            self.fail(f"The weights became NaN or infinite by step {self.history.step} of {self.recipe.steps}: the "
                      f"gradient of step {self.history.step - 1} or one shortly before was no number")
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.average is not None:
            for kept, buffer in zip(self.average.module.buffers(), self.model.buffers()):
                kept.copy_(buffer)
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            tensors |= {f"optimizer.{name}.{i}.{k}": v for i, state in optimizer.state_dict()["state"].items()
                        for k, v in state.items()}
        tensors |= {f"losses.{name}": losses for name, losses in self.history.losses.items()}
        tensors["step"], tensors["seconds"] = torch.tensor(self.history.step), torch.tensor(self.history.seconds)
        if self.live:
            self.random = {kind: torch.cuda.get_rng_state(self.device) if kind == "cuda" else torch.get_rng_state()
                           for kind in self.random}
        tensors |= self.team.states(self.random, self.device)
        self.history.tensors = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        if save is not None and self.team.first:
            checkpoints.write(save, self.history.tensors, {"recipe": _told(self.recipe)})

    def restore(self, history: History) -> None:
        """Take up a run where its history left it; ValueError where the recipe is another."""
        if _told(history.recipe) != _told(self.recipe):
            raise ValueError(f"The run to resume had {history.recipe}, this one has {self.recipe}: they must be equal.")
        part = lambda prefix: {k.removeprefix(prefix): v.to(self.device, copy=True) for k, v in history.tensors.items()
                               if k.startswith(prefix)}  # copies: what was remembered can be resumed from twice
        wanted = ["step", "seconds", *(f"losses.{name}" for name in self.sides)]
        if lost := [name for name in wanted if name not in history.tensors]:
            raise checkpoints.CheckpointError(f"The checkpoint lacks {', '.join(lost)}: resuming needs it.")
        random = self.team.expect_states(history.tensors, self.random)
        states: dict[str, dict[int, dict[str, Tensor]]] = {name: {} for name in self.optimizers}
        for name, state in states.items():
            weights = list(self.sides[name].module.parameters())
            for key, value in part(f"optimizer.{name}.").items():
                index, what = key.split(".")  # a file forgets strides, and a fused step reads moments in those of the weight
                state.setdefault(int(index), {})[what] = (
                    value.cpu() if what == "step" else torch.empty_like(weights[int(index)], dtype=value.dtype).copy_(value))
            if int(history.tensors["step"]) >= self.sides[name].every and not state:
                raise checkpoints.CheckpointError(f"The checkpoint lacks the optimizer of '{name}': resuming needs it.")
        checkpoints.expect_fit(self.model, part("model."), "The checkpoint")  # all is looked at before anything is loaded
        if self.average is not None:
            checkpoints.load_into(self.average, part("average."), "The checkpoint's average")
        checkpoints.load_into(self.model, part("model."), "The checkpoint")
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(optimizer.state_dict() | {"state": states[name]})
        self.random = random
        self.recorder = Recorder(self.recordable, unwatched=int(self.compiled))  # what was recorded reads the old moments
        self.history = History(self.recipe, part("losses."), int(history.tensors["step"]),
                               float(history.tensors["seconds"]), history.tensors)

    def finish(self) -> None:
        """Leave the averaged weights in the model, ready to be used."""
        if self.average is not None and self.history.step:
            with torch.no_grad():
                for own, mean in zip(self.model.parameters(), self.average.module.parameters()):
                    own.copy_(mean)
        self.model.eval()


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of all its groups; where it is a tensor, in place, so that a recorded step reads it."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def warm_average(decay: float) -> Callable:
    """The running average of weights, decay min(decay, (1 + n)/(10 + n)): young averages forget their start."""
    def update(averages: list[Tensor], currents: list[Tensor], count: Tensor) -> None:
        now = min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(averages, currents, 1 - now)
    return update


@contextmanager
def _quiet_random(run: _Run) -> Iterator[None]:
    """The run's own random numbers: the notebook's stream is where it was, before and after."""
    devices = [run.device] if run.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.set_rng_state(run.random["cpu"])
        if devices:
            torch.cuda.set_rng_state(run.random["cuda"], run.device)
        run.live = True
        try:
            yield
        finally:
            run.live = False


def _scalar(loss: Any, name: str) -> Tensor:
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        came = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
        raise ValueError(f"The loss of '{name}' is {came}: expected one number as a tensor, such as a mean over the batch.")
    return loss


def _told(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON: functions and dtypes by name."""
    return {k: getattr(v, "__name__", None) or (list(v) if isinstance(v, tuple) else str(v) if isinstance(v, torch.dtype)
                                                else v) for k, v in asdict(recipe).items()}


def read_history(path: str | Path, recipe: Recipe) -> History:
    """The History that ``fit(save=path)`` wrote; CheckpointError where the file is damaged, ValueError where the
    recipe in it is another."""
    tensors, notes = checkpoints.read(path)
    if notes.get("recipe") != _told(recipe):
        raise ValueError(f"{path} was written by another recipe, {notes.get('recipe')}: expected {_told(recipe)}.")
    losses = {k.removeprefix("losses."): v for k, v in tensors.items() if k.startswith("losses.")}
    return History(recipe, losses, int(tensors.get("step", 0)), float(tensors.get("seconds", 0)), tensors)
