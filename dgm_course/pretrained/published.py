"""The cards' figures beside published ones; ``source``: where it was read; ``differs``: how the measurement differs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PublishedResult:
    """A published figure; ``figure``: the path of its counterpart on the card ("" is the card's main figure)."""

    value: str
    what: str
    source: str
    differs: str = ""
    figure: str = ""


Result = PublishedResult
ZOO = "README of github.com/EugenHotaj/pytorch-generative"
PYTHAE = "examples/scripts/reproducibility/README.md of pythae"
PIXELS = "sotaverified.org/papers/pixel-recurrent-neural-networks"
FLOWS = "tutorial 11 of github.com/phlippe/uvadlc_notebooks"
FRESH = "bits drawn anew for training and test"
FIXED = "the fixed bits of Larochelle"
TIGHT, EIGHT = "official_test.importance_weighted", "official_test_8_draws"
PRIOR = Result(
    "85.57",
    "VAE with a VampPrior of 500 inputs, importance-weighted with 5,000 draws (reproduced there: 85.79)",
    PYTHAE,
    f"{FIXED}; gated layers, a tighter bound, and encoder and decoder learn along with the prior",
    "official_test.nats",
)
ANCHORS: dict[str, tuple[Result, ...]] = {
    "pixel_cnn_digits": (
        Result("81.30", "PixelCNN", PIXELS, FIXED),
        Result("81.45", "PixelCNN of 15 residual blocks, 457 epochs", ZOO, FRESH),
    ),
    "pixel_rnn_digits": (Result("79.20", "PixelRNN, seven diagonal BiLSTM layers", PIXELS, FIXED),),
    "image_gpt_digits": (Result("79.17", "an ImageGPT of 8 blocks and 64 channels, 457 epochs", ZOO, FRESH),),
    "vae_digits": (
        Result(
            "86.76",
            "VAE of one stochastic layer, importance-weighted with 5,000 draws",
            "the IWAE paper (Burda, Grosse and Salakhutdinov), quoted",
            "3,280 epochs",
            TIGHT,
        ),
        Result(
            "89.9",
            "VAE 784-400-40, importance-weighted with 200 draws (reproduced there: 89.78)",
            PYTHAE,
            FIXED,
            TIGHT,
        ),
    ),
    "prior_mixture_digits": (PRIOR,),
    "prior_vamp_digits": (PRIOR,),
    "prior_realnvp_digits": (PRIOR,),
    "prior_maf_digits": (PRIOR,),
    "flow_digits": (
        Result("1.078", "eight couplings, importance-weighted with 8 draws, 200 epochs", FLOWS, "", EIGHT),
        Result("1.020", "multi-scale with variational dequantisation, 1.71 million weights", FLOWS, "", EIGHT),
    ),
    "absorbing_digits": (
        Result(
            "87.13",
            "order-agnostic NADE of two hidden layers, the same objective",
            "README of github.com/yaoli/nade_k",
            FIXED,
        ),
        Result(
            "79.46",
            "Bayesian flow network, 100 steps",
            "Table 6 of the paper on SLM, quoted",
            "another family of processes",
        ),
    ),
    "digit_classifier": (
        Result(
            "0.996", "a classifier trained on the real digits", "README of github.com/VSehwag/minimal-diffusion"
        ),
    ),
}
# Added where the card has such a figure.
ALSO: dict[str, tuple[Result, ...]] = {
    "taught": (
        Result(
            "0.990",
            "a classifier taught by samples of a DDPM alone",
            "README of github.com/VSehwag/minimal-diffusion",
            "50,000 samples; 2.1 hours of four GPUs",
        ),
    ),
    "classes": (
        Result(
            "24.8 ± 0.2 of 25",
            "modes of a grid found by PacGAN in packs of four",
            "Table 1 of github.com/fjxmlzn/PacGAN, synthetic_data_experiments",
            "a grid in the plane",
        ),
    ),
}
# Where the card's main figure is one of these and the name is not in ANCHORS.
BY_FIGURE: dict[str, tuple[Result, ...]] = {
    "frechet": (
        Result(
            "1.95 × its floor",
            "DDPM of 1,000 steps on Fashion-MNIST, 2,048 samples: 3.73 over 1.91",
            "nbs/20_DDIM of github.com/fastai/course22p2",
            "other data and other features: only the ratio can be read",
        ),
    )
}
UNITS = {  # the first one found is a card's main figure
    "nats": "nats",
    "bits_per_dim": "bits a dimension",
    "frechet": "Fréchet distance",
    "squared_error": "squared error",
    "squared_error_both": "squared error",
    "accuracy": "accuracy",
}
ASIDE = {
    "frechet_floor": "floor",
    "uniform_nats": "uniform codes",
    "precision": "precision",
    "recall": "recall",
    "classes": "classes found",
    "recognised": "recognised",
    "recognised_originals": "of the originals",
    "taught": "right by a classifier taught by samples alone",
    "taught_by_real": "by one taught by as many real digits",
    "recognised_as_asked": "recognised as asked",
    "gain": "nats gained over N(0, I)",
}


def lines(cards: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The table, some lines for each card."""
    yield "Held-out figures as the cards of the weights have them, and published ones as the document named in [] has them."
    for card in cards:
        part, key = _main(card)
        anchors = (
            *(ANCHORS.get(card["name"]) or BY_FIGURE.get(key, ())),
            *(a for k in part for a in ALSO.get(k, ())),
        )
        yield f"{card['name']:22} {_figure(part, key)}"
        beside = [f"{what} {part[name]:g}" for name, what in ASIDE.items() if name in part]
        yield from _indented("beside", ", ".join(beside))
        yield from _indented("how", part.get("protocol") or card["held_out"]["protocol"])
        for anchor in anchors:
            line = f"{anchor.value}   {anchor.what} [{anchor.source}]"
            yield from _indented("published", line + (f"; {anchor.differs}" if anchor.differs else ""))
        if not anchors:
            yield from _indented("published", "no figure of the same thing was found")


def _main(card: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The part of a card that a published result refers to, else that of the largest test set, and its main key."""
    held = card["held_out"]
    path = next((anchor.figure for anchor in ANCHORS.get(card["name"], ())), "")
    steps = path.split(".") if path else ["official_test"] if "official_test" in held else []
    key = steps.pop() if steps and steps[-1] in UNITS else ""
    for step in steps:
        held = held[step]
    return held, key or next((name for name in UNITS if name in held), "")


def _figure(part: dict[str, Any], key: str) -> str:
    """A figure with its error, and a distance as so many times its floor."""
    if not key:
        return "no figure of a known kind"
    error = part.get("nats_error" if "nats_error" in part else "standard_error")
    figure = f"{part[key]:g}" + (f" ± {error:g}" if error is not None else "") + f" {UNITS[key]}"
    if "frechet_floor" in part and key == "frechet":
        figure += f" = {part[key] / part['frechet_floor']:.2f} × its floor"
    return figure


def _indented(what: str, text: str) -> list[str]:
    return textwrap.wrap(text, 120, initial_indent=f"  {what:10}", subsequent_indent=" " * 12)
