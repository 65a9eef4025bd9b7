"""Answers to the homework on autoregressive models and divergences, right and wrong."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.distributions import Bernoulli, Categorical
from torch.nn import functional as F

from . import Bank

# --- 1.1 the mask


def causal_mask(kind, rows, columns):
    mask = torch.zeros(rows, columns)
    mask[: rows // 2] = 1
    mask[rows // 2, : columns // 2 + (kind == "B")] = 1
    return mask


def causal_mask_stub(kind, rows, columns):
    """1 where the kernel may look.   -> (rows, columns)"""
    raise NotImplementedError("your turn")


def mask_by_loop(kind, rows, columns):
    out = []
    for r in range(rows):
        row = []
        for c in range(columns):
            before = (r, c) < (rows // 2, columns // 2)
            row.append(1.0 if before or (kind == "B" and (r, c) == (rows // 2, columns // 2)) else 0.0)
        out.append(row)
    return out


def mask_by_closing(kind, rows, columns):
    mask = torch.ones(rows, columns, dtype=torch.float64)
    mask[rows // 2, columns // 2 + (1 if kind == "B" else 0) :] = 0
    mask[rows // 2 + 1 :, :] = 0
    return mask


def mask_by_counting(kind, rows, columns):
    place, centre = torch.arange(rows * columns), (rows * columns - 1) // 2
    return ((place < centre) if kind == "A" else (place <= centre)).reshape(rows, columns)


def mask_by_numpy(kind, rows, columns):
    mask = np.zeros((rows, columns), dtype=int)
    mask[: (rows - 1) // 2, :] = 1
    mask[(rows - 1) // 2, : (columns + 1) // 2 if kind == "B" else (columns - 1) // 2] = 1
    return mask


def mask_by_triangle(kind, rows, columns):
    n = rows * columns
    return torch.ones(n, n).tril(-1 if kind == "A" else 0)[n // 2].view(rows, columns)


def mask_whole_row(kind, rows, columns):
    mask = torch.zeros(rows, columns)
    mask[: rows // 2 + 1] = 1
    return mask


def mask_row_and_corner(kind, rows, columns):
    """Rows and columns after the centre closed: mask[m + 1:] = 0 and mask[:, n + own:] = 0."""
    mask = torch.ones(rows, columns)
    mask[rows // 2 + 1 :] = 0
    mask[:, columns // 2 + (kind == "B") :] = 0
    return mask


def mask_slices_forgotten(kind, rows, columns):
    """Only the row below the centre is closed, and not the rest."""
    mask = torch.ones(rows, columns)
    mask[rows // 2, columns // 2 + (kind == "B") :] = 0
    if rows > 1:
        mask[rows // 2 + 1] = 0
    return mask


def mask_lower_rows_open(kind, rows, columns):
    mask = torch.ones(rows, columns)
    mask[rows // 2, columns // 2 + (kind == "B") :] = 0
    return mask


def mask_one_too_far(rows, columns):
    return torch.tensor(
        [[float((r, c) <= (rows // 2, columns // 2 + 1)) for c in range(columns)] for r in range(rows)]
    )


def mask_one_hot(rows, columns):
    return F.one_hot(torch.tensor(rows * columns // 2), rows * columns).view(rows, columns).float()


# --- 1.2 the likelihood


def log_likelihood(logits, x):
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def log_likelihood_stub(logits, x):
    """log p(x) in nats.   (B, ...)  ->  (B,)"""
    ...


def likelihood_by_logsigmoid(logits, x):
    return (x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)).reshape(len(x), -1).sum(-1)


def likelihood_by_sign(logits, x):
    return F.logsigmoid((2 * x - 1) * logits).sum(dim=tuple(range(1, x.ndim)))


def likelihood_by_softplus(logits, x):
    return (x * logits - F.softplus(logits)).view(x.shape[0], -1).sum(1)


def likelihood_by_two_classes(logits, x):
    pair = torch.stack([torch.zeros_like(logits), logits], 1)
    return -F.cross_entropy(pair, x.long(), reduction="none").flatten(1).sum(1)


def likelihood_by_loop(logits, x):
    rows = []
    for one, image in zip(logits, x):
        total = 0.0
        for logit, pixel in zip(one.flatten(), image.flatten()):
            total = total + (F.logsigmoid(logit) if pixel > 0.5 else F.logsigmoid(-logit))
        rows.append(total)
    return torch.stack(rows)


def likelihood_by_where(logits, x):
    each = torch.where(x == 1, -F.softplus(-logits), -F.softplus(logits))
    while each.ndim > 1:
        each = each.sum(-1)
    return each


def likelihood_by_logaddexp(logits, x):
    return (x * logits - torch.logaddexp(logits, torch.zeros_like(logits))).flatten(1).sum(1)


def likelihood_by_probabilities(logits, x):
    p = torch.sigmoid(logits)
    return (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)


def likelihood_with_epsilon(logits, x):
    p = torch.sigmoid(logits)
    return (x * (p + 1e-8).log() + (1 - x) * (1 - p + 1e-8).log()).flatten(1).sum(1)


def likelihood_clamped(logits, x):
    return -F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="none").flatten(1).sum(1)


def likelihood_of_distribution(logits, x):
    return Bernoulli(probs=torch.sigmoid(logits)).log_prob(x).flatten(1).sum(1)


def likelihood_backward(logits, x):
    value = log_likelihood(logits, x)
    value.sum().backward()
    return value


# --- 1.3 bits per dimension


def bits_per_dimension(logits, x):
    nats = F.cross_entropy(logits.transpose(1, 2), x, reduction="none").sum(1)
    return nats / x.shape[1] / math.log(2)


def bits_per_dimension_stub(logits, x):
    bits = ...
    return bits


def bits_by_gather(logits, x):
    log_p = logits.log_softmax(-1).gather(2, x.unsqueeze(2)).squeeze(2)
    return -log_p.mean(1) / np.log(2)


def bits_by_one_hot(logits, x):
    log_p = logits - logits.logsumexp(-1, keepdim=True)
    return -(F.one_hot(x, logits.shape[-1]) * log_p).sum((1, 2)) / (x.shape[1] * math.log(2))


def bits_by_flattening(logits, x):
    each = F.cross_entropy(logits.flatten(0, 1), x.flatten(), reduction="none")
    return each.view_as(x).mean(1) * math.log2(math.e)


def bits_by_loop(logits, x):
    rows = []
    for l, tokens in zip(logits, x):
        rows.append(F.cross_entropy(l, tokens) / math.log(2))
    return torch.stack(rows)


def bits_by_nll_loss(logits, x):
    return F.nll_loss(torch.log_softmax(logits, 2).permute(0, 2, 1), x, reduction="none").mean(1).div(math.log(2))


def bits_by_indices(logits, x):
    rows, places = torch.arange(x.shape[0])[:, None], torch.arange(x.shape[1])[None]
    return (logits.logsumexp(-1) - logits[rows, places, x]).mean(1) / math.log(2)


def bits_by_probabilities(logits, x):
    p = logits.softmax(-1).gather(-1, x[..., None])[..., 0]
    return -p.log2().mean(1)


def bits_with_epsilon(logits, x):
    p = logits.softmax(-1).gather(-1, x[..., None])[..., 0]
    return -(p + 1e-9).log2().mean(1)


def bits_by_hand(logits, x):
    heights = logits.exp()
    p = (heights / heights.sum(-1, keepdim=True)).gather(-1, x[..., None])[..., 0]
    return -p.log2().mean(1)


# --- 1.4 completion


def complete(logits_of, x, known, u, temperature):
    x = x.clone()
    for i in range(known, x.shape[1]):
        cdf = (logits_of(x)[:, i] / temperature).softmax(-1).cumsum(-1)
        x[:, i] = (u[:, i, None] >= cdf).sum(-1)
    return x


def complete_stub(logits_of, x, known, u, temperature):
    """The rest of x, place by place.   x, u (B, L)  ->  (B, L)"""
    pass


def complete_by_searching(logits_of, x, known, u, temperature):
    out = x.clone()
    for i in range(known, x.shape[1]):
        cdf = torch.softmax(logits_of(out)[:, i, :] / temperature, dim=-1).cumsum(-1).contiguous()
        out[:, i] = torch.searchsorted(cdf, u[:, i : i + 1].contiguous(), right=True)[:, 0]
    return out


def complete_by_argmax(logits_of, x, known, u, temperature):
    tokens = [x[:, i] for i in range(known)]
    for i in range(known, x.shape[1]):
        seen = torch.stack([*tokens, x[:, 0] * 0], 1)
        cdf = (logits_of(seen)[:, -1] / temperature).softmax(-1).cumsum(-1)
        tokens.append((u[:, i].unsqueeze(-1) < cdf).to(torch.uint8).argmax(-1))
    return torch.stack(tokens, 1)


def complete_by_rows(logits_of, x, known, u, temperature):
    rows = []
    for b in range(len(x)):
        row = x[b : b + 1].clone()
        for i in range(known, x.shape[1]):
            p, k, total = (logits_of(row)[0, i] / temperature).softmax(0), 0, 0.0
            while u[b, i] >= total + p[k]:
                total, k = total + p[k], k + 1
            row[0, i] = k
        rows.append(row)
    return torch.cat(rows)


def complete_by_where(logits_of, x, known, u, temperature):
    out = x
    for i in range(x.shape[1]):
        p = (logits_of(out)[:, i] / temperature).softmax(-1)
        drawn = (u[:, i, None] > p.cumsum(-1)).sum(-1).clamp(max=p.shape[-1] - 1)
        here = torch.arange(x.shape[1]) == i
        out = torch.where(here & (torch.arange(x.shape[1]) >= known), drawn[:, None], out)
    return out


def complete_by_recursion(logits_of, x, known, u, temperature):
    if known == x.shape[1]:
        return x
    cdf = (logits_of(x)[:, known] / temperature).softmax(-1).cumsum(-1)
    token = (u[:, known, None] >= cdf).sum(-1, keepdim=True)
    return complete_by_recursion(
        logits_of, torch.cat([x[:, :known], token, x[:, known + 1 :]], 1), known + 1, u, temperature
    )


def complete_over_all_places(logits_of, x, known, u, temperature):
    """Fixed points: after n passes the first n places are right."""
    out = x
    for _ in range(x.shape[1]):
        cdf = (logits_of(out) / temperature).softmax(-1).cumsum(-1)
        out = torch.cat([x[:, :known], (u[..., None] >= cdf).sum(-1)[:, known:]], 1)
    return out


def complete_with_zeros_ahead(logits_of, x, known, u, temperature):
    out = torch.cat([x[:, :known], torch.zeros_like(x[:, known:])], 1)
    for i in range(known, x.shape[1]):
        power = logits_of(out)[:, i].softmax(-1) ** (1 / temperature)
        cdf = power.cumsum(-1) / power.sum(-1, keepdim=True)
        out[:, i] = (u[:, i, None] >= cdf).sum(-1)
    return out


def complete_in_place(logits_of, x, known, u, temperature):
    for i in range(known, x.shape[1]):
        x[:, i] = (u[:, i, None] >= (logits_of(x)[:, i] / temperature).softmax(-1).cumsum(-1)).sum(-1)
    return x


def complete_own_numbers(logits_of, x, known, u, temperature):
    x = x.clone()
    for i in range(known, x.shape[1]):
        x[:, i] = torch.multinomial((logits_of(x)[:, i] / temperature).softmax(-1), 1)[:, 0]
    return x


def complete_from_logarithms(logits_of, x, known, u, temperature):
    x = x.clone()
    for i in range(known, x.shape[1]):
        x[:, i] = (u[:, i, None] >= (logits_of(x)[:, i] / temperature).cumsum(-1).softmax(-1)).sum(-1)
    return x


def _completed(draw=None, start=lambda known: known, logits_at=lambda i: i, u_at=lambda i, known: i, stop=0):
    """The usual loop, one piece exchanged."""
    draw = draw or (
        lambda l, u, t: (u[:, None] >= (l / t).softmax(-1).cumsum(-1)).sum(-1).clamp(max=l.shape[-1] - 1)
    )

    def answer(logits_of, x, known, u, temperature):
        x = x.clone()
        for i in range(start(known), x.shape[1] - stop):
            x[:, i] = draw(logits_of(x)[:, logits_at(i)], u[:, u_at(i, known)], temperature)
        return x

    return answer


# --- 1.5 the receptive field


def receptive_field(net, x, row, column):
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(net(x)[row, column], x)
    return slope != 0


def receptive_field_stub(net, x, row, column):
    """Which pixels.   x (H, W)  ->  (H, W)"""
    raise NotImplementedError


def field_by_backward(net, x, row, column):
    image = x.detach().clone()
    image.requires_grad = True
    net(image)[row][column].backward()
    return image.grad.abs() > 0


def field_by_jacobian(net, x, row, column):
    return torch.autograd.functional.jacobian(net, x)[row, column].bool()


def field_by_forward_mode(net, x, row, column):
    columns = [torch.func.jvp(net, (x,), (e.view_as(x),))[1][row, column] for e in torch.eye(x.numel()).to(x)]
    return torch.stack(columns).view_as(x) != 0


def field_by_differences(net, x, row, column):
    out = torch.zeros(x.shape, dtype=torch.bool)
    base = net(x)[row, column]
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            other = x.clone()
            other[i, j] += 0.1
            out[i, j] = net(other)[row, column] != base
    return out


def field_by_flipping(net, x, row, column):
    base, rows = net(x)[row, column], []
    for k in range(x.numel()):
        other = x.clone().flatten()
        other[k] = 1 - other[k]
        rows.append(float(net(other.view_as(x))[row, column] != base))
    return torch.tensor(rows).view_as(x)


def field_of_a_blank(net, x, row, column):
    blank = torch.zeros_like(x, requires_grad=True)
    return torch.autograd.grad(net(blank)[row, column], blank)[0].ne(0).int()


def field_on_the_graph(net, x, row, column):
    x.requires_grad_(True)
    return torch.autograd.grad(net(x)[row, column], x)[0] != 0


def field_by_threshold(net, x, row, column):
    return torch.func.grad(lambda y: net(y)[row, column])(x).abs() > 1e-4


def field_by_closeness(net, x, row, column):
    slope = torch.func.grad(lambda y: net(y)[row, column])(x)
    return ~torch.isclose(slope, torch.zeros_like(slope))


def field_by_relative_threshold(net, x, row, column):
    slope = torch.func.grad(lambda y: net(y)[row, column])(x).abs()
    return slope > 0.2 * slope.max()


def field_untracked(net, x, row, column):
    return torch.autograd.grad(net(x)[row, column], x)[0] != 0


def _field(seen):
    return lambda net, x, row, column: seen(torch.func.grad(lambda y: net(y)[row, column])(x), x, row, column)


# --- 1.6 attention


def causal_attention(q, k, v):
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    later = torch.triu(torch.ones_like(scores), diagonal=1).bool()
    return scores.masked_fill(later, -math.inf).softmax(-1) @ v


def causal_attention_stub(q, k, v):
    """Each place attends to those up to it.   (B, L, d)  ->  (B, L, d)"""
    # your code here
    pass


def attention_by_loop(q, k, v):
    out = []
    for i in range(q.shape[1]):
        scores = torch.einsum("bd,bjd->bj", q[:, i], k[:, : i + 1]) / q.shape[2] ** 0.5
        out.append(torch.einsum("bj,bjd->bd", scores.softmax(1), v[:, : i + 1]))
    return torch.stack(out, 1)


def attention_by_torch(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def attention_by_adding(q, k, v):
    length = q.shape[1]
    mask = torch.full((length, length), float("-inf"), dtype=q.dtype).triu(1)
    return torch.softmax(torch.einsum("bid,bjd->bij", q, k) * q.shape[-1] ** -0.5 + mask, -1) @ v


def attention_by_a_large_number(q, k, v):
    scores = torch.bmm(q, k.mT) / math.sqrt(q.size(-1))
    mask = torch.tril(torch.ones(q.size(1), q.size(1)))
    return torch.bmm(scores.masked_fill(mask == 0, -1e9).softmax(-1), v)


def attention_by_rows(q, k, v):
    """Everything for one sequence after the other, queries scaled first."""
    out = []
    for a, b, c in zip(q / q.shape[-1] ** 0.5, k, v):
        s = a @ b.T
        out.append(
            s.where(torch.arange(len(s))[:, None] >= torch.arange(len(s)), s.new_tensor(-math.inf)).softmax(1) @ c
        )
    return torch.stack(out)


def attention_shared_root(q, k, v):
    root = q.shape[-1] ** 0.25
    s = (q / root) @ (k / root).transpose(-1, -2)
    return (s + torch.ones_like(s).tril().log()).softmax(-1) @ v


def attention_online(q, k, v):
    """One key after the other, with a running maximum."""
    top = torch.full(q.shape[:2], -math.inf, dtype=q.dtype)
    total, out = torch.zeros_like(top), torch.zeros_like(v)
    for j in range(k.shape[1]):
        s = (q * k[:, j : j + 1]).sum(-1) / math.sqrt(q.shape[-1])
        s = torch.where(torch.arange(k.shape[1]) >= j, s, -math.inf)
        new = torch.maximum(top, s)
        keep, w = (top - new).exp().nan_to_num(0.0), (s - new).exp().nan_to_num(0.0)
        total, out, top = total * keep + w, out * keep[..., None] + w[..., None] * v[:, j : j + 1], new
    return out / total[..., None]


def attention_in_double(q, k, v):
    return causal_attention(q.double(), k.double(), v.double())


def _attention(scores=None, mask=None, weights=None):
    """The usual three lines, one of them exchanged."""
    scores = scores or (lambda q, k: q @ k.mT / math.sqrt(q.shape[-1]))
    mask = mask or (lambda s: s.masked_fill(torch.ones_like(s).triu(1).bool(), -math.inf))
    weights = weights or (lambda s: s.softmax(-1))
    return lambda q, k, v: weights(mask(scores(q, k))) @ v


def attention_by_hand(q, k, v):
    weights = (q @ k.mT / math.sqrt(q.shape[-1])).exp().tril()
    return weights / weights.sum(-1, keepdim=True) @ v


def attention_weakly_masked(q, k, v):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -100.0).softmax(-1) @ v


def attention_by_numpy(q, k, v):
    s = (q @ k.mT / math.sqrt(q.shape[-1])).detach().numpy()
    s = np.where(np.tri(s.shape[1]) > 0, s, -np.inf)
    w = np.exp(s - s.max(-1, keepdims=True))
    return torch.as_tensor(w / w.sum(-1, keepdims=True)) @ v.detach()


# --- 1.7 one step with a cache


def cache_step(q, k, v, keys, values):
    keys, values = torch.cat([keys, k[:, None]], 1), torch.cat([values, v[:, None]], 1)
    share = torch.einsum("bd,bjd->bj", q, keys).div(math.sqrt(q.shape[-1])).softmax(-1)
    return torch.einsum("bj,bjd->bd", share, values), keys, values


def cache_step_stub(q, k, v, keys, values):
    keys = ...
    return keys


def cache_by_matrix_products(q, k, v, keys, values):
    keys = torch.cat((keys, k.unsqueeze(1)), dim=1)
    values = torch.cat((values, v.unsqueeze(1)), dim=1)
    weights = torch.softmax(q.unsqueeze(1) @ keys.transpose(1, 2) / q.shape[-1] ** 0.5, dim=-1)
    return [(weights @ values).squeeze(1), keys, values]


def cache_by_whole_attention(q, k, v, keys, values):
    keys, values = torch.cat([keys, k[:, None]], 1), torch.cat([values, v[:, None]], 1)
    return causal_attention(q[:, None].expand_as(keys), keys, values)[:, -1], keys, values


def cache_by_rows(q, k, v, keys, values):
    out = []
    for b in range(len(q)):
        all_keys, all_values = torch.vstack([keys[b], k[b]]), torch.vstack([values[b], v[b]])
        out.append((torch.softmax(all_keys @ q[b] / math.sqrt(len(q[b])), 0) @ all_values, all_keys, all_values))
    return tuple(torch.stack(part) for part in zip(*out))


def cache_by_two_parts(q, k, v, keys, values):
    """The old places and the new one weighed against one another."""
    scale = q.shape[-1] ** -0.5
    old, own = (keys * q[:, None]).sum(-1) * scale, (k * q).sum(-1, keepdim=True) * scale
    top = torch.cat([old, own], 1).amax(1, keepdim=True)
    a, b = (old - top).exp(), (own - top).exp()
    out = (torch.einsum("bj,bjd->bd", a, values) + b * v) / (a.sum(1, keepdim=True) + b)
    return out, torch.hstack([keys, k[:, None]]), torch.hstack([values, v[:, None]])


def cache_by_torch(q, k, v, keys, values):
    keys, values = torch.cat([keys, k[:, None]], 1), torch.cat([values, v[:, None]], 1)
    return F.scaled_dot_product_attention(q[:, None], keys, values)[:, 0], keys, values


def cache_allotted(q, k, v, keys, values):
    """Room made first, then written into."""
    n, i, d = keys.shape
    all_keys, all_values = keys.new_empty(n, i + 1, d), values.new_empty(n, i + 1, d)
    all_keys[:, :i], all_keys[:, i], all_values[:, :i], all_values[:, i] = keys, k, values, v
    weights = (all_keys @ q[..., None] / d**0.5).softmax(1)
    return (weights * all_values).sum(1), all_keys, all_values


def _cached(out=None, grown=None):
    def answer(q, k, v, keys, values):
        right = cache_step(q, k, v, keys, values)
        return (
            right[0] if out is None else out(q, k, v, keys, values, *right[1:]),
            *(right[1:] if grown is None else grown(q, k, v, keys, values)),
        )

    return answer


def _weighed(q, keys, values, scale=None):
    s = torch.einsum("bd,bjd->bj", q, keys) / (math.sqrt(q.shape[-1]) if scale is None else scale)
    return torch.einsum("bj,bjd->bd", s.softmax(-1), values)


# --- 1.8 the forward KL


def forward_kl(p, q):
    terms = torch.where(p > 0, p * (p.log() - q.log()), 0)
    return terms.sum()


def forward_kl_stub(p, q):
    """KL(p‖q) in nats.   tables of one shape  ->  ()"""
    raise NotImplementedError("your turn")


def kl_by_selection(p, q):
    some = p > 0
    return torch.sum(p[some] * torch.log(p[some] / q[some]))


def kl_by_loop(p, q):
    total = 0.0
    for a, b in zip(p.flatten().tolist(), q.flatten().tolist()):
        if a > 0:
            total += a * math.log(a / b) if b > 0 else math.inf
    return total


def kl_by_xlogy(p, q):
    cross = torch.where((p > 0), -p * q.log(), 0.0)
    return cross.sum() + torch.xlogy(p, p).sum()


def kl_by_rel_entr(p, q):
    from scipy.special import rel_entr

    return rel_entr(p.numpy(), q.numpy()).sum()


def kl_by_entropy(p, q):
    return (-torch.special.xlogy(p, q) - torch.special.entr(p)).sum()


def kl_by_nansum(p, q):
    return (p * torch.log(p / q)).nansum()


def kl_by_numpy(p, q):
    a, b = p.double().numpy().ravel(), q.double().numpy().ravel()
    with np.errstate(all="ignore"):
        return float(np.where(a == 0, 0.0, a * np.log(a / b)).sum())


def kl_by_nan_to_num(p, q):
    terms = p * (p.log() - q.log())
    return torch.where(terms.isnan(), torch.zeros_like(terms), terms).sum().reshape(1)


def kl_naive(p, q):
    return (p * (p / q).log()).sum()


def kl_with_epsilon(p, q):
    return (p * ((p + 1e-8) / (q + 1e-8)).log()).sum()


def kl_where_both(p, q):
    some = (p > 0) & (q > 0)
    return (p[some] * (p[some] / q[some]).log()).sum()


def kl_finite(p, q):
    return (p * (p.log() - q.log())).nan_to_num(0, posinf=0, neginf=0).sum()


def kl_by_library(p, q):
    """Rightly called; but where p and q are both 0 it gives NaN."""
    return F.kl_div(q.log(), p, reduction="sum")


def kl_by_categorical(p, q):
    a, b = Categorical(probs=p.flatten()), Categorical(probs=q.flatten())
    return torch.distributions.kl_divergence(a, b)


# --- 1.9 the f-divergence


def f_divergence(f, p, q):
    return (q * f(p / q)).sum()


def f_divergence_stub(f, p, q):
    """D_f(p‖q).   tables of one shape  ->  ()"""


def divergence_by_loop(f, p, q):
    total = torch.zeros(())
    for a, b in zip(p.flatten(), q.flatten()):
        total = total + b * f(a / b)
    return total


def divergence_by_product(f, p, q):
    return q.flatten() @ f(p.flatten() / q.flatten())


def divergence_by_logarithms(f, p, q):
    return (f(torch.exp(p.log() - q.log())) * q).sum().item()


def divergence_by_einsum(f, p, q):
    return torch.einsum("i,i->", q.reshape(-1), f(torch.div(p, q)).reshape(-1))


def divergence_in_double(f, p, q):
    return torch.sum(f(p.double() / q.double()).mul(q.double()))


def divergence_as_mean(f, p, q):
    return (q * f(p / q)).mean() * q.numel()


def divergence_by_weights(f, p, q):
    return np.average(f(p / q).numpy().ravel(), weights=q.numpy().ravel())


def divergence_with_epsilon(f, p, q):
    return (q * f(p / (q + 1e-2))).sum()


# --- 1.10 generators


def generators(t):
    kl, reverse_kl, chi2, tv = t * t.log(), -t.log(), (t - 1) ** 2, (t - 1).abs() / 2
    js = (t * torch.log(2 * t / (1 + t)) + torch.log(2 / (1 + t))) / 2
    return kl, reverse_kl, chi2, js, tv


def generators_stub(t):
    """f of the forward KL, the reverse KL, χ², JS and TV.   t (...)  ->  five of the same shape"""
    raise NotImplementedError("your turn")


def generators_touching(t):
    """Each with slope 0 at 1, so that none is negative."""
    m = (1 + t) / 2
    js = torch.xlogy(t, t) / 2 - m * m.log() - 0 * t
    return torch.xlogy(t, t) - t + 1, t - 1 - t.log(), t**2 - 2 * t + 1, js, (1 - t).abs().div(2)


def generators_sloping(t):
    return [
        t.log() * t + 3 * (t - 1),
        5 - 5 * t - t.log(),
        t**2 - 1,
        generators(t)[3] - 2 * (t - 1),
        (t - 1).clamp(min=0),
    ]


def generators_stacked(t):
    return torch.stack(generators(t))


def generators_by_numpy(t):
    t = t.numpy()
    m = (t + 1) / 2
    return t * np.log(t), -np.log(t), t * (t - 1), (t * np.log(t / m) - np.log(m)) / 2, np.maximum(1 - t, 0)


def generators_by_entropies(t):
    """JS: the entropy of the mean less the mean of the entropies."""
    js = torch.special.entr((1 + t) / 2) - torch.special.entr(t) / 2
    return -torch.special.entr(t), torch.log(1 / t), (t - 1).square(), js, torch.relu(t - 1)


def generators_by_logaddexp(t):
    s = t.log()
    js = (t * s - (1 + t) * torch.logaddexp(s, torch.zeros_like(s)) + (1 + t) * math.log(2)) / 2
    return t * s, -s, torch.expm1(s) ** 2, js, torch.expm1(s).abs() / 2


def generators_by_maximum(t):
    kl, reverse_kl, chi2, js, _ = generators(t)
    return (
        kl,
        reverse_kl,
        chi2,
        js,
        (torch.maximum(t, torch.ones_like(t)) - torch.minimum(t, torch.ones_like(t))) / 2,
    )


def generators_in_double(t):
    return generators(t.double())


def generators_by_conjugation(t):
    """The reverse of D_f has the generator t f(1/t)."""
    f = lambda t: t * t.log()
    return (
        f(t),
        t * f(1 / t),
        t**2 - t,
        (f(t) - f(1 + t) + (1 + t) * math.log(2)) / 2,
        1 - torch.minimum(t, torch.tensor(1.0)),
    )


def _five(**others):
    """The five of the solution, some of them exchanged."""
    names = ("kl", "reverse_kl", "chi2", "js", "tv")

    def answer(t):
        right = dict(zip(names, generators(t)))
        return tuple(others[name](t) if name in others else right[name] for name in names)

    return answer


BANKS = {
    "ar.mask": Bank(
        causal_mask,
        causal_mask_stub,
        {
            "exchanged": (lambda kind, r, c: causal_mask("AB"[kind == "A"], r, c), "Not as they should be"),
            "always A": (lambda kind, r, c: causal_mask("A", r, c), "Not as they should be"),
            "lower-case": (lambda kind, r, c: causal_mask(kind.lower(), r, c), "Not as they should be"),
            "always B": (lambda kind, r, c: causal_mask("B", r, c), "Not as they should be"),
            "rows above": (lambda kind, r, c: mask_whole_row(kind, r - 1, c), "should have the shape"),
            "rows above, padded": (
                lambda kind, r, c: (torch.arange(r) < r // 2).float()[:, None].repeat(1, c),
                "Not as they should be",
            ),
            "one column off": (
                lambda kind, r, c: causal_mask("B", r, c) if kind == "A" else mask_one_too_far(r, c),
                "Not as they should be",
            ),
            "one too many": (
                lambda kind, r, c: (torch.arange(r * c) <= r * c // 2 + (kind == "B")).view(r, c),
                "Not as they should be",
            ),
            "corner": (mask_row_and_corner, "Not as they should be"),
            "next row": (mask_slices_forgotten, "Not as they should be"),
            "lower rows open": (mask_lower_rows_open, "Not as they should be"),
            "rows of columns": (lambda kind, r, c: causal_mask(kind, c, r), "Rows and columns are exchanged"),
            "square": (lambda kind, r, c: causal_mask(kind, r, r), "should have the shape"),
            "rows // 2 twice": (
                lambda kind, r, c: torch.tensor(
                    [[float((i, j) < (r // 2, r // 2 + (kind == "B"))) for j in range(c)] for i in range(r)]
                ),
                "Not as they should be",
            ),
            "a kernel of channels": (lambda kind, r, c: causal_mask(kind, r, c)[None, None], ""),
            "random": (lambda kind, r, c: torch.rand(r, c), "comes in as an argument"),
            "thin": (lambda kind, r, c: causal_mask(kind, r, c) * (min(r, c) > 1), "single row or column"),
        },
        {
            "loop": mask_by_loop,
            "closing": mask_by_closing,
            "counting": mask_by_counting,
            "numpy": mask_by_numpy,
            "triangle": mask_by_triangle,
            "bool": lambda kind, r, c: causal_mask(kind, r, c).bool(),
            "half": lambda kind, r, c: causal_mask(kind, r, c).half(),
            "by B": lambda kind, r, c: causal_mask("B", r, c) - (kind == "A") * (mask_one_hot(r, c)),
            "flip of the complement": lambda kind, r, c: 1 - causal_mask("BA"[kind == "B"], r, c).flip(0, 1),
            "cat": lambda kind, r, c: torch.cat(
                [torch.ones(r * c // 2), torch.tensor([float(kind == "B")]), torch.zeros(r * c // 2)]
            ).view(r, c),
            "cumsum": lambda kind, r, c: (
                (mask_one_hot(r, c).flatten().cumsum(0) - (kind == "B") * mask_one_hot(r, c).flatten())
                .eq(0)
                .view(r, c)
            ),
        },
    ),
    "ar.log_likelihood": Bank(
        log_likelihood,
        log_likelihood_stub,
        {
            "mean": (
                lambda l, x: -F.binary_cross_entropy_with_logits(l, x, reduction="none").flatten(1).mean(1),
                "Your value is the expected one divided by D",
            ),
            "loss": (
                lambda l, x: F.binary_cross_entropy_with_logits(l, x, reduction="none").flatten(1).sum(1),
                "sign",
            ),
            "scalar": (lambda l, x: -F.binary_cross_entropy_with_logits(l, x, reduction="sum"), ""),
            "scalar mean": (lambda l, x: -F.binary_cross_entropy_with_logits(l, x), ""),
            "no sigmoid, logarithms": (
                lambda l, x: (x * l.log() + (1 - x) * (1 - l).log()).flatten(1).sum(1),
                "NaN",
            ),
            "probability": (
                lambda l, x: log_likelihood(l, x).exp(),
                "Your value is the exponential of the expected one",
            ),
            "bits": (lambda l, x: log_likelihood(l, x) / math.log(2), "base 2"),
            "last axis": (
                lambda l, x: -F.binary_cross_entropy_with_logits(l, x, reduction="none").sum(-1),
                "their sum over",
            ),
            "over the batch": (
                lambda l, x: -F.binary_cross_entropy_with_logits(l, x, reduction="none").sum(0),
                "",
            ),
            "probabilities": (likelihood_by_probabilities, "logits are large"),
            "epsilon": (likelihood_with_epsilon, "logits are large"),
            "clamped": (likelihood_clamped, "logits are large"),
            "distribution of probabilities": (likelihood_of_distribution, "logits are large"),
            "detached": (lambda l, x: log_likelihood(l.detach(), x), "cut the graph"),
            "numbers": (lambda l, x: torch.tensor(log_likelihood(l, x).tolist()), "cut the graph"),
            "half detached": (
                lambda l, x: (x * l - F.softplus(l.detach())).flatten(1).sum(1),
                "Part of the graph",
            ),
            "backward": (likelihood_backward, ""),
            "squeezed": (lambda l, x: log_likelihood(l, x).squeeze(), "squeeze()"),
        },
        {
            "logsigmoid": likelihood_by_logsigmoid,
            "sign": likelihood_by_sign,
            "softplus": likelihood_by_softplus,
            "two classes": likelihood_by_two_classes,
            "loop": likelihood_by_loop,
            "where": likelihood_by_where,
            "logaddexp": likelihood_by_logaddexp,
            "distribution": lambda l, x: Bernoulli(logits=l).log_prob(x).reshape(len(x), -1).sum(1),
            "double": lambda l, x: log_likelihood(l.double(), x.double()),
            "column": lambda l, x: log_likelihood(l, x)[:, None],
            "einsum": lambda l, x: torch.einsum("bi->b", F.logsigmoid(torch.where(x > 0, l, -l)).flatten(1)),
            "mean times number": lambda l, x: log_likelihood(l, x) / x[0].numel() * x[0].numel(),
        },
    ),
    "ar.bits_per_dimension": Bank(
        bits_per_dimension,
        bits_per_dimension_stub,
        {
            "nats": (lambda l, x: bits_per_dimension(l, x) * math.log(2), "A factor ln 2"),
            "sum": (lambda l, x: bits_per_dimension(l, x) * x.shape[1], "Your value is D times the expected one"),
            "sign": (lambda l, x: -bits_per_dimension(l, x), "sign"),
            "256": (lambda l, x: bits_per_dimension(l, x) / 8, ""),
            "probabilities": (bits_by_probabilities, "logits are large"),
            "epsilon": (bits_with_epsilon, "logits are large"),
            "by hand": (bits_by_hand, "logits are large"),
            "one number": (lambda l, x: F.cross_entropy(l.flatten(0, 1), x.flatten()) / math.log(2), ""),
            "each token": (lambda l, x: -Categorical(logits=l).log_prob(x) / math.log(2), "their mean over"),
            "detached": (lambda l, x: bits_per_dimension(l.detach(), x), "cut the graph"),
            "two symbols": (
                lambda l, x: bits_per_dimension(F.pad(l, (0, 3 - min(3, l.shape[-1]))), x),
                "two symbols alone",
            ),
            "squeezed": (lambda l, x: bits_per_dimension(l, x).squeeze(), "squeeze()"),
            "one less": (lambda l, x: bits_per_dimension(l, x) * x.shape[1] / max(1, x.shape[1] - 1), ""),
        },
        {
            "gather": bits_by_gather,
            "one hot": bits_by_one_hot,
            "flattened": bits_by_flattening,
            "loop": bits_by_loop,
            "nll_loss": bits_by_nll_loss,
            "indices": bits_by_indices,
            "distribution": lambda l, x: -Categorical(logits=l).log_prob(x).mean(-1) / math.log(2),
            "double": lambda l, x: bits_per_dimension(l.double(), x),
            "column": lambda l, x: bits_per_dimension(l, x).view(-1, 1),
            "permuted": lambda l, x: (
                F.cross_entropy(l.permute(0, 2, 1), x, reduction="none").mean(1) / torch.tensor(2.0).log()
            ),
            "vmap": lambda l, x: torch.vmap(F.cross_entropy)(l, x) / math.log(2),
        },
    ),
    "ar.complete": Bank(
        complete,
        complete_stub,
        {
            "cumsum of logits": (complete_from_logarithms, ""),
            "nothing": (lambda f, x, n, u, t: x.clone(), "Your result is the argument x itself, unchanged"),
            "the rest alone": (lambda f, x, n, u, t: complete(f, x, n, u, t)[:, n:], ""),
            "in place": (complete_in_place, "in-place"),
            "own numbers": (complete_own_numbers, "comes in as an argument"),
            "floats": (lambda *args: complete(*args).double(), ".long()"),
            "prefix alone": (lambda f, x, n, u, t: complete(lambda y: f(y[:, :n]), x, n, u, t), ""),
            "one-hot": (lambda f, x, n, u, t: complete(lambda y: f(F.one_hot(y)), x, n, u, t), ""),
            "first row's tokens": (
                lambda f, x, n, u, t: complete(f, x, n, u[:1].expand_as(u), t),
                "Only the first row of the batch is right",
            ),
            "squeezed": (lambda *args: complete(*args).squeeze(), "squeeze()"),
            "blank of −1": (
                lambda f, x, n, u, t: complete(f, torch.where(torch.arange(x.shape[1]) < n, x, -1), n, u, t),
                "",
            ),
        },
        {
            "searchsorted": complete_by_searching,
            "argmax": complete_by_argmax,
            "rows": complete_by_rows,
            "where": complete_by_where,
            "recursion": complete_by_recursion,
            "fixed points": complete_over_all_places,
            "zeros ahead": complete_with_zeros_ahead,
            "no gradients": torch.no_grad()(
                lambda logits_of, x, known, u, temperature: complete(logits_of, x, known, u, temperature)
            ),
            "log probabilities": lambda f, x, n, u, t: complete(lambda y: f(y).log_softmax(-1), x, n, u, t),
            "double": lambda f, x, n, u, t: complete(lambda y: f(y).double(), x, n, u.double(), t),
            "other blanks": lambda f, x, n, u, t: complete(
                f, torch.where(torch.arange(x.shape[1]) < n, x, 1), n, u, t
            ),
            "logarithm of u": _completed(
                lambda l, u, t: (u.log()[:, None] >= (l / t).log_softmax(-1).logcumsumexp(-1)).sum(-1)
            ),
        },
    ),
    "ar.receptive_field": Bank(
        receptive_field,
        receptive_field_stub,
        {
            "derivative": (_field(lambda g, x, r, c: g), "For each pixel True or False is asked"),
            "absolute": (_field(lambda g, x, r, c: g.abs()), "For each pixel True or False is asked"),
            "normalised": (
                _field(lambda g, x, r, c: g.abs() / g.abs().max()),
                "For each pixel True or False is asked",
            ),
            "threshold": (field_by_threshold, "small"),
            "isclose": (field_by_closeness, "small"),
            "relative threshold": (field_by_relative_threshold, "is there a threshold"),
            "no graph": (field_untracked, "requires_grad_()"),
            "on the graph": (field_on_the_graph, "requires_grad"),
            "a batch": (lambda f, x, r, c: receptive_field(f, x[None, None], r, c), ""),
            "indices": (lambda f, x, r, c: receptive_field(f, x, r, c).nonzero(), ""),
            "count": (lambda f, x, r, c: receptive_field(f, x, r, c).sum(), ""),
            "transposed": (lambda f, x, r, c: receptive_field(f, x, r, c).T, ""),
            "squared": (_field(lambda g, x, r, c: g**2 > 1e-8), "small"),
            "rounded": (_field(lambda g, x, r, c: g.round(decimals=4) != 0), "small"),
            "rows above": (
                _field(lambda g, x, r, c: torch.arange(len(x))[:, None].expand(x.shape) <= r),
                "pixels are marked",
            ),
            "everything": (lambda f, x, r, c: torch.ones_like(x), "pixels are marked"),
            "squeezed": (lambda *args: receptive_field(*args).squeeze(), "squeeze()"),
        },
        {
            "backward": field_by_backward,
            "jacobian": field_by_jacobian,
            "forward mode": field_by_forward_mode,
            "differences": field_by_differences,
            "flipping": field_by_flipping,
            "blank": field_of_a_blank,
            "func": lambda f, x, r, c: torch.func.grad(lambda y: f(y)[r, c])(x) != 0,
            "jacrev": lambda f, x, r, c: torch.func.jacrev(f)(x)[r, c].abs().sign(),
            "floats": lambda *args: receptive_field(*args).float(),
            "list": lambda *args: receptive_field(*args).tolist(),
            "mask of an output": lambda f, x, r, c: (
                torch.func.vjp(f, x)[1](F.one_hot(torch.tensor(r * x.shape[1] + c), x.numel()).view_as(x).to(x))[0]
                != 0
            ),
        },
    ),
    "ar.attention": Bank(
        causal_attention,
        causal_attention_stub,
        {
            "weights": (
                lambda q, k, v: _attention()(q, k, torch.eye(q.shape[1]).to(q).expand(len(q), -1, -1)),
                "",
            ),
            "by hand": (attention_by_hand, "scores q·k are large"),
            "−100": (attention_weakly_masked, "scores q·k are large"),
            "numpy": (attention_by_numpy, "cut the graph"),
            "weights cut": (
                lambda q, k, v: _attention(weights=lambda s: s.softmax(-1).detach())(q, k, v),
                "cut the graph",
            ),
            "q cut": (lambda q, k, v: causal_attention(q.detach(), k, v), "cut the graph"),
            "last place": (lambda q, k, v: causal_attention(q, k, v)[:, -1], ""),
            "squeezed": (lambda q, k, v: causal_attention(q, k, v).squeeze(), "squeeze()"),
        },
        {
            "loop": attention_by_loop,
            "torch": attention_by_torch,
            "adding": attention_by_adding,
            "−1e9": attention_by_a_large_number,
            "rows": attention_by_rows,
            "shared root": attention_shared_root,
            "online": attention_online,
            "double": attention_in_double,
            "heads of one": lambda q, k, v: F.scaled_dot_product_attention(
                *(h[:, None] for h in (q, k, v)), is_causal=True
            )[:, 0],
            "vmap": lambda q, k, v: torch.vmap(lambda a, b, c: attention_by_adding(a[None], b[None], c[None])[0])(
                q, k, v
            ),
            "log softmax": _attention(weights=lambda s: s.log_softmax(-1).exp()),
        },
    ),
    "ar.cache_step": Bank(
        cache_step,
        cache_step_stub,
        {
            "not grown": (_cached(grown=lambda q, k, v, ks, vs: (ks, vs)), ""),
            "slid": (
                _cached(
                    grown=lambda q, k, v, ks, vs: tuple(new[:, 1:] for new in cache_step(q, k, v, ks, vs)[1:])
                ),
                "",
            ),
            "out alone": (lambda *args: cache_step(*args)[0], ""),
            "out last": (lambda *args: (*cache_step(*args)[1:], cache_step(*args)[0]), ""),
            "kept out": (_cached(lambda q, k, v, ks, vs, *new: _weighed(q, *new)[:, None]), ""),
            "all queries": (
                _cached(lambda q, k, v, ks, vs, *new: causal_attention(q[:, None].expand_as(new[0]), *new)),
                "",
            ),
            "squeezed": (lambda *args: tuple(part.squeeze() for part in cache_step(*args)), "squeeze()"),
        },
        {
            "matrix products": cache_by_matrix_products,
            "whole attention": cache_by_whole_attention,
            "rows": cache_by_rows,
            "two parts": cache_by_two_parts,
            "torch": cache_by_torch,
            "allotted": cache_allotted,
            "double": lambda *args: cache_step(*(a.double() for a in args)),
            "column of places": lambda q, k, v, ks, vs: cache_step(q, k, v, ks.clone(), vs.clone()),
            "stack": lambda q, k, v, ks, vs: (
                cache_step(q, k, v, ks, vs)[0],
                torch.stack([*ks.unbind(1), k], 1),
                torch.stack([*vs.unbind(1), v], 1),
            ),
            "numpy": lambda *args: tuple(part.numpy() for part in cache_step(*args)),
        },
    ),
    "ar.forward_kl": Bank(
        forward_kl,
        forward_kl_stub,
        {
            "kl_div": (kl_by_library, "p is 0"),
            "naive": (kl_naive, "p is 0"),
            "epsilon": (kl_with_epsilon, "q is 0 and p is not"),
            "where both": (kl_where_both, "q is 0 and p is not"),
            "finite": (kl_finite, "q is 0 and p is not"),
            "clamped q": (lambda p, q: forward_kl(p, q.clamp(min=1e-6)), "q is 0 and p is not"),
            "large epsilon": (lambda p, q: forward_kl(p + 1e-3, q + 1e-3), ""),
            "each cell": (lambda p, q: torch.where(p > 0, p * (p.log() - q.log()), 0), ""),
            "last axis": (lambda p, q: torch.where(p > 0, p * (p.log() - q.log()), 0).sum(-1), ""),
        },
        {
            "selection": kl_by_selection,
            "loop": kl_by_loop,
            "xlogy": kl_by_xlogy,
            "rel_entr": kl_by_rel_entr,
            "categorical": kl_by_categorical,
            "entropy": kl_by_entropy,
            "nansum": kl_by_nansum,
            "numpy": kl_by_numpy,
            "nan to num": kl_by_nan_to_num,
            "float": lambda p, q: float(forward_kl(p, q)),
            "double": lambda p, q: forward_kl(p.double(), q.double()),
            "by f": lambda p, q: forward_kl(p.flatten(), q.flatten()) + 0.0,
        },
    ),
    "ar.f_divergence": Bank(
        f_divergence,
        f_divergence_stub,
        {
            "weighted mean": (
                lambda f, p, q: (q * f(p / q)).mean(),
                "Your value is the expected one divided by B·D",
            ),
            "sign": (lambda f, p, q: -f_divergence(f, p, q), "sign"),
            "each": (lambda f, p, q: q * f(p / q), ""),
            "last axis": (lambda f, p, q: (q * f(p / q)).sum(-1), ""),
            "half": (lambda f, p, q: f_divergence(f, p, q) / 2, ""),
            "epsilon": (divergence_with_epsilon, ""),
            "without zeros": (lambda f, p, q: (q * f((p / q).clamp(max=1.5))).sum(), ""),
            "q clamped": (lambda f, p, q: (q * f(p / q.clamp(min=0.1))).sum(), ""),
            "root": (lambda f, p, q: f_divergence(f, p, q).abs().sqrt(), ""),
            "square": (lambda f, p, q: f_divergence(f, p, q) ** 2, ""),
            "mixed": (lambda f, p, q: f_divergence(f, p, (p + q) / 2), ""),
            "plus f(1)": (lambda f, p, q: f_divergence(f, p, q) + 0.1, ""),
            "normalised ratio": (lambda f, p, q: (q * f((p / q) / (p / q).sum())).sum(), ""),
        },
        {
            "loop": divergence_by_loop,
            "product": divergence_by_product,
            "logarithms": divergence_by_logarithms,
            "einsum": divergence_by_einsum,
            "double": divergence_in_double,
            "mean times number": divergence_as_mean,
            "average": divergence_by_weights,
            "by rows": lambda f, p, q: sum((b * f(a / b)).sum() for a, b in zip(p, q)),
            "one number": lambda f, p, q: f_divergence(f, p, q).reshape(1),
            "reciprocal": lambda f, p, q: f(p * q.reciprocal()).mul(q).sum(),
        },
    ),
    "ar.generators": Bank(
        generators,
        generators_stub,
        {
            "TV squared": (_five(tv=lambda t: (t - 1) ** 2), "generator of chi2"),
            "constant": (_five(tv=lambda t: (t - 1).abs() / 2 + 0.25), "f(1) = 0"),
            "factor": (_five(tv=lambda t: (t - 1).abs() / 3), "constant factor"),
            "log of t − 1": (_five(kl=lambda t: t * (t - 1).log()), "NaN"),
            "four": (lambda t: generators(t)[:4], ""),
            "order": (lambda t: tuple(generators(t)[k] for k in (0, 1, 2, 4, 3)), "generator of tv"),
            "of the mean": (lambda t: tuple(f.mean(-1) for f in generators(t)), ""),
            "Hellinger": (_five(tv=lambda t: (t.sqrt() - 1) ** 2 / 2), ""),
            "in place": (lambda t: generators(t.log_().exp()), ""),
            "squeezed": (lambda t: tuple(f.squeeze() for f in generators(t)), "squeeze()"),
        },
        {
            "touching": generators_touching,
            "sloping": generators_sloping,
            "stacked": generators_stacked,
            "numpy": generators_by_numpy,
            "entropies": generators_by_entropies,
            "logaddexp": generators_by_logaddexp,
            "maximum": generators_by_maximum,
            "double": generators_in_double,
            "conjugation": generators_by_conjugation,
            "list": lambda t: list(generators(t)),
            "Pearson": _five(chi2=lambda t: t * t - t),
        },
    ),
}
