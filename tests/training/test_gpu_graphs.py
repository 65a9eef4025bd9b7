"""When a training step may be captured as a CUDA graph, as far as it shows without a GPU.  (Captures: test_gpu.)"""

from __future__ import annotations

import random
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from dgm_course import autoregressive, data, flows, gan, latent, nets, paths, pretrained
from dgm_course.training import Recipe, TrainState, batch_stream, gpu, set_rate, train_step


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def loss(self, x):
        return (self.weight * x).square().mean()


class Promised(Plain):
    graph_safe = True

    def loss(self, x):
        return super().loss(x)


class Other(Promised):
    def loss(self, x):
        return super().loss(x) + float(x.sum())


class Named(Promised):
    """No loss of its own: the promise holds."""


def test_a_promise_holds_for_its_own_loss():
    assert gpu.graph_safe(Promised()) and gpu.graph_safe(Named())
    assert not gpu.graph_safe(Plain()) and not gpu.graph_safe(Other()) and not gpu.graph_safe(nn.Linear(2, 2))
    changed = Promised()
    changed.loss = lambda x: changed.weight.sum()
    assert not gpu.graph_safe(changed)


def test_wrappers_ask_what_they_wrap():
    class Mine(paths.PathModel):
        def loss(self, x1, x0=None, y=None):
            return super().loss(x1, x0, y)

    make = lambda kind: kind(nets.MLP(2), paths.Conical(), (2,))
    assert gpu.graph_safe(make(paths.PathModel)) and not gpu.graph_safe(make(Mine))
    rescaling = latent.LatentScaler(torch.zeros(2), torch.ones(2))
    for inner, expected in ((paths.PathModel, True), (Mine, False)):
        assert gpu.graph_safe(latent.ScaledModel(make(inner), rescaling)) is expected
    blocks = autoregressive.PixelCNN(16, (3, 3), width=8, depth=2)
    assert gpu.graph_safe(autoregressive.PatchModel(blocks, 2)) and gpu.graph_safe(
        flows.Flow(flows.couplings(2, 2), 2)
    )
    maker = nn.Sequential(nn.Linear(2, 2))
    maker.latent = 2
    assert gpu.graph_safe(gan.GAN(maker, nn.Linear(2, 1)))


def test_only_a_late_critic_is_unsafe():
    game = lambda start: pretrained.latent.vqgan(
        pretrained.vq.digits_vqvae(8), nn.Linear(1, 1), gan.hinge(), start=start
    )
    assert gpu.graph_safe(game(0)) and not gpu.graph_safe(game(5))
    assert gpu.graph_safe(pretrained.vq.digits_vqvae(8)) and gpu.graph_safe(pretrained.vq.digits_vqvae2(8))
    asked = game(0)
    asked.turn = torch.zeros((), device="meta", dtype=torch.long)  # whose value nobody can read
    assert asked.critic_active


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: torch.rand(())])
def test_each_generator_of_the_cpu_is_watched(draw):
    before = gpu.cpu_random_state()
    assert gpu.cpu_random_state() == before
    draw()
    assert gpu.cpu_random_state() != before


@pytest.fixture
def no_gpu(monkeypatch):
    """In place of torch's warnings about syncs: the tests warn themselves."""
    modes = []
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    yield modes
    assert modes.count("warn") == modes.count(0) > 0  # the mode is what it was, whatever happened


SYNC = "called a synchronizing CUDA operation"
TURNS = {
    "nothing": (int, True),
    "a sync": (lambda: warnings.warn(SYNC, stacklevel=1), False),
    "a draw": (lambda: torch.rand(()), False),
    "another warning": (lambda: warnings.warn("the learning rate is odd", stacklevel=1), True),
    "torch's own": (
        lambda: warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1),
        True,
    ),
}


@pytest.mark.parametrize("what", TURNS)
def test_syncs_and_cpu_draws_are_noticed(no_gpu, what):
    """Other warnings go on."""
    act, decided = TURNS[what]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        losses, found = gpu.decided_on_the_device(lambda batch: [batch[0].sum(), act()][:1], (torch.ones(3),))
    assert found is decided and float(losses[0]) == 3
    assert [str(w.message) for w in seen] == ["the learning rate is odd"] * (what == "another warning")


def test_watching_ends_where_a_step_fails(no_gpu):
    def turn(batch):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        gpu.decided_on_the_device(turn, ())


class Tape:
    """In the place of a graph: a replay takes the turn on what lies in the capture's batch."""

    def __init__(self, turn, batch):
        self.turn, self.batch, self.count = turn, batch, 0

    def replay(self):
        self.count += 1
        self.turn(self.batch)


@pytest.fixture
def captures(monkeypatch):
    """The captures made, where there is room for them."""
    made = []

    def record(batch, turn):
        batch = tuple(None if part is None else part.clone() for part in batch)
        made.append(gpu.Recording(Tape(turn, batch), batch, ["a loss"]))
        return made[-1]

    monkeypatch.setattr(gpu, "record", record)
    monkeypatch.setattr(gpu, "room", lambda: True)
    return made


def test_a_kind_is_watched_then_captured_then_replayed(no_gpu, captures):
    runner, batches = gpu.GraphRunner(Promised(), True), []
    turn = lambda batch: batches.append(batch[0].tolist()) or ["a loss"]
    for step in range(12):
        runner.take(step % 2, (torch.tensor([float(step)]), None), turn)
    assert batches == [[float(step)] for step in range(12)]  # every batch was seen, in order, replayed or not
    assert [capture.graph.count for capture in captures] == [3, 3] and runner.on


def test_a_changed_setting_is_captured_anew(no_gpu, captures):
    model = Promised()
    runner = gpu.GraphRunner(model, True)
    for step in range(10):
        model.scale = float(step > 4)
        runner.take("step", (torch.ones(1),), lambda batch: [])
    assert [capture.graph.count for capture in captures] == [2, 2] and len(runner.recordings) == 1


@pytest.mark.filterwarnings("ignore:called a synchronizing")
@pytest.mark.parametrize(
    "unwatched, syncing, captured",
    [(0, (), 1), (0, (0,), 0), (0, (2,), 0), (1, (0,), 1), (1, (1,), 0), (1, (3,), 0)],
)
def test_one_watched_sync_ends_all_capturing(no_gpu, captures, unwatched, syncing, captured):
    """The step that compiles a loss is not watched."""

    def turn(batch):
        if int(batch[0]) in syncing:
            warnings.warn(SYNC, stacklevel=1)
        return []

    runner = gpu.GraphRunner(Promised(), True, unwatched)
    for step in range(6):
        runner.take("step", (torch.tensor(step),), turn)
    assert len(captures) == captured and runner.on is bool(captured)


@pytest.mark.parametrize("free, enough", [(401, True), (399, False)])
def test_a_nearly_full_memory_prevents_captures(free, enough, monkeypatch):
    """The largest step so far took 300 - 100 bytes: twice that must be left."""
    emptied = []
    for name, value in {
        "empty_cache": lambda: emptied.append(1),
        "mem_get_info": lambda: (free, 1000),
        "max_memory_allocated": lambda: 300,
        "memory_allocated": lambda: 100,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    assert gpu.room() is enough and emptied == [1]


@pytest.mark.parametrize("room", [True, False])
def test_room_is_asked_before_a_capture(room, no_gpu, captures, monkeypatch):
    monkeypatch.setattr(gpu, "room", lambda: room)
    runner = gpu.GraphRunner(Promised(), True)
    for _ in range(5):
        runner.take("step", (torch.ones(1),), lambda batch: [])
    assert runner.on is room and len(captures) == room


def deep():
    """A model whose settings lie at every depth."""
    generator = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1))
    generator.latent = 2
    model = gan.GAN(generator, nn.Linear(2, 1), gan.non_saturating().with_penalty(gan.R1(0.1)))
    model.own, model.options = SimpleNamespace(weight=1.0, scales=[1.0, 2.0]), {"a": {"b": 1}}
    return model


CHANGES = {
    "a number": lambda m: setattr(m, "k", 2),
    "a function": lambda m: setattr(m, "rule", abs),
    "the mode": lambda m: m.eval(),
    "a game": lambda m: setattr(m, "game", gan.hinge()),
    "a penalty's weight": lambda m: object.__setattr__(m.game.penalties[0], "weight", 5.0),
    "a layer's number": lambda m: setattr(m.generator[1], "p", 0.5),
    "an object's number": lambda m: setattr(m.own, "weight", 2.0),
    "an item of a list": lambda m: m.own.scales.append(3.0),
    "an item of a dict": lambda m: m.options["a"].update(b=2),
    "a buffer": lambda m: m.register_buffer("more", torch.ones(2)),
    "a replaced weight": lambda m: setattr(m.discriminator, "weight", nn.Parameter(torch.ones(1, 2))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_setting_is_seen_at_any_depth(change):
    model = deep()
    settings = gpu.Settings(model)
    with torch.no_grad():
        model.discriminator.weight.add_(1)
    assert not settings.changed()
    change(model)
    assert settings.changed() and not settings.changed()


@pytest.mark.parametrize(
    "name", ["dcgan_digits", "vqvae_digits", "flow_matching_digits", "image_gpt_digits", "vae_digits"]
)
def test_training_changes_no_setting_of_shipped_models(name):
    """From the first watched step on, so that its graph is captured once."""
    made = pretrained.entry(name)
    model = made.training(made.blank())
    state = TrainState.create(model, replace(made.recipe(), batch=2))
    batches = batch_stream(made.batches(data.mnist()), state.recipe, state.device)
    train_step(state, batches(0))
    settings = gpu.Settings(model)
    for step in (1, 2):
        train_step(state, batches(step))
    assert not settings.changed()


def test_a_cpu_captures_nothing():
    state = TrainState.create(Promised(), Recipe(4, 2, 0.5, warmup=4))
    train_step(state, batch_stream(torch.ones(6, 2), state.recipe, state.device)(0))
    assert not state.runner.on and state.optimizers["model"].param_groups[0]["lr"] == 0.125


def test_a_tensor_rate_changes_in_place():
    rate = torch.tensor(1.0)
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(1))], rate)
    held = optimizer.param_groups[0]["lr"]
    set_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] is held and float(held) == 0.25
