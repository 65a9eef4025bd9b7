"""Mask paths at the edges: a learned model, empty batches, one symbol, and a sentence for what cannot be."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dgm_course.core.distributions import TableDistribution
from dgm_course.core.ode import euler, heun
from dgm_course.nets import TokenMLP
from dgm_course.paths import ExactTokens, MaskPath, PathField, ancestral, annealed_langevin, ddim, maskgit_step
from dgm_course.paths.model import PathModel, absorbing

from .masks import BETAS, DATA, PAIR, every, lookup


def test_a_learned_model_does_what_the_perfect_one_does():
    model = absorbing(TokenMLP(2, 3, 16, 1), (3,), 2)
    x1 = DATA.sample(50)
    model.loss(x1).backward()
    assert (
        all(p.grad is not None for p in model.parameters())
        and float(model.net.layers[-1].weight.grad.abs().sum()) > 0
    )
    assert model.sample(7, 1).shape == (7, 3) and set(model.sample(50, 4).unique().tolist()) == {0, 1}
    assert model.trajectory(4, 3).shape == (4, 4, 3) and model.trajectory(4, 3, maskgit_step).dtype == torch.int64
    given = torch.tensor([[2, 0, 2], [1, 2, 2]])
    filled = model.sample(given, 5)
    assert filled[0, 1] == 0 and filled[1, 0] == 1 and not (filled == 2).any()
    assert model.elbo(x1).shape == model.elbo(x1, 3).shape == (50,)
    assert torch.allclose(model.elbo(x1, 1), torch.full((50,), -3 * math.log(2)))  # an untrained net says one half
    assert model.predict(given, torch.rand(2)).data.shape == (2, 3, 2)


def test_the_nets_precision_does_not_reach_the_sum():
    model = absorbing(TokenMLP(2, 3, 16, 1), (3,), 2)
    model.precision = torch.bfloat16
    assert (
        model.loss(DATA.sample(9)).dtype == model.predict(torch.full((1, 3), 2), 0.5).logits.dtype == torch.float32
    )


@every
def test_empty_batches(path):
    none, field = torch.zeros(0, 3, dtype=torch.long), path.exact(DATA)
    assert field.sample(0, 2).shape == (0, 3) and field.trajectory(0, 2, maskgit_step).shape == (3, 0, 3)
    assert path.corrupt(none, torch.rand(0))[0].shape == (0, 3) and path.posterior(none, none, 0.2, 0.3).shape == (
        0,
        3,
        3,
    )
    assert field.elbo(none).shape == field.elbo(none, 2).shape == (0,)


def test_one_symbol_is_no_secret():
    path = MaskPath(1)
    field = path.exact(TableDistribution(torch.ones(1, 1)))
    assert (field.sample(20, 1) == 0).all() and torch.equal(field.elbo(torch.zeros(3, 2).long()), torch.zeros(3))


def test_inputs_are_not_written_to():
    path, x1 = MaskPath(2), DATA.sample(20)
    x0, xt = path.sample_source(x1), path.corrupt(x1, 0.5)[0]
    before = [x.clone() for x in (x1, x0, xt)]
    path.corrupt(x1, 0.4, x0), path.posterior(xt, x1, 0.5, 0.7), path.exact(DATA).elbo(x1, 2)
    ddim(path.exact(DATA), xt, torch.tensor(0.5), torch.tensor(0.5)), path.exact(DATA).sample(xt, 3, maskgit_step)
    assert all(torch.equal(a, b) for a, b in zip((x1, x0, xt), before))


def test_reprs_teach():
    assert repr(MaskPath(5)) == "absorbing path: one of 5 tokens is visible with probability alpha(t), else 5"
    assert "chain of 5 steps" in repr(MaskPath.chain(BETAS, 2)) and MaskPath(5).mask_id == 5
    assert "exact tokens of the absorbing path for data: all 8 sequences" in repr(MaskPath(2).exact(DATA))
    assert "absorbing path, TokenMLP of" in repr(absorbing(TokenMLP(2, 3), (3,), 2))


class Flat(nn.Module):
    """Forgets the axis of the symbols."""

    def forward(self, x, t):
        return x.float()


PATH, X = MaskPath(2), torch.tensor([[0, 1, 1], [1, 0, 0]])
SENTENCES = [
    (lambda: MaskPath(0), ValueError, "vocabulary is 0: expected the number of clean tokens, at least 1"),
    (lambda: MaskPath(2, lambda t: 1 - t), ValueError, "alpha does not rise from t = 0 to t = 1"),
    (lambda: MaskPath(2, lambda t: torch.sin(3 * t) / math.sin(3)), ValueError, "alpha does not rise"),
    (lambda: MaskPath(2, lambda t: 0.5), ValueError, "alpha does not rise"),
    (lambda: MaskPath(2, lambda t: t / t), ValueError, "alpha does not rise"),  # NaN at t = 0
    (lambda: MaskPath(2, lambda t: 0.2 + 0.8 * t), ValueError, r"alpha runs from 0.2 to 1: expected 0 at t = 0"),
    (
        lambda: MaskPath(2, lambda t: 0.9 * t),
        ValueError,
        r"alpha runs from 0 to 0.9: .* 1 at t = 1 \(all visible\)",
    ),
    (
        lambda: MaskPath.chain(torch.tensor([0.1, 0.2]), 2),
        ValueError,
        "alpha runs from 0.72 to 1: expected 0 at t = 0",
    ),
    (
        lambda: MaskPath.chain(torch.tensor([0.0, 0.5]), 2),
        ValueError,
        r"from 0 to 0.5: expected them inside \(0, 1\)",
    ),
    (lambda: MaskPath.chain(torch.tensor([0.5, 1.2]), 2), ValueError, "betas run from 0.5 to 1.2"),
    (
        lambda: MaskPath.chain(torch.tensor([1.0, 0.5]), 2),
        ValueError,
        "betas run from 0.5 to 1: .*only the last may be 1",
    ),
    (lambda: MaskPath.chain(torch.tensor([0.5, math.nan]), 2), ValueError, "betas run from nan"),
    (
        lambda: MaskPath.chain(torch.tensor(0.5), 2),
        ValueError,
        r"betas have shape \(\): expected \(T,\) with at least one",
    ),
    (lambda: MaskPath.chain(torch.zeros(0), 2), ValueError, r"betas have shape \(0,\): expected"),
    (lambda: PATH.at(1.5), ValueError, r"t runs from 1.5 to 1.5: expected times in \[0, 1\]"),
    (lambda: PATH.corrupt(torch.tensor([[0, 3]]), 0.5), ValueError, "x1 runs from 0 to 3: expected tokens 0 to 1"),
    (
        lambda: PATH.corrupt(torch.tensor([[0, -1]]), 0.5),
        ValueError,
        "x1 runs from -1 to 0: expected tokens 0 to 1",
    ),
    (
        lambda: PATH.corrupt(torch.tensor([[0, 2, 2]]), 0.5),
        ValueError,
        r"x1 is masked already in 2 of 3 places \(token 2\)",
    ),
    (
        lambda: PATH.corrupt(X.float(), 0.5),
        TypeError,
        r"x1 has dtype torch.float32: expected tokens, .*x.long\(\)",
    ),
    (lambda: PATH.corrupt(X.bool(), 0.5), TypeError, "x1 has dtype torch.bool: expected tokens"),
    (lambda: PATH.corrupt([[0, 1]], 0.5), TypeError, "x1 has type list: expected tokens"),
    (lambda: PATH.corrupt(X, torch.rand(3)), ValueError, r"t of shape \(3,\) does not fit x of shape \(2, 3\)"),
    (lambda: PATH.corrupt(X, -0.1), ValueError, "t runs from -0.1"),
    (lambda: PATH.posterior(X, 1 - X, 0.2, 0.4), ValueError, "xt shows a token that differs from x1"),
    (lambda: PATH.posterior(X + 2, X, 0.2, 0.4), ValueError, "xt runs from 2 to 3: expected tokens 0 to 2"),
    (lambda: PATH.posterior(X, torch.full((2, 3), 2), 0.2, 0.4), ValueError, "x1 is masked already in 6 of 6"),
    (
        lambda: PATH.posterior(X, X, 0.4, 0.2),
        ValueError,
        "t = 0.4 and s = 0.2: expected t < s, a step towards the data",
    ),
    (lambda: PATH.transition(0.3, 0.5), ValueError, "t = 0.5 and s = 0.3: expected t < s"),
    (lambda: PATH.unmask(0.5, 0.5), ValueError, "t = 0.5 and s = 0.5: expected t < s"),
    (lambda: PATH.unmask(torch.tensor([0.1, 0.6]), 0.5), ValueError, "t = 0.1 to 0.6 and s = 0.5: expected t < s"),
    (lambda: PATH.step(PATH.predict(X, 0.5, data=torch.zeros(2, 3, 2)), 0.4), ValueError, "expected t < s"),
    (lambda: PATH.betas(0), ValueError, "steps is 0: expected at least one"),
    (lambda: PATH.weights(0), ValueError, "steps is 0: expected at least one"),
    (lambda: PATH.exact(DATA).sample(3, 0), ValueError, "steps is 0: expected at least one"),
    (lambda: PATH.exact(DATA).elbo(X, 0), ValueError, "steps is 0: expected at least one"),
    (lambda: PATH.exact(DATA).elbo(X, draws=0), ValueError, "draws is 0: expected at least one"),
    (lambda: PATH.exact(DATA).elbo(X, 3, draws=0), ValueError, "draws is 0: expected at least one"),
    (lambda: PATH.exact(DATA).elbo(X + 1), ValueError, "x1 is masked already in 3 of 6"),
    (lambda: PATH.exact(PAIR), ValueError, "the table has 3 symbols, the path 2 tokens: expected the same"),
    (
        lambda: PATH.exact(DATA).predict(X[:, :2], 0.5),
        ValueError,
        r"x has shape \(2, 2\).*expected integer tokens \(B, 3\)",
    ),
    (lambda: PATH.exact(DATA).sample(3, 2, euler), ValueError, "tokens jump .*: expected a method that hops"),
    (lambda: PATH.exact(DATA).sample(3, 2, heun), ValueError, "tokens jump and have no velocity"),
    (lambda: PATH.exact(DATA).score(X, 0.5), ValueError, "tokens jump and have no velocity"),
    (lambda: PATH.exact(DATA).sample(X + 2, 2), ValueError, "x0 runs from 2 to 3: expected tokens 0 to 2"),
    (
        lambda: PATH.predict(X, 0.5),
        ValueError,
        "predict was given nothing: on a mask path expected data=, the logits",
    ),
    (lambda: PATH.predict(X, 0.5, velocity=X), ValueError, r"given \['velocity'\]: on a mask path expected data="),
    (
        lambda: PATH.predict(X, 0.5, data=torch.zeros(2, 3)),
        ValueError,
        r"shape \(2, 3\): expected logits \(2, 3, 2\)",
    ),
    (lambda: PATH.predict(X.float(), 0.5, data=torch.zeros(2, 3, 2)), TypeError, "xt has dtype torch.float32"),
    (
        lambda: PathModel(Flat(), PATH, (3,), "data").loss(X),
        ValueError,
        r"answer has shape \(2, 3\): expected logits",
    ),
    (
        lambda: PathModel(TokenMLP(3, 3), PATH, (3,), "data").loss(X),
        ValueError,
        r"shape \(2, 3, 3\): expected logits",
    ),
    (
        lambda: PathModel(TokenMLP(2, 3), PATH, (3,)),
        ValueError,
        "prediction is 'velocity': expected data on this path",
    ),
    (lambda: PATH.exact(DATA).log_prob(X), ValueError, r"log_prob needs .* on a mask path elbo"),
    (lambda: PATH.exact(DATA).sample(2, 3, noise=0.5), ValueError, "noise was given to a method that has its own"),
    (
        lambda: PATH.exact(DATA).sample(2, 3, maskgit_step, 0.5),
        ValueError,
        "noise was given to a method that has its own",
    ),
    (lambda: PATH.exact(DATA).sample(2, 3, ancestral), ValueError, "tokens have no noise to renew"),
    (lambda: PATH.exact(DATA).sample(2, 3, annealed_langevin()), ValueError, "a mask path has no sigma"),
    (lambda: PATH.transition(torch.tensor([0.5, 0.6, 0.7]), 0.1), ValueError, "expected one each"),
    (lambda: PATH.corrupt(X, 0.5, torch.rand(2, 1)), ValueError, "expected an hour for each token"),
    (lambda: MaskPath(5).marginal(DATA, 0.5), ValueError, "expected the same"),
    (lambda: TokenMLP(2, 3)(X, 0.5, torch.zeros(2)), ValueError, "knows no condition"),
    (lambda: lookup(PATH).loss(X[:, :2]), ValueError, r"x1 has shape \(2, 2\) on cpu: expected \(B, 3\) on cpu"),
    (lambda: lookup(PATH).loss(X[:0]), ValueError, r"x1 is an empty batch of shape \(0, 3\)"),
    (lambda: lookup(PATH).loss(X + 1), ValueError, "x1 is masked already in 3 of 6 places"),
    (lambda: lookup(PATH).loss(X.float()), TypeError, "x1 has dtype torch.float32: expected tokens"),
]


@pytest.mark.parametrize(
    "act, error, message", SENTENCES, ids=[f"{i}-{message[:30]}" for i, (*_, message) in enumerate(SENTENCES)]
)
def test_bad_input_is_answered_with_a_sentence(act, error, message):
    with pytest.raises(error, match=message):
        act()


def test_the_perfect_model_is_a_field_like_any_other():
    assert isinstance(PATH.exact(DATA), ExactTokens) and issubclass(ExactTokens, PathField)
