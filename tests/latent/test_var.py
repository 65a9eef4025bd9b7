"""VAR and LlamaGen: every code of a tiny world, Jacobians, memories, and guidance."""

from __future__ import annotations

import itertools

import pytest
import torch

from dgm_course import vq
from dgm_course.autoregressive import LlamaGen, guided, uncached
from dgm_course.latent import VAR, MultiScaleQuantizer, Smooth, average_pool, centres
from dgm_course.nets import Llama, grid_positions
from dgm_course.training import Recipe, fit


def stirred(model: torch.nn.Module, amount: float = 0.4) -> torch.nn.Module:
    model = model.double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(amount * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())).double())
    return model


def var(sides=(1, 2), size: int = 3, classes: int = 2, smooth: bool = True, **more) -> VAR:
    book = vq.Codebook(torch.randn(size, 2, generator=torch.Generator().manual_seed(9)))
    made = MultiScaleQuantizer(book, sides, [Smooth(2) for _ in sides] if smooth else None)
    return stirred(VAR(made, Llama(centres(sides), 8, 2, 2), classes, **more))


def gen(size: int = 3, grid=(2, 2), classes: int = 2, **more) -> LlamaGen:
    return stirred(LlamaGen(size, grid, Llama(grid_positions(*grid), 8, 2, 2), classes, **more))


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def every(size: int, length: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product(range(size), repeat=length)))


def agree(drawn: torch.Tensor, log_prob: torch.Tensor, codes: torch.Tensor, size: int) -> bool:
    """Whether each of all codes was drawn as often as its probability says, within five standard errors."""
    digits, n = size ** torch.arange(codes.shape[1] - 1, -1, -1), len(drawn)
    share, prob = torch.bincount((drawn.flatten(1) * digits).sum(1), minlength=len(codes)) / n, log_prob.exp()
    return bool(((share - prob).abs() < 5 * (prob * (1 - prob) / n).sqrt() + 3 / n).all())


def test_the_tokeniser_of_the_caller_stays_trainable():
    scales = MultiScaleQuantizer(vq.Codebook(torch.randn(3, 2)), (1, 2), [Smooth(2), Smooth(2)])
    model = VAR(scales, Llama(centres((1, 2)), 8, 2, 2))
    assert all(p.requires_grad for p in scales.parameters())
    assert not any(p.requires_grad for p in model.scales.parameters())


# --- VAR: the chain rule over scales


@pytest.mark.parametrize("sides, size", [((1, 2), 3), ((1, 2), 2), ((1,), 5)])
@pytest.mark.parametrize("y", [None, 0, 1])
def test_probabilities_of_all_codes_sum_to_one(sides, size, y):
    model = var(sides, size)
    log_prob = model.log_prob(every(size, model.scales.length), y)
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12) and log_prob.std() > 0.1


def test_log_prob_is_the_chain_rule_scale_by_scale():
    """Each factor from codes in which all finer scales are zeros; inputs of a scale made by hand from the coarser ones."""
    model, codes = var((1, 2, 3)), torch.randint(3, (4, 14))
    label, past, total, start = torch.tensor([0, 1, 2, 0]), torch.zeros(4, 14).long(), 0.0, 0
    for side in (1, 2, 3):
        part = slice(start, start + side**2)
        logits = model._logits(past, label)[:, part].log_softmax(-1)
        total = total + logits.gather(-1, codes[:, part, None]).sum((1, 2))
        past[:, part], start = codes[:, part], start + side**2
    given = torch.stack(
        [model.log_prob(codes[i : i + 1], None if y == 2 else int(y))[0] for i, y in enumerate(label)]
    )
    torch.testing.assert_close(given, total)


def test_the_input_of_a_scale_is_the_shrunk_sum_of_the_coarser_ones():
    model, codes = var((1, 2, 3)), torch.randint(3, (2, 14))
    total = sum(model.scales.upsampled(part, k) for k, part in enumerate(model.scales.split(codes)[:2]))
    rows = average_pool(total, 3).flatten(2).transpose(1, 2)
    by_hand = rows @ model.in_proj.weight.T + model.in_proj.bias + model.level[2]
    torch.testing.assert_close(model.seen(total, 2), by_hand)
    torch.testing.assert_close(model.start(torch.tensor([1]))[0, 0], model.label_embedding[1] + model.level[0])


def test_a_code_changes_the_logits_of_finer_scales_and_of_no_other():
    """Brute force over all places: change one code, see which logits move."""
    model, codes = var((1, 2, 3)), torch.randint(3, (1, 14))
    base, scale = model(codes, 1), torch.tensor([0] + [1] * 4 + [2] * 9)
    for place in range(14):
        other = codes.clone()
        other[0, place] = (other[0, place] + 1) % 3
        moved = (model(other, 1) - base).abs().amax((0, 2)) > 1e-12
        assert not moved[scale <= scale[place]].any()
        assert moved[scale > scale[place]].all()


def test_the_class_reaches_every_logit_by_the_start_token():
    model, codes = var((1, 2, 3)), torch.randint(3, (1, 14))
    assert ((model(codes, 0) - model(codes, 1)).abs().amax((0, 2)) > 1e-6).all()
    assert ((model(codes, 0) - model(codes)).abs().amax((0, 2)) > 1e-6).all()


@pytest.mark.parametrize("guidance", [1.0, 2.0, 0.0])
def test_samples_occur_as_often_as_their_probability_says(guidance):
    """Guided ones, too: their distribution written out scale by scale."""
    model, codes, n = var(), every(3, 5), 20_000
    conditional_logits, free = model(codes, 1), model(codes)
    mixed = (
        (free + guidance * (conditional_logits - free)).log_softmax(-1).gather(-1, codes[..., None]).sum((1, 2))
    )
    assert agree(model.sample(n, 1, guidance, generator=seeded()), mixed, codes, 3)
    if guidance == 1:
        torch.testing.assert_close(mixed, model.log_prob(codes, 1))
        assert not agree(model.sample(n, 1, generator=seeded()), model.log_prob(codes, 0), codes, 3)


def test_a_temperature_divides_the_logits():
    model, codes = var(), every(3, 5)
    cold = (model(codes, 0) / 0.5).log_softmax(-1).gather(-1, codes[..., None]).sum((1, 2))
    assert agree(model.sample(20_000, 0, temperature=0.5, generator=seeded()), cold, codes, 3)


@pytest.mark.parametrize("y", [None, 1, torch.tensor([0, 1, 1])])
def test_the_logits_of_the_sampler_are_those_of_the_masked_pass(y):
    """Greedy codes (a tiny temperature) are the argmax of the full pass over themselves."""
    model = var((1, 2, 3), size=4)
    codes = model.sample(3, y, temperature=1e-6)
    assert torch.equal(codes, model(codes, y).argmax(-1)) and codes.shape == (3, 14) and codes.dtype == torch.long
    again = [model.sample(3, y, generator=seeded(seed)) for seed in (1, 1, 2)]
    assert torch.equal(again[0], again[1]) and not torch.equal(again[0], again[2])


def test_a_sample_costs_one_pass_a_scale():
    model, calls = var((1, 2, 3)), []
    model.net.step, usual = (lambda *args: calls.append(args[0].shape) or usual(*args)), model.net.step
    model.sample(5, 1)
    model.sample(5, 1, 2.0)
    assert calls == [(n, side**2, 8) for n in (5, 10) for side in (1, 2, 3)]


def test_the_scales_do_not_learn_and_everything_else_does():
    model, codes = var(drop=0.3).float(), torch.randint(3, (64, 5))
    before = {name: p.clone() for name, p in model.state_dict().items()}
    history = fit(model, (codes, torch.randint(2, (64,))), Recipe(60, 32, 1e-2))
    for name, p in model.state_dict().items():
        assert torch.equal(p, before[name]) == name.startswith("scales."), name
    assert history.smooth(10)[-1] < history.smooth(10)[10]


def test_labels_are_kept_back_in_training_alone():
    model, codes, y = var(drop=0.999), torch.randint(3, (50, 5)), torch.ones(50).long()
    torch.testing.assert_close(model.loss(codes, y), -model.log_prob(codes, y).mean())
    torch.testing.assert_close(model.train().loss(codes, y), -model.log_prob(codes).mean(), rtol=0.05, atol=0.05)


# --- LlamaGen: what it adds to the laws of every autoregressive model (tests/test_autoregressive.py)


@pytest.mark.parametrize("y", [None, 0, 1])
def test_llamagen_sums_to_one_with_a_class_and_without(y):
    model, x = gen(), every(3, 4).view(-1, 2, 2)
    log_prob = model.log_prob(x, y)
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12) and log_prob.std() > 0.1
    assert (model.log_prob(x, 0) - model.log_prob(x)).abs().max() > 0.01


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_guided_samples_follow_the_mixed_logits(weight):
    model, x = gen(), every(3, 4).view(-1, 2, 2)
    conditional_logits, free = model(x, 1), model(x)
    mixed = (
        (free + weight * (conditional_logits - free)).log_softmax(-1).gather(-1, x[..., None]).flatten(1).sum(1)
    )
    assert agree(model.sample(20_000, 1, generator=seeded(), iter_logits=guided(weight)), mixed, x.flatten(1), 3)


def test_llamagen_cached_and_recomputed_draw_the_same():
    model = gen(5, (3, 4))
    for y in (None, 1, torch.tensor([0, 1, 0])):
        kept, plain = (model.sample(3, y, generator=seeded(), iter_logits=stream) for stream in (None, uncached))
        assert torch.equal(kept, plain)
    assert torch.equal(
        model.sample(3, 1, generator=seeded(), iter_logits=guided(1.0)), model.sample(3, 1, generator=seeded())
    )


def test_llamagen_keeps_labels_back_in_training_alone():
    model, x, y = gen(drop=0.999), torch.randint(3, (50, 2, 2)), torch.ones(50).long()
    torch.testing.assert_close(model.loss(x, y), -model.log_prob(x, y).mean())
    torch.testing.assert_close(model.train().loss(x, y), -model.log_prob(x).mean(), rtol=0.05, atol=0.05)


def test_reprs_teach():
    assert "5 codes in 2 passes" in repr(var()) and "4 places" not in repr(var())
    assert "2 x 2 places of 3 symbols" in repr(gen())


CODES = torch.zeros(2, 5).long()


@pytest.mark.parametrize(
    "wrong, said",
    [
        (
            lambda: VAR(var().scales, Llama(torch.arange(4), 8, 1, 2)),
            "the net has 4 places and the scales 5 codes",
        ),
        (lambda: var((2, 3)), "the first scale has side 2: expected 1"),
        (lambda: var(classes=0), "classes is 0"),
        (lambda: var(drop=1.0), "drop 1.0: expected at least 1 class, and a share below 1"),
        (lambda: var().log_prob(CODES, 2), "y runs from 2 to 2: expected class numbers 0 to 1"),
        (
            lambda: var().log_prob(CODES, torch.zeros(3).long()),
            r"y has shape \(3,\).*expected class numbers.*\(2,\)",
        ),
        (lambda: var().sample(2, 0.5), "dtype torch.float32: expected class numbers"),
        (lambda: var().log_prob(CODES[:, :4]), r"codes have shape \(2, 4\)"),
        (lambda: var().loss(CODES[:0]), "empty batch"),
        (lambda: var().sample(-1), "n is -1"),
        (
            lambda: var().sample(2, temperature=0.0),
            "temperature 0.0: expected 0 or more, and a finite number above 0",
        ),
        (
            lambda: LlamaGen(3, (2, 2), Llama(torch.arange(5), 8, 1, 2)),
            r"the net has 5 places and event \(2, 2\) has 4",
        ),
        (lambda: gen(drop=-0.1), "drop is -0.1: expected a share"),
        (lambda: gen(classes=0).sample(2, iter_logits=guided(2.0)), "guidance needs a model with classes"),
        (
            lambda: gen().log_prob(torch.zeros(2, 2, 2).long(), 5),
            "y runs from 5 to 5: expected class numbers 0 to 1",
        ),
    ],
)
def test_wrong_input_is_a_sentence(wrong, said):
    with pytest.raises(ValueError, match=said):
        wrong()
