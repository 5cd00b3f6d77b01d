"""Networks of the literature, built in Python with seeded weights: the same bytes on every host.

One module a family; its `build(name, resolution)` returns the quantised Graph. Importing this package loads none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from re import fullmatch
from typing import TYPE_CHECKING

from refsim.errors import UsageError

if TYPE_CHECKING:
    from refsim.graph import Graph

PREFIX = "zoo:"


@dataclass(frozen=True, slots=True)
class Network:
    """A family's module, what the network is, and the resolutions it comes in: the default first, () for none."""

    module: str
    summary: str
    resolutions: tuple[int, ...] = ()


NETWORKS: Mapping[str, Network] = {
    "ds-cnn": Network("ds_cnn", "keyword spotting of MLPerf Tiny: 49x10 MFCC frames, 12 classes"),
}


def find(model: str) -> Graph:
    """The network that `zoo:NAME` or `zoo:NAME@RES` stands for. Raises UsageError as `load` does."""
    name, at, resolution = model.removeprefix(PREFIX).partition("@")
    if at and not fullmatch("[0-9]{1,6}", resolution):
        raise UsageError(f"model '{model}': '{resolution}' is not a resolution: expected zoo:NAME or zoo:NAME@RES")
    return load(name, int(resolution) if at else None)


def load(name: str, resolution: int | None = None) -> Graph:
    """The quantised network. Raises UsageError for a name or a resolution that the zoo does not have."""
    if name not in NETWORKS:
        raise UsageError(f"the zoo has no network '{name}': {_nearest(name)}expected one of {', '.join(NETWORKS)}")
    network = NETWORKS[name]
    chosen = resolution if resolution is not None else next(iter(network.resolutions), None)
    if chosen is not None and chosen not in network.resolutions:
        offered = ", ".join(f"{PREFIX}{name}@{size}" for size in network.resolutions) or f"{PREFIX}{name}"
        raise UsageError(f"zoo network '{name}' has no resolution {chosen}: expected {offered}")
    graph: Graph = import_module(f"{__name__}.{network.module}").build(name, chosen)
    return graph


def _nearest(name: str) -> str:
    near = get_close_matches(name.lower().replace("_", "-"), NETWORKS, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'? " if near else ""
