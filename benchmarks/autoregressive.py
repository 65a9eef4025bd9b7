"""Autoregressive models: sampling with what was computed kept against a pass for each pixel, training against plain code.

Same weights, one run, the two sides in turn.  A whole pass is timed a few times and multiplied by the number of places.
Plain training code is what one finds in most repositories: masked dense attention, kernels of full size, a layer norm that
permutes axes, float32.

    python benchmarks/autoregressive.py [--threads 2] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from turns import in_turn, ratio

from dgm_course.autoregressive import Autoregressive, ImageGPT, PixelCNN
from dgm_course.core.tensors import fast_dtype
from dgm_course.nets import CausalBlock, raster_mask

EVENT = (1, 28, 28)


class PlainConv(nn.Conv2d):
    """Masked by hand at each step, all rows of the kernel computed."""

    def __init__(self, inputs: int, outputs: int, kernel: int, kind: str) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.register_buffer("mask", raster_mask(kind, kernel, kernel))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class PlainPixelCNN(nn.Module):
    """The usual stack: masked convolution, layer norm with axes permuted there and back, ReLU."""

    def __init__(self, width: int, depth: int, kernel: int) -> None:
        super().__init__()
        inner = (PlainConv(width, width, kernel, "B") for _ in range(depth - 1))
        self.convs = nn.ModuleList([PlainConv(1, width, 7, "A"), *inner])
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.out_proj = nn.Conv2d(width, 2, 1)

    def loss(self, x: Tensor) -> Tensor:
        h = x.float()
        for conv, norm in zip(self.convs, self.norms):
            h = F.relu(norm(conv(h).permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous())
        return F.cross_entropy(self.out_proj(h), x[:, 0], reduction="none").flatten(1).sum(1).mean()


class PlainBlock(CausalBlock):
    """Attention by a dense matrix of scores, minus infinity where a place would look ahead."""

    def forward(self, h: Tensor) -> Tensor:
        q, k, v = self.attention.split(self.first(h))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        ahead = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        h = h + self.attention.join(scores.masked_fill(ahead, float("-inf")).softmax(-1) @ v)
        return h + self.mlp(self.second(h))


def sampling(name: str, model: Autoregressive, rounds: int, n: int = 25) -> None:
    blank = torch.zeros(n, *EVENT, dtype=torch.long)
    with torch.inference_mode():
        found = in_turn(rounds, kept=lambda: model.eval().sample(n), one_pass=lambda: model(blank))
    print(
        f"{name}, {n} images: {statistics.median(found['kept']):.2f} s with what was computed kept; a pass for each pixel "
        f"costs {ratio(found['one_pass'], found['kept'], model.length)}",
        flush=True,
    )


def training(name: str, ours: nn.Module, plain: nn.Module, rounds: int, batch: int = 32) -> None:
    x, dtype = (torch.rand(batch, *EVENT) > 0.8).long(), fast_dtype()

    def ours_step() -> None:
        with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            loss = ours.loss(x)
        loss.backward()

    found = in_turn(rounds, plain=lambda: plain.loss(x).backward(), ours=ours_step)
    print(
        f"{name}, training: {batch / statistics.median(found['ours']):.0f} images a second in {dtype or 'float32'}, "
        f"{ratio(found['plain'], found['ours'])} the plain code's",
        flush=True,
    )


def compare(rounds: int, threads: int) -> None:
    """Print a line for each of five comparisons; what is kept works on as many threads as the sampler takes by itself."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    cnn, gpt = PixelCNN(2, EVENT, width=32, depth=5, kernel=5), ImageGPT(2, EVENT, width=64, depth=4, heads=4)
    sharing, plain_gpt = (
        ImageGPT(2, EVENT, width=64, depth=4, heads=(4, 1)),
        ImageGPT(2, EVENT, width=64, depth=4, heads=4),
    )
    plain_gpt.blocks = nn.ModuleList(PlainBlock(64, 4) for _ in range(4))
    sampling("PixelCNN", cnn, rounds)
    sampling("ImageGPT, a key for each head", gpt, rounds)
    sampling("ImageGPT, a key for four heads", sharing, rounds)
    training("PixelCNN", cnn, PlainPixelCNN(32, 5, 5), rounds)
    training("ImageGPT", gpt, plain_gpt, rounds, batch=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    compare(args.rounds, args.threads)


if __name__ == "__main__":
    main()
