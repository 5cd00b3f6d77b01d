"""ResNet-18 and -50 (He et al., arXiv:1512.03385; stride in the 3x3) and MLPerf Tiny's ResNet-8.

ResNet-8: layers and shapes of mlcommons/tiny @1afd2c9, image_classification/trained_models, pretrainedResnet_quant,
which pads inside its convolutions. The larger two pad explicitly, as the other image networks do; their max pooling is
SAME.
"""

from __future__ import annotations

from refsim.builder import Builder
from refsim.graph import Graph, Tensor
from refsim.zoo.blocks import CLASSES, begin, classified, conv
from refsim.zoo.calibration import calibrated

RESOLUTIONS = {"resnet-8": 32, "resnet-18": 224, "resnet-50": 224}
DEPTHS = {"resnet-18": (2, 2, 2, 2), "resnet-50": (3, 4, 6, 3)}
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4  # of ResNet-50's blocks
TINY_WIDTHS, TINY_CLASSES = (16, 32, 64), 10


def build(name: str, resolution: int | None = None) -> Graph:
    """The network in int8."""
    return calibrated(float_graph(name, resolution))


def float_graph(name: str, resolution: int | None = None) -> Graph:
    """The same network in float32, before calibration."""
    b, x = begin(name, resolution or RESOLUTIONS[name])
    return b.build(_tiny(b, x) if name == "resnet-8" else _large(b, x, name))


def _tiny(b: Builder, x: Tensor) -> Tensor:
    x = b.conv2d(x, TINY_WIDTHS[0], 3, activation="relu")
    for stage, filters in enumerate(TINY_WIDTHS):
        stride = 1 if stage == 0 else 2
        y = b.conv2d(x, filters, 3, stride=stride, activation="relu")
        y = b.conv2d(y, filters, 3)
        x = b.add(x if stage == 0 else b.conv2d(x, filters, 1, stride=stride), y, activation="relu")
    x = b.average_pool_2d(x, (x.shape[1], x.shape[2]))
    x = b.fully_connected(b.reshape(x, (1, TINY_WIDTHS[-1])), TINY_CLASSES)
    return b.softmax(x)


def _large(b: Builder, x: Tensor, name: str) -> Tensor:
    block = _bottleneck if name == "resnet-50" else _basic
    x = conv(b, x, WIDTHS[0], 7, 2, "relu")
    x = b.max_pool_2d(x, 3, 2, padding="same")
    for stage, (filters, depth) in enumerate(zip(WIDTHS, DEPTHS[name], strict=True)):
        for n in range(depth):
            x = block(b, x, filters, 2 if stage and n == 0 else 1)
    return classified(b, x, CLASSES)


def _basic(b: Builder, x: Tensor, filters: int, stride: int) -> Tensor:
    y = conv(b, x, filters, 3, stride, "relu")
    y = conv(b, y, filters, 3)
    return b.add(y, _shortcut(b, x, filters, stride), activation="relu")


def _bottleneck(b: Builder, x: Tensor, filters: int, stride: int) -> Tensor:
    y = conv(b, x, filters, activation="relu")
    y = conv(b, y, filters, 3, stride, "relu")
    y = conv(b, y, filters * EXPANSION)
    return b.add(y, _shortcut(b, x, filters * EXPANSION, stride), activation="relu")


def _shortcut(b: Builder, x: Tensor, channels: int, stride: int) -> Tensor:
    return x if stride == 1 and x.shape[3] == channels else conv(b, x, channels, 1, stride)
