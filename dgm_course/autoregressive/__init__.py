"""Autoregressive models: the chain rule, and a network for its factors.      (intro lecture, Chain Rule, Parameterization)

    p(x) = Π_i p(x_i | x_<i),      p(x_i = k | x_<i) = softmax(f(x_<i))_k

One pass of the network gives log p(x) exactly; the loss is its negative mean.  The families differ in f: masked convolutions
(`PixelCNN`, `GatedPixelCNN`), a recurrence over rows (`PixelRNN`), attention (`ImageGPT`; `LlamaGen` with a network that is
passed in, and guidance), a masked MLP (`MADE`).
"""
# ruff: noqa: F401

from .families import MADE, GatedPixelCNN, ImageGPT, PixelCNN, PixelRNN
from .llamagen import LlamaGen, guided
from .model import Autoregressive, receptive_field, sample_categorical, uncached
from .patches import PatchModel
