"""Autoregressive models: the chain rule, and a network for its factors.

    p(x) = Π_i p(x_i | x_<i),      p(x_i = k | x_<i) = softmax(f(x_<i))_k      (intro lecture, Chain Rule, Parameterization)

Nothing is approximated: log p(x) is a sum that one pass of the network gives, and its mean is the loss.  The families
differ in how f remembers the past, and in nothing else:

* `PixelCNN` cuts the context: masked convolutions.  `GatedPixelCNN`: the same without a blind spot.
* `PixelRNN` carries a state from row to row.
* `ImageGPT` attends to all places before.
* `LlamaGen` attends as well, by a network that is passed in: codes of pictures, with guidance.
* `MADE` is an MLP with connections removed, for short sequences of any kind.
"""

from .families import MADE, GatedPixelCNN, ImageGPT, PixelCNN, PixelRNN
from .llamagen import LlamaGen, guided
from .model import Autoregressive, receptive_field, sample_categorical, uncached
from .patches import PatchModel

__all__ = [
    "MADE",
    "Autoregressive",
    "GatedPixelCNN",
    "ImageGPT",
    "PatchModel",
    "LlamaGen",
    "PixelCNN",
    "PixelRNN",
    "guided",
    "sample_categorical",
    "receptive_field",
    "uncached",
]
