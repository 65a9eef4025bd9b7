"""On a GPU: the CPU's numbers within a tolerance, nothing that waits inside the loop, data that stay where they are.

The tolerances are for float32 without TF32; bits are promised on a CPU only.
"""

from __future__ import annotations

import signal

import pytest
import torch
from torch import nn

from dgm_course import data, flows, gan, nets, paths, pretrained
from dgm_course.autoregressive import ImageGPT, PixelCNN
from dgm_course.core import tensors
from dgm_course.training import Recipe, TrainState, batch_stream, finish, fit, train_step
from dgm_course.training.gpu import Compiled

GPU = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
needs_gpu = pytest.mark.skipif(GPU is None, reason="no GPU here")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
ROWS = torch.randn(600, 2, generator=torch.Generator().manual_seed(1))
TABLE = (ROWS, None, ROWS[:, :1] * 2 - 1)


class Curve(nn.Module):
    """A regression that draws nothing, so that every device has the same numbers to compute."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(9)
        self.net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))

    def loss(self, x, none, y):
        return (self.net(x) - y).square().mean()


@pytest.fixture(autouse=True)
def full_precision():
    """Products of float32 in float32."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


def alike(found, expected, there, here) -> bool:
    """The losses and the weights of two devices agree."""
    weights = zip(there.parameters(), here.parameters())
    return torch.allclose(found.cpu(), expected, rtol=1e-3, atol=1e-5) and all(
        torch.allclose(a.cpu(), b, rtol=1e-3, atol=1e-4) for a, b in weights
    )


@needs_gpu
def test_a_training_without_noise_is_the_cpus():
    recipe, here, there = (
        Recipe(60, 64, 3e-3, warmup=5, ema=0.9, clip=0.5, weight_decay=0.01),
        Curve(),
        Curve().to(GPU),
    )
    expected, found = fit(here, TABLE, recipe), fit(there, TABLE, recipe)
    assert alike(found.loss, expected.loss, there, here)


def likelihoods():
    torch.manual_seed(0)
    bits, grey = torch.randint(2, (4, 1, 14, 14)), data.mnist().test[:4]
    plane = flows.Flow(flows.couplings(2, 4), 2)
    return {
        "PixelCNN": (PixelCNN(2, (1, 14, 14), width=16, depth=3), bits),
        "ImageGPT": (ImageGPT(2, (1, 14, 14), width=32, depth=2, heads=4), bits),
        "RealNVP": (plane, ROWS[:50]),
        "classifier": (pretrained.load("digit_classifier"), grey),
    }


@needs_gpu
@pytest.mark.parametrize("name", ["PixelCNN", "ImageGPT", "RealNVP", "classifier"])
def test_a_likelihood_is_the_cpus(name):
    model, x = likelihoods()[name]
    measure = (lambda m, x: m(x)) if name == "classifier" else (lambda m, x: m.log_prob(x))
    with torch.no_grad():
        here = measure(model.eval(), x)
        there = measure(model.to(GPU), x.to(GPU)).cpu()
    assert torch.allclose(here, there, rtol=1e-4, atol=1e-3)


@needs_gpu
def test_a_field_of_velocities_is_the_cpus():
    model = pretrained.load("flow_matching_digits")
    model.precision = None
    x, t, y = torch.randn(4, 1, 28, 28), torch.full((4,), 0.4), torch.arange(4)
    with torch.no_grad():
        here = model.with_label(y)(x, t)
        there = model.to(GPU).with_label(y.to(GPU))(x.to(GPU), t.to(GPU)).cpu()
    assert torch.allclose(here, there, rtol=1e-3, atol=1e-3)


@needs_gpu
def test_a_gpu_run_resumes_on_a_cpu(tmp_path):
    file, recipe = tmp_path / "run.safetensors", Recipe(10, 64, 3e-3)
    fit(Curve().to(GPU), TABLE, recipe, save=file)
    again = Curve()
    assert fit(again, TABLE, recipe, resume=file).finished and next(again.parameters()).device.type == "cpu"


@needs_cuda
def test_batches_are_cut_on_the_device():
    batches = batch_stream(TABLE, Recipe(20, 64), torch.device("cuda"))
    batches(0)
    before = torch.cuda.memory_allocated()
    assert all(part is None or part.device.type == "cuda" for step in range(5) for part in batches(step))
    assert torch.cuda.memory_allocated() - before < 2**20


class Steady(Curve):
    """A regression that a GPU may replay."""

    graph_safe = True

    def loss(self, x, none, y):
        return super().loss(x, none, y)


def run_of(model, recipe, rows=TABLE):
    """All steps of a training, and the run that took them."""
    device = torch.device("cuda")
    run, batches = TrainState.create(model.to(device), recipe), batch_stream(rows, recipe, device)
    while not run.history.finished:
        train_step(run, batches(run.history.step))
    return run


@needs_cuda
@pytest.mark.parametrize("compiled", [False, True])
def test_a_replayed_training_is_the_cpus(compiled):
    """Every number that changes from step to step is there: batch, learning rate, average, clipped gradient, moments."""
    if compiled:
        pytest.importorskip("triton", reason="torch.compile needs Triton on a GPU")
    recipe = Recipe(60, 64, 3e-3, warmup=20, ema=0.9, clip=0.5, weight_decay=0.01, compiled=compiled)
    here, there = Steady(), Steady()
    expected, run = fit(here, TABLE, recipe), run_of(there, recipe)
    finish(run)
    assert len(run.runner.recordings) == 1
    assert not compiled or run.losses["model"].loss.quick is not None
    assert alike(run.history.loss, expected.loss, there, here)


@needs_cuda
def test_a_replayed_training_goes_on_after_a_stop():
    recipe, whole, parts = Recipe(60, 64, 3e-3, warmup=20, ema=0.9), Steady().to("cuda"), Steady().to("cuda")
    fit(whole, TABLE, recipe)
    asked = []
    stop = lambda history: asked.append(signal.raise_signal(signal.SIGINT)) if history.step == 30 else None
    first = fit(parts, TABLE, recipe, report=stop)
    assert first.step == 30 and fit(parts, TABLE, recipe, resume=first).finished
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(parts.parameters(), whole.parameters()))


@needs_cuda
def test_each_replay_draws_new_noise():
    """Without a recording the same model sees other noise of the same law."""

    class Watched(paths.PathModel):
        graph_safe = False

        def loss(self, *batch):
            return super().loss(*batch)

    recipe, ends = Recipe(400, 256, 3e-3, warmup=20), {}
    for kind in (paths.PathModel, Watched):
        torch.manual_seed(0)
        run = run_of(kind(nets.MLP(2), paths.Conical(), (2,)), recipe, ROWS)
        ends[kind] = run.history.loss[-100:].double()
        assert len(run.runner.recordings) == (kind is not Watched)
    replayed, plain = ends.values()
    assert replayed.std() > 0 and len(replayed.unique()) > 90
    assert abs(float(replayed.mean() - plain.mean())) < 4 * float((replayed.var() + plain.var()).div(100).sqrt())


@needs_cuda
def test_each_kind_of_step_is_captured():
    torch.manual_seed(0)

    class Maker(nn.Sequential):
        latent = 2

    model = gan.GAN(
        Maker(nn.Linear(2, 16), nn.SiLU(), nn.Linear(16, 2)),
        nn.Sequential(nn.Linear(2, 16), nn.SiLU(), nn.Linear(16, 1)),
        k=3,
    )
    run = run_of(model, Recipe(60, 64, 1e-3, ema=0.9), ROWS)
    assert set(run.runner.recordings) == {("discriminator",), ("discriminator", "generator")}
    maker = run.history.losses["generator"].cpu()
    assert (
        torch.equal(maker.isfinite(), torch.arange(1, 61) % 3 == 0)
        and maker[maker.isfinite()].unique().numel() > 15
    )


@needs_cuda
def test_a_changed_number_counts_at_once():
    class Weighed(Curve):
        graph_safe, weight = True, 1.0

        def loss(self, x, none, y):
            return self.weight * super().loss(x, none, y)

    model = Weighed().to("cuda")
    model.weight = 1.0
    run = TrainState.create(model, Recipe(40, 600, 1e-9))
    batches = batch_stream(TABLE, run.recipe, run.device)
    for step in range(40):
        model.weight = 3.0 if step >= 20 else 1.0
        train_step(run, batches(step))
    assert len(run.runner.recordings) == 1  # of the second number; the first one's was dropped
    assert torch.allclose(run.history.loss[20:], 3 * run.history.loss[:20], rtol=1e-3)


@needs_cuda
@pytest.mark.parametrize("how", ["waits", "draws on the CPU"])
def test_a_sync_or_cpu_draw_prevents_capture(how):
    class Unsteady(Curve):
        graph_safe = True

        def loss(self, x, none, y):
            found = super().loss(x, none, y)
            if how == "waits":
                return found * (2.0 if float(found) < 1e9 else 1.0)
            return found * float(torch.rand(()))

    run = run_of(Unsteady(), Recipe(30, 64, 1e-3))
    assert not run.runner.recordings and run.history.finished and len(run.history.loss.unique()) > 25


# where a game asks its own clock
WAITING = {"latent_digits"}
# where a loss moves its images by what a generator of the CPU says
UNSTEADY = {"digit_classifier"}


@needs_cuda
@pytest.mark.parametrize("name", pretrained.names())
def test_no_shipped_training_syncs(name):
    """torch raises at whatever would wait; what is recorded has found that out by itself."""
    made, device = pretrained.entry(name), torch.device("cuda")
    recipe = made.recipe()
    model = made.training(made.blank().to(device)).to(device)
    run, batches = (
        TrainState.create(model, recipe),
        batch_stream(made.batches(data.mnist().to(device)), recipe, device),
    )
    for step in range(2):
        train_step(run, batches(step))
    torch.cuda.synchronize()
    try:
        torch.cuda.set_sync_debug_mode("default" if name in WAITING else "error")
        for step in range(2, 8):
            train_step(run, batches(step))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert bool(run.runner.recordings) == (name not in WAITING | UNSTEADY)
    assert all(each.loss.quick for each in run.losses.values() if isinstance(each.loss, Compiled))
    assert run.history.losses[next(iter(run.objectives))][:8].isfinite().all()


@needs_cuda
@pytest.mark.parametrize("name", ["regression", "flow matching", "PixelCNN"])
def test_nothing_waits_for_the_gpu_inside_an_epoch(name):
    """torch raises at whatever would wait (the check of losses comes at each fiftieth step, saving twenty times a run)."""
    torch.manual_seed(0)
    model, rows = {
        "regression": (Curve(), TABLE),
        "flow matching": (paths.flow_matching(nets.MLP(2), (2,)), ROWS),
        "PixelCNN": (PixelCNN(2, (1, 8, 8), width=16, depth=3), torch.randint(2, (600, 1, 8, 8))),
    }[name]
    recipe, device = Recipe(1000, 16, warmup=5, ema=0.9, clip=1.0), torch.device("cuda")
    run, batches = TrainState.create(model.to(device), recipe), batch_stream(rows, recipe, device)
    for step in range(3):
        train_step(run, batches(step))
    torch.cuda.synchronize()
    try:
        torch.cuda.set_sync_debug_mode("error")
        for step in range(3, 30):
            train_step(run, batches(step))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert run.history.step == 30


@needs_cuda
def test_device_draws_depend_on_seed_and_step():
    device = torch.device("cuda")
    draw = lambda n: torch.randn(n, 2, device=device)
    batches = batch_stream(draw, Recipe(1, 4, seed=3), device)
    state, first = torch.cuda.get_rng_state(), batches(0)[0].clone()
    assert torch.equal(torch.cuda.get_rng_state(), state)
    torch.cuda.manual_seed(123)
    later = batches(64)[0].clone()
    assert torch.equal(batches(0)[0], first) and not torch.equal(first, later)


@needs_cuda
def test_a_full_gpu_takes_a_batch_in_pieces(capsys):
    """The memory really is full: the process may use a small part of the card only."""

    class Wide(Curve):
        def loss(self, x, none, y):
            wide = x[:, :1, None, None] * torch.ones(1, 64, 256, 256, device=x.device)
            return super().loss(x, none, y) + 0 * (wide * self.net[0].weight[0, 0]).exp().mean()

    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved() + 2 * 2**30) / total))
    try:
        assert fit(Wide().to("cuda"), TABLE, Recipe(3, 128)).finished
        assert "The memory is full: from here on each batch of 128 is taken in" in capsys.readouterr().out
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


# --- rules of the CPU, which need no GPU ---


@pytest.mark.parametrize(
    "flags, dtype",
    [
        ({}, None),
        ({"avx512_f": True, "avx2": True}, None),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"bf16": True}, torch.bfloat16),
    ],
)
def test_bfloat16_needs_a_processor_with_it(flags, dtype, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)
    assert tensors.fast_dtype(torch.device("cpu")) == dtype


def test_a_torch_that_cannot_tell_computes_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert tensors.fast_dtype(torch.device("cpu")) is None


@pytest.mark.parametrize(
    "weights, cores, allowed, threads",
    [
        (49_999, 4, "", 1),
        (50_000, 4, "", 4),
        (10**6, 2, "", 2),
        (10**6, 4, "2", 2),
        (10**6, 2, "8", 2),
        (10**6, 4, "0", 4),
        (10**6, 4, "many", 4),
    ],
)
def test_small_networks_take_one_thread(weights, cores, allowed, threads, monkeypatch):
    monkeypatch.setattr(tensors.os, "sched_getaffinity", lambda _: range(cores), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    message = []
    monkeypatch.setattr(torch, "set_num_threads", message.append)
    module = nn.Module()
    module.weight = nn.Parameter(torch.empty(weights, device="meta"))
    with tensors.threads_for(module):
        pass
    assert message[0] == threads and len(message) == 2
