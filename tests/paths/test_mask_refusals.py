"""What a mask path refuses, and its edges: empty batches, one symbol, images of tokens, half precision."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.core.distributions import TableDistribution
from dgm_course.core.ode import euler, heun
from dgm_course.nets import TokenMLP
from dgm_course.paths import MaskPath, ancestral, annealed_langevin, ddim, maskgit_step
from dgm_course.paths.model import PathModel, absorbing

from .masks import BETAS, DATA, PAIR, every, lookup

PATH, X = MaskPath(2), torch.tensor([[0, 1, 1], [1, 0, 0]])
EXACT, CHAIN, WRONG = PATH.exact(DATA), MaskPath.chain, torch.zeros(2, 3)
REFUSALS = [
    (lambda: MaskPath(0), "vocabulary is 0: expected the number of clean tokens, at least 1"),
    (lambda: MaskPath(2, lambda t: 1 - t), "alpha does not rise from t = 0 to t = 1"),
    (lambda: MaskPath(2, lambda t: torch.sin(3 * t) / math.sin(3)), "alpha does not rise"),
    (lambda: MaskPath(2, lambda t: 0.5), "alpha does not rise"),
    (lambda: MaskPath(2, lambda t: t / t), "alpha does not rise"),  # NaN at t = 0
    (lambda: MaskPath(2, lambda t: 0.2 + 0.8 * t), "alpha runs from 0.2 to 1: expected 0"),
    (lambda: MaskPath(2, lambda t: 0.9 * t), r"alpha runs from 0 to 0.9: .* 1 \(all visible\)"),
    (lambda: CHAIN(torch.tensor([0.1, 0.2]), 2), "alpha runs from 0.72 to 1: expected 0"),
    (lambda: CHAIN(torch.tensor([0.0, 0.5]), 2), r"betas are \[0.0, 0.5\]: expected them inside \(0, 1\)"),
    (lambda: CHAIN(torch.tensor([0.5, 1.2]), 2), "betas are .*1.2"),
    (lambda: CHAIN(torch.tensor([1.0, 0.5]), 2), r"betas are \[1.0, 0.5\].*the last may be 1"),
    (lambda: CHAIN(torch.tensor([0.5, math.nan]), 2), r"betas are \[0.5, nan\]"),
    (lambda: CHAIN(torch.tensor(0.5), 2), r"betas have shape \(\): expected \(T,\) with at least one"),
    (lambda: CHAIN(torch.zeros(0), 2), r"betas have shape \(0,\): expected"),
    (lambda: PATH.at(1.5), r"t runs from 1.5 to 1.5: expected times in \[0, 1\]"),
    (lambda: PATH.corrupt(torch.tensor([[0, 3]]), 0.5), "x1 runs from 0 to 3: expected tokens 0 to 1"),
    (lambda: PATH.corrupt(torch.tensor([[0, -1]]), 0.5), "x1 runs from -1 to 0: expected tokens 0 to 1"),
    (lambda: PATH.corrupt(torch.tensor([[0, 2, 2]]), 0.5), "x1 has masks in 2 of 3 places: expected clean tokens"),
    (lambda: PATH.corrupt(X.float(), 0.5), r"x1 has dtype torch.float32: expected tokens, .*x.long\(\)"),
    (lambda: PATH.corrupt(X.bool(), 0.5), "x1 has dtype torch.bool: expected tokens"),
    (lambda: PATH.corrupt([[0, 1]], 0.5), "x1 has type list: expected tokens"),
    (lambda: PATH.corrupt(X, torch.rand(3)), r"t of shape \(3,\) does not fit x of shape \(2, 3\)"),
    (lambda: PATH.corrupt(X, -0.1), "t runs from -0.1"),
    (
        lambda: PATH.corrupt(X, 0.5, torch.rand(2, 1)),
        r"x0 has shape \(2, 1\): expected one number a token, \(2, 3\)",
    ),
    (lambda: PATH.posterior(X, 1 - X, 0.2, 0.4), "xt shows a token that differs from x1"),
    (lambda: PATH.posterior(X + 2, X, 0.2, 0.4), "xt runs from 2 to 3: expected tokens 0 to 2"),
    (lambda: PATH.posterior(X, torch.full((2, 3), 2), 0.2, 0.4), "x1 has masks in 6 of 6"),
    (lambda: PATH.posterior(X, X, 0.4, 0.2), "t = 0.4 and s = 0.2: expected t < s, a step from masks to data"),
    (lambda: PATH.transition(0.3, 0.5), "t = 0.5 and s = 0.3: expected t < s"),
    (lambda: PATH.transition(torch.tensor([0.5, 0.6, 0.7]), 0.1), "expected one each"),
    (lambda: PATH.unmask(0.5, 0.5), "t = 0.5 and s = 0.5: expected t < s"),
    (lambda: PATH.unmask(torch.tensor([0.1, 0.6]), 0.5), "t = 0.1 to 0.6 and s = 0.5: expected t < s"),
    (lambda: PATH.step(PATH.predict(X, 0.5, data=torch.zeros(2, 3, 2)), 0.4), "expected t < s"),
    (lambda: PATH.betas(0), "steps is 0: expected at least one"),
    (lambda: PATH.weights(0), "steps is 0: expected at least one"),
    (lambda: PATH.predict(X, 0.5), "predict was given nothing: expected data=, the logits"),
    (lambda: PATH.predict(X, 0.5, velocity=X), r"given \['velocity'\]: expected data="),
    (lambda: PATH.predict(X, 0.5, data=WRONG), r"shape \(2, 3\): expected logits \(2, 3, 2\)"),
    (lambda: PATH.predict(X.float(), 0.5, data=torch.zeros(2, 3, 2)), "xt has dtype torch.float32"),
    (lambda: PATH.exact(PAIR), "the table has 3 symbols: expected 2, as the path has"),
    (lambda: MaskPath(5).marginal(DATA, 0.5), "the table has 2 symbols: expected 5"),
    (lambda: EXACT.sample(3, 0), "steps is 0: expected at least one"),
    (lambda: EXACT.sample(3, 2, euler), "tokens have no velocity and no score: expected ddim or maskgit_step"),
    (lambda: EXACT.sample(3, 2, heun), "tokens have no velocity"),
    (lambda: EXACT.score(X, 0.5), "tokens have no velocity and no score"),
    (lambda: EXACT.sample(X + 2, 2), "x0 runs from 2 to 3: expected tokens 0 to 2"),
    (lambda: EXACT.sample(2, 3, noise=0.5), "noise was given to a sampler that sets its own: expected a solver"),
    (lambda: EXACT.sample(2, 3, maskgit_step, 0.5), "noise was given to a sampler"),
    (lambda: EXACT.sample(2, 3, ancestral), "needs a Gaussian path, not the absorbing path"),
    (lambda: EXACT.sample(2, 3, annealed_langevin()), "this sampler needs a Gaussian path.*expected ddim"),
    (lambda: EXACT.predict(X[:, :2], 0.5), r"x has shape \(2, 2\).*expected integer tokens \(B, 3\)"),
    (lambda: EXACT.elbo(X, 0), "steps is 0: expected at least one"),
    (lambda: EXACT.elbo(X, draws=0), "draws is 0: expected at least one"),
    (lambda: EXACT.elbo(X + 1), "x1 has masks in 3 of 6"),
    (lambda: EXACT.log_prob(X), r"log_prob needs .* on a mask path elbo"),
    (lambda: lookup(PATH).loss(X[:, :2]), r"x1 has shape \(2, 2\) on cpu: expected \(B, 3\) on cpu"),
    (lambda: lookup(PATH).loss(X[:0]), r"x1 is an empty batch of shape \(0, 3\)"),
    (lambda: lookup(PATH).loss(X + 1), "x1 has masks in 3 of 6"),
    (lambda: lookup(PATH).loss(X.float()), "x1 has dtype torch.float32: expected tokens"),
    (lambda: PathModel(TokenMLP(3, 3), PATH, (3,), "data").loss(X), r"shape \(2, 3, 3\): expected logits"),
    (lambda: PathModel(TokenMLP(2, 3), PATH, (3,)), "prediction is 'velocity': expected data on this path"),
    (lambda: TokenMLP(2, 3)(X, 0.5, torch.zeros(2)), "knows no condition"),
]


@pytest.mark.parametrize("act, message", REFUSALS, ids=[f"{i}-{m[:30]}" for i, (_, m) in enumerate(REFUSALS)])
def test_bad_input_is_refused(act, message):
    with pytest.raises((TypeError, ValueError), match=message):
        act()


def test_learned_model_samples_fills_and_bounds():
    """A learned model does all that the perfect one does; an untrained net gives each token one half."""
    model = absorbing(TokenMLP(2, 3, 16, 1), (3,), 2)
    x1, given = DATA.sample(50), torch.tensor([[2, 0, 2], [1, 2, 2]])
    model.loss(x1).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.sample(7, 1).shape == (7, 3) and set(model.sample(50, 4).unique().tolist()) == {0, 1}
    assert model.trajectory(4, 3).shape == (4, 4, 3) and model.trajectory(4, 3, maskgit_step).dtype == torch.int64
    filled = model.sample(given, 5)
    assert filled[0, 1] == 0 and filled[1, 0] == 1 and not (filled == 2).any()
    assert model.elbo(x1).shape == model.elbo(x1, 3).shape == (50,)
    assert torch.allclose(model.elbo(x1, 1), torch.full((50,), -3 * math.log(2)))


def test_loss_is_float32_under_autocast():
    model = absorbing(TokenMLP(2, 3, 16, 1), (3,), 2)
    model.precision = torch.bfloat16
    logits = model.predict(torch.full((1, 3), 2), 0.5).logits
    assert model.loss(DATA.sample(9)).dtype == logits.dtype == torch.float32


@every
def test_empty_batches_pass(path):
    none, field = torch.zeros(0, 3, dtype=torch.long), path.exact(DATA)
    assert field.sample(0, 2).shape == (0, 3) and field.trajectory(0, 2, maskgit_step).shape == (3, 0, 3)
    assert path.corrupt(none, torch.rand(0))[0].shape == (0, 3)
    assert path.posterior(none, none, 0.2, 0.3).shape == (0, 3, 3)
    assert field.elbo(none).shape == field.elbo(none, 2).shape == (0,)


def test_one_symbol_is_always_predicted():
    field = MaskPath(1).exact(TableDistribution(torch.ones(1, 1)))
    assert (field.sample(20, 1) == 0).all() and torch.equal(field.elbo(torch.zeros(3, 2).long()), torch.zeros(3))


def test_inputs_are_not_modified():
    x1 = DATA.sample(20)
    x0, xt = PATH.sample_source(x1), PATH.corrupt(x1, 0.5)[0]
    before = [x.clone() for x in (x1, x0, xt)]
    PATH.corrupt(x1, 0.4, x0), PATH.posterior(xt, x1, 0.5, 0.7), EXACT.elbo(x1, 2)
    ddim(EXACT, xt, torch.tensor(0.5), torch.tensor(0.5)), EXACT.sample(xt, 3, maskgit_step)
    assert all(torch.equal(a, b) for a, b in zip((x1, x0, xt), before))


def test_reprs_name_path_and_data():
    assert repr(MaskPath(5)) == "absorbing path: one of 5 tokens is visible with probability alpha(t), else 5"
    assert "chain of 5 steps" in repr(CHAIN(BETAS, 2))
    assert "exact tokens of the absorbing path for data: all 8 sequences" in repr(EXACT)
    assert "absorbing path, TokenMLP of" in repr(absorbing(TokenMLP(2, 3), (3,), 2))
