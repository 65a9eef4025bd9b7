"""Stop, pressed in a notebook while a model is trained."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

import dgm_course

CELLS = [
    """
import torch, time
from dgm_course.training import Recipe, fit
class Slow(torch.nn.Linear):
    def loss(self, x):
        time.sleep(0.005)
        return (self(x) - 1).square().mean()
torch.manual_seed(0)
model, rows = Slow(2, 1), torch.ones(40, 2)
print("ready")
""",
    "history = fit(model, rows, Recipe(2000, 8), report=lambda h: print('going') if h.step == 5 else None)",
    """
stopped = history.step
assert 5 <= stopped < 2000 and not history.finished and not model.training
history = fit(model, rows, Recipe(2000, 8), resume=history, report=lambda h: h.step == stopped + 3 and
              __import__("signal").raise_signal(2))
print("went on", history.step - stopped)
""",
]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a kernel needs POSIX")
def test_a_notebooks_stop_button_keeps_everything():
    """A real kernel, interrupted as JupyterLab's square button does."""
    manager = pytest.importorskip("jupyter_client").KernelManager(kernel_name="python3")
    manager.start_kernel(env=os.environ | {"PYTHONPATH": str(Path(dgm_course.__file__).parents[1])})
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=600)
        assert said(client, CELLS[0]) == "ready"
        client.execute(CELLS[1])
        wait_for(client, "going")
        manager.interrupt_kernel()
        assert said(client, CELLS[2]) == "went on 3"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def said(client, code: str) -> str:
    """What a cell prints; an error in it is this test's."""
    number, lines = client.execute(code), []
    while True:
        message = client.get_iopub_msg(timeout=600)
        if message["parent_header"].get("msg_id") != number:
            continue
        assert message["msg_type"] != "error", message["content"]
        if message["msg_type"] == "stream":
            lines.append(message["content"]["text"])
        if message["content"].get("execution_state") == "idle":
            return "".join(lines).strip()


def wait_for(client, word: str) -> None:
    """Wait until the running cell prints a word."""
    end = time.monotonic() + 600
    while time.monotonic() < end:
        message = client.get_iopub_msg(timeout=600)
        if message["msg_type"] == "stream" and word in message["content"]["text"]:
            return
    raise AssertionError(f"{word!r} was not printed")
