"""MobileNetV1 (Howard et al., arXiv:1704.04861) at any width: channels are cut, not rounded, as Keras does."""

from __future__ import annotations

from refsim.graph import Graph
from refsim.zoo.blocks import CLASSES, begin, classified, conv, depthwise
from refsim.zoo.calibration import calibrated

RESOLUTION = 224
STEM = 32
LAYERS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def build(name: str, resolution: int | None = None) -> Graph:
    """The network in int8. The width is the number behind the last "w" of the name."""
    return calibrated(float_graph(name, resolution))


def float_graph(name: str, resolution: int | None = None) -> Graph:
    """The same network in float32, before calibration."""
    width = float(name.rpartition("-w")[2])
    b, x = begin(name, resolution or RESOLUTION)
    x = conv(b, x, max(1, int(STEM * width)), 3, 2, "relu6")
    for channels, stride in LAYERS:
        x = depthwise(b, x, 3, stride)
        x = conv(b, x, max(1, int(channels * width)), activation="relu6")
    return b.build(classified(b, x, CLASSES))
