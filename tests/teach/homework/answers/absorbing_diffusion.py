"""Answers to the homework on absorbing diffusion, right and wrong."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import torch
from torch.nn import functional as F

from . import Bank

# --- 9.1 the transition matrix


def transition_matrix(beta, vocabulary):
    """Q = (1 − β) I + β e_m 1ᵀ"""
    mask = torch.zeros(vocabulary + 1)
    mask[vocabulary] = 1
    return (1 - beta) * torch.eye(vocabulary + 1) + beta * torch.outer(mask, torch.ones(vocabulary + 1))


def transition_matrix_stub(beta, vocabulary):
    """Q.   -> (K + 1, K + 1)"""
    raise NotImplementedError("your turn")


def transition_by_loop(beta, vocabulary):
    rows = []
    for to in range(vocabulary + 1):
        rows.append(
            [
                1.0 if to == source == vocabulary else (1 - beta) * (to == source) + beta * (to == vocabulary)
                for source in range(vocabulary + 1)
            ]
        )
    return torch.tensor(rows)


def transition_by_writing(beta, vocabulary):
    out = (1 - beta) * torch.eye(vocabulary + 1, dtype=torch.float64)
    out[-1] += beta
    return out


def transition_by_diagonal(beta, vocabulary):
    out = torch.diag(torch.full((vocabulary + 1,), 1 - beta))
    out[-1, :] = beta
    out[-1, -1] = 1.0
    return out


def transition_by_columns(beta, vocabulary):
    start, end = torch.eye(vocabulary + 1), F.one_hot(torch.tensor(vocabulary), vocabulary + 1)
    return torch.stack([torch.lerp(column, end.float(), beta) for column in start], dim=1)


def transition_by_numpy(beta, vocabulary):
    return (1 - beta) * np.eye(vocabulary + 1) + beta * (np.arange(vocabulary + 1) == vocabulary)[:, None]


def transition_without_mask(beta, vocabulary):
    return transition_matrix(beta, vocabulary)[:-1, :-1]


def transition_missing_row(beta, vocabulary):
    return transition_matrix(beta, vocabulary)[:, :-1]


def transition_of_small_steps(beta, vocabulary):
    return torch.linalg.matrix_exp(torch.log1p(torch.tensor(-min(beta, 0.99))) * _leaving(vocabulary))


def _leaving(vocabulary):
    return torch.eye(vocabulary + 1) - F.one_hot(torch.tensor(vocabulary), vocabulary + 1)[:, None].float()


# --- 9.2 hiding tokens


def corrupt(x, hours, survive, mask_id):
    return torch.where(hours < survive[:, None], x, mask_id)


def corrupt_stub(x, hours, survive, mask_id):
    """x_t: x where its hour is below survive, else the mask.   x, hours (B, L), survive (B,)  ->  (B, L)"""
    ...


def corrupt_by_loop(x, hours, survive, mask_id):
    out = x.clone()
    for b in range(x.shape[0]):
        for place in range(x.shape[1]):
            if hours[b, place] > survive[b]:
                out[b, place] = mask_id
    return out


def corrupt_by_arithmetic(x, hours, survive, mask_id):
    visible = (hours < survive.view(-1, 1)).long()
    return visible * x + (1 - visible) * mask_id


def corrupt_by_fill(x, hours, survive, mask_id):
    return x.masked_fill(hours.ge(survive.unsqueeze(-1)), mask_id)


def corrupt_by_comparison(x, hours, survive, mask_id):
    table = torch.stack([torch.full_like(x, mask_id), x], -1)
    seen = (torch.sign(survive[:, None].expand_as(hours) - hours) > 0).long()
    return table.gather(-1, seen[..., None]).squeeze(-1)


def corrupt_by_rows(x, hours, survive, mask_id):
    return torch.stack([torch.where(h < a, row, torch.tensor(mask_id)) for row, h, a in zip(x, hours, survive)])


def corrupt_in_place(x, hours, survive, mask_id):
    x[hours >= survive[:, None]] = mask_id
    return x


def corrupt_in_floats(x, hours, survive, mask_id):
    visible = (hours < survive[:, None]).float()
    return visible * x + (1 - visible) * mask_id


def corrupt_counted(x, hours, survive, mask_id):
    """The first survive · L tokens stay."""
    places = torch.arange(x.shape[1])
    return torch.where(places < (survive[:, None] * x.shape[1]).round(), x, mask_id)


def corrupt_mask_guessed(x, hours, survive, mask_id):
    return torch.where(hours < survive[:, None], x, int(x.max()) + 1)


def corrupt_clamped(x, hours, survive, mask_id):
    return torch.where(hours < survive[:, None].clamp(0.1, 0.9), x, mask_id)


def corrupt_squeezed(x, hours, survive, mask_id):
    return corrupt(x, hours, survive, mask_id).squeeze()


# --- 9.3 how likely a mask is lifted


def unmask_probability(survive_before, survive_now):
    return (survive_before - survive_now) / (1 - survive_now)


def unmask_probability_stub(survive_before, survive_now):
    """P(clean at k − 1 | masked at k).   (B,), (B,)  ->  (B,)"""
    # your code here
    pass


def unmask_by_beta(survive_before, survive_now):
    beta = 1 - survive_now / survive_before
    return survive_before * beta / (1 - survive_now)


def unmask_by_complement(survive_before, survive_now):
    return 1 - (1 - survive_before) / (1 - survive_now)


def unmask_by_loop(survive_before, survive_now):
    return torch.tensor([(b - n) / (1 - n) for b, n in zip(survive_before.tolist(), survive_now.tolist())])


def unmask_by_bayes(survive_before, survive_now):
    just, already = survive_before - survive_now, 1 - survive_before
    return torch.stack([just, already]).div(just + already)[0]


def unmask_by_numpy(survive_before, survive_now):
    b, n = survive_before.numpy(), survive_now.numpy()
    return (b - n) / (1 - n)


def unmask_with_epsilon(survive_before, survive_now):
    return (survive_before - survive_now) / (1 - survive_now + 1e-2)


def unmask_averaged(survive_before, survive_now):
    return ((survive_before - survive_now) / (1 - survive_now)).mean().expand(survive_now.shape)


def unmask_all_pairs(survive_before, survive_now):
    return (survive_before - survive_now[:, None]) / (1 - survive_now[:, None])


# --- 9.4 the posterior


def posterior(xk, x, survive_before, survive_now, vocabulary):
    appear = ((survive_before - survive_now) / (1 - survive_now))[:, None, None]
    clean, seen = F.one_hot(x, vocabulary + 1), F.one_hot(xk, vocabulary + 1)
    return appear * clean + (1 - appear) * seen


def posterior_stub(xk, x, survive_before, survive_now, vocabulary):
    appear = ...
    return appear


def posterior_by_cases(xk, x, survive_before, survive_now, vocabulary):
    stay = (1 - survive_before) / (1 - survive_now)
    out = torch.zeros(*x.shape, vocabulary + 1, dtype=stay.dtype)
    for b in range(x.shape[0]):
        for place in range(x.shape[1]):
            if xk[b, place] == vocabulary:
                out[b, place, vocabulary] = stay[b]
                out[b, place, x[b, place]] = 1 - stay[b]
            else:
                out[b, place, xk[b, place]] = 1
    return out


def posterior_by_bayes(xk, x, survive_before, survive_now, vocabulary):
    """q(x_k | x_{k−1}) q(x_{k−1} | x_0), normalised, by matrices in float64."""
    out = []
    for row in range(len(x)):
        b, n = survive_before[row].item(), survive_now[row].item()
        step, way = (transition_matrix(1 - keep, vocabulary).double() for keep in (n / b, b))
        joint = step[xk[row]] * way[:, x[row]].T
        out.append(joint / joint.sum(-1, keepdim=True))
    return torch.stack(out)


def posterior_by_scatter(xk, x, survive_before, survive_now, vocabulary):
    appear = ((survive_before - survive_now) / (1 - survive_now))[:, None].expand(xk.shape)
    appear = torch.where(xk == vocabulary, appear, torch.ones_like(appear))
    out = torch.zeros(*x.shape, vocabulary + 1, dtype=appear.dtype)
    return out.scatter(-1, x[..., None], appear[..., None]).scatter_add(
        -1, torch.full_like(x, vocabulary)[..., None], (1 - appear)[..., None]
    )


def posterior_by_einsum(xk, x, survive_before, survive_now, vocabulary):
    appear = (survive_before - survive_now) / (1 - survive_now)
    clean, seen = F.one_hot(x, vocabulary + 1).to(appear), F.one_hot(xk, vocabulary + 1).to(appear)
    return torch.einsum("b,blk->blk", appear, clean - seen) + seen


def posterior_written(xk, x, survive_before, survive_now, vocabulary):
    q = torch.zeros(*xk.shape, vocabulary + 1)
    appear = ((survive_before - survive_now) / (1 - survive_now)).float()[:, None].expand(xk.shape)
    batch, place = torch.meshgrid(*(torch.arange(n) for n in xk.shape), indexing="ij")
    hidden = xk == vocabulary
    q[batch, place, x] = torch.where(hidden, appear, 1.0)
    q[batch[hidden], place[hidden], -1] = 1 - appear[hidden]
    return q


def posterior_of_tokens(xk, x, survive_before, survive_now, vocabulary):
    return posterior(xk, x, survive_before, survive_now, vocabulary)[..., :-1]


# --- 9.5 the loss


def masked_loss(logits, x, xt, weight, mask_id):
    surprise = F.cross_entropy(logits.transpose(1, 2), x, reduction="none")
    return (weight * (surprise * (xt == mask_id)).sum(1)).mean()


def masked_loss_stub(logits, x, xt, weight, mask_id):
    raise NotImplementedError


def loss_by_gather(logits, x, xt, weight, mask_id):
    log_p = logits.log_softmax(-1).gather(-1, x.unsqueeze(-1)).squeeze(-1)
    return -(weight[:, None] * log_p * (xt == mask_id)).sum() / len(x)


def loss_by_loop(logits, x, xt, weight, mask_id):
    total = 0
    for b in range(x.shape[0]):
        for place in range(x.shape[1]):
            if xt[b, place] == mask_id:
                total = total - weight[b] * torch.log_softmax(logits[b, place], 0)[x[b, place]]
    return total / x.shape[0]


def loss_by_ignoring(logits, x, xt, weight, mask_id):
    target = torch.where(xt == mask_id, x, -100)
    price = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none", ignore_index=-100)
    return (price.view(x.shape).sum(1) * weight).mean()


def loss_by_selection(logits, x, xt, weight, mask_id):
    hidden = xt == mask_id
    each = F.cross_entropy(logits[hidden], x[hidden], reduction="none")
    return (each * weight[:, None].expand(x.shape)[hidden]).sum() / len(x)


def loss_by_one_hot(logits, x, xt, weight, mask_id):
    log_p = torch.log(torch.softmax(logits, -1))
    return -torch.einsum(
        "b,bl,blk,blk->", weight, (xt != x).to(logits), F.one_hot(x, mask_id).to(logits), log_p
    ) / len(x)


def loss_in_double(logits, x, xt, weight, mask_id):
    return masked_loss(logits.double(), x, xt, weight.double(), mask_id)


def loss_by_matrix_product(logits, x, xt, weight, mask_id):
    nll = logits.logsumexp(-1) - logits.gather(-1, x[..., None])[..., 0]
    return (weight @ (nll * (xt == mask_id)).sum(-1) / len(weight)).reshape(1)


def loss_own_weight(logits, x, xt, weight, mask_id):
    """Weighted by 1 / share of masks, as on the linear schedule."""
    hidden = (xt == mask_id).to(logits)
    surprise = F.cross_entropy(logits.transpose(1, 2), x, reduction="none")
    return ((surprise * hidden).sum(1) / hidden.mean(1).clamp(min=1e-3)).mean()


def loss_of_masks(logits, x, xt, weight, mask_id):
    """Targets are the tokens shown, the mask among them."""
    surprise = F.cross_entropy(logits.transpose(1, 2), xt, reduction="none")
    return (weight * (surprise * (xt == mask_id)).sum(1)).mean()


def loss_per_mask(logits, x, xt, weight, mask_id):
    hidden = xt == mask_id
    surprise = F.cross_entropy(logits.transpose(1, 2), x, reduction="none")
    return (weight * (surprise * hidden).sum(1) / hidden.sum(1)).mean()


def loss_backward(logits, x, xt, weight, mask_id):
    loss = masked_loss(logits, x, xt, weight, mask_id)
    loss.backward()
    return loss


def loss_detached_probabilities(logits, x, xt, weight, mask_id):
    """The normaliser of the softmax is cut off."""
    nll = logits.logsumexp(-1).detach() - logits.gather(-1, x[..., None])[..., 0]
    return (weight * (nll * (xt == mask_id)).sum(1)).mean()


# --- 9.6 one step of sampling


def unmask_step(xt, proposal, hours, survive_now, survive_next, mask_id):
    appear = hours < (survive_next - survive_now) / (1 - survive_now)
    return torch.where((xt == mask_id) & appear, proposal, xt)


def unmask_step_stub(xt, proposal, hours, survive_now, survive_next, mask_id):
    """The tokens at survive_next.   xt, proposal, hours (B, L)  ->  (B, L)"""


def step_by_loop(xt, proposal, hours, survive_now, survive_next, mask_id):
    stay = (1 - survive_next) / (1 - survive_now)
    rows = []
    for tokens, proposed, times in zip(xt, proposal, hours):
        rows.append(
            [int(p) if c == mask_id and 1 - h > stay else int(c) for c, p, h in zip(tokens, proposed, times)]
        )
    return torch.tensor(rows)


def step_by_writing(xt, proposal, hours, survive_now, survive_next, mask_id):
    out, chance = xt.clone(), 1 - (1 - survive_next) / (1 - survive_now)
    revealed = (xt == mask_id).logical_and(hours <= chance)
    out[revealed] = proposal[revealed]
    return out


def step_by_arithmetic(xt, proposal, hours, survive_now, survive_next, mask_id):
    revealed = ((xt == mask_id) * (hours * (1 - survive_now) < survive_next - survive_now)).long()
    return xt + revealed * (proposal - xt)


def step_in_two(xt, proposal, hours, survive_now, survive_next, mask_id):
    filled = torch.where(xt == mask_id, proposal, xt)
    still = (xt == mask_id) & (hours >= (survive_next - survive_now) / (1 - survive_now))
    return filled.masked_fill(still, mask_id)


def step_in_place(xt, proposal, hours, survive_now, survive_next, mask_id):
    revealed = (xt == mask_id) & (hours < (survive_next - survive_now) / (1 - survive_now))
    xt[revealed] = proposal[revealed]
    return xt


def step_in_floats(*args):
    return unmask_step(*args).float()


def step_with_own_hours(xt, proposal, hours, *rest):
    return unmask_step(xt, proposal, torch.rand_like(hours), *rest)


def step_counted(xt, proposal, hours, survive_now, survive_next, mask_id):
    """As many as the chance says, exactly, those of the lowest hours."""
    hidden = xt == mask_id
    rank = hours.masked_fill(~hidden, 2.0).argsort(1).argsort(1)
    count = (hidden.sum(1, keepdim=True) * (survive_next - survive_now) / (1 - survive_now)).round()
    return torch.where(hidden & (rank < count), proposal, xt)


def step_beside_the_mask(xt, proposal, hours, survive_now, survive_next, mask_id):
    """The mask is taken for the greatest token about."""
    appear = hours < (survive_next - survive_now) / (1 - survive_now)
    return torch.where((xt == xt.max()) & appear, proposal, xt)


def step_beyond_the_proposals(xt, proposal, hours, survive_now, survive_next, mask_id):
    """The mask is taken for one more than the greatest token proposed."""
    return unmask_step(xt, proposal, hours, survive_now, survive_next, int(proposal.max()) + 1)


def _step(chance):
    def answer(xt, proposal, hours, survive_now, survive_next, mask_id):
        return torch.where((xt == mask_id) & (hours < chance(survive_now, survive_next)), proposal, xt)

    return answer


# --- 9.7 the weight


def elbo_weight(survive, t):
    t = t.clone().requires_grad_()
    alpha = survive(t)
    (slope,) = torch.autograd.grad(alpha.sum(), t)
    return slope / (1 - alpha.detach())


def elbo_weight_stub(survive, t):
    t = t.clone().requires_grad_()
    slope = ...
    return slope / 2


def weight_by_jvp(survive, t):
    alpha, slope = torch.func.jvp(survive, (t,), (torch.ones_like(t),))
    return slope / (1 - alpha)


def weight_by_vmap(survive, t):
    return torch.func.vmap(torch.func.grad(survive))(t) / (1 - survive(t))


def weight_by_central_difference(survive, t):
    h = 1e-4
    return (survive(t + h) - survive(t - h)) / (2 * h) / (1 - survive(t))


def weight_by_small_step(survive, t):
    h = 1e-6
    return (survive(t + h) - survive(t)) / h / (1 - survive(t))


def weight_by_logarithm(survive, t):
    """−d/dt log(1 − alpha)"""
    with torch.enable_grad():
        t = t.detach().clone().requires_grad_()
        return torch.autograd.grad(-torch.log(1 - survive(t)).sum(), t)[0]


def weight_on_the_graph(survive, t):
    t = t.clone().requires_grad_()
    alpha = survive(t)
    return torch.autograd.grad(alpha, t, torch.ones_like(alpha), create_graph=True)[0] / (1 - alpha)


def weight_left_on_the_graph(survive, t):
    """Without detach: the graph of alpha is spent, and the weight must be detached before a backward pass."""
    t = t.clone().requires_grad_()
    alpha = survive(t)
    return torch.autograd.grad(alpha.sum(), t)[0] / (1 - alpha)


def weight_by_rows(survive, t):
    return torch.stack([elbo_weight(survive, time) for time in t])


def weight_by_backward(survive, t):
    leaf = t.detach().clone().requires_grad_(True)
    alpha = survive(leaf)
    alpha.sum().backward()
    return leaf.grad / (1 - alpha.detach())


def weight_by_coarse_difference(survive, t):
    return (survive(t + 0.01) - survive(t)) / 0.01 / (1 - survive(t))


def weight_of_leaf(survive, t):
    t.requires_grad_()
    alpha = survive(t)
    return torch.autograd.grad(alpha.sum(), t)[0] / (1 - alpha.detach())


def weight_of_mean(survive, t):
    t = t.clone().requires_grad_()
    alpha = survive(t)
    return torch.autograd.grad(alpha.mean(), t)[0] / (1 - alpha.detach())


def weight_untracked(survive, t):
    alpha = survive(t)
    return torch.autograd.grad(alpha.sum(), t)[0] / (1 - alpha)


def weight_clamped(survive, t):
    return weight_by_jvp(survive, t.clamp(0.05, 0.95))


def weight_with_epsilon(survive, t):
    alpha, slope = torch.func.jvp(survive, (t,), (torch.ones_like(t),))
    return slope / (1 - alpha + 1e-2)


def weight_as_list(survive, t):
    return weight_by_jvp(survive, t).tolist()


def _weight(form):
    return lambda survive, t: form(survive(t), torch.func.jvp(survive, (t,), (torch.ones_like(t),))[1], t)


# --- 9.8 any order


def any_order_log_likelihood(log_conditional, x):
    totals = []
    for order in permutations(range(x.shape[1])):
        visible, total = torch.zeros_like(x, dtype=torch.bool), 0
        for place in order:
            total = total + log_conditional(visible, x)[:, place]
            visible[:, place] = True
        totals.append(total)
    return torch.stack(totals).logsumexp(0) - math.log(len(totals))


def any_order_stub(log_conditional, x):
    totals = []
    for order in permutations(range(x.shape[1])):
        total = ...
        totals.append(total)
    return totals


def _totals(log_conditional, x, before=lambda order, k: order[:k], orders=None):
    """(orders, B)"""
    totals = []
    for order in orders or permutations(range(x.shape[1])):
        total = torch.zeros(len(x))
        for k, place in enumerate(order):
            visible = torch.zeros(x.shape[1], dtype=torch.bool)
            visible[list(before(order, k))] = True
            total = total + log_conditional(visible, x)[:, place]
        totals.append(total)
    return torch.stack(totals)


def orders_by_probabilities(log_conditional, x):
    return _totals(log_conditional, x).double().exp().mean(0).log()


def orders_by_recursion(log_conditional, x):
    """The mean over the first token revealed, and then likewise for the rest."""
    length = x.shape[1]

    def rest(visible):
        hidden = [place for place in range(length) if not visible[place]]
        if not hidden:
            return torch.zeros(len(x))
        log_p, ways = log_conditional(torch.tensor(visible), x), []
        for place in hidden:
            ways.append(log_p[:, place] + rest([seen or k == place for k, seen in enumerate(visible)]))
        return torch.logsumexp(torch.stack(ways), 0) - math.log(len(hidden))

    return rest([False] * length)


def orders_from_the_end(log_conditional, x):
    """Each order walked backwards, hiding: all orders are the same set."""
    totals = []
    for order in permutations(range(x.shape[1])):
        visible, total = torch.ones(x.shape[1], dtype=torch.bool), 0
        for place in order:
            visible = visible.clone()
            visible[place] = False
            total = total + log_conditional(visible, x)[:, place]
        totals.append(total)
    return torch.logsumexp(torch.stack(totals), 0) - math.lgamma(x.shape[1] + 1)


def orders_by_logaddexp(log_conditional, x):
    total = torch.full((len(x),), -math.inf)
    for row in _totals(log_conditional, x):
        total = torch.logaddexp(total, row)
    return total - math.log(math.factorial(x.shape[1]))


def orders_by_numpy(log_conditional, x):
    return np.log(np.mean(np.exp(_totals(log_conditional, x).numpy().astype(np.float64)), 0))


def _both_ways(x):
    places = tuple(range(x.shape[1]))
    return [places, places[::-1]]


def orders_masked_input(log_conditional, x):
    """Hidden tokens are replaced by a mask before the model sees them."""
    hidden = torch.zeros(x.shape[1], dtype=torch.bool)
    return log_conditional(hidden, torch.where(hidden, x, 99)).sum(1)


def orders_in_floats(log_conditional, x):
    return log_conditional(torch.zeros(x.shape[1]), x).sum(1)


def orders_of_six(log_conditional, x):
    return _totals(log_conditional, x).logsumexp(0) - math.log(6)


def orders_of_all_tokens(log_conditional, x):
    """A mean over the places of each order, too."""
    return (_totals(log_conditional, x) / x.shape[1]).logsumexp(0) - math.log(math.factorial(x.shape[1]))


BANKS = {
    "abs.transition_matrix": Bank(
        transition_matrix,
        transition_matrix_stub,
        {
            "rows": (lambda beta, k: transition_matrix(beta, k).T, "Transposed: rows and columns are exchanged"),
            "no mask state": (transition_without_mask, "should have the shape"),
            "K columns": (transition_missing_row, "should have the shape"),
            "clamped": (transition_of_small_steps, "0 or 1"),
        },
        {
            "loop": transition_by_loop,
            "float64": transition_by_writing,
            "diagonal": transition_by_diagonal,
            "columns": transition_by_columns,
            "numpy": transition_by_numpy,
            "list": lambda beta, k: transition_matrix(beta, k).tolist(),
            "sparse": lambda beta, k: transition_matrix(beta, k).to_sparse(),
        },
    ),
    "abs.corrupt": Bank(
        corrupt,
        corrupt_stub,
        {
            "mask guessed": (corrupt_mask_guessed, "not read off"),
            "in place": (corrupt_in_place, "in-place"),
            "floats": (corrupt_in_floats, "torch.where keeps"),
            "numpy": (lambda *args: corrupt(*args).numpy(), ".long()"),
            "list": (lambda *args: corrupt(*args).tolist(), ".long()"),
            "own hours": (lambda x, h, a, m: corrupt(x, torch.rand_like(h), a, m), "comes in as an argument"),
            "counted": (corrupt_counted, ""),
            "clamped": (corrupt_clamped, "0 or 1"),
            "squeezed": (corrupt_squeezed, "squeeze()"),
            "both": (lambda x, h, a, m: (corrupt(x, h, a, m), h), ""),
        },
        {
            "loop": corrupt_by_loop,
            "arithmetic": corrupt_by_arithmetic,
            "fill": corrupt_by_fill,
            "gather": corrupt_by_comparison,
            "rows": corrupt_by_rows,
            "double": lambda x, h, a, m: corrupt(x, h.double(), a.double(), m),
            "transposed": lambda x, h, a, m: torch.where(h.T < a, x.T, m).T,
            "index_put": lambda x, h, a, m: x.index_put(torch.where(h > a[:, None]), torch.tensor(m)),
            "at most": lambda x, h, a, m: torch.where(h <= a[:, None], x, m),
        },
    ),
    "abs.unmask_probability": Bank(
        unmask_probability,
        unmask_probability_stub,
        {
            "epsilon": (unmask_with_epsilon, ""),
            "averaged": (unmask_averaged, ""),
            "pairs": (unmask_all_pairs, "(B, B) table"),
            "squeezed": (lambda b, n: unmask_probability(b, n).squeeze(), "squeeze()"),
            "negative": (lambda b, n: -unmask_probability(b, n), "exactly minus"),
        },
        {
            "β": unmask_by_beta,
            "complement": unmask_by_complement,
            "loop": unmask_by_loop,
            "Bayes": unmask_by_bayes,
            "numpy": unmask_by_numpy,
            "column": lambda b, n: unmask_probability(b, n)[:, None],
            "odds": lambda b, n: (b - n) / ((b - n) + (1 - b)),
        },
    ),
    "abs.posterior": Bank(
        posterior,
        posterior_stub,
        {
            "tokens alone": (posterior_of_tokens, "should have the shape"),
            "clamped": (
                lambda xk, x, b, n, k: posterior(xk, x, b.clamp(max=0.985), n.clamp(min=0.08), k),
                "0 or 1",
            ),
            "squeezed": (lambda *args: posterior(*args).squeeze(), "squeeze()"),
        },
        {
            "cases": posterior_by_cases,
            "Bayes": posterior_by_bayes,
            "scatter": posterior_by_scatter,
            "einsum": posterior_by_einsum,
            "written": posterior_written,
        },
    ),
    "abs.masked_loss": Bank(
        masked_loss,
        masked_loss_stub,
        {
            "mean": (
                lambda lo, x, xt, w, m: masked_loss(lo, x, xt, w, m) / x.shape[1],
                "Your value is the expected one divided by D",
            ),
            "per mask": (loss_per_mask, ""),
            "own weight": (loss_own_weight, ""),
            "sum over the batch": (
                lambda lo, x, xt, w, m: masked_loss(lo, x, xt, w, m) * len(x),
                "sum over the batch",
            ),
            "sign": (lambda *args: -masked_loss(*args), "The sign is reversed"),
            "of the mask": (loss_of_masks, "the mask K is one more"),
            "no gradient": (lambda *args: masked_loss(*args).item(), "cut the graph"),
            "detached": (lambda lo, *rest: masked_loss(lo.detach(), *rest), "cut the graph"),
            "half detached": (loss_detached_probabilities, "Part of the graph is cut"),
            "backward": (loss_backward, "inside a loss take none"),
            "per sequence": (
                lambda lo, x, xt, w, m: (
                    w * (F.cross_entropy(lo.transpose(1, 2), x, reduction="none") * (xt == m)).sum(1)
                ),
                "mean is missing",
            ),
            "bits": (lambda *args: masked_loss(*args) / math.log(2), "base 2"),
        },
        {
            "gather": loss_by_gather,
            "loop": loss_by_loop,
            "ignore_index": loss_by_ignoring,
            "selection": loss_by_selection,
            "one hot": loss_by_one_hot,
            "double": loss_in_double,
            "matrix product": loss_by_matrix_product,
            "distribution": lambda lo, x, xt, w, m: (
                -torch.distributions.Categorical(logits=lo).log_prob(x).mul(xt == m).sum(1).mul(w).mean()
            ),
        },
    ),
    "abs.unmask_step": Bank(
        unmask_step,
        unmask_step_stub,
        {
            "inverted": (lambda xt, p, h, *rest: unmask_step(xt, p, 1 - h, *rest), ""),
            "swapped": (_step(lambda n, a: (n - a) / (1 - n)), "Your result is the argument xt itself, unchanged"),
            "mask guessed": (step_beyond_the_proposals, "not read off"),
            "counted": (step_counted, ""),
            "greatest token": (step_beside_the_mask, "not read off"),
            "in place": (step_in_place, "in-place"),
            "floats": (step_in_floats, ".long()"),
            "own hours": (step_with_own_hours, "comes in as an argument"),
            "squeezed": (lambda *args: unmask_step(*args).squeeze(), "squeeze()"),
        },
        {
            "loop": step_by_loop,
            "writing": step_by_writing,
            "arithmetic": step_by_arithmetic,
            "two moves": step_in_two,
        },
    ),
    "abs.elbo_weight": Bank(
        elbo_weight,
        elbo_weight_stub,
        {
            "sign": (_weight(lambda a, da, t: -da / (1 - a)), "The sign is reversed"),
            "upside down": (_weight(lambda a, da, t: (1 - a) / da), "Your value is one over the expected one"),
            "coarse difference": (weight_by_coarse_difference, ""),
            "slope of the mean": (weight_of_mean, "Your value is the expected one divided by B"),
            "clamped": (weight_clamped, "0 or 1"),
            "epsilon": (weight_with_epsilon, ""),
            "input on the graph": (weight_of_leaf, "requires_grad_()"),
            "untracked": (weight_untracked, "a clone of your own"),
            "list": (weight_as_list, "torch.as_tensor"),
            "numbers": (lambda survive, t: elbo_weight(survive, t).mean(), ""),
            "squeezed": (lambda survive, t: elbo_weight(survive, t).squeeze(), "squeeze()"),
        },
        {
            "jvp": weight_by_jvp,
            "vmap": weight_by_vmap,
            "central difference": weight_by_central_difference,
            "small step": weight_by_small_step,
            "logarithm": weight_by_logarithm,
            "jacobian": lambda survive, t: (
                torch.autograd.functional.jacobian(survive, t).diagonal() / (1 - survive(t))
            ),
            "on the graph": weight_on_the_graph,
            "left on the graph": weight_left_on_the_graph,
            "rows": weight_by_rows,
            "backward": weight_by_backward,
        },
    ),
    "abs.any_order_log_likelihood": Bank(
        any_order_log_likelihood,
        any_order_stub,
        {
            "ELBO": (lambda f, x: _totals(f, x).mean(0), "bound that training maximises"),
            "left to right and back": (lambda f, x: _totals(f, x, orders=_both_ways(x)).exp().mean(0).log(), ""),
            "per token": (
                lambda f, x: any_order_log_likelihood(f, x) / x.shape[1],
                "Your value is the expected one divided by D",
            ),
            "tempered": (orders_of_all_tokens, ""),
            "six": (orders_of_six, "their number 6"),
            "three tokens": (
                lambda f, x: _totals(f, x, orders=list(permutations(range(3)))).logsumexp(0) - math.log(6),
                "three tokens alone",
            ),
            "masked input": (orders_masked_input, "always the clean tokens"),
            "floats": (orders_in_floats, "True and False"),
            "mean over the batch": (lambda f, x: any_order_log_likelihood(f, x).mean(), ""),
            "probability": (
                lambda f, x: any_order_log_likelihood(f, x).exp(),
                "Your value is the exponential of the expected one",
            ),
            "squeezed": (lambda f, x: any_order_log_likelihood(f, x).squeeze(), "squeeze()"),
        },
        {
            "probabilities": orders_by_probabilities,
            "recursion": orders_by_recursion,
            "from the end": orders_from_the_end,
            "logaddexp": orders_by_logaddexp,
            "those after": lambda f, x: (
                _totals(f, x, lambda o, k: o[k + 1 :]).logsumexp(0) - math.lgamma(x.shape[1] + 1)
            ),
            "numpy": orders_by_numpy,
        },
    ),
}
