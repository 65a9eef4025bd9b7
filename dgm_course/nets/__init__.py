"""Networks, and nothing but networks: no loss, no sampling, no training loop."""
from .classifier import DigitClassifier
from .conv import GridDecoder, GridEncoder, Residual, TwoLevels
from .dense import DenseNet
from .gan import (
    DCCritic,
    DCGenerator,
    MixtureLatent,
    MLPDiscriminator,
    MLPGenerator,
    PacDiscriminator,
    StyleGenerator,
    StyleLayer,
    adain,
)
from .grid import GridField, PatchCritic
from .masked import (
    CachedConv2d,
    CachedRowConv,
    CausalAttention,
    CausalBlock,
    GatedLayer,
    KVCache,
    MaskedConv2d,
    MaskedLinear,
    RowLSTM,
    fast_layer_norm,
    fast_linear,
    gate,
    lstm,
    pointwise,
    raster_mask,
    rows_mask,
)
from .mlp import MLP, TimeFeatures, TokenMLP
from .transformer import EPSILON, Llama, LlamaBlock, RotaryAttention, SwiGLU, angles, grid_positions, rotary, turned
from .unet import (
    AdditiveSkipUNet,
    Block,
    DeepUNet,
    LayerNorm2d,
    LightUNet,
    PlaceBlock,
    SelfAttention,
    TokenUNet,
    UNet,
    Upsample2x,
)

__all__ = ["Block", "CausalAttention", "CausalBlock", "MixtureLatent", "MLPDiscriminator", "DCCritic", "DCGenerator", "DeepUNet", "DenseNet", "DigitClassifier", "Upsample2x", "EPSILON", "GatedLayer", "GridDecoder", "GridEncoder", "GridField", "LightUNet", "Llama", "LlamaBlock", "MLP", "MaskedConv2d", "MaskedLinear", "KVCache", "AdditiveSkipUNet", "PacDiscriminator", "PatchCritic", "PlaceBlock", "LayerNorm2d", "Residual", "RotaryAttention", "RowLSTM", "CachedRowConv", "MLPGenerator", "SelfAttention", "StyleGenerator", "StyleLayer", "SwiGLU", "TimeFeatures", "TokenMLP", "TokenUNet", "TwoLevels", "UNet", "CachedConv2d", "adain", "angles", "gate", "grid_positions", "lstm", "fast_layer_norm", "pointwise", "fast_linear", "raster_mask", "rotary", "rows_mask", "turned"]
