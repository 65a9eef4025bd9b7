"""What no network takes: one sentence that names what came and what was expected."""

from __future__ import annotations

import pytest
import torch

from dgm_course.nets import MLP, DigitClassifier, TimeFeatures, TokenMLP, TokenUNet, UNet
from dgm_course.nets.unet import SelfAttention

from .models import images, tokens


@pytest.mark.parametrize("x", [torch.zeros(2, 4), torch.zeros(2, 4, dtype=torch.bool)], ids=["float", "bool"])
def test_what_is_no_token_is_refused(x):
    with pytest.raises(
        TypeError, match=rf"x has dtype {x.dtype}: expected tokens, integers from 0 to 3 \(3: masked\)"
    ):
        TokenMLP(3, 4)(x, 0.5)
    with pytest.raises(TypeError, match="expected tokens, integers from 0 to 2"):
        TokenUNet(2, 8)(x.new_zeros(2, 1, 28, 28), 0.5)


def flat(n, *event):
    return torch.randn(n, *event)


def unet(y):
    return lambda: UNet(8, classes=10)(images(2), 0.5, y)


WRONG = {
    "mlp dim": (lambda: MLP(2)(flat(4, 3), 0.5), r"\(4, 3\).*expects \(B, 2\)"),
    "mlp without batch": (lambda: MLP(2)(flat(2), 0.5), r"\(2,\).*expects \(B, 2\)"),
    "mlp time": (lambda: MLP(2)(flat(4, 2), torch.rand(3)), r"t of shape \(3,\).*\(4,\)"),
    "mlp unasked y": (lambda: MLP(2)(flat(4, 2), 0.5, flat(4, 1)), "knows no condition"),
    "mlp context": (lambda: MLP(2, 64, 3, 3)(flat(4, 2), 0.5, flat(4, 1)), r"y has shape \(4, 1\).*\(4, 3\)"),
    "unet size": (lambda: UNet(8)(flat(4, 1, 32, 32), 0.5), r"\(4, 1, 32, 32\).*\(B, 1, 28, 28\)"),
    "unet without channel": (lambda: UNet(8)(flat(4, 28, 28), 0.5), r"\(4, 28, 28\).*\(B, 1, 28, 28\)"),
    "unet unasked y": (lambda: UNet(8)(images(2), 0.5, torch.tensor([1, 2])), "knows no classes"),
    "unet one-hot y": (unet(torch.zeros(2, 10)), r"y has shape \(2, 10\).*class numbers"),
    "unet float y": (unet(torch.rand(2)), r"dtype torch.float32.*class numbers"),
    "unet y too large": (unet(torch.tensor([3, 11])), r"y runs from 3 to 11.*0 to 10"),
    "unet channels": (lambda: UNet(channels=6), "channels is 6.*multiple of 4"),
    "classifier": (lambda: DigitClassifier()(flat(4, 784)), r"\(4, 784\).*\(B, 1, 28, 28\)"),
    "odd features": (lambda: TimeFeatures(7), "width is 7.*even"),
    "attention heads": (lambda: SelfAttention(16, 3), "3 heads do not divide the width 16"),
    "unet of three channels": (
        lambda: UNet(8, inputs=3)(images(2), 0.5),
        r"\(2, 1, 28, 28\).*images \(B, 3, 28, 28\)",
    ),
    "token mlp length": (lambda: TokenMLP(3, 4)(tokens(3, 2, 5), 0.5), r"\(2, 5\).*TokenMLP expects \(B, 4\)"),
    "token mlp images": (lambda: TokenMLP(3, 4)(tokens(3, 2, 4, 1), 0.5), r"\(2, 4, 1\).*expects \(B, 4\)"),
    "token mlp time": (lambda: TokenMLP(3, 4)(tokens(3, 2, 4), torch.rand(3)), r"t of shape \(3,\)"),
    "token too large": (
        lambda: TokenMLP(3, 4)(tokens(3, 9, 4) + 1, 0.5),
        "x runs from 1 to 4: expected tokens 0 to 3",
    ),
    "token below 0": (lambda: TokenUNet(2, 8)(tokens(2, 2, 1, 28, 28) - 1, 0.5), "x runs from -1 to 1: expected"),
    "token unet size": (
        lambda: TokenUNet(2, 8)(tokens(2, 2, 28, 28), 0.5),
        r"\(2, 28, 28\).*TokenUNet expects images",
    ),
    "token unet y": (
        lambda: TokenUNet(2, 8)(tokens(2, 2, 1, 28, 28), 0.5, torch.tensor([1, 2])),
        "knows no classes",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_a_sentence(case):
    call, words = WRONG[case]
    with pytest.raises(ValueError, match=words):
        call()
