"""Broadcasting of time, seeds, budgets, and the checks with their messages."""

import math
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from dgm_course.core import checks, tensors
from dgm_course.core.notebook_dir import thread_waits
from dgm_course.teach.build.clean import quiet_environment

CPU_X = torch.zeros(4, 3, 2)


@pytest.mark.parametrize("event", [(), (3,), (1, 28, 28)])
def test_expand_time_broadcasts(event):
    t, x = torch.rand(5), torch.randn(5, *event)
    assert torch.equal(tensors.expand_time(t, x) * x, torch.stack([a * b for a, b in zip(t, x, strict=True)]))


def test_expand_time_of_scalars_and_columns():
    x = torch.randn(4, 3)
    assert tensors.expand_time(0.5, x).shape == tensors.expand_time(torch.tensor(0.5), x).shape == ()
    assert tensors.expand_time(torch.rand(4, 1, 1), x).shape == (4, 1)
    assert tensors.expand_time(torch.rand(0), torch.zeros(0, 3)).shape == (0, 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_time_takes_the_dtype_of_x(dtype):
    x = torch.zeros(4, 2, dtype=dtype)
    assert tensors.expand_time(torch.rand(4, dtype=torch.float64), x).dtype == dtype
    assert checks.expect_time(torch.rand(4), x).dtype == dtype
    assert checks.expect_time(1, x).dtype == dtype


@pytest.mark.parametrize("shape", [(4, 2), (0, 2), (0, 1, 28, 28), (3,)])
def test_flat_keeps_the_batch(shape):
    assert tensors.flat(torch.zeros(shape)).shape == (shape[0], int(np.prod(shape[1:])))


def test_seed_repeats_every_stream():
    def draw():
        return torch.rand(2).tolist(), np.random.rand(2).tolist(), random.random()

    generator = tensors.seed(3)
    first = draw()
    assert tensors.seed(3) is not None and draw() == first
    tensors.seed(4)
    assert draw() != first
    assert generator.initial_seed() == 4  # torch's own generator, which follows the last seed


def test_device_and_budget_variables(monkeypatch):
    monkeypatch.setenv("DGM_DEVICE", "cpu")
    monkeypatch.delenv("DGM_BUDGET", raising=False)
    assert tensors.device() == torch.device("cpu") and tensors.budget(quick=1, full=2) == 1
    monkeypatch.setenv("DGM_BUDGET", "full")
    assert tensors.budget(quick=1, full=2) == 2
    monkeypatch.setenv("DGM_BUDGET", "fast")
    with pytest.raises(ValueError, match="DGM_BUDGET is 'fast': expected 'quick', 'full' or 'brief'"):
        tensors.budget(quick=1, full=2)


def test_brief_budget_is_a_tenth_of_integers(monkeypatch):
    monkeypatch.setenv("DGM_BUDGET", "brief")
    assert tensors.budget(quick=800, full=20_000) == 80 and tensors.budget(quick=5, full=20) == 1
    assert tensors.budget(quick=0.98, full=0.999) == 0.98


def test_budget_is_full_on_a_gpu(monkeypatch):
    monkeypatch.delenv("DGM_BUDGET", raising=False)
    monkeypatch.setenv("DGM_DEVICE", "cuda")
    assert tensors.budget(quick=1, full=2) == 2
    monkeypatch.delenv("DGM_DEVICE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert tensors.device().type == "mps" and tensors.budget(quick=1, full=2) == 1


def test_threads_are_restored():
    before = torch.get_num_threads()
    with tensors.threads_for(torch.nn.Linear(2, 2)):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


NAN = torch.tensor([[0.0, 0.0], [math.nan, 0.0]])
BYTES, META = torch.zeros(2, 2, dtype=torch.uint8), torch.zeros(4, device="meta")
MNIST = (1, 28, 28)
WRONG = [
    (
        lambda: checks.expect_batch(torch.zeros(4, 784), MNIST),
        r"x has shape \(4, 784\): expected \(B, 1, 28, 28\)",
    ),
    (lambda: checks.expect_batch(torch.zeros(4, 28, 28, 1), MNIST), r"\(4, 28, 28, 1\): expected \(B, 1"),
    (lambda: checks.expect_batch(torch.zeros(4, 2), ()), r"x has shape \(4, 2\): expected \(B,\)"),
    (lambda: checks.expect_batch(torch.tensor(1.0)), r"x has shape \(\): expected \(B, \.\.\.\)"),
    (lambda: checks.expect_batch(NAN), "x contains NaN in 1 of 4 places"),
    (lambda: checks.expect_batch(META, on=torch.device("cpu")), "x is on the device meta: expected cpu"),
    (lambda: checks.expect_some(torch.zeros(0, 2), "x1"), r"x1 is an empty batch of shape \(0, 2\)"),
    (
        lambda: checks.expect_alike(CPU_X, CPU_X[:3], ("x0", "x1")),
        r"x0 and x1 differ in shape: \(4, 3, 2\) and \(3,",
    ),
    (lambda: checks.expect_alike(CPU_X, CPU_X.double()), "differ in dtype: torch.float32 and torch.float64"),
    (lambda: checks.expect_alike(CPU_X, META), "differ in device: cpu and meta"),
    (lambda: checks.expect_time(1.2), r"t runs from 1.2 to 1.2: expected times in \[0, 1\]"),
    (lambda: checks.expect_time(torch.tensor([0.5, -0.1])), "t runs from -0.1 to 0.5: expected times in"),
    (lambda: checks.expect_time(math.nan), "t runs from nan"),
    (lambda: checks.expect_time(torch.rand(3), CPU_X), r"t of shape \(3,\) does not fit x of shape \(4, 3, 2\)"),
    (lambda: checks.expect_time(torch.rand(4, 3), CPU_X), r"expected a scalar or one time a sample, \(4,\)"),
    (lambda: tensors.expand_time(torch.rand(5), torch.zeros(0, 2)), r"one time a sample, \(0,\)"),
    (lambda: tensors.expand_time(META, CPU_X), "t is on the device meta and x on cpu"),
    (lambda: checks.expect_time(META[0], CPU_X), "t is on the device meta and x on cpu"),
]


@pytest.mark.parametrize("call, message", WRONG)
def test_wrong_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: checks.expect_batch([[1.0]]), "x is a list: expected a torch tensor"),
        (lambda: checks.expect_batch(np.zeros((2, 2))), "x is a ndarray: expected a torch tensor"),
        (
            lambda: checks.expect_batch(BYTES, name="images"),
            "images has dtype torch.uint8: expected floating point",
        ),
        (lambda: checks.expect_alike(CPU_X, None, ("x", "y")), "y is a NoneType: expected a torch tensor"),
    ],
)
def test_wrong_types(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_correct_input_passes_unchanged():
    x = torch.randn(4, 2, requires_grad=True)
    version = x._version
    assert checks.expect_batch(x, (2,)) is x and x._version == version
    assert checks.expect_batch(torch.zeros(0, 2), (2,)).shape == (0, 2)
    assert float(checks.expect_time(1.0 + 5e-7)) == pytest.approx(1)  # rounding of a grid's last point


@pytest.mark.slow
def test_import_sets_no_environment_variable():
    """In a process of its own, with every room of the package that a notebook uses."""
    code = (
        "import os; before = dict(os.environ); import dgm_course, dgm_course.core.tensors, dgm_course.teach.check; "
        "print(dict(os.environ) == before)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "True"


@pytest.mark.parametrize(
    "given, added",
    [({}, {"GOMP_SPINCOUNT": "1000"}), ({"GOMP_SPINCOUNT": "7"}, {}), ({"OMP_WAIT_POLICY": "active"}, {})],
)
def test_kernels_get_short_thread_waits(given, added, monkeypatch):
    assert thread_waits(given) == added
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert quiet_environment("")["PYTHONHASHSEED"] == "0"
    assert quiet_environment("").get("GOMP_SPINCOUNT") == {**given, **added}.get("GOMP_SPINCOUNT")
