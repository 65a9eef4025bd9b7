"""Networks, and nothing but networks: no loss, no sampling, no training loop."""
from .classifier import DigitClassifier
from .conv import GridDecoder, GridEncoder, Residual, TwoLevels
from .dense import DenseNet
from .gan import Choice, Critic, DCCritic, DCGenerator, Packed, Sculptor, StyleGenerator, StyleLayer, adain
from .grid import GridField, PatchCritic
from .masked import (
    CausalAttention,
    CausalBlock,
    GatedLayer,
    MaskedConv2d,
    MaskedLinear,
    Memory,
    RowLSTM,
    Rows,
    Walk,
    gate,
    lstm,
    norm_alone,
    pointwise,
    product_alone,
    raster_mask,
    rows_mask,
)
from .mlp import MLP, TimeFeatures, TokenMLP
from .transformer import EPSILON, Llama, LlamaBlock, RotaryAttention, SwiGLU, angles, grid_positions, rotary, turned
from .unet import Block, DeepUNet, Doubling, LightUNet, NarrowUNet, PlaceBlock, PlaceNorm, SelfAttention, TokenUNet, UNet

__all__ = ["Block", "CausalAttention", "CausalBlock", "Choice", "Critic", "DCCritic", "DCGenerator", "DeepUNet", "DenseNet", "DigitClassifier", "Doubling", "EPSILON", "GatedLayer", "GridDecoder", "GridEncoder", "GridField", "LightUNet", "Llama", "LlamaBlock", "MLP", "MaskedConv2d", "MaskedLinear", "Memory", "NarrowUNet", "Packed", "PatchCritic", "PlaceBlock", "PlaceNorm", "Residual", "RotaryAttention", "RowLSTM", "Rows", "Sculptor", "SelfAttention", "StyleGenerator", "StyleLayer", "SwiGLU", "TimeFeatures", "TokenMLP", "TokenUNet", "TwoLevels", "UNet", "Walk", "adain", "angles", "gate", "grid_positions", "lstm", "norm_alone", "pointwise", "product_alone", "raster_mask", "rotary", "rows_mask", "turned"]
