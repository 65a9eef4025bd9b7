"""Homework of the lectures on vector quantization: codes, gradients that step over them, and the bound.

Squared distances and log-likelihoods are sums over the coordinates of a sample; losses are means over the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...core.metrics import perplexity as codes_in_use
from ...vq import Codebook, EMAUpdate
from ...vq import gumbel_softmax as soft_draw
from ...vq import nearest as nearest_codes
from ...vq import straight_through as stepped_over
from . import Exercise, ObserveSpec
from . import _vector_quantization_cases as cases
from . import _vector_quantization_slips as slips

# --- the library's own answers


def nearest(z: Tensor, codebook: Tensor) -> Tensor:
    """The library's codes."""
    return nearest_codes(z, codebook)


def straight_through(z_e: Tensor, z_q: Tensor) -> Tensor:
    """The library's step."""
    return stepped_over(z_e, z_q)


def loss(x: Tensor, x_hat: Tensor, z_e: Tensor, e: Tensor, commitment: float) -> Tensor:
    """The three terms, each with its own gradient."""
    terms = (x - x_hat).square().sum(1), (z_e.detach() - e).square().sum(1), (z_e - e.detach()).square().sum(1)
    return (terms[0] + terms[1] + commitment * terms[2]).mean()


def perplexity(codes: Tensor, size: int) -> float:
    """The library's count of codes in use."""
    return codes_in_use(codes, size)


def gumbel_softmax(logits: Tensor, u: Tensor, temperature: float) -> Tensor:
    """The library's soft draw, its noise made of u."""
    return soft_draw(logits, -(-u.log()).log(), temperature)


def ema_update(counts: Tensor, sums: Tensor, z: Tensor, codes: Tensor, decay: float) -> tuple[Tensor, Tensor, Tensor]:
    """What a codebook that learns by moving averages does with a batch."""
    book = Codebook(sums / counts[:, None], EMAUpdate(decay))
    book.counts.copy_(counts)
    book.sums.copy_(sums)
    book.learn(z, codes)
    return book.counts, book.sums, book.vectors


def elbo(log_p_x: Tensor, codes: Tensor, logits: Tensor) -> Tensor:
    """The bound of a certain posterior under any prior."""
    return log_p_x - torch.nn.functional.cross_entropy(logits.movedim(-1, 1), codes, reduction="none").sum(1)


EXERCISES = (
    Exercise(
        "vq.nearest",
        "4.1",
        "the nearest vector",
        "the number of the nearest vector of the codebook (K, C) at every place of z (B, C, H, W), as (B, H, W)",
        cases.grids,
        nearest,
        slips.NEAREST,
        1,
        "Move the channels to the end, compute ‖z − e_k‖² for all k (broadcast, torch.cdist, or expand the square), argmin.",
    ),
    Exercise(
        "vq.straight_through",
        "4.2",
        "a gradient that steps over",
        "something of the value of z_q whose gradient goes to z_e unchanged, and not to z_q",
        cases.steps,
        straight_through,
        slips.STRAIGHT_THROUGH,
        1,
        "z_e and a difference whose gradient is stopped.",
        ObserveSpec(gradient=("z_e", "z_q"), tensors=True),
        gradient_mistakes=slips.STRAIGHT_THROUGH_CUTS,
    ),
    Exercise(
        "vq.loss",
        "4.3",
        "the loss of a VQ-VAE",
        "the mean over the batch of three squared errors, each a sum: reconstruction, codebook, and the commitment weighed; "
        "each with its gradient stopped where the slide stops it",
        cases.losses,
        loss,
        slips.LOSS,
        2,
        "‖x − x̂‖² + ‖sg[z_e] − e‖² + β ‖z_e − sg[e]‖² of each sample; sg is .detach(); then the mean.",
        ObserveSpec(outputs=("loss",), gradient=("x_hat", "z_e", "e"), tensors=True),
        gradient_mistakes=slips.LOSS_CUTS,
    ),
    Exercise(
        "vq.perplexity",
        "4.4",
        "how many codes are in use",
        "the perplexity of the codes of a whole batch: e to the entropy, in nats, of how often each of the codes comes",
        cases.usage,
        perplexity,
        slips.PERPLEXITY,
        1,
        "Count with torch.bincount(..., minlength=size), divide by the number of codes; a code that never comes adds 0.",
    ),
    Exercise(
        "vq.gumbel_softmax",
        "4.5",
        "a soft draw",
        "the Gumbel-softmax sample over K codes made of the logits, the uniform noise that is given, and the temperature",
        cases.draws,
        gumbel_softmax,
        slips.GUMBEL,
        1,
        "g = −log(−log u); softmax of (logits + g)/τ over the codes.",
        ObserveSpec(gradient=("logits",), tensors=True),
    ),
    Exercise(
        "vq.ema_update",
        "4.6",
        "a codebook by moving averages",
        "the new running counts and sums of every code after a batch, and the vectors that they give",
        cases.averages,
        ema_update,
        slips.EMA,
        2,
        "N ← γ N + (1 − γ) n with n the number of outputs that chose the code, m ← γ m + (1 − γ) Σ z over them, e = m / N.",
        ObserveSpec(outputs=("counts", "sums", "vectors"), tensors=True),
    ),
    Exercise(
        "vq.elbo",
        "4.7",
        "the bound with a prior over codes",
        "the ELBO of every picture, whose posterior is certain of its codes, under a prior that is told by logits",
        cases.bounds,
        elbo,
        slips.ELBO,
        1,
        "log p(x|z_q) plus the sum over the places of log softmax(logits) at the code that was chosen.",
    ),
)
