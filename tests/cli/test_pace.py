"""How slow the machine is: a ratio of times, of steps that really train."""

from __future__ import annotations

import pytest
import torch

from dgm_course.cli import pace
from dgm_course.nets import MLP
from dgm_course.paths.model import flow_matching


def test_the_pace_is_the_worse_ratio_to_the_usual_times(monkeypatch):
    seconds = iter((0.058, 0.00284))
    monkeypatch.setattr(pace, "_seconds", lambda step, threads, tries: next(seconds))
    assert pace.machine_speed() == pytest.approx(4)


def test_a_step_moves_the_weights_and_the_number_of_threads_is_given_back():
    torch.set_num_threads(2)
    model = flow_matching(MLP(2), (2,))
    before = [p.clone() for p in model.parameters()]
    pace._step(model, torch.rand(8, 2))()
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters()))
    assert pace.machine_speed(tries=1) > 0 and torch.get_num_threads() == 2
