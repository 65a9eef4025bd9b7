"""Sampling on a mask path: the perfect model against chains followed state by state, and a model that is surest first."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from dgm_course.core.distributions import TableDistribution
from dgm_course.core.metrics import floor
from dgm_course.paths import MaskPath, PathField, ddim, maskgit_step

from .masks import (
    DATA,
    F64,
    PAIR,
    TOLD,
    WORDS,
    K,
    appears,
    assert_frequencies,
    conditional_table,
    every,
    followed,
    nexts,
    shares,
)


def total_variation(p: torch.Tensor, q: torch.Tensor) -> float:
    return float((p - q).abs().sum() / 2)


# --- the perfect model


@every
@pytest.mark.parametrize("data", [DATA, PAIR], ids=["L3", "L2"])
def test_the_exact_guess_is_bayes_over_all_sequences(path, data):
    k, length = data.symbols, data.probs.ndim
    path, table = replace(path, vocabulary=k), conditional_table(data)
    states = torch.tensor(
        [s for s in itertools.product(range(k + 1), repeat=length) if not table[s].isnan().any()]
    )
    expected = torch.stack([table[tuple(s)] for s in states.tolist()])
    for t in (0.0, 0.4, torch.rand(len(states))):  # the time says nothing that the masks do not
        prediction = path.exact(data).predict(states, t)
        assert torch.allclose(prediction.data, expected, atol=1e-12) and torch.equal(
            prediction.masked, states == k
        )
    assert len(states) < (k + 1) ** length or data is DATA


@every
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_follow_the_chain_state_by_state(path, steps):
    expected = followed(path, TOLD, steps)
    assert float(expected[:K, :K, :K].sum()) == pytest.approx(1)  # no mask is left
    assert (
        total_variation(expected[:K, :K, :K], DATA.probs) > 0.02
    )  # and tokens drawn at once know nothing of each other
    assert_frequencies(path.exact(DATA).sample(20_000, steps), expected)


@pytest.mark.parametrize("method", [ddim, maskgit_step], ids=["ddim", "maskgit_step"])
def test_tokens_drawn_together_may_fit_no_word_and_sampling_goes_on(method):
    probs = torch.zeros(2, 2, 2, dtype=F64)
    probs[0, 0, 0], probs[1, 1, 1] = 0.5, 0.5
    field = MaskPath(2).exact(TableDistribution(probs))
    lost = torch.tensor([[0, 1, 2]])
    assert torch.allclose(field.predict(lost, 0.5).data[0], torch.tensor([[1, 0], [0, 1], [0.5, 0.5]], dtype=F64))
    x = field.sample(4000, 2, method)
    assert not (x == 2).any() and (x[:, :2] != x[:, 1:]).any()
    assert torch.isfinite(field.elbo(torch.tensor([[0, 0, 0], [1, 1, 1]]), 3)).all()


def test_one_step_draws_every_token_on_its_own():
    alone = [DATA.probs.sum(axes) for axes in ((1, 2), (0, 2), (0, 1))]
    assert_frequencies(MaskPath(2).exact(DATA).sample(20_000, 1), torch.einsum("i,j,k->ijk", *alone))


@every
def test_many_steps_recover_the_table(path):
    n, steps = 5000, 100
    left = total_variation(followed(path, TOLD, steps)[:K, :K, :K], DATA.probs)
    assert left < 0.03
    between = floor(DATA, lambda x, y: total_variation(shares(x, K), shares(y, K)), n)
    x = path.exact(DATA).sample(n, steps)
    assert total_variation(shares(x, K), shares(DATA.sample(n), K)) < between.mean + 5 * between.sd + left


@every
@pytest.mark.parametrize("method", [ddim, maskgit_step], ids=["ddim", "maskgit_step"])
def test_what_is_visible_never_changes_and_nothing_is_left_masked(path, method):
    trajectory = path.exact(DATA).trajectory(300, 9, method)
    assert trajectory.shape == (10, 300, 3) and (trajectory[0] == K).all() and not (trajectory[-1] == K).any()
    for before, after in itertools.pairwise(trajectory):
        assert torch.equal(after[before != K], before[before != K])


@every
@pytest.mark.parametrize("start", [(2, 1, 2), (0, 2, 1), (1, 0, 1)])
def test_given_tokens_are_kept_and_the_rest_is_filled_in(path, start):
    field, given = path.exact(DATA), torch.tensor([start]).expand(20_000, 3)
    x = field.sample(given, 6)
    assert_frequencies(x, followed(path, TOLD, 6, start))
    fits = torch.zeros(2, 2, 2, dtype=F64)
    for word in WORDS:
        fits[word] = DATA.probs[word] * all(s in (K, v) for s, v in zip(start, word))
    assert total_variation(followed(path, TOLD, 200, start)[:K, :K, :K], fits / fits.sum()) < 0.01
    assert torch.equal(given, torch.tensor([start]).expand(20_000, 3))


def test_hop_is_one_step_with_the_fields_own_guess():
    field = MaskPath(2).exact(DATA)
    x = torch.tensor([[2, 1, 2]]).repeat(30_000, 1)
    after = ddim(field, x, torch.tensor(0.2), torch.tensor(0.3))
    expected = torch.zeros(3, 3, 3, dtype=F64)
    for state, p in nexts(TOLD, 0.3 / 0.8, (2, 1, 2)).items():
        expected[state] = p
    assert_frequencies(after, expected)


# --- the model that is surest first


class Opinions(PathField):
    """Each place has one likely token, and some are surer than others.  sure (L,): the margins of the logits"""

    def __init__(self, path, sure):
        super().__init__()
        self.path, self.sure = path, sure

    def start(self, n):
        return torch.rand(n, len(self.sure))

    def predict(self, xt, t):
        logits = torch.stack([torch.zeros_like(self.sure), self.sure], -1)
        return self.path.predict(xt, t, data=logits.expand(*xt.shape, 2))


SURE = torch.tensor(
    [22.0, -25.0, 20.0, 27.0, -21.0, 24.0, 26.0, -23.0], dtype=F64
)  # almost certain, in this order:
ORDER = [3, 6, 1, 5, 7, 0, 4, 2]


@every
@pytest.mark.parametrize("t, s", [(0.0, 0.5), (0.3, 0.8), (0.6, 1.0)])
def test_confident_reveals_as_many_as_expected_the_surest_first(path, t, s):
    field = Opinions(path, SURE)
    x = torch.full((50, 8), K)
    x[10:, 3], x[20:, 6], x[30:, 5] = 0, 1, 0  # given against its opinion: kept all the same
    after = maskgit_step(field, x, torch.tensor(t), torch.tensor(s) - torch.tensor(t))
    for before, now in zip(x, after):
        hidden = [i for i in ORDER if before[i] == K]
        count = round(appears(path, t, s) * len(hidden))
        assert [i for i in ORDER if before[i] == K and now[i] != K] == hidden[:count]
        assert all(now[i] == (SURE[i] > 0) for i in hidden[:count]) and torch.equal(
            now[before != K], before[before != K]
        )


def test_confident_in_as_many_steps_as_tokens_reveals_one_at_a_time():
    trajectory = Opinions(MaskPath(2), SURE).trajectory(5, 8, maskgit_step)
    assert (trajectory == K).sum(-1).T.tolist() == [[8, 7, 6, 5, 4, 3, 2, 1, 0]] * 5
    assert torch.equal(trajectory[-1], (SURE > 0).long().expand(5, 8))
    picture = Opinions(MaskPath(2), SURE).predict(torch.full((1, 8), K), 0.5).data.view(1, 1, 2, 4, 2).log()

    class Square(Opinions):
        def predict(self, xt, t):
            return self.path.predict(xt, t, data=picture.expand(*xt.shape, 2))

    image = maskgit_step(
        Square(MaskPath(2), SURE), torch.full((3, 1, 2, 4), K), torch.tensor(0.0), torch.tensor(0.25)
    )
    assert image.shape == (3, 1, 2, 4) and [i for i in range(8) if image[0].flatten()[i] != K] == [3, 6]
