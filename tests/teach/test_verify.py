"""``verify`` passes what agrees, names what differs, and refuses what proves nothing."""

import math

import pytest
import torch

from dgm_course.teach.verify import Estimate, LawBroken, estimate, verify

RIGHT = torch.tensor([1.0, -4.0, 2.0], dtype=torch.float64)
NOTHING = torch.zeros(0)
NAN = torch.tensor([1.0, float("nan"), 2.0])


def test_agreement_prints_one_stable_line(capsys):
    for tiny in (0.0, 1e-13, -3e-12):
        verify("fm.law", RIGHT + tiny, RIGHT, what="a = b")
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["✓ fm.law — a = b agrees to 1e-10 (float64, 3 values)"] * 3


def test_tolerance_is_relative_to_the_right_side():
    verify("x", RIGHT + 3.9e-3, RIGHT, "a = b", tolerance=1e-3)
    with pytest.raises(LawBroken):
        verify("x", RIGHT + 4.1e-3, RIGHT, "a = b", tolerance=1e-3)
    verify("x", RIGHT + 0.9e-3, RIGHT, "a = b", tolerance=1e-3, scale=1.0)
    with pytest.raises(LawBroken):
        verify("x", RIGHT + 1.1e-3, RIGHT, "a = b", tolerance=1e-3, scale=1.0)


def test_a_broken_law_names_the_worst_pair():
    assert issubclass(LawBroken, AssertionError)
    left = RIGHT.clone()
    left[1] += 0.5
    with pytest.raises(
        LawBroken,
        match=r"✗ fm.law — a = b is broken: -3.5 on the left, -4 on the right, "
        r"allowed difference 4e-10 \(worst of 3 values\)",
    ):
        verify("fm.law", left, RIGHT, what="a = b")


@pytest.mark.parametrize(
    "left, right",
    [
        (NAN, RIGHT),
        (RIGHT, NAN),
        (NAN, NAN.clone()),
        (RIGHT * math.inf, RIGHT),
        (RIGHT, RIGHT * math.inf),
        (RIGHT * math.inf, RIGHT * math.inf),
    ],
)
@pytest.mark.parametrize("scale", [None, 1.0])
def test_what_is_no_number_never_agrees(left, right, scale):
    with pytest.raises((LawBroken, ValueError)):
        verify("x", left, right, "a = b", tolerance=0.1, scale=scale)


@pytest.mark.parametrize("values", [NAN.view(3, 1).repeat(9, 1), torch.full((9, 1), math.inf)])
def test_an_estimate_that_is_no_number_never_agrees(values):
    with pytest.raises((LawBroken, ValueError)):
        verify("x", estimate(values), torch.ones(1), "a = b")


def test_right_side_may_be_one_number():
    verify("x", torch.full((4,), 2.0), 2.0, "a = 2")
    verify("x", torch.full((4,), 2.0), torch.tensor([2.0]), "a = 2")
    verify("x", torch.tensor(2.0), torch.tensor([2.0]), "a = 2")
    with pytest.raises(LawBroken):
        verify("x", torch.tensor([2.0, 2.0, 2.1]), 2.0, "a = 2", tolerance=0.01)


def test_gradients_do_not_disturb():
    verify("x", RIGHT.clone().requires_grad_(), RIGHT, "a = b")


# --- Monte Carlo ---


def test_estimate_is_mean_and_standard_error():
    e = estimate(torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 3.0], [4.0, 1.0]]))
    assert e.mean.tolist() == [2.5, 1.0] and e.n == 4
    assert e.error.tolist() == pytest.approx([math.sqrt(5 / 3) / 2, math.sqrt(2) / 2])
    assert e.mean.dtype == torch.float64


@pytest.mark.parametrize("swap", [False, True])
def test_five_standard_errors_are_allowed_and_no_more(swap, capsys):
    guess = Estimate(torch.ones(2), torch.tensor([0.01, 0.02]), 1000)
    for near, passes in (([1.049, 1.099], True), ([1.051, 1.0], False), ([1.0, 0.899], False)):
        sides = (torch.tensor(near), guess) if swap else (guess, torch.tensor(near))
        if passes:
            verify("x", *sides, what="E = m")
        else:
            with pytest.raises(LawBroken):
                verify("x", *sides, what="E = m")
    how = "within five standard errors (1,000 samples, the largest error is 2 % of the size)"
    assert how in capsys.readouterr().out


def test_errors_of_two_estimates_add_in_squares():
    one = Estimate(torch.tensor([1.0]), torch.tensor([0.03]), 50)
    verify("x", one, Estimate(torch.tensor([1.249]), torch.tensor([0.04]), 90), what="E = E")
    with pytest.raises(LawBroken):
        verify("x", one, Estimate(torch.tensor([1.251]), torch.tensor([0.04]), 90), what="E = E")


def test_true_laws_pass_and_false_ones_do_not(capsys):
    draws = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0)) + 1
    verify("x", estimate(draws.square()), torch.full((3,), 2.0), what="E x² = 2")
    with pytest.raises(LawBroken):
        verify("x", estimate(draws.square()), torch.full((3,), 1.9), what="E x² = 2")


SENTENCES = [
    (lambda: verify("x", RIGHT, RIGHT, "a = a"), "same object, which proves nothing"),
    (lambda: verify("x", RIGHT, RIGHT[:], "a = a"), "same object, which proves nothing"),
    (lambda: verify("x", RIGHT.requires_grad_(False), RIGHT.detach(), "a = a"), "proves nothing"),
    (lambda: verify("x", RIGHT, torch.zeros(3), "a = 0"), "the right side is 0.0: give scale="),
    (lambda: verify("x", RIGHT, RIGHT + 1, "a = b", scale=0.0), "give scale="),
    (lambda: verify("x", RIGHT, RIGHT[:2], "a = b"), r"shapes \(3,\) and \(2,\): expected the same"),
    (lambda: verify("x", RIGHT[:, None], RIGHT, "a = b"), r"shapes \(3, 1\) and \(3,\): expected the same"),
    (lambda: verify("x", NOTHING, NOTHING.clone(), "a = b"), r"shapes \(0,\) and \(0,\): nothing to compare"),
    (lambda: verify("x", NOTHING, 1.0, "a = b"), "nothing to compare"),
    (
        lambda: verify("x", RIGHT, RIGHT + 1, "a = b", tolerance=0.9),
        "tolerance is 0.9, relative to the size: expected at most 0.5",
    ),
    (
        lambda: verify("x", estimate(torch.randn(4, 2)), torch.full((2,), 0.1), "E = m"),
        "too few samples to tell right from wrong",
    ),
    (lambda: estimate(torch.zeros(1, 3)), r"values has shape \(1, 3\): a standard error needs two samples"),
]


@pytest.mark.parametrize("act, message", SENTENCES, ids=[message[:40] for _, message in SENTENCES])
def test_empty_comparison_is_refused(act, message):
    with pytest.raises(ValueError, match=message):
        act()
