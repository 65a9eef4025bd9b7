"""Wrong input to a network raises an error that names what came and what was expected."""

from __future__ import annotations

import pytest
import torch

from dgm_course.nets import (
    MLP,
    CausalAttention,
    DigitClassifier,
    GatedLayer,
    GridField,
    Llama,
    MaskedConv2d,
    PatchCritic,
    RotaryAttention,
    RowLSTM,
    TimeFeatures,
    TokenMLP,
    TokenUNet,
    UNet,
    angles,
    rotary,
)
from dgm_course.nets.unet import SelfAttention

from .models import images, tokens


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_tokens_must_be_integers(dtype):
    expected = rf"x has dtype {dtype}: expected tokens, integers from 0 to 3 \(3: masked\)"
    with pytest.raises(TypeError, match=expected):
        TokenMLP(3, 4)(torch.zeros(2, 4, dtype=dtype), 0.5)
    with pytest.raises(TypeError, match="expected tokens, integers from 0 to 2"):
        TokenUNet(2, 8)(torch.zeros(2, 1, 28, 28, dtype=dtype), 0.5)


def flat(n, *event):
    return torch.randn(n, *event)


def unet(y, classes=10):
    return UNet(8, classes=classes)(images(2), 0.5, y)


def grid_field(y=None, classes=0, z=(2, 4, 7, 7)):
    return GridField((4, 7, 7), 16, classes=classes)(torch.randn(z), 0.5, y)


def llama():
    return Llama(torch.arange(6), 8, 2, 2)


def integers(*values):
    return torch.tensor(values)


WRONG = {
    "mlp dim": (lambda: MLP(2)(flat(4, 3), 0.5), r"\(4, 3\).*expects \(B, 2\)"),
    "mlp without batch": (lambda: MLP(2)(flat(2), 0.5), r"\(2,\).*expects \(B, 2\)"),
    "mlp time": (lambda: MLP(2)(flat(4, 2), torch.rand(3)), r"t of shape \(3,\).*\(4,\)"),
    "mlp unknown y": (lambda: MLP(2)(flat(4, 2), 0.5, flat(4, 1)), "knows no condition"),
    "mlp context": (lambda: MLP(2, 64, 3, 3)(flat(4, 2), 0.5, flat(4, 1)), r"y has shape \(4, 1\).*\(4, 3\)"),
    "unet size": (lambda: UNet(8)(flat(4, 1, 32, 32), 0.5), r"\(4, 1, 32, 32\).*\(B, 1, 28, 28\)"),
    "unet without channel": (lambda: UNet(8)(flat(4, 28, 28), 0.5), r"\(4, 28, 28\).*\(B, 1, 28, 28\)"),
    "unet inputs": (lambda: UNet(8, inputs=3)(images(2), 0.5), r"\(2, 1, 28, 28\).*images \(B, 3, 28, 28\)"),
    "unet unknown y": (lambda: unet(integers(1, 2), 0), "knows no classes"),
    "unet one-hot y": (lambda: unet(torch.zeros(2, 10)), r"y has shape \(2, 10\).*class numbers"),
    "unet float y": (lambda: unet(torch.rand(2)), r"dtype torch.float32.*class numbers"),
    "unet large y": (lambda: unet(integers(3, 11)), r"y runs from 3 to 11.*0 to 10"),
    "unet channels": (lambda: UNet(channels=6), "channels is 6.*multiple of 4"),
    "classifier": (lambda: DigitClassifier()(flat(4, 784)), r"\(4, 784\).*\(B, 1, 28, 28\)"),
    "odd features": (lambda: TimeFeatures(7), "width is 7.*even"),
    "self-attention heads": (lambda: SelfAttention(16, 3), "3 heads do not divide the width 16"),
    "token mlp length": (lambda: TokenMLP(3, 4)(tokens(3, 2, 5), 0.5), r"\(2, 5\).*TokenMLP expects \(B, 4\)"),
    "token mlp images": (lambda: TokenMLP(3, 4)(tokens(3, 2, 4, 1), 0.5), r"\(2, 4, 1\).*expects \(B, 4\)"),
    "token mlp time": (lambda: TokenMLP(3, 4)(tokens(3, 2, 4), torch.rand(3)), r"t of shape \(3,\)"),
    "large token": (
        lambda: TokenMLP(3, 4)(tokens(3, 9, 4) + 1, 0.5),
        "x runs from 1 to 4: expected tokens 0 to 3",
    ),
    "negative token": (lambda: TokenUNet(2, 8)(tokens(2, 2, 1, 28, 28) - 1, 0.5), "x runs from -1 to 1: expected"),
    "token unet size": (lambda: TokenUNet(2, 8)(tokens(2, 2, 28, 28), 0.5), "TokenUNet expects images"),
    "token unet y": (lambda: TokenUNet(2, 8)(tokens(2, 2, 1, 28, 28), 0.5, integers(1, 2)), "knows no classes"),
    "grid of two sizes": (lambda: GridField((4, 7), 16), "channels, height and width"),
    "grid width": (lambda: GridField((4, 7, 7), 12), "multiple of 8"),
    "grid size": (lambda: grid_field(z=(2, 3, 7, 7)), r"expects \(B, 4, 7, 7\)"),
    "grid unknown y": (lambda: grid_field(integers(0, 0)), "knows no classes"),
    "grid large y": (lambda: grid_field(integers(0, 4), 3), "numbers 0 to 3"),
    "patches": (lambda: PatchCritic()(flat(2, 1, 27, 28)), "multiples of 4"),
    "patch channels": (lambda: PatchCritic(0), "at least 1"),
    "even kernel": (lambda: MaskedConv2d(1, 1, 4, "A"), "kernel is 4.*odd"),
    "even columns": (lambda: MaskedConv2d(1, 1, (3, 2), "B"), "kernel is .3, 2.*odd"),
    "kernel 0": (lambda: MaskedConv2d(1, 1, 0, "B"), "kernel is 0.*odd"),
    "mask kind": (lambda: MaskedConv2d(1, 1, 3, "C"), "kind is 'C'.*'A'.*'B'"),
    "even gated kernel": (lambda: GatedLayer(4, 2), "odd"),
    "even row kernel": (lambda: RowLSTM(4, 2), "odd"),
    "heads": (lambda: CausalAttention(10, 4), "4 heads do not divide the width 10"),
    "no heads": (lambda: CausalAttention(10, 0), "0 heads"),
    "kv heads": (lambda: CausalAttention(12, (4, 3)), "kv_heads is 3: expected a number that divides the 4 heads"),
    "no kv heads": (lambda: CausalAttention(12, (4, 0)), "kv_heads is 0"),
    "rotary heads": (lambda: RotaryAttention(8, 3), "3 heads do not divide the width 8"),
    "rotary kv heads": (lambda: RotaryAttention(8, (4, 3)), "kv_heads is 3"),
    "odd head": (lambda: angles(torch.arange(3), 7), r"positions have shape \(3, 1\) and a head 7 numbers"),
    "head of two axes": (lambda: angles(torch.zeros(3, 2), 6), "pairs of numbers for each of the A coordinates"),
    "base": (lambda: angles(torch.arange(3), 4, 1.0), "base is 1.0: expected more than 1"),
    "rotary rows": (lambda: rotary(flat(2, 4, 8), torch.arange(5)), r"\(2, 4, 8\): expected \(..., 5, d\)"),
    "no positions": (lambda: Llama(torch.arange(0)), "there are 0 positions: expected at least 1"),
    "no depth": (lambda: Llama(torch.arange(4), 8, 0), "depth is 0"),
    "llama size": (lambda: llama()(flat(1, 5, 8)), r"h has shape \(1, 5, 8\): this Llama expects \(B, 6, 8\)"),
    "mask dtype": (lambda: llama()(flat(1, 6, 8), torch.ones(6, 6)), "dtype torch.float32: expected booleans"),
    "mask size": (lambda: llama()(flat(1, 6, 8), torch.ones(5, 6).bool()), r"allowed has shape \(5, 6\)"),
    "places": (lambda: llama().step(flat(1, 2, 8), llama().memory(1), 5), "are 5 to 6: expected some of 0 to 5"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input(case):
    call, words = WRONG[case]
    with pytest.raises(ValueError, match=words):
        call()
