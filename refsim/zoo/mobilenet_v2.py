"""MobileNetV2 (Sandler et al., arXiv:1801.04381) at any width.

mobilenet-v2-wW keeps at least 1280 channels in its last 1x1, as the paper's does; mbv2-wW scales those too, as
mit-han-lab/mcunet @9c164f8 does, and ends as its files do. Every width is rounded by `divisible`.
"""

from __future__ import annotations

from refsim.graph import Graph
from refsim.zoo.blocks import Bottlenecks, bottlenecks, divisible, widened
from refsim.zoo.calibration import calibrated

STEM, MIX = 32, 1280
CHANNELS = (16, 24, 32, 64, 96, 160, 320)
BLOCKS = ("1k3", "6k3/2 6k3", "6k3/2 6k3 6k3", "6k3/2 6k3 6k3 6k3", "6k3 6k3 6k3", "6k3/2 6k3 6k3", "6k3")
RESOLUTIONS = {"mbv2-w0.3": 80, "mbv2-w0.35": 144}  # of the releases; 224 for others


def build(name: str, resolution: int | None = None) -> Graph:
    """The network in int8. The width is the number behind the last "w" of the name."""
    return calibrated(float_graph(name, resolution))


def float_graph(name: str, resolution: int | None = None) -> Graph:
    """The same network in float32, before calibration."""
    family, _, width = name.rpartition("-w")
    return bottlenecks(name, _scaled(float(width), family == "mbv2", RESOLUTIONS.get(name, 224)), resolution)


def _scaled(width: float, released: bool, resolution: int) -> Bottlenecks:
    channels = tuple(divisible(c * width) for c in CHANNELS)
    mix = divisible(MIX * (width if released else max(width, 1.0)))
    classifier = "conv2d" if released else "fully_connected"
    return Bottlenecks(resolution, divisible(STEM * width), widened(channels, BLOCKS), mix, classifier=classifier)
