"""Every family of autoregressive models, small, in float64 and far from its start; all samples of a tiny event."""

from __future__ import annotations

import itertools
import math

import torch

from dgm_course.autoregressive import MADE, Autoregressive, GatedPixelCNN, ImageGPT, LlamaGen, PixelCNN, PixelRNN
from dgm_course.nets import Llama


def shuffled(event) -> torch.Tensor:
    return torch.randperm(math.prod(event), generator=seeded(3))


# A new family is one line here: its name, and how it is built from (vocabulary, event, classes=...).
FAMILIES = {
    "PixelCNN": lambda k, e, **o: PixelCNN(k, e, width=8, depth=3, first=3, **o),
    "PixelCNN, large first kernel": lambda k, e, **o: PixelCNN(k, e, width=8, depth=2, first=7, kernel=5, **o),
    "GatedPixelCNN": lambda k, e, **o: GatedPixelCNN(k, e, width=8, depth=3, first=3, **o),
    "PixelRNN": lambda k, e, **o: PixelRNN(k, e, width=8, depth=3, first=3, **o),
    "ImageGPT": lambda k, e, **o: ImageGPT(k, e, width=8, depth=2, heads=2, **o),
    "ImageGPT, shared keys": lambda k, e, **o: ImageGPT(k, e, width=8, depth=2, heads=(2, 1), **o),
    "ImageGPT, any order": lambda k, e, **o: ImageGPT(k, e, width=8, depth=2, heads=2, order=shuffled(e), **o),
    "LlamaGen": lambda k, e, **o: LlamaGen(k, e, Llama(torch.arange(math.prod(e)), 8, 2, 2), **o),
    "MADE": lambda k, e, **o: MADE(k, e, width=40, **o),
    "MADE, any order": lambda k, e, **o: MADE(k, e, width=40, depth=3, order=shuffled(e), **o),
    "MADE, fewer units than places": lambda k, e, **o: MADE(k, e, width=3, depth=1, **o),
}


def perturbed(model, amount: float = 0.4):
    """The model in float64 with random weights far from their start: nearly uniform conditionals would test little."""
    model = model.double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(amount * torch.randn(p.shape, generator=seeded(p.numel())).double())
    return model


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def every(k: int, event) -> torch.Tensor:
    """All samples that there are.  (k^L, *event)"""
    return torch.tensor(list(itertools.product(range(k), repeat=math.prod(event)))).view(-1, *event)


def agrees(x: torch.Tensor, prob: torch.Tensor, k: int) -> bool:
    """Whether the samples x occur as often as prob (k^L,) says, in the order of ``every``, to five standard errors."""
    n, digits = len(x), k ** torch.arange(x[0].numel() - 1, -1, -1)
    share = torch.bincount((x.flatten(1) * digits).sum(1), minlength=len(prob)) / n
    return bool(((share - prob).abs() < 5 * (prob * (1 - prob) / n).sqrt() + 3 / n).all())


def followed(model: Autoregressive, x: torch.Tensor, label: torch.Tensor, source=None) -> torch.Tensor:
    """The logits that ``iter_logits`` yields while it is sent x.  (B, *event, K)"""
    logits, token = model.label_embedding.weight.new_empty(len(x), model.length, model.vocabulary), None
    with torch.inference_mode():
        steps = (source or type(model).iter_logits)(model, len(x), label)
        for front in model.wavefronts() if source is None else Autoregressive.wavefronts(model):
            places = model.order[front]
            logits[:, places] = steps.send(token).view(len(x), len(places), model.vocabulary)
            token = x.flatten(1)[:, places].flatten()
    return logits.view(*x.shape, model.vocabulary)
