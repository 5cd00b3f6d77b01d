"""MCUNet's released networks (Lin et al., NeurIPS 2020): for ImageNet, for Visual Wake Words, and the int4 ones.

Layer lists: mit-han-lab/mcunet @9c164f8 and its earlier tinyml @e899b1b (MIT), net configs. The int4 networks differ in
their layers only; here all weights are seeded int8.
"""

from __future__ import annotations

from refsim.graph import Graph
from refsim.zoo.blocks import CLASSES, Bottlenecks, bottlenecks, stages
from refsim.zoo.calibration import calibrated


def _net(resolution: int, stem: int, text: str, classes: int = CLASSES) -> Bottlenecks:
    classifier = "conv2d" if classes == CLASSES else "fully_connected"
    return Bottlenecks(resolution, stem, stages(text), classes=classes, classifier=classifier)


NETS = {
    "mcunet-in0": _net(
        48, 24, "16: 1k3 | 16: 4k5/2 3k3 4k3 | 24: 5k7/2 4k5 5k5 | 48: 5k7/2 4k5 | 56: 5k3 4k5 5k3 | 112: 6k3/2 4k5"
        " | 192: 6k3"
    ),
    "mcunet-in1": _net(
        96, 16, "8: 1k3 | 16: 4k3/2 3k3 | 24: 3k7/2 5k3 | 40: 5k3/2 4k7 | 48: 4k5 3k3 4k3 | 96: 5k7/2 4k5 4k5"
        " | 160: 6k3"
    ),
    "mcunet-in2": _net(
        160, 16, "8: 1k3 | 16: 3k5/2 6k7 5k3 5k5 | 24: 5k3/2 6k7 6k5 | 40: 4k7/2 5k5 | 48: 5k3 5k5 4k3"
        " | 96: 6k5/2 4k5 3k5 4k3 | 160: 5k5"
    ),
    "mcunet-in3": _net(
        176, 16, "8: 1k3 | 16: 3k7/2 5k3 5k7 4k5 | 24: 5k5/2 5k5 5k5 | 40: 5k3/2 6k7 4k5 | 48: 5k5 5k7 5k3"
        " | 96: 6k3/2 5k7 4k3 | 160: 5k7"
    ),
    "mcunet-in4": _net(
        160, 32, "16: 1k3 | 24: 3k7/2 5k3 4k5 | 40: 5k7/2 4k3 4k7 | 80: 3k7/2 3k3 3k7 | 96: 4k3 3k5 3k5"
        " | 192: 4k7/2 3k7 3k5 | 320: 4k5"
    ),
    "mcunet-vww0": _net(
        64, 16, "8: 1k3 | 16: 6k5/2 4k3 | 24: 5k3/2 4k3 4k3 | 40: 5k3/2 4k3 3k7 | 48: 3k3 4k3 | 96: 5k7/2 5k5"
        " | 160: 4k7", classes=2
    ),
    "mcunet-vww1": _net(
        80, 16, "8: 1k3 | 16: 6k3/2 3k3 3k3 | 24: 3k7/2 6k3 5k5 | 40: 6k7/2 6k7 | 48: 6k3 4k3 | 96: 5k5/2 5k3 4k3"
        " | 160: 3k7", classes=2
    ),
    "mcunet-vww2": _net(
        144, 16, "8: 1k3 | 16: 3k3/2 5k3 6k5 3k3 | 24: 5k7/2 4k5 4k3 6k7 | 40: 6k3/2 6k7 4k5 5k3 | 48: 5k5 3k5 4k3 3k5"
        " | 96: 4k3/2 5k5 4k5 4k3 | 160: 5k3", classes=2
    ),
    "mcunet-256kb-1mb-int4": _net(
        160, 32, "16: 1k3 | 24: 3k7/2 6k3 5k5 3k7 | 40: 5k7/2 3k5 4k7 | 72: 5k3/2 4k7 | 88: 6k5 4k5 3k7"
        " | 176: 5k3/2 4k5 | 288: 4k5"
    ),
    "mcunet-320kb-1mb-int4": _net(
        176, 32, "16: 1k3 | 24: 3k7/2 6k5 6k5 | 40: 4k7/2 4k3 4k7 4k5 | 72: 4k7/2 6k7 4k5 | 88: 3k5 3k5 4k7"
        " | 176: 5k3/2 3k3 | 288: 4k7"
    ),
    "mcunet-512kb-2mb-int4": _net(
        192, 48, "24: 1k3 | 40: 3k7/2 5k3 5k3 5k3 | 64: 6k5/2 4k7 5k5 | 120: 5k7/2 4k7 4k3 | 144: 4k5 4k3 3k7"
        " | 288: 5k3/2 3k7 | 480: 4k5"
    ),
}  # fmt: skip


def build(name: str, resolution: int | None = None) -> Graph:
    """The network in int8."""
    return calibrated(float_graph(name, resolution))


def float_graph(name: str, resolution: int | None = None) -> Graph:
    """The same network in float32, before calibration."""
    return bottlenecks(name, NETS[name], resolution)
