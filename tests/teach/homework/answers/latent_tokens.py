"""Answers to the homework on models that write codes, right and wrong."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from . import Bank

# --- 10.4 RMSNorm


def rms_norm(h, gain, epsilon):
    return h / torch.sqrt((h**2).mean(1, keepdim=True) + epsilon) * gain


def rms_norm_stub(h, gain, epsilon):
    """h / sqrt(mean h² + ε) · g   (B, C), (C,), number  ->  (B, C)"""
    raise NotImplementedError("your turn")


def rms_by_torch(h, gain, epsilon):
    return F.rms_norm(h, (h.shape[-1],), gain, epsilon)


def rms_by_length(h, gain, epsilon):
    size = torch.linalg.vector_norm(h, dim=-1) ** 2 / h.shape[-1]
    return gain[None] * h * (size + epsilon)[:, None].rsqrt()


def rms_by_rows(h, gain, epsilon):
    return torch.stack([gain * row / (row @ row / len(row) + epsilon) ** 0.5 for row in h])


def rms_negative(h, gain, epsilon):
    return -rms_norm(h, gain, epsilon)


def rms_twice(h, gain, epsilon):
    return 2 * rms_norm(h, gain, epsilon)


def rms_unchanged(h, gain, epsilon):
    return h


# --- 10.5 rotary positions


def rotary_step(x, y, places, speeds):
    angle = places[:, None] * speeds
    return x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()


def rotary_step_stub(x, y, places, speeds): ...


def rotary_complex(x, y, places, speeds):
    angle = torch.outer(places, speeds)
    z = torch.complex(x, y) * torch.polar(torch.ones_like(angle), angle)
    return z.real, z.imag


def rotary_matrices(x, y, places, speeds):
    angle = torch.einsum("b,p->bp", places, speeds)
    turn = torch.stack(
        [torch.stack([angle.cos(), -angle.sin()], -1), torch.stack([angle.sin(), angle.cos()], -1)], -2
    )
    out = (turn @ torch.stack([x, y], -1)[..., None]).squeeze(-1)
    return out[..., 0], out[..., 1]


def rotary_loop(x, y, places, speeds):
    first, second = torch.zeros_like(x), torch.zeros_like(y)
    for i in range(len(places)):
        for j in range(len(speeds)):
            a = places[i] * speeds[j]
            first[i, j] = torch.cos(a) * x[i, j] - torch.sin(a) * y[i, j]
            second[i, j] = torch.sin(a) * x[i, j] + torch.cos(a) * y[i, j]
    return [first, second]


def rotary_by_polar(x, y, places, speeds):
    length, angle = torch.hypot(x, y), torch.atan2(y, x) + places[:, None] * speeds
    return length * angle.cos(), length * angle.sin()


def rotary_first_only(x, y, places, speeds):
    return rotary_step(x, y, places, speeds)[0]


def rotary_joined(x, y, places, speeds):
    return torch.cat(rotary_step(x, y, places, speeds), 1)


def rotary_second_kept(x, y, places, speeds):
    return rotary_step(x, y, places, speeds)[0], y


def rotary_in_place(x, y, places, speeds):
    a, b = rotary_step(x, y, places, speeds)
    with torch.no_grad():
        x.copy_(a)
    return x, b


def rotary_unchanged(x, y, places, speeds):
    return x, y


# --- 10.6 the block-causal mask


def block_causal(sides):
    scale = torch.repeat_interleave(torch.arange(len(sides)), sides**2)
    return scale[:, None] >= scale[None, :]


def block_causal_stub(sides):
    """True where the row may attend to the column   (S,)  ->  (L, L)"""
    pass


def mask_by_blocks(sides):
    counts = [int(s) ** 2 for s in sides]
    allowed = torch.zeros(sum(counts), sum(counts))
    start = 0
    for count in counts:
        allowed[start : start + count, : start + count] = 1
        start += count
    return allowed


def mask_by_loops(sides):
    scale = [k for k, s in enumerate(sides.tolist()) for _ in range(s * s)]
    return torch.tensor([[scale[j] <= scale[i] for j in range(len(scale))] for i in range(len(scale))])


def mask_of_scales(sides):
    small = torch.ones(len(sides), len(sides)).tril().bool()
    return small.repeat_interleave(sides**2, 0).repeat_interleave(sides**2, 1)


def mask_of_sides(sides):
    scale = torch.repeat_interleave(torch.arange(len(sides)), sides)
    return scale[:, None] >= scale


def mask_of_scales_alone(sides):
    return torch.ones(len(sides), len(sides)).tril()


def mask_of_lengths(sides):
    return (sides**2).cumsum(0)


# --- 10.7 one scale


def one_scale(rest, vectors, side):
    small = F.interpolate(rest, size=(side, side), mode="area")
    codes = (small.movedim(1, -1)[..., None, :] - vectors).square().sum(-1).argmin(-1)
    predicted = F.interpolate(vectors[codes].movedim(-1, 1), size=rest.shape[2:], mode="bilinear")
    return codes, rest - predicted


def one_scale_stub(rest, vectors, side):
    """codes, what is left   (B, C, H, H), (K, C), number  ->  (B, s, s), (B, C, H, H)"""
    raise NotImplementedError("your turn")


def scale_by_pooling(rest, vectors, side):
    small = F.adaptive_avg_pool2d(rest, side).permute(0, 2, 3, 1)
    codes = torch.cdist(small.reshape(-1, small.shape[-1]), vectors).argmin(1).reshape(small.shape[:-1])
    up = torch.nn.Upsample(size=rest.shape[-1], mode="bilinear")(vectors[codes].permute(0, 3, 1, 2))
    return codes, torch.sub(rest, up)


def scale_by_one_hot(rest, vectors, side):
    small = F.interpolate(rest, size=side, mode="area")
    score = torch.einsum("bchw,kc->bkhw", small, vectors) - vectors.pow(2).sum(1)[:, None, None] / 2
    codes = score.argmax(1)
    predicted = torch.einsum("bhwk,kc->bchw", F.one_hot(codes, len(vectors)).to(rest), vectors)
    return codes, rest - F.interpolate(predicted, size=rest.shape[-1], mode="bilinear", align_corners=False)


def scale_by_loops(rest, vectors, side):
    size, out, numbers = rest.shape[-1], [], []
    for picture in rest:
        codes = torch.zeros(side, side, dtype=torch.long)
        for r in range(side):
            for c in range(side):
                rows = slice(r * size // side, -(-(r + 1) * size // side))
                columns = slice(c * size // side, -(-(c + 1) * size // side))
                mean = picture[:, rows, columns].mean((1, 2))
                codes[r, c] = int(((vectors - mean) ** 2).sum(1).argmin())
        numbers.append(codes)
        out.append(
            picture - F.interpolate(vectors[codes].permute(2, 0, 1)[None], size=(size, size), mode="bilinear")[0]
        )
    return torch.stack(numbers), torch.stack(out)


def scale_left_small(rest, vectors, side):
    codes, _ = one_scale(rest, vectors, side)
    return codes, F.adaptive_avg_pool2d(rest, side) - vectors[codes].movedim(-1, 1)


def scale_exchanged(rest, vectors, side):
    return one_scale(rest, vectors, side)[::-1]


def scale_codes_alone(rest, vectors, side):
    return one_scale(rest, vectors, side)[0]


def scale_flat_codes(rest, vectors, side):
    codes, left = one_scale(rest, vectors, side)
    return codes.flatten(1), left


def scale_not_shrunk(rest, vectors, side):
    codes = (rest.movedim(1, -1)[..., None, :] - vectors).square().sum(-1).argmin(-1)
    return codes, rest - vectors[codes].movedim(-1, 1)


def scale_from_one(rest, vectors, side):
    codes, left = one_scale(rest, vectors, side)
    return codes + 1, left


BANKS = {
    "lat.rms_norm": Bank(
        rms_norm,
        rms_norm_stub,
        {
            "minus": (rms_negative, "The sign is reversed"),
            "twice": (rms_twice, "exactly twice"),
            "unchanged": (rms_unchanged, "argument h itself"),
        },
        {"torch": rms_by_torch, "length": rms_by_length, "rows": rms_by_rows},
    ),
    "lat.rotary_step": Bank(
        rotary_step,
        rotary_step_stub,
        {
            "one result": (rotary_first_only, "x_turned, y_turned"),
            "joined": (rotary_joined, "x_turned, y_turned"),
            "second kept": (rotary_second_kept, "y"),
            "in place": (rotary_in_place, "cut"),
            "unchanged": (rotary_unchanged, "argument x itself"),
        },
        {"complex": rotary_complex, "matrices": rotary_matrices, "loop": rotary_loop, "polar": rotary_by_polar},
    ),
    "lat.block_causal": Bank(
        block_causal,
        block_causal_stub,
        {
            "sides": (mask_of_sides, "should have the shape"),
            "scales": (mask_of_scales_alone, "should have the shape"),
            "lengths": (mask_of_lengths, "Too few numbers"),
        },
        {"blocks": mask_by_blocks, "loops": mask_by_loops, "of scales": mask_of_scales},
    ),
    "lat.one_scale": Bank(
        one_scale,
        one_scale_stub,
        {
            "left small": (scale_left_small, "should have the shape"),
            "exchanged": (scale_exchanged, "in the other order"),
            "codes alone": (scale_codes_alone, "codes, left"),
            "flat": (scale_flat_codes, "reshape them"),
            "not shrunk": (scale_not_shrunk, "should have the shape"),
            "from one": (scale_from_one, "plus 1"),
        },
        {"pooling": scale_by_pooling, "one-hot": scale_by_one_hot, "loops": scale_by_loops},
    ),
}
