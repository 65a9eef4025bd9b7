"""When a training step may be recorded: what can be decided without a GPU.  (Recorded steps themselves: test_gpu.)"""

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


def test_a_promise_holds_for_the_loss_it_stands_beside_and_no_other():
    assert gpu.graph_safe(Promised()) and gpu.graph_safe(Named())
    assert not gpu.graph_safe(Plain()) and not gpu.graph_safe(Other()) and not gpu.graph_safe(nn.Linear(2, 2))
    changed = Promised()
    changed.loss = lambda x: changed.weight.sum()
    assert not gpu.graph_safe(changed)


def test_a_readers_own_loss_is_never_recorded_and_wrappers_ask_what_they_wrap():
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


def test_a_game_that_starts_late_has_to_ask_its_clock_and_no_other_has():
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
    """Torch's watch for waiting, in words: what it would warn of is warned of by the tests."""
    modes = []
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    yield modes
    assert modes.count("warn") == modes.count(0) > 0  # the mode is what it was, whatever happened


@pytest.mark.parametrize(
    "what, decided",
    [
        ("nothing", True),
        ("waits", False),
        ("draws", False),
        ("warns of something else", True),
        ("prototype", True),
    ],
)
def test_what_waits_or_draws_on_the_cpu_is_found_out_and_other_warnings_go_on(no_gpu, what, decided):
    def turn(batch):
        if what == "waits":
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        if what == "draws":
            torch.rand(())
        if what == "warns of something else":
            warnings.warn("the learning rate is odd", stacklevel=1)
        if what == "prototype":
            warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1)
        return [batch[0].sum()]

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        losses, found = gpu.decided_on_the_device(turn, (torch.ones(3),))
    assert found is decided and float(losses[0]) == 3
    assert [str(w.message) for w in seen] == ["the learning rate is odd"] * (what == "warns of something else")


def test_the_watch_ends_where_a_step_fails(no_gpu):
    def turn(batch):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        gpu.decided_on_the_device(turn, ())


class Tape:
    """In the place of a graph: each replay takes the turn on what lies in the recording's places."""

    def __init__(self, turn, batch):
        self.turn, self.batch, self.count = turn, batch, 0

    def replay(self):
        self.count += 1
        self.turn(self.batch)


def test_a_kind_of_step_is_watched_three_times_then_recorded_once_and_replayed(no_gpu, monkeypatch):
    recordings, taken = [], []

    def record(batch, turn):
        batch = tuple(None if part is None else part.clone() for part in batch)
        recordings.append(gpu.Recording(Tape(turn, batch), batch, ["a loss"]))
        return recordings[-1]

    monkeypatch.setattr(gpu, "record", record)
    monkeypatch.setattr(gpu, "room", lambda: True)
    recorder = gpu.GraphRunner(Promised(), True)
    turn = lambda batch: taken.append(batch[0].tolist()) or ["a loss"]
    for step in range(12):
        kind = ("both",) if step % 2 else ("one",)
        recorder.take(kind, (torch.tensor([float(step)]), None), turn)
    assert taken == [[float(step)] for step in range(12)]  # every batch was seen, in order, replayed or not
    assert len(recordings) == 2 and [r.graph.count for r in recordings] == [3, 3] and recorder.on


@pytest.mark.filterwarnings("ignore:called a synchronizing")
def test_after_one_step_that_waits_nothing_is_recorded(no_gpu, monkeypatch):
    monkeypatch.setattr(gpu, "record", lambda *_: pytest.fail("recorded"))
    recorder, count = gpu.GraphRunner(Promised(), True), []

    def turn(batch):
        count.append(1)
        warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        return []

    for _ in range(6):
        recorder.take("step", (torch.ones(1),), turn)
    assert not recorder.on and len(count) == 6


@pytest.mark.filterwarnings("ignore:called a synchronizing")
def test_the_step_in_which_a_loss_is_compiled_may_wait_and_the_three_after_it_may_not(no_gpu, monkeypatch):
    monkeypatch.setattr(gpu, "room", lambda: True)
    monkeypatch.setattr(gpu, "record", lambda batch, turn: gpu.Recording(Tape(turn, batch), batch, []))

    def recorded_where(waits):
        recorder = gpu.GraphRunner(Promised(), True, unwatched=1)
        for step in range(6):

            def turn(batch, step=step):
                if step in waits:
                    warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
                return []

            recorder.take("step", (torch.ones(1),), turn)
        return recorder.on and len(recorder.recordings) == 1

    assert recorded_where({0}) and not any(recorded_where({step}) for step in (1, 2, 3))


@pytest.mark.parametrize("free, enough", [(401, True), (399, False)])
def test_where_the_memory_is_nearly_full_nothing_is_recorded(free, enough, no_gpu, monkeypatch):
    """The largest step so far took 300 - 100 bytes: twice that must be left."""
    emptied, recordings = [], []
    for name, value in {
        "empty_cache": lambda: emptied.append(1),
        "mem_get_info": lambda: (free, 1000),
        "max_memory_allocated": lambda: 300,
        "memory_allocated": lambda: 100,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)

    def record(batch, turn):
        recordings.append(gpu.Recording(Tape(turn, batch), batch, []))
        return recordings[-1]

    monkeypatch.setattr(gpu, "record", record)
    recorder = gpu.GraphRunner(Promised(), True)
    for _ in range(5):
        recorder.take("step", (torch.ones(1),), lambda batch: [])
    assert recorder.on is enough and len(recordings) == enough and emptied == [1]


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
    """So its graph is captured once."""
    made = pretrained.entry(name)
    model = made.training(made.blank())
    state = TrainState.create(model, replace(made.recipe(), batch=2))
    batches, settings = batch_stream(made.batches(data.mnist()), state.recipe, state.device), gpu.Settings(model)
    for step in range(2):
        train_step(state, batches(step))
    assert not settings.changed()


def test_on_a_cpu_nothing_is_recorded_and_the_rate_is_a_number():
    state = TrainState.create(Promised(), Recipe(4, 2, 0.5, warmup=4))
    train_step(state, batch_stream(torch.ones(6, 2), state.recipe, state.device)(0))
    assert not state.recorder.on and state.optimizers["model"].param_groups[0]["lr"] == 0.125


def test_a_rate_on_the_device_is_changed_in_place():
    rate = torch.tensor(1.0)
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(1))], rate)
    held = optimizer.param_groups[0]["lr"]
    set_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] is held and float(held) == 0.25
