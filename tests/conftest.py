"""Every test starts from the same seeds and draws on no screen."""

from __future__ import annotations

import random
from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")  # not by MPLBACKEND, which the kernels of executed notebooks would inherit


@pytest.fixture(autouse=True)
def seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """No test leaves another number of threads to those that come after it in the same process."""
    before = torch.get_num_threads()
    yield
    if torch.get_num_threads() != before:
        torch.set_num_threads(before)


@pytest.fixture
def rng() -> torch.Generator:
    """A generator of the test's own, for code that takes one."""
    return torch.Generator().manual_seed(0)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by their length: a gzip file holds the time, and two workers must collect the same names."""
    return f"{len(val)}_bytes" if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Solved notebooks first: of two workers one begins with them, and what takes minutes is not left for the end."""
    items.sort(key=lambda item: item.get_closest_marker("solved") is None)
