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
        rows.append([1.0 if to == source == vocabulary else (1 - beta) * (to == source) + beta * (to == vocabulary)
                     for source in range(vocabulary + 1)])
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


def corrupt_by_rank(x, hours, survive, mask_id):
    """Exactly round(survive · L) tokens stay, those of the lowest hours."""
    rank = hours.argsort(1).argsort(1)
    return torch.where(rank < (survive[:, None] * x.shape[1]).round(), x, mask_id)


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


def posterior_undivided(xk, x, survive_before, survive_now, vocabulary):
    b, n, seen = survive_before[:, None, None], survive_now[:, None, None], F.one_hot(xk, vocabulary + 1)
    return torch.where((xk == vocabulary)[..., None], (b - n) * F.one_hot(x, vocabulary + 1) + (1 - b) * seen, seen)


def posterior_of_tokens(xk, x, survive_before, survive_now, vocabulary):
    return posterior(xk, x, survive_before, survive_now, vocabulary)[..., :-1]


def posterior_of_known(xk, x, survive_before, survive_now, vocabulary):
    """Zero in the place of a mask, added once more."""
    p = ((survive_before - survive_now) / (1 - survive_now))[:, None, None]
    return p * F.one_hot(x, vocabulary + 1) + (1 - p) * F.one_hot(torch.full_like(x, vocabulary), vocabulary + 1)


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
    return -torch.einsum("b,bl,blk,blk->", weight, (xt != x).to(logits), F.one_hot(x, mask_id).to(logits), log_p) / len(x)


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


def loss_selected_mean(logits, x, xt, weight, mask_id):
    hidden = xt == mask_id
    return F.cross_entropy(logits[hidden], x[hidden])


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


def loss_bare_weight(logits, x, xt, weight, mask_id):
    surprise = F.cross_entropy(logits.transpose(1, 2), x, reduction="none")
    return (weight * surprise * (xt == mask_id)).sum(1).mean()


def loss_detached_probabilities(logits, x, xt, weight, mask_id):
    """The normaliser of the softmax is cut off."""
    nll = logits.logsumexp(-1).detach() - logits.gather(-1, x[..., None])[..., 0]
    return (weight * (nll * (xt == mask_id)).sum(1)).mean()


def loss_reshaped(logits, x, xt, weight, mask_id):
    """The logits are reshaped to (B, K, L), where they should be transposed."""
    surprise = F.cross_entropy(logits.reshape(len(x), mask_id, -1), x, reduction="none")
    return (weight * (surprise * (xt == mask_id)).sum(1)).mean()


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
        rows.append([int(p) if c == mask_id and 1 - h > stay else int(c) for c, p, h in zip(tokens, proposed, times)])
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


def step_visible_replaced(xt, proposal, hours, survive_now, survive_next, mask_id):
    return torch.where(hours < (survive_next - survive_now) / (1 - survive_now), proposal, xt)


def step_hidden_everywhere(xt, proposal, hours, survive_now, survive_next, mask_id):
    revealed = (xt == mask_id) & (hours < (survive_next - survive_now) / (1 - survive_now))
    return torch.where(revealed, proposal, mask_id)


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


def orders_never_cleared(log_conditional, x):
    totals, visible = [], torch.zeros(x.shape[1], dtype=torch.bool)
    for order in permutations(range(x.shape[1])):
        total = 0
        for place in order:
            total = total + log_conditional(visible, x)[:, place]
            visible[place] = True
        totals.append(total)
    return torch.stack(totals).logsumexp(0) - math.log(len(totals))


def orders_surest_first(log_conditional, x):
    rows = []
    for row in x:
        visible, total = torch.zeros(len(row), dtype=torch.bool), 0
        while not visible.all():
            log_p = log_conditional(visible, row[None])[0].masked_fill(visible, -math.inf)
            total, place = total + log_p.max(), log_p.argmax()
            visible[place] = True
        rows.append(total)
    return torch.stack(rows)


def orders_out_of_step(log_conditional, x):
    totals = []
    for order in permutations(range(x.shape[1])):
        visible, total = torch.zeros(x.shape[1], dtype=torch.bool), 0
        for k, place in enumerate(order):
            total = total + log_conditional(visible, x)[:, k]
            visible[place] = True
        totals.append(total)
    return torch.stack(totals).logsumexp(0) - math.log(len(totals))


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


def orders_means_of_probabilities(log_conditional, x):
    """Probabilities are averaged at each step, and not along an order."""
    terms = []
    for size in range(x.shape[1]):
        steps = []
        for order in permutations(range(x.shape[1])):
            visible = torch.zeros(x.shape[1], dtype=torch.bool)
            visible[list(order[:size])] = True
            steps.append(log_conditional(visible, x)[:, order[size]])
        terms.append(torch.stack(steps).exp().mean(0).log())
    return torch.stack(terms).sum(0)


def orders_all_at_once(log_conditional, x):
    return log_conditional(torch.zeros(x.shape[1], dtype=torch.bool), x).sum(1)


BANKS = {
    "abs.transition_matrix": Bank(
        transition_matrix,
        transition_matrix_stub,
        {
            "rows": (lambda beta, k: transition_matrix(beta, k).T, "each row sums to one"),
            "exchanged": (lambda beta, k: transition_matrix(1 - beta, k), "exchanged"),
            "first": (lambda beta, k: transition_matrix(beta, k).flip(0, 1), "at token 0"),
            "not scaled": (
                lambda beta, k: transition_matrix(beta, k) + beta * torch.eye(k + 1),
                "identity is not scaled",
            ),
            "corner": (
                lambda beta, k: (1 - beta) * torch.eye(k + 1) + beta * torch.diag(F.one_hot(torch.tensor(k), k + 1)),
                "corner alone",
            ),
            "uniform": (lambda beta, k: (1 - beta) * torch.eye(k + 1) + beta / (k + 1), "uniform diffusion"),
            "everywhere": (lambda beta, k: (1 - beta) * torch.eye(k + 1) + beta, "every entry"),
            "no mask column": (
                lambda beta, k: transition_matrix(beta, k).index_fill(1, torch.tensor(k), 0),
                "column is empty",
            ),
            "no mask state": (transition_without_mask, "should have the shape"),
            "K columns": (transition_missing_row, "should have the shape"),
            "clamped": (transition_of_small_steps, "0 or 1"),
            "two steps": (lambda beta, k: torch.linalg.matrix_power(transition_matrix(beta, k), 2), "Two steps"),
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
            "inverted": (lambda x, h, a, m: torch.where(h < a[:, None], m, x), "Inverted"),
            "one hour": (lambda x, h, a, m: torch.where(h[:, :1] < a[:, None], x, m), "One hour for a whole sequence"),
            "wrong axis": (lambda x, h, a, m: torch.where(h < a, x, m), "wrong axis"),
            "mask 0": (lambda x, h, a, m: x * (h < a[:, None]), "clean token"),
            "mask −1": (lambda x, h, a, m: torch.where(h < a[:, None], x, -1), "−1"),
            "mask guessed": (corrupt_mask_guessed, "not read off"),
            "visible or not": (lambda x, h, a, m: h < a[:, None], "True and False"),
            "in place": (corrupt_in_place, "in-place"),
            "floats": (corrupt_in_floats, "torch.where keeps"),
            "numpy": (lambda *args: corrupt(*args).numpy(), ".long()"),
            "list": (lambda *args: corrupt(*args).tolist(), ".long()"),
            "own hours": (lambda x, h, a, m: corrupt(x, torch.rand_like(h), a, m), "comes in as an argument"),
            "counted": (corrupt_counted, ""),
            "rank": (corrupt_by_rank, "lowest hours"),
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
            "β": (lambda b, n: 1 - n / b, "β_k, the chance of the forward step"),
            "β by b": (lambda b, n: (b - n) / b, "forward step"),
            "joint": (lambda b, n: b - n, "of those that are masked by then"),
            "1 − b": (lambda b, n: (b - n) / (1 - b), "masked at k − 1"),
            "complement": (lambda b, n: (1 - b) / (1 - n), "complement"),
            "no b": (lambda b, n: (b - n) / b / (1 - n), "survive_before is missing"),
            "exchanged": (lambda b, n: unmask_probability(n, b), "exchanged"),
            "squares": (lambda b, n: unmask_probability(b**2, n**2), "Squares"),
            "parentheses": (lambda b, n: b - n / (1 - n), "Parentheses"),
            "no parentheses at all": (lambda b, n: b - n / 1 - n, "Parentheses"),
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
            "exchanged": (lambda xk, x, b, n, k: posterior(xk, x, 1 - b + n, n, k), "exchanged"),
            "case 1 forgotten": (posterior_of_known, "case 1"),
            "marginal": (lambda xk, x, b, n, k: posterior(torch.full_like(x, k), x, b, 0 * n, k), "forward marginal"),
            "marginal at masks": (lambda xk, x, b, n, k: posterior(xk, x, b, 0 * n, k), "makes it smaller"),
            "β": (lambda xk, x, b, n, k: posterior(xk, x, 1 - n / b, 0 * n, k), "β_k alone"),
            "not divided": (lambda xk, x, b, n, k: posterior(xk, x, b - n, 0 * n, k), "is not divided"),
            "not divided at all": (posterior_undivided, "the division is missing"),
            "forward": (lambda xk, x, b, n, k: posterior(torch.full_like(x, k), x, n, 0 * n, k), "at step k"),
            "stays": (lambda xk, x, b, n, k: F.one_hot(xk, k + 1).to(b), "the whole mask"),
            "clean": (lambda xk, x, b, n, k: F.one_hot(x, k + 1).to(b), "for certain"),
            "mask first": (lambda *args: posterior(*args).roll(1, -1), "mask stands first"),
            "tokens alone": (posterior_of_tokens, "should have the shape"),
            "wrong axis": (
                lambda xk, x, b, n, k: torch.lerp(
                    *(F.one_hot(y, k + 1).to(b) for y in (xk, x)), ((b - n) / (1 - n))[:, None].expand(-1, k + 1)
                ),
                "wrong axis",
            ),
            "survive exchanged": (lambda xk, x, b, n, k: posterior(xk, x, n, b, k), "the larger"),
            "clamped": (lambda xk, x, b, n, k: posterior(xk, x, b.clamp(max=0.985), n.clamp(min=0.08), k), "0 or 1"),
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
            "all places": (lambda lo, x, xt, w, m: masked_loss(lo, x, torch.full_like(xt, m), w, m), "All places"),
            "visible": (
                lambda lo, x, xt, w, m: masked_loss(lo, x, torch.where(xt == m, 0, m), w, m),
                "visible places are counted",
            ),
            "mean": (lambda lo, x, xt, w, m: masked_loss(lo, x, xt, w, m) / x.shape[1], "a sum over its places"),
            "mean of the masked": (loss_selected_mean, "without the weights"),
            "per mask": (loss_per_mask, ""),
            "no weight": (lambda lo, x, xt, w, m: masked_loss(lo, x, xt, torch.ones_like(w), m), "weight is missing"),
            "own weight": (loss_own_weight, ""),
            "sum over the batch": (lambda lo, x, xt, w, m: masked_loss(lo, x, xt, w, m) * len(x), "sum over the batch"),
            "sign": (lambda *args: -masked_loss(*args), "sign is missing"),
            "log of logits": (
                lambda lo, x, xt, w, m: -(w * (lo.gather(-1, x[..., None])[..., 0] * (xt == m)).sum(1)).mean(),
                "logits themselves",
            ),
            "softmax twice": (lambda lo, *rest: masked_loss(lo.softmax(-1), *rest), "taken twice"),
            "softmax over places": (
                lambda lo, x, xt, w, m: (
                    -(w * (lo.log_softmax(1).gather(-1, x[..., None])[..., 0] * (xt == m)).sum(1)).mean()
                ),
                "over the places",
            ),
            "of the mask": (loss_of_masks, "the mask K is one more"),
            "reshaped": (loss_reshaped, "to be transposed"),
            "wrong axis": (loss_bare_weight, "wrong axis"),
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
            "binary": (
                lambda lo, x, xt, w, m: (
                    F.binary_cross_entropy_with_logits(lo, F.one_hot(x, m).to(lo), reduction="none")
                    .sum(-1)
                    .mul(xt == m)
                    .sum(1)
                    .mul(w)
                    .mean()
                ),
                "yes or no",
            ),
            "mean times mean": (lambda lo, x, xt, w, m: loss_selected_mean(lo, x, xt, w, m) * w.mean(), "its own sum"),
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
            "all at once": (lambda xt, p, h, n, a, m: torch.where(xt == m, p, xt), "at once"),
            "visible too": (step_visible_replaced, "Visible tokens are replaced"),
            "inverted": (lambda xt, p, h, *rest: unmask_step(xt, p, 1 - h, *rest), ""),
            "above": (
                lambda xt, p, h, n, a, m: torch.where((xt == m) & (h > (a - n) / (1 - n)), p, xt),
                "Inverted",
            ),
            "next": (_step(lambda n, a: a), "as if nothing were known"),
            "difference": (_step(lambda n, a: a - n), "part of the masked ones"),
            "β": (_step(lambda n, a: 1 - n / a), "which is β"),
            "after": (_step(lambda n, a: (a - n) / max(1 - a, 1e-9)), "masked after the step"),
            "after, divided by zero": (_step(lambda n, a: (a - n) / (1 - a)), "masked after the step"),
            "stay": (_step(lambda n, a: (1 - a) / (1 - n)), "staying masked"),
            "swapped": (_step(lambda n, a: (n - a) / (1 - n)), "Nothing ever appears"),
            "hidden again": (step_hidden_everywhere, "the visible tokens too"),
            "mask guessed": (step_beyond_the_proposals, "not read off"),
            "hours kept": (
                lambda xt, p, h, n, a, m: torch.where((xt == m) & (h >= n) & (h < a), p, xt),
                "kept from step to step",
            ),
            "filled and masked": (
                lambda xt, p, h, n, a, m: torch.where(xt == m, p, xt).masked_fill(h >= a, m),
                "All masks were filled",
            ),
            "parentheses": (_step(lambda n, a: a - n / (1 - n)), "Parentheses"),
            "masked afresh": (lambda xt, p, h, n, a, m: torch.where(h < a, p, m), "masked afresh"),
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
            "linear alone": (lambda survive, t: 1 / (1 - t), "linear schedule alone"),
            "no slope": (_weight(lambda a, da, t: 1 / (1 - a)), "derivative is missing"),
            "linear below": (_weight(lambda a, da, t: da / (1 - t)), "denominator is that of the linear"),
            "alpha": (_weight(lambda a, da, t: a / (1 - a)), "α itself"),
            "over alpha": (_weight(lambda a, da, t: da / a), "Divided by α"),
            "slope": (_weight(lambda a, da, t: da), "derivative alone"),
            "sign": (_weight(lambda a, da, t: -da / (1 - a)), "slides' time"),
            "clock": (lambda survive, t: elbo_weight(survive, 1 - t), "asked at 1 − t"),
            "squares": (_weight(lambda a, da, t: da / (1 - a**2)), "1 − α²"),
            "upside down": (_weight(lambda a, da, t: (1 - a) / da), "Upside down"),
            "coarse difference": (weight_by_coarse_difference, ""),
            "slope of the mean": (weight_of_mean, "B times too small"),
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
            "jacobian": lambda survive, t: torch.autograd.functional.jacobian(survive, t).diagonal() / (1 - survive(t)),
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
            "left to right": (lambda f, x: _totals(f, x)[0], "left to right"),
            "right to left": (lambda f, x: _totals(f, x)[-1], "right to left"),
            "best": (lambda f, x: _totals(f, x).max(0).values, "best order"),
            "sum": (lambda f, x: _totals(f, x).logsumexp(0), "number of orders"),
            "by L": (lambda f, x: _totals(f, x).logsumexp(0) - math.log(x.shape[1]), "not by the number of orders"),
            "too early": (
                lambda f, x: _totals(f, x, lambda o, k: o[: k + 1]).logsumexp(0)
                - math.log(math.factorial(x.shape[1])),
                "visible already",
            ),
            "all at once": (orders_all_at_once, "independent"),
            "pseudo-likelihood": (
                lambda f, x: _totals(f, x, lambda o, k: o[:k] + o[k + 1 :])[0],
                "pseudo-likelihood",
            ),
            "surest first": (orders_surest_first, "surest token first"),
            "out of step": (orders_out_of_step, "revealed next"),
            "left to right and back": (lambda f, x: _totals(f, x, orders=_both_ways(x)).exp().mean(0).log(), ""),
            "never cleared": (orders_never_cleared, "stays visible"),
            "means at each step": (orders_means_of_probabilities, "at every step"),
            "per token": (lambda f, x: any_order_log_likelihood(f, x) / x.shape[1], "per token"),
            "tempered": (orders_of_all_tokens, ""),
            "six": (orders_of_six, "their number 6"),
            "three tokens": (
                lambda f, x: _totals(f, x, orders=list(permutations(range(3)))).logsumexp(0) - math.log(6),
                "three tokens alone",
            ),
            "masked input": (orders_masked_input, "always the clean tokens"),
            "floats": (orders_in_floats, "True and False"),
            "mean over the batch": (lambda f, x: any_order_log_likelihood(f, x).mean(), ""),
            "probability": (lambda f, x: any_order_log_likelihood(f, x).exp(), "logarithm is asked"),
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
