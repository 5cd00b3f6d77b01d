"""A network like those of MCUNetV2 (Lin et al., NeurIPS 2021), with squeeze-and-excite; the paper lists none.

Small kernels first, so that patches overlap little, and large ones behind them; squeeze-and-excite where OFA's
MobileNetV3 space has it (mit-han-lab/mcunet @9c164f8, tinynas/elastic_nn; reduction 4, multiples of 8).
The gate is the hard sigmoid, relu6(z + 3) / 6: z + 3 comes from the bias, relu6 is fused, and the 6 is left to the
projection's weights, so that MEAN, CONV_2D and MUL suffice. Activations are ReLU6 throughout, not h-swish.
"""

from __future__ import annotations

import numpy as np

from refsim.builder import Builder, seeded_weights
from refsim.graph import Graph, Tensor
from refsim.zoo.blocks import CLASSES, Block, begin, classified, conv, depthwise, divisible, stages
from refsim.zoo.calibration import calibrated

RESOLUTION, STEM = 160, 16
REDUCTION, GATE_SHIFT = 4, 3.0
PLAIN = stages("8: 1k3 | 16: 4k3/2 3k3 3k3 | 24: 4k3/2 4k3 4k5")
GATED = stages("40: 5k5/2 4k7 4k5 | 64: 5k7 4k5 4k5 | 112: 5k5/2 4k7 4k7 | 160: 5k7")


def build(name: str, resolution: int | None = None) -> Graph:
    """The network in int8."""
    return calibrated(float_graph(name, resolution))


def float_graph(name: str, resolution: int | None = None) -> Graph:
    """The same network in float32, before calibration."""
    b, x = begin(name, resolution or RESOLUTION)
    x = conv(b, x, STEM, 3, 2, "relu6")
    for stage in (*PLAIN, *GATED):
        for n, block in enumerate(stage.blocks):
            shortcut = n > 0 and block.stride == 1
            x = _bottleneck(b, x, stage.channels, block, shortcut, gated=stage in GATED)
    return b.build(classified(b, x, CLASSES))


def _bottleneck(b: Builder, x: Tensor, channels: int, block: Block, shortcut: bool, gated: bool) -> Tensor:
    y = conv(b, x, x.shape[3] * block.expansion, activation="relu6") if block.expansion != 1 else x
    y = depthwise(b, y, block.kernel, block.stride)
    y = conv(b, b.mul(y, _gate(b, y)) if gated else y, channels)
    return b.add(y, x) if shortcut else y


def _gate(b: Builder, x: Tensor) -> Tensor:
    """Six times the hard sigmoid of each channel: (1, 1, 1, channels)."""
    channels = x.shape[3]
    z = conv(b, b.mean(x, (1, 2), keep_dims=True), divisible(channels / REDUCTION), activation="relu")
    shift = np.full(channels, GATE_SHIFT, np.float32)
    w = seeded_weights((channels, 1, 1, z.shape[3]), channels)
    return b.conv2d(b.pad(z, ((0, 0),) * 4), weights=w, bias=shift, padding="valid", activation="relu6")
