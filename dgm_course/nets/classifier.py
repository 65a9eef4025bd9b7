"""The digit classifier whose 128 features compare generated digits with real ones."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..core.tensors import parameter_count


class DigitClassifier(nn.Module):
    """Ten logits for a digit, and on the way 128 features: the eyes with which generated digits are judged.

    x (B, 1, 28, 28) in [-1, 1] -> logits (B, 10); `features(x)` -> (B, 128)."""

    def __init__(self):
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in ((1, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 3 * 3, 128))
        self.head = nn.Linear(128, 10)

    def features(self, x: Tensor) -> Tensor:
        _expect_images(x, "DigitClassifier")
        return F.relu(self.convolutions(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def extra_repr(self) -> str:
        return f"(B, 1, 28, 28) -> features (B, 128) -> logits (B, 10), {parameter_count(self):,} parameters"


def _expect_images(x: Tensor, who: str, channels: int = 1) -> None:
    if x.dim() != 4 or x.shape[1:] != (channels, 28, 28):
        what = "grey images" if channels == 1 else "images"
        raise ValueError(f"x has shape {tuple(x.shape)}: {who} expects {what}, (B, {channels}, 28, 28).")
