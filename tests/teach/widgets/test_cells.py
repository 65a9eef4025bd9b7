"""The cell player on the Python side: what is sent, what stands in for it, and what is refused."""

from __future__ import annotations

import io
import math

import matplotlib.image
import numpy as np
import pytest
import torch

from dgm_course import data
from dgm_course.teach.widgets.cells import CellPlayer, after_steps


@pytest.fixture
def player():
    torch.manual_seed(0)
    return CellPlayer(data.spiral().sample(200), torch.randn(5, 2), label="five vectors")


def test_it_sends_points_and_vectors_once(player):
    spec = player.spec
    sent = np.frombuffer(player.buffer, np.float32, 2 * spec["count"], spec["at"]).reshape(-1, 2)
    assert np.array_equal(sent, player.points) and spec["count"] == 200
    assert np.allclose(spec["vectors"], player.vectors) and spec["label"] == "five vectors"


def test_player_has_a_still_picture(player):
    bundle, meta = player._repr_mimebundle_()
    assert meta["image/png"] == {"alt": "five vectors"} and "drag" in bundle["text/plain"]
    assert matplotlib.image.imread(io.BytesIO(player.strip())).shape[1] > 600


def test_kmeans_step_is_the_mean_of_nearest_points(player):
    after = after_steps(player.points, player.vectors, 1)
    cells = [[] for _ in range(5)]
    for point in player.points.tolist():
        away = [math.dist(point, vector) for vector in player.vectors.tolist()]
        cells[away.index(min(away))].append(point)
    for vector, before, cell in zip(after, player.vectors, cells):
        wanted = np.mean(cell, 0) if cell else before
        assert np.allclose(vector.numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize(
    "points, vectors, words",
    [
        (torch.zeros(5, 3), torch.zeros(2, 2), r"points must have shape \(N, 2\).*\(5, 3\) came"),
        (torch.zeros(5, 2), torch.zeros(1, 2), r"vectors must have shape \(N, 2\), N from 2.*\(1, 2\) came"),
        (torch.zeros(0, 2), torch.zeros(2, 2), "points must have shape"),
        (torch.full((5, 2), math.nan), torch.zeros(2, 2), "points must be finite; 10 values"),
        (torch.zeros(6000, 2), torch.zeros(2, 2), "N from 1 to 5,000"),
    ],
)
def test_invalid_input_is_refused(points, vectors, words):
    with pytest.raises(ValueError, match=words):
        CellPlayer(points, vectors)
