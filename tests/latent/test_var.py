"""VAR: every code of a tiny world, the chain rule over scales, and guidance."""

from __future__ import annotations

import pytest
import torch

from dgm_course import vq
from dgm_course.latent import VAR, MultiScaleQuantizer, Smooth, average_pool, centres
from dgm_course.nets import Llama
from dgm_course.training import Recipe, fit

from ..autoregressive.models import agrees, every, perturbed, seeded


def quantizer(sides=(1, 2), size: int = 3, smooth: bool = True) -> MultiScaleQuantizer:
    book = vq.Codebook(torch.randn(size, 2, generator=seeded(9)))
    return MultiScaleQuantizer(book, sides, [Smooth(2) for _ in sides] if smooth else None)


def var(sides=(1, 2), size: int = 3, classes: int = 2, **options) -> VAR:
    return perturbed(VAR(quantizer(sides, size), Llama(centres(sides), 8, 2, 2), classes, **options))


def test_the_callers_quantizer_stays_trainable():
    scales = quantizer()
    model = VAR(scales, Llama(centres((1, 2)), 8, 2, 2))
    assert all(p.requires_grad for p in scales.parameters())
    assert not any(p.requires_grad for p in model.scales.parameters())


@pytest.mark.parametrize("sides, size", [((1, 2), 3), ((1, 2), 2), ((1,), 5)])
@pytest.mark.parametrize("y", [None, 0, 1])
def test_all_codes_sum_to_one(sides, size, y):
    model = var(sides, size)
    log_prob = model.log_prob(every(size, (model.scales.length,)), y)
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12) and log_prob.std() > 0.1


def test_log_prob_is_the_chain_rule_over_scales():
    """Each factor from codes in which all finer scales are zeros."""
    model, codes = var((1, 2, 3)), torch.randint(3, (4, 14))
    label, past, total, start = torch.tensor([0, 1, 2, 0]), torch.zeros(4, 14).long(), 0.0, 0
    for side in (1, 2, 3):
        part = slice(start, start + side**2)
        logits = model._logits(past, label)[:, part].log_softmax(-1)
        total = total + logits.gather(-1, codes[:, part, None]).sum((1, 2))
        past[:, part], start = codes[:, part], start + side**2
    labels = [None if y == 2 else y for y in label.tolist()]
    given = torch.cat([model.log_prob(codes[i : i + 1], y) for i, y in enumerate(labels)])
    torch.testing.assert_close(given, total)


def test_a_scale_sees_the_pooled_coarser_sum():
    model, codes = var((1, 2, 3)), torch.randint(3, (2, 14))
    total = sum(model.scales.upsampled(part, k) for k, part in enumerate(model.scales.split(codes)[:2]))
    rows = average_pool(total, 3).flatten(2).transpose(1, 2)
    by_hand = rows @ model.in_proj.weight.T + model.in_proj.bias + model.level[2]
    torch.testing.assert_close(model.seen(total, 2), by_hand)
    torch.testing.assert_close(model.start(torch.tensor([1]))[0, 0], model.label_embedding[1] + model.level[0])


def test_a_code_changes_exactly_the_finer_scales():
    """Change one code after the other, and see which logits move."""
    model, codes = var((1, 2, 3)), torch.randint(3, (1, 14))
    base, scale = model(codes, 1), torch.tensor([0] + [1] * 4 + [2] * 9)
    for place in range(14):
        other = codes.clone()
        other[0, place] = (other[0, place] + 1) % 3
        moved = (model(other, 1) - base).abs().amax((0, 2)) > 1e-12
        assert torch.equal(moved, scale > scale[place])


def test_the_class_reaches_every_logit():
    model, codes = var((1, 2, 3)), torch.randint(3, (1, 14))
    for other in (1, None):
        assert ((model(codes, 0) - model(codes, other)).abs().amax((0, 2)) > 1e-6).all()


def tilted(logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Π over places of softmax(logits)[code].  (N, L, K), (N, L) -> (N,)"""
    return logits.log_softmax(-1).gather(-1, codes[..., None]).sum((1, 2)).exp()


@pytest.mark.parametrize("guidance", [1.0, 2.0, 0.0])
def test_guided_samples_follow_the_mixed_logits(guidance):
    model, codes = var(), every(3, (5,))
    conditional, free = model(codes, 1), model(codes)
    mixed = tilted(free + guidance * (conditional - free), codes)
    assert agrees(model.sample(20_000, 1, guidance, generator=seeded()), mixed, 3)
    if guidance == 1:
        torch.testing.assert_close(mixed, model.log_prob(codes, 1).exp())
        assert not agrees(model.sample(20_000, 1, generator=seeded()), model.log_prob(codes, 0).exp(), 3)


def test_a_temperature_divides_the_logits():
    model, codes = var(), every(3, (5,))
    assert agrees(
        model.sample(20_000, 0, temperature=0.5, generator=seeded()), tilted(model(codes, 0) / 0.5, codes), 3
    )


@pytest.mark.parametrize("y", [None, 1, torch.tensor([0, 1, 1])])
def test_sampled_logits_are_those_of_forward(y):
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


def test_everything_but_the_scales_learns():
    model, codes = var(drop=0.3).float(), torch.randint(3, (64, 5))
    before = {name: p.clone() for name, p in model.state_dict().items()}
    history = fit(model, (codes, torch.randint(2, (64,))), Recipe(60, 32, 1e-2))
    for name, p in model.state_dict().items():
        assert torch.equal(p, before[name]) == name.startswith("scales."), name
    assert history.smooth(10)[-1] < history.smooth(10)[10]


def test_labels_are_dropped_in_training_alone():
    model, codes, y = var(drop=0.999), torch.randint(3, (50, 5)), torch.ones(50).long()
    torch.testing.assert_close(model.loss(codes, y), -model.log_prob(codes, y).mean())
    torch.testing.assert_close(model.train().loss(codes, y), -model.log_prob(codes).mean(), rtol=0.05, atol=0.05)


CODES = torch.zeros(2, 5).long()


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: VAR(quantizer(), Llama(torch.arange(4), 8, 1, 2)), "the net has 4 places and the scales 5 codes"),
        (lambda: var((2, 3)), "the first scale has side 2: expected 1"),
        (lambda: var(classes=0), "classes is 0"),
        (lambda: var(drop=1.0), "drop 1.0: expected 1 or more, and a share below 1"),
        (lambda: var().log_prob(CODES, 2), "y runs from 2 to 2: expected class numbers 0 to 1"),
        (lambda: var().log_prob(CODES, torch.zeros(3).long()), r"y has shape \(3,\).*class numbers.*\(2,\)"),
        (lambda: var().sample(2, 0.5), "dtype torch.float32: expected class numbers"),
        (lambda: var().log_prob(CODES[:, :4]), r"codes have shape \(2, 4\)"),
        (lambda: var().loss(CODES[:0]), "empty batch"),
        (lambda: var().sample(-1), "n is -1"),
        (lambda: var().sample(2, temperature=0.0), "temperature 0.0: expected 0 or more, and finite above 0"),
    ],
)
def test_wrong_input(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


def test_repr_counts_codes_and_passes():
    assert "5 codes in 2 passes" in repr(var())
