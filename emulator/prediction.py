"""Cycles of a network on a board without compiling it: closed forms of the kernels' loops, times fitted coefficients.

    prediction = predict(graph, boards.find("nucleo-l4r5zi"))
    prediction.cycles, prediction.latency_ms, prediction.error_pct

For searches that try thousands of networks: a network takes less than a millisecond. It is what `validate` would find
for `--optimize latency`, clang and numerics tflm; coefficients are in `predicted.json` (see `emulator.predict_fit`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import mul
from typing import Any

from emulator.predict_features import FEATURES, counted
from emulator.predict_layers import Layer, layers
from emulator.predict_traits import traits_of
from refsim import boards
from refsim.board import Board
from refsim.errors import BoardError
from refsim.graph import Graph

DATA = "predicted.json"
OTHER = "other"  # the path of a kernel that nothing is known of


@dataclass(frozen=True, slots=True)
class PredictedLayer:
    """A layer of the code that would be generated; `fitted`: its kernel's cycles were measured."""

    name: str
    op: str
    cycles: int
    fitted: bool = True


@dataclass(frozen=True, slots=True)
class Prediction:
    """`error_pct`: how far from full emulation such predictions are, on average, over networks that they were not
    fitted to; None where the board or a kernel was not fitted. `worst_pct` is the farthest of those.

    `latency_ms` is None for boards without a clock.
    """

    cycles: int
    latency_ms: float | None
    error_pct: float | None
    worst_pct: float | None
    layers: tuple[PredictedLayer, ...]


@dataclass(frozen=True, slots=True)
class Tariff:
    """A board's coefficients, cycles by path in the order of FEATURES, and its prediction error."""

    cycles: Mapping[str, tuple[float, ...]]
    error_pct: float | None
    worst_pct: float | None


def predict(graph: Graph, board: Board) -> Prediction:
    """The cycles of one inference, in closed form. The graph is as imported or built, before any pass.

    A board of one's own is predicted by its core, as if its memory never waited, and without a stated error.
    Raises BoardError when there are no coefficients for the core.
    """
    tariff, traits = tariff_of(board), traits_of(board)
    found = []
    for layer in layers(graph):
        path, counts = counted(graph, layer, traits)
        known = path in tariff.cycles and path != OTHER
        coefficients = tariff.cycles[path] if known else tariff.cycles[OTHER]
        cycles = sum(map(mul, coefficients, counts if known else _plain(graph, layer)))
        found.append(PredictedLayer(layer.node.name or layer.operator, layer.operator, round(cycles), known))
    total = sum(layer.cycles for layer in found)
    sure = all(layer.fitted for layer in found)
    return Prediction(
        total,
        total / board.clock_hz * 1000 if board.clock_hz else None,
        tariff.error_pct if sure else None,
        tariff.worst_pct if sure else None,
        tuple(found),
    )


def _plain(graph: Graph, layer: Layer) -> tuple[float, ...]:
    """What `memsim.work` counts for a kernel that only walks over elements: a call, and the elements."""
    return (1, graph.tensors[layer.y].elements)


@cache
def tariff_of(board: Board) -> Tariff:
    """The coefficients of a board of the catalogue, else those of its core with memory that never waits."""
    fitted = _data()["boards"]
    if boards.BOARDS.get(board.name) == board and board.name in fitted:
        return _tariff(fitted[board.name])
    generic = next((b.name for b in boards.BOARDS.values() if b.generic and b.core.name == board.core.name), "")
    if generic not in fitted:
        raise BoardError(f"board '{board.name}': nothing was fitted to {board.core.name}; run emulator.predict_fit")
    found = _tariff(fitted[generic])
    return Tariff(found.cycles, None, None)


def _tariff(data: Mapping[str, Any]) -> Tariff:
    """Features that a path has gained since it was fitted cost nothing."""
    paths = {
        path: tuple(float(known["cycles"].get(name, 0.0)) for name in FEATURES[path])
        for path, known in data["paths"].items()
        if path in FEATURES
    }
    return Tariff(paths, data["error_pct"], data["worst_pct"])


@cache
def _data() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((files("emulator") / DATA).read_text("utf-8"))
    return found
