"""What goes wrong on real machines: full memory, kills between two files, foreign devices, pickles, interrupted kernels."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

import dgm_course
from dgm_course import checkpoints, data, pretrained, tensors
from dgm_course.checkpoints import CheckpointError
from dgm_course.fit import Recipe, TrainingError, fit, read_history
from dgm_course.pieces import Pieces, out_of_memory
from dgm_course.pretrained.files import Entry, itself

ROWS = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
TABLE = (ROWS, None, ROWS[:, :1] * 2 - 1)
RECIPE = Recipe(20, 16, 0.02, ema=0.9, clip=0.5, seed=4)
FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


class Curve(nn.Module):
    """A regression that fits into memory only where a batch is small; ``error`` is what a larger one meets."""

    def __init__(self, most: int = 1000, noise: float = 0.0, error: Exception = FULL) -> None:
        super().__init__()
        torch.manual_seed(9)
        self.net, self.most, self.noise, self.error = nn.Linear(2, 1), most, noise, error
        self.sizes: list[int] = []

    def loss(self, x, none, y):
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise self.error
        return (self.net(x + self.noise * torch.randn_like(x)) - y).square().mean()


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


# --- the memory is full ---


@pytest.mark.parametrize("most, sizes", [(8, [16, 8, 8, 8, 8]), (5, [16, 8, 4, 4, 4, 4]), (1, [16, 8, 4, 2, *[1] * 16])])
def test_where_the_memory_is_full_a_batch_is_taken_in_pieces_and_the_steps_are_the_same(most, sizes):
    whole, small = Curve(), Curve(most)
    expected = fit(whole, TABLE, RECIPE)
    with pytest.warns(UserWarning, match=r"The memory is full: from here on each batch of 16 is taken in \d+ pieces"):
        history = fit(small, TABLE, RECIPE)
    assert small.sizes[:len(sizes)] == sizes and max(small.sizes[len(sizes):]) <= most
    assert torch.allclose(history.loss, expected.loss, rtol=1e-5, atol=1e-6)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(weights(small), weights(whole)))


@pytest.mark.parametrize("count", [16, 15, 7])
def test_pieces_of_unequal_size_have_the_gradient_of_the_whole(count):
    line, pieces = nn.Linear(2, 1).double(), Pieces()
    x = torch.randn(count, 2, dtype=torch.float64)
    clear = lambda: line.zero_grad()
    loss = lambda x, none: line(x).square().mean()
    value = pieces.gradient(loss, (x, None), clear)
    expected = [p.grad.clone() for p in line.parameters()]
    for pieces.number in (2, 3, 5):
        assert torch.allclose(pieces.gradient(loss, (x, None), clear), value, rtol=1e-12)
        assert all(torch.allclose(p.grad, g, rtol=1e-12) for p, g in zip(line.parameters(), expected))


def test_the_memory_filling_at_a_later_step_changes_no_step_before_or_after():
    class Filling(Curve):
        def loss(self, x, none, y):
            self.most = 8 if len(self.sizes) >= 3 else 1000
            return super().loss(x, none, y)

    filling, whole = Filling(), Curve()
    with pytest.warns(UserWarning, match="2 pieces"):
        history = fit(filling, TABLE, RECIPE)
    expected = fit(whole, TABLE, RECIPE)
    assert filling.sizes[:6] == [16, 16, 16, 16, 8, 8] and torch.equal(history.loss[:3], expected.loss[:3])
    assert torch.allclose(history.loss, expected.loss, rtol=1e-5, atol=1e-6)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(weights(filling), weights(whole)))


def test_what_filled_the_memory_is_let_go_before_the_next_try():
    """The frames of an error hold its tensors for as long as the error is held."""
    held, alive = [], []

    class Large(Curve):
        def loss(self, x, none, y):
            alive.append(sum(tensor() is not None for tensor in held))
            heavy = torch.zeros(len(x), 1000)
            held.append(weakref.ref(heavy))
            if len(x) > 5:
                raise torch.cuda.OutOfMemoryError("raised here and kept by nobody, as torch's own")
            return super().loss(x, none, y) + 0 * heavy.sum()

    with pytest.warns(UserWarning, match="pieces"):
        fit(Large(), TABLE, Recipe(1, 16))
    assert alive == [0] * 6 and len(held) == 6


def test_the_memory_filling_in_the_backward_pass_leaves_no_half_gradient():
    class Heavy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.size = len(x)
            return x.clone()

        @staticmethod
        def backward(ctx, slope):
            if ctx.size > 8:
                raise FULL
            return slope

    class Late(Curve):
        def loss(self, x, none, y):
            return (Heavy.apply(self.net(x)) - y).square().mean()

    late, whole = Late(), Curve()
    with pytest.warns(UserWarning, match="2 pieces"):
        fit(late, TABLE, RECIPE)
    fit(whole, TABLE, RECIPE)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(weights(late), weights(whole)))


def test_what_never_fits_is_a_sentence_and_the_model_is_usable(tmp_path):
    model, file = Curve(0), tmp_path / "run.safetensors"
    with pytest.warns(UserWarning), pytest.raises(MemoryError, match="full even with 1 of the batch's 16 samples at a time"):
        fit(model, TABLE, RECIPE, save=file)
    assert not model.training and all(bool(torch.isfinite(p).all()) for p in model.parameters())


@pytest.mark.parametrize("error", [ValueError("out of memory."), RuntimeError("CUDA error: an illegal memory access"),
                                   RuntimeError("The lecture on out of memory errors"), MemoryError("Python's own")])
def test_an_error_that_only_speaks_of_memory_is_no_full_memory(error):
    model = Curve(0, error=error)
    with warnings.catch_warnings(), pytest.raises(type(error), match=str(error)):
        warnings.simplefilter("error")
        fit(model, TABLE, RECIPE)
    assert model.sizes == [16]


@pytest.mark.parametrize("error", [
    FULL, RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: not enough memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)")])
def test_the_allocators_of_all_devices_are_understood(error):
    assert out_of_memory(error) and not out_of_memory(RuntimeError("shapes differ"))


def test_the_cpus_real_allocator_is_understood():
    with pytest.raises(RuntimeError) as told:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(told.value)


# --- weights and their card are two files ---


def tiny_in(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Weights of a moment's training, made in a folder of the test."""
    patch.setattr(pretrained, "FOLDER", folder)
    patch.setattr(pretrained.files, "FOLDER", folder)
    patch.setattr(pretrained.data, "mnist_for_weights", data.mnist)
    entry = Entry(Curve, itself, lambda images: TABLE, lambda: RECIPE, lambda model, images: {"protocol": "none"})
    patch.setitem(pretrained.ENTRIES, "tiny", entry)
    return folder


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    return tiny_in(tmp_path, monkeypatch)


def die_while_training(where: str, folder: str) -> None:
    """What the killed process of the next test does."""
    tiny_in(Path(folder), pytest.MonkeyPatch())
    die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    if where == "before the weights":
        pretrained.checkpoints.write = lambda path, *rest, write=checkpoints.write: (
            die() if path.name == "tiny.safetensors" else write(path, *rest))
    elif where == "between weights and card":
        pretrained.json.dumps = lambda *a, dumps=json.dumps, **k: die() if k.get("indent") else dumps(*a, **k)
    else:
        Path.write_text = lambda self, text, **_: (self.write_bytes(text[:9].encode()), die())
    pretrained.train("tiny")


@pytest.mark.skipif(os.name == "nt", reason="needs a signal that kills")
@pytest.mark.parametrize("where", ["before the weights", "between weights and card", "in mid-card"])
def test_killed_between_the_weights_and_their_card_the_same_command_goes_on(where, tiny):
    pretrained.train("tiny", tiny)
    old = (tiny / "tiny.json").read_text()
    call = f"import test_faults; test_faults.die_while_training({where!r}, {str(tiny)!r})"
    killed = subprocess.run([sys.executable, "-c", call], cwd=Path(__file__).parent, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert (tiny / "tiny.json").read_text() == old and (tiny / "tiny.half.safetensors").exists()
    pretrained.load("tiny")
    assert pretrained.train("tiny") == tiny / "tiny.safetensors"
    assert pretrained.card("tiny")["steps"] == 20
    assert sorted(f.name for f in tiny.iterdir() if ".part" not in f.name) == [
        "tiny.json", "tiny.safetensors", "tiny.safetensors.previous"]


def test_a_damaged_card_is_named(tiny):
    pretrained.train("tiny", tiny)
    (tiny / "tiny.json").write_text('{"name": "ti')
    with pytest.raises(CheckpointError, match="tiny.json is damaged"):
        pretrained.card("tiny")


# --- foreign files at every door ---


class Marker:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


DOORS = {"load": lambda file: pretrained.load("tiny"), "train": lambda file: pretrained.train("tiny"),
         "resume": lambda file: fit(Curve(), TABLE, RECIPE, resume=file),
         "read_history": lambda file: read_history(file, RECIPE), "read": checkpoints.read}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_is_refused_unopened_at_every_door(door, kind, tiny):
    file, marker = tiny / ("tiny.half.safetensors" if door == "train" else "tiny.safetensors"), tiny / "marker"
    if kind == "pickle":
        file.write_bytes(pickle.dumps({"w": Marker(marker)}))
    else:
        torch.save({"w": Marker(marker)}, file)
    with pytest.raises(CheckpointError, match="damaged or not a safetensors file"):
        DOORS[door](file)
    assert not marker.exists()


def test_nothing_in_the_course_unpickles_a_file():
    for file in Path(dgm_course.__file__).parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not any(word in text for word in ("torch.load(", "pickle.load(", "allow_pickle=True")), file


def test_a_header_that_names_a_tensor_twice_is_refused_or_read_as_one(tmp_path):
    one = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
    text = f'{{"a":{one},"a":{one.replace("0,8", "8,16")}}}'.encode()
    (tmp_path / "w.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 16)
    with pytest.raises(CheckpointError, match="w.safetensors is damaged"):
        checkpoints.read(tmp_path / "w.safetensors")


@pytest.mark.skipif(sys.platform == "win32", reason="resource is of POSIX")
def test_a_header_that_promises_much_takes_little_memory(tmp_path):
    import resource

    (tmp_path / "w.safetensors").write_bytes((95_000_000).to_bytes(8, "little") + b"{" * 1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError):
        checkpoints.read(tmp_path / "w.safetensors")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024) < 50e6


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
    from dgm_course import batches
    from dgm_course import fit as loop

    assert 'in ("cpu", "cuda")' in inspect.getsource(sys.modules["dgm_course.fit"]._Run.__init__)
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


CELLS = ["""
import torch, time
from dgm_course.fit import Recipe, fit
class Slow(torch.nn.Linear):
    def loss(self, x):
        time.sleep(0.005)
        return (self(x) - 1).square().mean()
torch.manual_seed(0)
model, rows = Slow(2, 1), torch.ones(40, 2)
print("ready")
""", "history = fit(model, rows, Recipe(2000, 8), report=lambda h: print('going') if h.step == 5 else None)", """
stopped = history.step
assert 5 <= stopped < 2000 and not history.finished and not model.training
history = fit(model, rows, Recipe(2000, 8), resume=history, report=lambda h: h.step == stopped + 3 and
              __import__("signal").raise_signal(2))
print("went on", history.step - stopped)
"""]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a kernel needs POSIX")
def test_stop_pressed_in_a_notebook_leaves_model_and_history_usable():
    """A real kernel, interrupted as JupyterLab's square button does."""
    manager = pytest.importorskip("jupyter_client").KernelManager(kernel_name="python3")
    manager.start_kernel(env=os.environ | {"PYTHONPATH": str(Path(dgm_course.__file__).parents[1])})
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=120)
        assert said(client, CELLS[0]) == "ready"
        client.execute(CELLS[1])
        told(client, "going")
        manager.interrupt_kernel()
        assert said(client, CELLS[2]) == "went on 3"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def said(client, code: str) -> str:
    """What a cell prints; an error in it is this test's."""
    number, lines = client.execute(code), []
    while True:
        message = client.get_iopub_msg(timeout=120)
        if message["parent_header"].get("msg_id") != number:
            continue
        assert message["msg_type"] != "error", message["content"]
        if message["msg_type"] == "stream":
            lines.append(message["content"]["text"])
        if message["content"].get("execution_state") == "idle":
            return "".join(lines).strip()


def told(client, word: str) -> None:
    """Wait until the running cell prints a word."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        message = client.get_iopub_msg(timeout=120)
        if message["msg_type"] == "stream" and word in message["content"]["text"]:
            return
    raise AssertionError(f"{word!r} was not printed")


@pytest.mark.parametrize("wrong, told", [
    (lambda x: x * float("nan"), "The loss of 'model' became nan at step 0 of 20"),
    (lambda x: torch.where(x == x[7], float("inf"), x), "The loss of 'model' became (inf|nan) at step [0-2] of 20")])
def test_a_poisoned_sample_stops_at_the_first_step_that_meets_it(wrong, told):
    """On a CPU within the step: the weights are still sound, so it is the loss that is named."""
    model = Curve()
    with pytest.raises(TrainingError, match=told):
        fit(model, (wrong(ROWS), None, ROWS[:, :1]), RECIPE)
    assert len(model.sizes) <= 3 and all(bool(torch.isfinite(p).all()) for p in model.parameters())
