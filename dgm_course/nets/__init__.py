"""Networks: no loss, no sampling, no training loop.  Their layers are in the modules of the same name.

* mlp, unet, conv: fields net(x, t, y), dense networks, encoders and decoders of grids, the digit classifier
* gan: generators and discriminators;  masked, transformer: the layers of autoregressive models
"""

from .conv import DigitClassifier, GridDecoder, GridEncoder, GridField, PatchCritic, TwoLevels
from .gan import (
    DCCritic,
    DCGenerator,
    MixtureLatent,
    MLPDiscriminator,
    MLPGenerator,
    PacDiscriminator,
    StyleGenerator,
    adain,
)
from .masked import (
    CausalAttention,
    CausalBlock,
    GatedLayer,
    MaskedConv2d,
    MaskedLinear,
    RowLSTM,
    lstm,
    raster_mask,
)
from .mlp import MLP, DenseNet, TimeFeatures, TokenMLP
from .transformer import Llama, RotaryAttention, SwiGLU, angles, grid_positions, rotary
from .unet import DeepUNet, LightUNet, TokenUNet, UNet

__all__ = ["DigitClassifier", "GridDecoder", "GridEncoder", "GridField", "PatchCritic", "TwoLevels"]
__all__ += ["DCCritic", "DCGenerator", "MixtureLatent", "MLPDiscriminator", "MLPGenerator", "PacDiscriminator"]
__all__ += ["StyleGenerator", "adain"]
__all__ += ["CausalAttention", "CausalBlock", "GatedLayer", "MaskedConv2d", "MaskedLinear", "RowLSTM", "lstm"]
__all__ += ["raster_mask", "MLP", "DenseNet", "TimeFeatures", "TokenMLP"]
__all__ += ["Llama", "RotaryAttention", "SwiGLU", "angles", "grid_positions", "rotary"]
__all__ += ["DeepUNet", "LightUNet", "TokenUNet", "UNet"]
