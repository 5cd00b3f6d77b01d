"""Networks of the literature, built in Python with seeded weights: the same bytes on every host.

One module a family; its `build(name, resolution)` returns the quantised Graph, `float_graph(name, resolution)` the
float32 one before calibration. Importing this package loads none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from re import fullmatch
from typing import TYPE_CHECKING, Any

from refsim.errors import UsageError

if TYPE_CHECKING:
    from refsim.graph import Graph

PREFIX = "zoo:"
SIZES = range(16, 513)  # resolutions that image networks can be built for


@dataclass(frozen=True, slots=True)
class Network:
    """A family's module, what the network is, and its own resolution; None where the input cannot be resized."""

    module: str
    summary: str
    resolution: int | None = None


def _of(module: str, what: str, resolutions: Mapping[str, int]) -> dict[str, Network]:
    return {name: Network(module, what, resolution) for name, resolution in resolutions.items()}


NETWORKS: Mapping[str, Network] = {
    "ds-cnn": Network("ds_cnn", "keyword spotting of MLPerf Tiny: 49x10 MFCC frames, 12 classes"),
    "ds-cnn-s": Network("ds_cnn", "keyword spotting, Hello Edge's small DS-CNN: 64 channels"),
    "ds-cnn-m": Network("ds_cnn", "keyword spotting, Hello Edge's medium DS-CNN: 172 channels"),
    "ds-cnn-l": Network("ds_cnn", "keyword spotting, Hello Edge's large DS-CNN: 276 channels"),
    **_of(
        "mcunet",
        "MCUNet, ImageNet, 1000 classes",
        {"mcunet-in0": 48, "mcunet-in1": 96, "mcunet-in2": 160, "mcunet-in3": 176, "mcunet-in4": 160},
    ),
    **_of(
        "mcunet",
        "MCUNet, Visual Wake Words, 2 classes",
        {"mcunet-vww0": 64, "mcunet-vww1": 80, "mcunet-vww2": 144},
    ),
    **_of(
        "mcunet",
        "MCUNet made for int4 (here int8), ImageNet, 1000 classes",
        {"mcunet-256kb-1mb-int4": 160, "mcunet-320kb-1mb-int4": 176, "mcunet-512kb-2mb-int4": 192},
    ),
    **_of(
        "mobilenet_v2", "MobileNetV2 with its last 1x1 scaled too, as MCUNet's", {"mbv2-w0.3": 80, "mbv2-w0.35": 144}
    ),
    **_of(
        "proxyless",
        "ProxylessNAS for mobile",
        {"proxyless-w0.25": 112, "proxyless-w0.3": 176, "proxyless-mobile": 224},
    ),
    **_of(
        "mobilenet_v1", "MobileNetV1, any width", {f"mobilenet-v1-w{w}": 224 for w in ("0.25", "0.5", "0.75", "1.0")}
    ),
    **_of(
        "mobilenet_v2",
        "MobileNetV2, any width",
        {f"mobilenet-v2-w{w}": 224 for w in ("0.35", "0.5", "0.75", "1.0", "1.4")},
    ),
    "resnet-8": Network("resnet", "image classification of MLPerf Tiny: 10 classes", 32),
    "resnet-18": Network("resnet", "ResNet-18, ImageNet, 1000 classes", 224),
    "resnet-50": Network("resnet", "ResNet-50, ImageNet, 1000 classes", 224),
    **{
        f"micronet-kws-{size}": Network("micronets", "MicroNets, keyword spotting: 49x10 MFCC frames, 12 classes")
        for size in "lms"
    },
    **{
        f"micronet-ad-{size}": Network("micronets", "MicroNets, anomaly detection: 32x32 spectrogram, 8 machines")
        for size in "lms"
    },
    "anomaly-autoencoder": Network("autoencoder", "anomaly detection of MLPerf Tiny: 640 values in and out"),
    "mcunetv2-se": Network("mcunetv2", "like MCUNetV2's, with squeeze-and-excite, ImageNet, 1000 classes", 160),
}

_ANY_WIDTH = r"(mobilenet-v[12])-w([0-9]{1,2}(?:\.[0-9]{1,4})?)"
WIDEST = 4.0


def find(model: str) -> Graph:
    """The network that `zoo:NAME` or `zoo:NAME@RES` stands for. Raises UsageError as `load` does."""
    name, at, resolution = model.removeprefix(PREFIX).partition("@")
    if at and not fullmatch("[0-9]{1,6}", resolution):
        raise UsageError(f"model '{model}': '{resolution}' is not a resolution: expected zoo:NAME or zoo:NAME@RES")
    return load(name, int(resolution) if at else None)


def load(name: str, resolution: int | None = None) -> Graph:
    """The quantised network. Raises UsageError for a name or a resolution that the zoo does not have."""
    graph: Graph = family(name, resolution).build(name, resolution)
    return graph


def load_float(name: str, resolution: int | None = None) -> Graph:
    """The network in float32, before calibration: for what depends on shapes only. Raises UsageError as `load`."""
    graph: Graph = family(name, resolution).float_graph(name, resolution)
    return graph


def family(name: str, resolution: int | None = None) -> Any:
    """The module of a network, after a look at the resolution. Raises UsageError as `load`."""
    network = NETWORKS.get(name) or _scaled(name)
    if network is None:
        raise UsageError(f"the zoo has no network '{name}': {_nearest(name)}expected one of {', '.join(NETWORKS)}")
    if resolution is not None and (network.resolution is None or resolution not in SIZES):
        offered = f"{PREFIX}{name}"
        if network.resolution is not None:
            offered += f", or {offered}@RES with RES from {SIZES.start} to {SIZES.stop - 1}"
        raise UsageError(f"zoo network '{name}' has no resolution {resolution}: expected {offered}")
    return import_module(f"{__name__}.{network.module}")


def _scaled(name: str) -> Network | None:
    """MobileNets at widths that are not listed."""
    match = fullmatch(_ANY_WIDTH, name)
    if match is None or not 0 < float(match[2]) <= WIDEST:
        return None
    return NETWORKS[f"{match[1]}-w1.0"]


def _nearest(name: str) -> str:
    near = get_close_matches(name.lower().replace("_", "-"), NETWORKS, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'? " if near else ""
