"""ProxylessNAS for mobile (Cai et al., ICLR 2019) and the two narrow ones that mcunet compares itself with.

Layer lists: mit-han-lab/mcunet @9c164f8 and its earlier tinyml @e899b1b (MIT), net configs. "Zero" blocks, which only
hand their input on, are left out.
"""

from __future__ import annotations

from refsim.graph import Graph
from refsim.zoo.blocks import Bottlenecks, bottlenecks, widened
from refsim.zoo.calibration import calibrated

BLOCKS = ("1k3", "3k5/2 3k3", "3k7/2 3k3 3k5 3k5", "6k7/2 3k5 3k5 3k5", "6k5 3k5 3k5 3k5", "6k7/2 6k7 3k7 3k7", "6k7")

NETS = {
    "proxyless-w0.25": Bottlenecks(112, 8, widened((8, 8, 16, 24, 24, 48, 80), BLOCKS), mix=320),
    "proxyless-w0.3": Bottlenecks(176, 16, widened((8, 16, 16, 24, 32, 64, 96), BLOCKS), mix=384),
    "proxyless-mobile": Bottlenecks(224, 32, widened((16, 32, 40, 80, 96, 192, 320), BLOCKS), mix=1280),
}


def build(name: str, resolution: int | None = None) -> Graph:
    """The network in int8."""
    return calibrated(float_graph(name, resolution))


def float_graph(name: str, resolution: int | None = None) -> Graph:
    """The same network in float32, before calibration."""
    return bottlenecks(name, NETS[name], resolution)
