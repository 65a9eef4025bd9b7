"""Homework of lecture 14: absorbing diffusion.

The slides' steps k = 1 ... T run from data to masks; ``survive`` is their alpha-bar, the probability that a token
is still visible.  The library's clock t runs the other way, t = 0 masks and t = 1 data, and on its linear schedule
alpha = t: there survive *is* the time, and so the chain can be asked of the library.  Tokens are 0 ... K − 1, the
mask is K; matrices are column-stochastic (column from, row to).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor

from ...paths import MaskPath
from ...paths import elbo_weight as weight_of
from ...paths.masked import TokenPair
from . import Exercise, ObserveSpec
from . import _absorbing_diffusion_cases as cases
from . import _absorbing_diffusion_chain as chain
from . import _absorbing_diffusion_learning as learning
from . import _absorbing_diffusion_posterior as back
from . import _absorbing_diffusion_sampling as sampling

# --- the library's own answers


def transition_matrix(beta: float, vocabulary: int) -> Tensor:
    """The step from data, alpha = 1, to alpha = 1 − β."""
    return MaskPath(vocabulary).transition(1.0, 1 - torch.as_tensor(beta, dtype=torch.float64)).float()


def corrupt(x: Tensor, hours: Tensor, survive: Tensor, mask_id: int) -> Tensor:
    """The path's corruption at t = survive, with these hours."""
    return MaskPath(mask_id).corrupt(x, survive, x0=hours)[0]


def unmask_probability(survive_before: Tensor, survive_now: Tensor) -> Tensor:
    """Of what is masked now, the share that appears by survive_before."""
    return MaskPath(1).unmask(survive_now, survive_before)


def posterior(xk: Tensor, x: Tensor, survive_before: Tensor, survive_now: Tensor, vocabulary: int) -> Tensor:
    """The path's posterior from t = survive_now to the later survive_before."""
    return MaskPath(vocabulary).posterior(xk, x, survive_now, survive_before)


def masked_loss(logits: Tensor, x: Tensor, xt: Tensor, weight: Tensor, mask_id: int) -> Tensor:
    """The path's loss, its weight being the one given."""
    path = MaskPath(mask_id, weight=lambda path, t: weight)
    return path.loss(logits, TokenPair(x, xt == mask_id, torch.zeros_like(weight)), "data")


def unmask_step(
    xt: Tensor, proposal: Tensor, hours: Tensor, survive_now: float, survive_next: float, mask_id: int
) -> Tensor:
    """The path's share of the masked tokens, the hours deciding which."""
    now, after = (torch.as_tensor(chance, dtype=torch.float64) for chance in (survive_now, survive_next))
    appear = hours < MaskPath(mask_id).unmask(now, after).to(hours)
    return torch.where((xt == mask_id) & appear, proposal, xt)


def elbo_weight(survive: Callable, t: Tensor) -> Tensor:
    """The weight of the path with this schedule; the vocabulary does not matter."""
    return weight_of(MaskPath(1, survive), t)


def any_order_log_likelihood(log_conditional: Callable, x: Tensor) -> Tensor:
    """By sets, not by orders: f(S) = (1/|S|) Σ_{l ∈ S} f(S − l) p(x_l | x_{S−l}); the last of S is any of S alike."""
    places = range(x.shape[1])
    log_f = {(): torch.zeros(len(x), device=x.device)}
    for size in (k + 1 for k in places):
        for chosen in combinations(places, size):
            ways = []
            for last in chosen:
                before = tuple(place for place in chosen if place != last)
                visible = torch.tensor([place in before for place in places], device=x.device)
                ways.append(log_f[before] + log_conditional(visible, x)[:, last])
            log_f[chosen] = torch.stack(ways).logsumexp(0) - torch.tensor(size).log()
    return log_f[tuple(places)]


EXERCISES = (
    Exercise(
        "abs.transition_matrix",
        "9.1",
        "the transition matrix",
        "the matrix of one step over all tokens and the mask, which is last: column from, row to",
        cases.transitions,
        transition_matrix,
        chain.TRANSITION,
        1,
        "(1 − β) I + β e_m 1ᵀ: the identity has K + 1 rows, and e_m 1ᵀ is zero but for the mask's row, which is all ones.",
    ),
    Exercise(
        "abs.corrupt",
        "9.2",
        "hiding tokens",
        "the tokens whose hour is below the survive of their sequence, the mask elsewhere",
        cases.corruptions,
        corrupt,
        chain.CORRUPTION,
        1,
        "Compare (B, L) hours with one number a sequence, as a column (B, 1); then choose place by place.",
        ObserveSpec(tokens=True),
    ),
    Exercise(
        "abs.unmask_probability",
        "9.3",
        "how likely a mask is lifted",
        "the probability that a token masked at step k is clean at step k − 1",
        cases.unmaskings,
        unmask_probability,
        back.UNMASKING,
        1,
        "Bayes: the chance to be masked exactly at step k, ᾱ_{k−1} − ᾱ_k, over the chance to be masked by then.",
    ),
    Exercise(
        "abs.posterior",
        "9.4",
        "the posterior of a step",
        "the distribution of each token at step k − 1, over K tokens and the mask, given step k and the clean token",
        cases.posteriors,
        posterior,
        back.POSTERIOR,
        2,
        "Visible: one for the token itself. Masked: (ᾱ_{k−1} − ᾱ_k)/(1 − ᾱ_k) for x and the rest for the mask. "
        "survive needs two more axes to meet (B, L, K + 1).",
    ),
    Exercise(
        "abs.masked_loss",
        "9.5",
        "the masked cross-entropy",
        "the mean over the batch of weight times the sum, over the masked places, of −log p(x | x_t)",
        cases.losses,
        masked_loss,
        learning.LOSS,
        2,
        "A (B, L) table of −log p of the clean tokens, zero where x_t is visible; a sum over places, times weight, and the "
        "mean over the batch.",
        ObserveSpec(outputs=("loss",), gradient=("logits",), tensors=True),
    ),
    Exercise(
        "abs.unmask_step",
        "9.6",
        "one step of sampling",
        "the tokens after one step back: of the masked ones those appear whose hour is below the chance",
        cases.steps,
        unmask_step,
        sampling.STEP,
        1,
        "The chance is that of 9.3, with survive_next in the place of ᾱ_{k−1}. A token appears where two things hold.",
        ObserveSpec(tokens=True),
    ),
    Exercise(
        "abs.elbo_weight",
        "9.7",
        "the weight of the ELBO",
        "how fast tokens appear at t, over the share of those still masked, for any schedule",
        cases.weights,
        elbo_weight,
        learning.WEIGHT,
        1,
        "w = α'/(1 − α). Each α depends on its own t alone, so the gradient of their sum by t holds all the α'.",
        ObserveSpec(tensors=True),
    ),
    Exercise(
        "abs.any_order_log_likelihood",
        "9.8",
        "the likelihood in any order",
        "the logarithm of the average, over all L! orders, of the product of conditionals",
        cases.orders,
        any_order_log_likelihood,
        sampling.ORDERS,
        2,
        "In each order add up log p(x_l | what is visible), each token revealed after it was asked. The average of the "
        "exponentials of these sums is a logsumexp less log L!.",
    ),
)
