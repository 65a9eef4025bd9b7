"""One training loop for the whole course.

A model has ``loss(*batch) -> scalar``.  A GAN has ``objectives()``: two modules with a loss each, updated in turn.
``fit`` adds batches, a learning-rate schedule, an average of the weights, and checkpoints.

A stopped and resumed run equals an uninterrupted one bit by bit on a CPU: batches are a function of (seed, step), and the
states of the random generators are saved.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from ..core.tensors import threads_for
from . import checkpoints, distributed
from .batches import Batch, batch_stream, defer_interrupt, own_random_numbers, random_states, set_random_states
from .checkpoints import CheckpointError
from .config import Recipe
from .diagnostics import Diagnostic, TrainingMonitor
from .gpu import Compiled, GradientAccumulator, GraphRunner, graph_safe

CHECK_EVERY = 50  # steps between two checks of the losses on a GPU: each one forces a sync


class TrainingError(RuntimeError):
    """A loss, gradient or weight became NaN or infinite."""


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Freeze the module's weights: gradients pass through, and none is accumulated in them."""
    before = [p.requires_grad for p in module.parameters()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for p, required in zip(module.parameters(), before):
            p.requires_grad_(required)


@dataclass
class Objective:
    """A module and the loss that its parameters minimise, called with the batch.

    every: steps between its updates, where its loss is NaN.  lr_ratio: its learning rate over the recipe's."""

    module: nn.Module
    loss: Callable[..., Tensor]
    every: int = 1
    lr_ratio: float = 1.0

    def __post_init__(self) -> None:
        if self.every < 1 or not self.lr_ratio > 0:
            raise ValueError(
                f"every is {self.every} and lr_ratio {self.lr_ratio}: expected at least 1, and above 0."
            )


def objectives(model: nn.Module) -> dict[str, Objective]:
    """The model's own ``objectives()``, else the model with its loss."""
    if hasattr(model, "objectives"):
        return model.objectives()
    if not hasattr(model, "loss"):
        name = type(model).__name__
        raise TypeError(
            f"{name} has no loss: expected a module with loss(*batch) -> scalar, or with objectives()."
        )
    return {"model": Objective(model, model.loss)}


@dataclass
class History:
    """The losses (steps,) of each objective, the seconds taken, the problems reported, and the checkpoint to resume from."""

    recipe: Recipe
    losses: dict[str, Tensor]
    step: int = 0
    seconds: float = 0.0
    checkpoint: dict[str, Any] = field(default_factory=dict, repr=False)
    symptoms: list[Diagnostic] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return self.step >= self.recipe.steps

    @property
    def loss(self) -> Tensor:
        """The losses so far of the first objective.  (step,)"""
        return next(iter(self.losses.values()))[: self.step]

    def smooth(self, window: int = 50) -> Tensor:
        """The losses averaged over the last ``window`` steps.  (step,)"""
        total = torch.cat([torch.zeros(1).double(), self.loss.cpu().double().cumsum(0)])
        start = (torch.arange(1, len(total)) - window).clamp(min=0)
        return ((total[1:] - total[start]) / (torch.arange(1, len(total)) - start)).float()

    def __repr__(self) -> str:
        last = f", loss {float(self.smooth()[0]):.3g} -> {float(self.smooth()[-1]):.3g}" if self.step else ""
        left = "" if self.finished else f" of {self.recipe.steps} (stopped: fit(..., resume=history) goes on)"
        seen = "".join(f"; seen: {symptom.name}" for symptom in self.symptoms)
        return f"{self.step} steps{left} in {self.seconds:.0f} s{last}{seen}"


def fit(
    model: nn.Module,
    data: Any,
    recipe: Recipe,
    *,
    resume: History | str | Path | None = None,
    save: str | Path | None = None,
    report: Callable[[History], None] | None = None,
) -> History:
    """Train ``model`` in place and return the History; with an EMA the model ends with the averaged weights.

    data: a tensor (N, *event), a tuple of them (None for an argument to leave out), an object with sample(n), or n -> batch.
    resume: a History or a file, of an equal recipe.  save: a file, written some twenty times.  report: called at each step.
    Ctrl-C returns after the current step.  TrainingError where a loss or weight becomes NaN or infinite; the model then
    returns to its last checkpoint.  A model's ``after_step()`` is called after each step."""
    state = TrainState.create(model, recipe)
    batches, history, group = batch_stream(data, recipe, state.device), state.history, state.group
    with (
        own_random_numbers(group.seed(recipe.seed), state.device),
        defer_interrupt(group.signals) as received,
        threads_for(model),
        group.guard(),
    ):
        if resume is not None:
            restore(state, resume if isinstance(resume, History) else read_history(resume, recipe))
        group.prepare(model, history.step)
        try:
            _run(state, batches, received, save, report)
        finally:
            finish(state)
    return history


def _run(
    state: TrainState,
    batches: Callable[[int], Batch],
    received: list[int],
    save: str | Path | None,
    report: Callable[[History], None] | None,
) -> None:
    """Train to the last step or a stop request (``received``), with checkpoints and diagnostics."""
    history, group, save_every = state.history, state.group, max(1, state.recipe.steps // 20)
    monitor = TrainingMonitor(state.model, state.recipe.steps, history.symptoms)
    start = time.perf_counter() - history.seconds
    remember(state)
    while not history.finished and not group.stops(bool(received), history.step, state.device):
        batch = batches(history.step)
        train_step(state, batch)
        history.seconds = time.perf_counter() - start
        if group.first:
            history.symptoms += monitor.report(history.step, batch)
        if history.step % save_every == 0:
            remember(state, save)
        if group.first and report:
            report(history)
    remember(state, save)


@dataclass
class TrainState:
    """What a training step reads and changes."""

    model: nn.Module
    recipe: Recipe
    device: torch.device
    group: distributed.ProcessGroup
    objectives: dict[str, Objective]
    pieces: GradientAccumulator
    runner: GraphRunner
    losses: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    average: list[Tensor] | None  # of the model's parameters
    history: History

    @classmethod
    def create(cls, model: nn.Module, recipe: Recipe) -> TrainState:
        """The state before the first step; ValueError where the model has no parameters."""
        goals, weights = objectives(model.train()), list(model.parameters())
        if not weights:
            raise ValueError(f"{type(model).__name__} has no parameters: expected a module with weights to train.")
        device = weights[0].device
        group = distributed.process_group(device)
        graphs = device.type == "cuda" and group.size == 1 and graph_safe(model)
        fast, items = graphs and recipe.compiled, goals.items()
        runner = GraphRunner(model, graphs, unwatched=int(fast))
        losses = {name: group.wrap(ObjectiveLoss(name, goal, recipe, device, fast)) for name, goal in items}
        optimizers = {name: _adamw(goal, recipe, device, graphs) for name, goal in items}
        average = [p.detach().clone() for p in weights] if recipe.ema else None
        history = History(recipe, {name: torch.full((recipe.steps,), torch.nan, device=device) for name in goals})
        pieces = GradientAccumulator()
        return cls(model, recipe, device, group, goals, pieces, runner, losses, optimizers, average, history)


class ObjectiveLoss(nn.Module):
    """An objective's loss as the ``forward`` of a module, in the recipe's precision."""

    def __init__(self, name: str, objective: Objective, recipe: Recipe, device: torch.device, fast: bool) -> None:
        super().__init__()
        self.name, self.module, self.precision, self.device = name, objective.module, recipe.precision, device.type
        self.loss = Compiled(objective.loss) if fast else objective.loss

    def forward(self, *batch: Tensor | None) -> Tensor:
        """batch -> ()"""
        with torch.autocast(self.device, self.precision) if self.precision else nullcontext():
            loss = self.loss(*batch)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            came = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise ValueError(
                f"The loss of '{self.name}' is {came}: expected one number as a tensor, such as a mean over the batch."
            )
        return loss


def _adamw(objective: Objective, recipe: Recipe, device: torch.device, graphs: bool) -> torch.optim.Optimizer:
    """Fused AdamW; in a CUDA graph its learning rate is a tensor."""
    lr, fused = torch.tensor(recipe.lr, device=device) if graphs else recipe.lr, device.type in ("cpu", "cuda")
    decay, weights = recipe.weight_decay, objective.module.parameters()
    return torch.optim.AdamW(weights, lr, recipe.betas, weight_decay=decay, fused=fused, capturable=graphs)


def train_step(state: TrainState, batch: Batch) -> None:
    """One optimizer step of each objective that is due."""
    history, recipe = state.history, state.recipe
    step = history.step
    names = tuple(name for name, objective in state.objectives.items() if (step + 1) % objective.every == 0)
    for name in names:
        set_rate(state.optimizers[name], recipe.rate(step) * state.objectives[name].lr_ratio)
    batch, share = state.group.share(batch)
    losses = state.runner.take(names, batch, lambda batch: [update(state, name, batch, share) for name in names])
    for name, loss in zip(names, losses):
        history.losses[name][step] = loss
    if hasattr(state.model, "after_step"):
        state.model.after_step()
    state.group.broadcast_buffers(state.model)
    if state.average is not None:
        update_average(state.average, list(state.model.parameters()), recipe.ema, step)
    history.step = step + 1
    if history.step % CHECK_EVERY == 0:
        check_losses(state, history.step)


def update(state: TrainState, name: str, batch: Batch, share: float) -> Tensor:
    """The optimizer step of one objective: its loss on the batch before the step, ().

    share: the part of the whole batch that this process computes."""
    optimizer, step = state.optimizers[name], state.history.step
    loss = state.pieces.gradient(state.losses[name], batch, optimizer.zero_grad, share * state.group.size)
    loss = state.group.mean(loss, share)
    if state.device.type == "cpu":
        state.history.losses[name][step] = loss
        if not loss.isfinite():
            check_losses(state, step + 1)
    if state.recipe.clip is not None:
        nn.utils.clip_grad_norm_(state.objectives[name].module.parameters(), state.recipe.clip)
    optimizer.step()
    return loss


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate; a tensor is changed in place, because a CUDA graph reads it."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


@torch.no_grad()
def update_average(average: list[Tensor], weights: list[Tensor], ema: float, step: int) -> None:
    """average <- decay · average + (1 − decay) · weights, decay = min(ema, (1 + step)/(10 + step)), and 0 at step 0."""
    decay = min(ema, (1 + step) / (10 + step)) if step else 0.0
    torch._foreach_lerp_(average, weights, 1 - decay)


def check_losses(state: TrainState, steps: int) -> None:
    """TrainingError where a loss of the first ``steps`` steps is NaN or infinite."""
    for name, losses in state.history.losses.items():
        every = state.objectives[name].every
        broken = (~losses[every - 1 : steps : every].isfinite()).nonzero()
        if not len(broken):
            continue
        bad, of = every * (int(broken[0]) + 1) - 1, state.recipe.steps
        if weights_finite(state.model):
            fail(state, f"The loss of '{name}' became {float(losses[bad])} at step {bad} of {of}")
        fail(
            state,
            f"The gradient of step {max(0, bad - 1)} of {of} was not finite: the weights are not, either, and the loss "
            f"of '{name}' at step {bad} is {float(losses[bad])}",
        )


def weights_finite(model: nn.Module) -> bool:
    return all(bool(p.isfinite().all()) for p in model.parameters())


def fail(state: TrainState, problem: str) -> NoReturn:
    """Return to the last checkpoint and raise a TrainingError."""
    rate = state.recipe.rate(min(state.history.step, state.recipe.steps - 1))
    restore(state, state.history)
    raise TrainingError(
        f"{problem} (learning rate {rate:.2g}). The model is as it was at step {state.history.step}. "
        "A smaller learning rate, clip=1.0 or a look at the data usually helps."
    )


def remember(state: TrainState, save: str | Path | None = None) -> None:
    """Copy the state into the history, and into a file if one is given; TrainingError where it is not finite."""
    history, step = state.history, state.history.step
    check_losses(state, step)
    if history.checkpoint and not weights_finite(state.model):
        of, cause = state.recipe.steps, f"the gradient of step {step - 1} or one shortly before was not finite"
        fail(state, f"The weights became NaN or infinite by step {step} of {of}: {cause}")
    history.checkpoint = copy.deepcopy(
        {
            "recipe": state.recipe.describe(),
            "step": step,
            "seconds": history.seconds,
            "losses": history.losses,
            "symptoms": [vars(symptom) for symptom in history.symptoms],
            "model": dict(state.model.state_dict()),
            "average": state.average,
            "random": state.group.gather(random_states(state.device)),
            "optimizers": {name: optimizer.state_dict()["state"] for name, optimizer in state.optimizers.items()},
        }
    )
    if save is not None and state.group.first:
        checkpoints.save(save, history.checkpoint)


def restore(state: TrainState, history: History) -> None:
    """Set the state to a history's checkpoint.  ValueError where the recipe differs, CheckpointError where a part is
    missing or does not fit; the model is then unchanged."""
    state.recipe.expect_equal(history.recipe.describe(), "The run to resume")
    saved = copy.deepcopy(history.checkpoint)  # a checkpoint can be resumed from twice
    try:
        step, seconds, model, average = (saved[name] for name in ("step", "seconds", "model", "average"))
        losses = {name: saved["losses"][name].to(state.device) for name in state.objectives}
        moments = {name: {"state": saved["optimizers"][name]} for name in state.objectives}
        problems = [Diagnostic(**problem) for problem in saved["symptoms"]]
        random = saved["random"]
    except KeyError as missing:
        raise CheckpointError(f"The checkpoint lacks {missing}: resuming needs it.") from None
    size, shapes = state.group.size, [p.shape for p in state.model.parameters()]
    if len(random) != size:
        raise CheckpointError(
            f"The checkpoint is of a run in {len(random)} process(es) and this one has {size}: to go on, start as many."
        )
    checkpoints.expect_fit(state.model, model, "The checkpoint")
    if state.average is not None and [p.shape for p in average or ()] != shapes:
        raise CheckpointError(f"The averaged weights in the checkpoint do not fit {type(state.model).__name__}.")
    for name, objective in state.objectives.items():
        if step >= objective.every and not moments[name]["state"]:
            raise CheckpointError(f"The checkpoint lacks the optimizer state of '{name}': resuming needs it.")
    try:
        set_random_states(random[state.group.rank], state.device)
    except (IndexError, RuntimeError, TypeError) as error:
        raise CheckpointError(
            f"The checkpoint has no readable random state ({error}): resuming needs it."
        ) from None
    state.model.load_state_dict(model)
    if state.average is not None:
        torch._foreach_copy_(state.average, average)
    for name, optimizer in state.optimizers.items():
        optimizer.load_state_dict(optimizer.state_dict() | moments[name])
    state.runner.reset()  # its graphs read the old moments
    own = state.history
    own.step, own.seconds, own.symptoms, own.checkpoint = step, seconds, problems, history.checkpoint
    own.losses.update(losses)


def read_history(path: str | Path, recipe: Recipe) -> History:
    """The History that ``fit(save=path)`` wrote; CheckpointError where damaged, ValueError where the recipe differs."""
    saved = checkpoints.load(path)
    recipe.expect_equal(saved.get("recipe", {}), f"The run in {path}")
    return History(recipe, saved.get("losses", {}), saved.get("step", 0), saved.get("seconds", 0.0), saved)


def finish(state: TrainState) -> None:
    """Put the averaged weights into the model, and the model into evaluation mode."""
    if state.average is not None and state.history.step:
        with torch.no_grad():
            torch._foreach_copy_(list(state.model.parameters()), state.average)
    state.model.eval()
