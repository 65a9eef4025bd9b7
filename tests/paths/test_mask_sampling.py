"""Sampling on a mask path: the perfect model against chains followed state by state, and MaskGIT's order."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from dgm_course.core.distributions import TableDistribution
from dgm_course.paths import MaskPath, PathField, ddim, maskgit_step

from .masks import CONDITIONAL, DATA, F64, PAIR, K, appears, assert_frequencies, conditional_table, every, followed


@every
@pytest.mark.parametrize("data", [DATA, PAIR], ids=["L3", "L2"])
def test_exact_prediction_is_bayes(path, data):
    k, length = data.symbols, data.probs.ndim
    path, table = replace(path, vocabulary=k), conditional_table(data)
    states = torch.tensor(
        [s for s in itertools.product(range(k + 1), repeat=length) if not table[s].isnan().any()]
    )
    expected = torch.stack([table[tuple(s)] for s in states.tolist()])
    for t in (0.0, 0.4, torch.rand(len(states))):  # the prediction does not depend on t
        prediction = path.exact(data).predict(states, t)
        assert torch.allclose(prediction.data, expected, atol=1e-12)
        assert torch.equal(prediction.masked, states == k)


@every
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_samples_follow_the_chain(path, steps):
    expected = followed(path, CONDITIONAL, steps)
    assert float(expected[:K, :K, :K].sum()) == pytest.approx(1)  # no mask is left
    assert_frequencies(path.exact(DATA).sample(20_000, steps), expected)


@pytest.mark.parametrize("method", [ddim, maskgit_step], ids=["ddim", "maskgit_step"])
def test_sampling_continues_from_impossible_tokens(method):
    probs = torch.zeros(2, 2, 2, dtype=F64)
    probs[0, 0, 0], probs[1, 1, 1] = 0.5, 0.5
    field = MaskPath(2).exact(TableDistribution(probs))
    lost = torch.tensor([[0, 1, 2]])
    assert torch.allclose(field.predict(lost, 0.5).data[0], torch.tensor([[1, 0], [0, 1], [0.5, 0.5]], dtype=F64))
    x = field.sample(4000, 2, method)
    assert not (x == 2).any() and (x[:, :2] != x[:, 1:]).any()
    assert torch.isfinite(field.elbo(torch.tensor([[0, 0, 0], [1, 1, 1]]), 3)).all()


@every
@pytest.mark.parametrize("method", [ddim, maskgit_step], ids=["ddim", "maskgit_step"])
def test_visible_tokens_stay_and_all_are_revealed(path, method):
    trajectory = path.exact(DATA).trajectory(300, 9, method)
    assert trajectory.shape == (10, 300, 3) and (trajectory[0] == K).all()
    assert not (trajectory[-1] == K).any()
    for before, after in itertools.pairwise(trajectory):
        assert torch.equal(after[before != K], before[before != K])


@every
@pytest.mark.parametrize("start", [(2, 1, 2), (0, 2, 1), (1, 0, 1)])
def test_given_tokens_are_kept(path, start):
    field, given = path.exact(DATA), torch.tensor([start]).expand(20_000, 3)
    x = field.sample(given, 6)
    assert_frequencies(x, followed(path, CONDITIONAL, 6, start))
    assert torch.equal(given, torch.tensor([start]).expand(20_000, 3))


class Fixed(PathField):
    """The same logits (0, sure) for every x_t, sure (L,)"""

    def __init__(self, path, sure):
        super().__init__()
        self.path, self.sure = path, sure

    def start(self, n):
        return torch.rand(n, len(self.sure))

    def predict(self, xt, t):
        logits = torch.stack([torch.zeros_like(self.sure), self.sure], -1)
        return self.path.predict(xt, t, data=logits.expand(*xt.shape, 2))


SURE = torch.tensor([22.0, -25.0, 20.0, 27.0, -21.0, 24.0, 26.0, -23.0], dtype=F64)
ORDER = [3, 6, 1, 5, 7, 0, 4, 2]


@every
@pytest.mark.parametrize("t, s", [(0.0, 0.5), (0.3, 0.8), (0.6, 1.0)])
def test_maskgit_reveals_the_most_probable_first(path, t, s):
    field = Fixed(path, SURE)
    x = torch.full((50, 8), K)
    x[10:, 3], x[20:, 6], x[30:, 5] = 0, 1, 0  # given, though improbable
    after = maskgit_step(field, x, torch.tensor(t), torch.tensor(s) - torch.tensor(t))
    for before, now in zip(x, after):
        hidden = [i for i in ORDER if before[i] == K]
        count = round(appears(path, t, s) * len(hidden))
        assert [i for i in ORDER if before[i] == K and now[i] != K] == hidden[:count]
        assert all(now[i] == (SURE[i] > 0) for i in hidden[:count])
        assert torch.equal(now[before != K], before[before != K])


def test_maskgit_reveals_one_token_a_step():
    trajectory = Fixed(MaskPath(2), SURE).trajectory(5, 8, maskgit_step)
    assert (trajectory == K).sum(-1).T.tolist() == [[8, 7, 6, 5, 4, 3, 2, 1, 0]] * 5
    assert torch.equal(trajectory[-1], (SURE > 0).long().expand(5, 8))


def test_maskgit_takes_images_of_tokens():
    class Square(Fixed):
        def predict(self, xt, t):
            logits = torch.stack([torch.zeros_like(self.sure), self.sure], -1).view(1, 2, 4, 2)
            return self.path.predict(xt, t, data=logits.expand(*xt.shape, 2))

    x, t = torch.full((3, 1, 2, 4), K), torch.tensor(0.0)
    image = maskgit_step(Square(MaskPath(2), SURE), x, t, torch.tensor(0.25))
    assert image.shape == x.shape and (image[0].flatten() != K).nonzero()[:, 0].tolist() == [3, 6]
