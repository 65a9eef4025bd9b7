"""Several processes train as one: equal without noise, alike with it, resumable when one dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from dgm_course.core import tensors
from dgm_course.training import checkpoints, distributed
from dgm_course.training.distributed import ProcessGroup

ROOT = Path(__file__).parents[2]
CREW = ROOT / "tests" / "training" / "processes" / "crew.py"
pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this torch has no gloo"
)


def crew(scene: str, folder: Path, size: int = 2) -> subprocess.CompletedProcess:
    """A scene by so many processes, as their user starts them: with torchrun."""
    many = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"]
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("TORCHELASTIC", "RANK", "WORLD", "LOCAL"))
    }
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DGM_DEVICE": "cpu"}
    return subprocess.run(
        [sys.executable, *many, str(CREW), scene, str(folder)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )


def held(folder: Path, name: str, rank: int, size: int) -> tuple[dict, int]:
    found, notes = checkpoints.read(folder / f"{name}.{rank}_of_{size}.safetensors")
    return found, notes["step"]


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(torch.nan_to_num(v), torch.nan_to_num(other[k])) for k, v in one.items()
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    """The scene 'together', played by this process alone and by two that torchrun starts."""
    folder = tmp_path_factory.mktemp("crew")
    from .processes import crew as alone

    with tensors.threads_for(None):
        alone.together(folder)
        alone.noise(folder, 1), alone.noise(folder, 2)
    done = crew("together", folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["curve", "game", "choosy", "full", "stray"])
def test_two_processes_equal_one(name, both):
    """Batches of 15, so the shares are unequal; warm-up, clipping, decay and EMA are in play."""
    (alone, _), (first, _), (second, _) = held(both, name, 0, 1), held(both, name, 0, 2), held(both, name, 1, 2)
    assert same(first, second)
    for key, value in alone.items():
        assert torch.allclose(first[key], value, rtol=1e-5, atol=1e-6, equal_nan=True), key
    assert sum(key.startswith("losses") for key in alone) == (2 if name == "game" else 1)


@pytest.mark.slow
def test_all_hold_the_first_ones_buffers(both):
    assert same(held(both, "normed", 0, 2)[0], held(both, "normed", 1, 2)[0])


@pytest.mark.slow
def test_what_two_cannot_run_is_refused(both):
    for rank in (0, 1):
        messages = (both / f"messages.{rank}.txt").read_text()
        assert "A batch of 1 for 2 processes: expected at least one sample for each." in messages
        assert "of a run in 1 process(es) and this one has 2: to go on, start as many" in messages


@pytest.mark.slow
def test_with_noise_the_held_out_loss_agrees(both):
    """The tolerance is four standard deviations of one process's own figure over three seeds, and at least 2 %."""
    alone = torch.stack([held(both, f"noise{seed}", 0, 1)[0]["held_out"] for seed in range(3)])
    (first, _), (second, _) = held(both, "noise0", 0, 2), held(both, "noise0", 1, 2)
    assert same(first, second) and not torch.equal(first["held_out"], alone[0])
    assert abs(float(first["held_out"] - alone.mean())) < max(4 * float(alone.std()), 0.02 * float(alone.mean()))


@pytest.mark.slow
def test_all_stop_together_and_resume(both):
    for rank in (0, 1):
        (whole, _), (half, at), (resumed, _) = (held(both, name, rank, 2) for name in ("whole", "half", "resumed"))
        assert at == 20 and torch.equal(
            half["losses.model"], whole["losses.model"][:20]
        )  # asked at 13, agreed at 20
        assert same(whole, resumed)
    assert held(both, "half", 0, 1)[1] == 13
    assert [len(checkpoints.load(both / f"run_of_{size}.pt")["random"]) for size in (1, 2)] == [1, 2]


@pytest.mark.slow
def test_a_killed_process_is_a_sentence(tmp_path):
    done, half = crew("killed", tmp_path), tmp_path / "tiny.half.pt"
    assert done.returncode != 0 and "Traceback" not in done.stderr.split("torch/distributed")[0]
    assert "dgm: Another of the 2 processes is gone, so the run ends here." in done.stderr
    found = checkpoints.load(half)
    assert found["step"] == 16 and all(v.isfinite().all() for v in found["model"].values())
    done = crew("train", tmp_path)
    assert done.returncode == 0 and done.stdout.count("Training tiny in 2 processes") == 1, done.stderr[-2000:]
    assert done.stdout.count("Written: ") == 1 and not half.exists() and (tmp_path / "tiny.json").exists()


# --- without other processes ---


def test_alone_a_group_changes_nothing():
    group, batch, line = ProcessGroup(), (torch.randn(3, 2), None), nn.Linear(2, 1)
    assert group.share(batch) == (batch, 1.0) and group.share(batch)[0] is batch
    loss = torch.tensor(2.0)
    assert group.mean(loss, 1.0) is loss and group.wrap(line) is line
    assert group.stops(True, 3, loss.device) and not group.stops(False, 0, loss.device) and group.seed(5) == 5


@pytest.mark.parametrize("size, count", [(2, 7), (3, 3), (4, 10)])
def test_shares_add_up_to_the_batch(size, count):
    batch = (torch.randn(count, 2, dtype=torch.float64), None)
    shares = [ProcessGroup(rank, size).share(batch) for rank in range(size)]
    assert torch.equal(torch.cat([part for (part, _), _ in shares]), batch[0])
    assert all(none is None for (_, none), _ in shares)
    means = sum(weight * part.mean(0) for (part, _), weight in shares)
    assert torch.allclose(means, batch[0].mean(0), atol=1e-15) and sum(w for _, w in shares) == pytest.approx(1)


def test_every_process_has_noise_of_its_own():
    seeds = {ProcessGroup(rank, 8).seed(seed) for rank in range(8) for seed in range(20)}
    assert len(seeds) == 160 and max(seeds) < 2**63


def test_only_torchruns_variables_count(monkeypatch):
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2")):  # what other launchers set as well
        monkeypatch.setenv(name, value)
    assert (
        distributed.rank_and_size() == (0, 1) and distributed.process_group(torch.device("cpu")) == ProcessGroup()
    )
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert distributed.rank_and_size() == (1, 2) and not distributed.first()


def test_each_process_has_its_own_gpu(monkeypatch):
    monkeypatch.setenv("DGM_DEVICE", "cuda")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert tensors.device() == torch.device("cuda")  # not torchrun's
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert tensors.device() == torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        ValueError, match="process 2 on a machine with 1 GPUs: expected at most one process for each"
    ):
        tensors.device()
