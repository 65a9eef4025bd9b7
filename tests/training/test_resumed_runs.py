"""Runs that go on elsewhere or otherwise: random states, devices, processes, threads, tied weights, poisoned samples."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import dgm_course
from dgm_course import data
from dgm_course.core import tensors
from dgm_course.training import Recipe, TrainingError, checkpoints, fit
from dgm_course.training.checkpoints import CheckpointError

from .models import RECIPE, ROWS, TABLE, Curve, weights

# --- random states, devices ---


@pytest.mark.parametrize("state, told", [
    (torch.zeros(16, dtype=torch.uint8), "random.cpu in the checkpoint is no random state"),
    (torch.zeros(5056), "random.cpu in the checkpoint is no random state"),
    (None, "lacks random.cpu")])
def test_a_random_state_that_cannot_be_read_is_told_and_nothing_is_loaded(state, told, tmp_path):
    file, model = tmp_path / "run.safetensors", Curve(noise=0.1)
    fit(Curve(noise=0.1), TABLE, RECIPE, save=file)
    held, notes = checkpoints.read(file)
    held = {k: v for k, v in held.items() if k != "random.cpu"} | ({} if state is None else {"random.cpu": state})
    checkpoints.write(file, held, notes)
    before, stream = weights(model), torch.get_rng_state()
    with pytest.raises(CheckpointError, match=told):
        fit(model, TABLE, RECIPE, resume=file)
    assert all(map(torch.equal, weights(model), before)) and torch.equal(torch.get_rng_state(), stream)


def test_a_run_of_several_processes_does_not_go_on_in_one(tmp_path):
    file = tmp_path / "run.safetensors"
    fit(Curve(), TABLE, RECIPE, save=file)
    held, notes = checkpoints.read(file)
    checkpoints.write(file, held | {"random.cpu.1": held["random.cpu"]}, notes)
    with pytest.raises(CheckpointError, match=r"of a run in 2 process\(es\) and this one has 1: to go on, start as many"):
        fit(Curve(), TABLE, RECIPE, resume=file)


def test_a_run_of_a_gpu_goes_on_here(tmp_path):
    """Its file holds the GPU's random state besides, and nothing that needs a GPU to be read."""
    file, whole, other = tmp_path / "run.safetensors", Curve(), Curve()
    fit(whole, TABLE, RECIPE)
    fit(Curve(), TABLE, RECIPE, save=file, report=lambda h: h.step == 9 and signal.raise_signal(signal.SIGINT))
    held, notes = checkpoints.read(file)
    checkpoints.write(file, held | {"random.cuda": torch.zeros(16, dtype=torch.uint8)}, notes)
    fit(other, TABLE, RECIPE, resume=file)
    assert all(map(torch.equal, weights(other), weights(whole)))


def test_without_a_gpu_the_cpu_is_taken_and_sizes_shrink(monkeypatch):
    monkeypatch.delenv("DGM_DEVICE", raising=False), monkeypatch.delenv("DGM_BUDGET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert tensors.device() == torch.device("cpu") and tensors.budget(quick=8, full=80) == 8


def test_on_mps_nothing_asks_for_what_it_lacks(monkeypatch):
    """Data order and noise come from CPU generators, batches in float32, no bfloat16, no fused optimizer."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert tensors.fast_dtype(torch.device("mps")) is None
    from dgm_course.training import batches, loop

    assert 'in ("cpu", "cuda")' in inspect.getsource(sys.modules["dgm_course.training.loop"]._Run.optimizer)
    assert batches._generator(0, 1).device.type == "cpu" and loop is not None
    assert all(t.dtype != torch.float64 for t in (data.moons().sample(4), data.mnist().test))


def test_data_are_never_loaded_by_workers_who_could_share_a_seed():
    for file in Path(dgm_course.__file__).parent.rglob("*.py"):
        assert "DataLoader" not in file.read_text(encoding="utf-8"), file


class Tied(nn.Module):
    """One weight at both ends, as of a language model: it is kept under two names."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.into, self.out = nn.Linear(2, 5, bias=False), nn.Linear(2, 5, bias=False)
        self.out.weight = self.into.weight

    def loss(self, x, none, y):
        return (self.into(x) @ self.out.weight - x + 0.1 * torch.randn_like(x)).square().mean()


def test_tied_weights_are_one_weight_after_a_stop_and_through_a_file(tmp_path):
    file, whole, other = tmp_path / "run.safetensors", Tied(), Tied()
    fit(whole, TABLE, RECIPE)
    fit(Tied(), TABLE, RECIPE, save=file, report=lambda h: h.step == 9 and signal.raise_signal(signal.SIGINT))
    history = fit(other, TABLE, RECIPE, resume=file)
    assert history.finished and other.out.weight is other.into.weight and torch.equal(other.into.weight, whole.into.weight)


# --- the same run elsewhere ---


RUN = """
import torch
from dgm_course import checkpoints, data, nets, path_models
from dgm_course.fit import Recipe, fit
torch.manual_seed(3)
model = path_models.flow_matching(nets.MLP(2, width=16, depth=2), (2,))
fit(model, data.moons(), Recipe(40, 32, 5e-3, ema=0.9, seed=3))
print(checkpoints.digest(model.state_dict()))
"""


def test_the_same_seed_gives_the_same_bits_in_a_fresh_process(capsys):
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(dgm_course.__file__).parents[1])}
    fresh = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, timeout=300)
    exec(compile(RUN, "here", "exec"), {})
    assert fresh.stdout.strip() == capsys.readouterr().out.strip() != "", fresh.stderr


def test_another_number_of_threads_gives_the_same_figure(monkeypatch):
    """Not the bits: sums go in another order.  The figure is the final loss, to one part in a hundred."""
    found = []
    for threads in (1, 2):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(2, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 1))
        net.loss = lambda x, _, y, net=net: (net(x) - y).square().mean()
        found.append(float(fit(net, TABLE, Recipe(20, 16, 3e-3)).smooth()[-1]))
    assert found[0] == pytest.approx(found[1], rel=0.01)


@pytest.mark.parametrize("wrong, told", [
    (lambda x: x * float("nan"), "The loss of 'model' became nan at step 0 of 20"),
    (lambda x: torch.where(x == x[7], float("inf"), x), "The loss of 'model' became (inf|nan) at step [0-2] of 20")])
def test_a_poisoned_sample_stops_at_the_first_step_that_meets_it(wrong, told):
    """On a CPU within the step: the weights are still sound, so it is the loss that is named."""
    model = Curve()
    with pytest.raises(TrainingError, match=told):
        fit(model, (wrong(ROWS), None, ROWS[:, :1]), RECIPE)
    assert len(model.sizes) <= 3 and all(bool(torch.isfinite(p).all()) for p in model.parameters())
