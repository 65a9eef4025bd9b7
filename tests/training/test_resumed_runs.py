"""Runs elsewhere: devices, fresh processes, other numbers of threads."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import dgm_course
from dgm_course import data
from dgm_course.core import tensors
from dgm_course.training import Recipe, batches, checkpoints, fit, loop

from .models import RECIPE, TABLE, Curve, same, stop_at, weights


def test_a_gpu_run_goes_on_here(tmp_path):
    """Its file holds the GPU's random state besides, and nothing that needs a GPU to be read."""
    file, whole, other = tmp_path / "run.pt", Curve(), Curve()
    fit(whole, TABLE, RECIPE)
    fit(Curve(), TABLE, RECIPE, save=file, report=stop_at(9))
    held = checkpoints.load(file)
    held["random"][0].append(torch.zeros(16, dtype=torch.uint8))
    checkpoints.save(file, held)
    fit(other, TABLE, RECIPE, resume=file)
    assert same(weights(other), weights(whole))


def test_without_a_gpu_sizes_shrink(monkeypatch):
    monkeypatch.delenv("DGM_DEVICE", raising=False), monkeypatch.delenv("DGM_BUDGET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert tensors.device() == torch.device("cpu") and tensors.budget(quick=8, full=80) == 8


def test_mps_is_asked_for_nothing_it_lacks(monkeypatch):
    """Data order and noise come from CPU generators, batches in float32, no bfloat16, no fused optimizer."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert tensors.fast_dtype(torch.device("mps")) is None
    assert 'in ("cpu", "cuda")' in inspect.getsource(loop._adamw)
    assert batches._generator(0, 1).device.type == "cpu"
    assert all(t.dtype != torch.float64 for t in (data.moons().sample(4), data.mnist().test))


def test_no_data_loader_workers_share_a_seed():
    for file in Path(dgm_course.__file__).parent.rglob("*.py"):
        assert "DataLoader" not in file.read_text(encoding="utf-8"), file


# --- the same run elsewhere ---


RUN = """
import torch
from dgm_course import data, nets, paths
from dgm_course.training import Recipe, checkpoints, fit
torch.manual_seed(3)
model = paths.flow_matching(nets.MLP(2, width=16, depth=2), (2,))
fit(model, data.moons(), Recipe(40, 32, 5e-3, ema=0.9, seed=3))
print(checkpoints.digest(model.state_dict()))
"""


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_bits(capsys):
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(dgm_course.__file__).parents[1])}
    fresh = subprocess.run(
        [sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, timeout=600
    )
    exec(compile(RUN, "here", "exec"), {})
    assert fresh.stdout.strip() == capsys.readouterr().out.strip() != "", fresh.stderr


def test_other_threads_give_the_same_figure(monkeypatch):
    """Not the bits: sums go in another order.  The figure is the final loss, to one part in a hundred."""
    found = []
    for threads in (1, 2):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(2, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 1))
        net.loss = lambda x, _, y, net=net: (net(x) - y).square().mean()
        found.append(float(fit(net, TABLE, Recipe(20, 16, 3e-3)).smooth()[-1]))
    assert found[0] == pytest.approx(found[1], rel=0.01)
