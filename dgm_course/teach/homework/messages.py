"""What the judge says: one law and one hint for each thing that can go wrong around a value."""

from __future__ import annotations

import numpy as np

from .cases import Case

PASS, NOT_YET, WRONG = "pass", "not yet", "wrong"

TROUBLES = {
    "unfilled": (NOT_YET, "Not yet: the function is still to be written.", ""),
    "none": (WRONG, "Your function returned None.", "Forgot `return`? Without it Python gives None back."),
    "timeout": (
        WRONG,
        "Your function was still running when the time was up.",
        "A loop that never ends, or far too many steps: does the loop's condition ever become false?",
    ),
    "raised": (WRONG, "Your function stopped with an error:", ""),
    "type": (WRONG, "What your function returned is not plain numbers, but:", "Return a torch tensor."),
    "count": (WRONG, "Your function returned the wrong number of things:", "Look at what follows `return`."),
    "signature": (
        WRONG,
        "Your function takes other arguments than the exercise gives:",
        "Keep the first line of the stub as it is.",
    ),
    "backward": (
        WRONG,
        "Your function writes gradients into what it was given (.grad).",
        "Do not call backward inside the loss: return it, and the training loop will call backward.",
    ),
    "flags": (
        WRONG,
        "Your function changes how its arguments are set: requires_grad, or the network's train and eval mode.",
        "What came in belongs to the caller: leave requires_grad_(), train() and eval() away, or set them on a "
        "tensor of your own, such as t.clone().",
    ),
    "uncallable": (
        WRONG,
        "A function was expected; what came is:",
        "Hand over the function itself, by its name without parentheses.",
    ),
}

SIDE_EFFECTS = {
    "mutated": (
        "It changes its arguments.",
        "An in-place operation (`x += …`, `x[i] = …`, a method ending in `_`) writes into the caller's "
        "tensor: write `x = x + …`, or work on a clone.",
    ),
    "random": (
        "It uses the global random stream although nothing random was asked for.",
        "Every random number the exercise needs comes in as an argument: use that one.",
    ),
    "unstable": (
        "A second call with the same arguments gives another result.",
        "Something outlives the call: a global variable, a list that grows, a counter.",
    ),
    "tracks": (
        "The result still carries a gradient.",
        "These values serve as data: compute them under torch.no_grad(), or call .detach() on them.",
    ),
    "detached": (
        "The value is right, but no gradient flows through it.",
        "`.item()`, `.detach()`, `.data`, numpy or torch.no_grad() cut the graph: stay in torch tensors.",
    ),
    "grad_mode": (
        "It switches torch's gradients on or off for everything that follows.",
        "Put the lines that need it under `with torch.no_grad():`, which switches back by itself.",
    ),
    "default_dtype": (
        "It changes torch's default dtype for everything that follows.",
        "Give the tensors you create the dtype of the input instead, dtype=x.dtype.",
    ),
    "tensors": (
        "The values are right, but what follows needs torch tensors in the dtype of the input.",
        "Return tensors themselves, no list around one; torch.as_tensor(values, dtype=x0.dtype) makes one of an array.",
    ),
    "tokens": (
        "The values are right, but tokens are whole numbers: an integer tensor, in the dtype of those that came in.",
        "A float among the factors, an array made by torch.zeros, numpy or a list turns them into something else; "
        "choosing with torch.where keeps them as they are, and .long() brings them back.",
    ),
}

# Said on a passing card: the answer is right, and would be more useful still.
NOTES = {"device": "To run on a GPU as well, create tensors like the input, for example x.new_full(…)."}

ERROR_HINTS = (
    (
        "must match the size",
        "Shapes do not fit: one number a sample, (B,), does not multiply points (B, D); it needs a last "
        "axis, (B, 1), as v[:, None] makes it.",
    ),
    (
        "does not fit x of shape",
        "A field takes one time for each point: t must have the shape (B,), not (B, D) or (1, B).",
    ),
    (
        "this network expects",
        "The network takes points (B, D) and beside them their times: call net(xt, t), it joins them itself.",
    ),
    ("argument: 't'", "A field is asked at a point and a time: field(x, t)."),
    ("shapes cannot be multiplied", "Inner sizes of a matrix product differ: is one factor to be transposed?"),
    (
        "is out of bounds.",
        "A token is larger than the table it is looked up in: K clean tokens are 0 to K − 1, and the mask K is one more.",
    ),
    (
        "for dimension 2 with size",
        "A token is larger than the table it is looked up in: K clean tokens are 0 to K − 1, and the mask K is one more.",
    ),
    (
        "class values must be smaller",
        "A token is larger than the number of classes: beside the K clean tokens the mask is one more.",
    ),
    (
        "log_conditional expects",
        "It is called as log_conditional(visible, x): x are always the clean tokens, whole sequences, and visible is a "
        "tensor of True and False that says which places it may look at.",
    ),
    (
        "does not require grad",
        "No graph leads there. Where a derivative is asked, call requires_grad_() on a clone of your own before using it; "
        "inside a loss take none: return the loss, and the training loop will call backward.",
    ),
    ("size mismatch", "Shapes do not fit: print x.shape and t.shape just before this line."),
    ("same dtype", "float32 meets float64: created tensors should follow the input's dtype, dtype=x.dtype."),
    (
        "expected scalar type",
        "float32 meets float64: created tensors should follow the input's dtype, dtype=x.dtype.",
    ),
    ("numpy() on tensor that requires grad", "numpy cuts the gradient: stay in torch here."),
    ("nameerror", "A name that is not known inside the function: a typing slip, or a variable of another cell?"),
    ("unboundlocalerror", "A variable is read before anything was put into it."),
    ("in-place operation", "An in-place operation writes into a tensor that the gradient needs: write x = x + …"),
    ("not callable", "Something is called like a function that is none: a missing `*` before a parenthesis?"),
    ("recursion", "The function calls itself without end."),
)


def place_of(given: np.ndarray, right: np.ndarray, case: Case) -> tuple[str, str, str]:
    """Where the difference is largest: 'conical, t = 0.3, x = 0.5, x1 = 1', and the two values there."""
    gap = np.nan_to_num(np.abs(given - right), nan=np.inf, posinf=np.inf)
    index = np.unravel_index(int(np.argmax(gap)), gap.shape) if gap.ndim else ()
    shown = case.shown or case.args
    parts = [f"{name} = {text}" for name, value in shown.items() if (text := _entry(value, index))]
    a, b = float(given[index]), float(right[index])
    digits = 4 if f"{a:.4g}" != f"{b:.4g}" else 8
    return ", ".join([case.name, *parts]), f"{a:.{digits}g}", f"{b:.{digits}g}"


def _entry(value: object, index: tuple[int, ...]) -> str:
    """The entry of an argument that belongs to an entry of the result; empty where there is none."""
    if isinstance(value, (int, float)):
        return f"{value:.4g}"
    if not isinstance(value, np.ndarray) or value.ndim > len(index):
        return ""
    at = tuple(0 if size == 1 else i for i, size in zip(index, value.shape, strict=False))
    inside = all(i < size for i, size in zip(at, value.shape, strict=True))
    return f"{float(value[at]):.4g}" if inside else ""
