"""What validation feeds a network: random values, and the constant ones at which arithmetic goes wrong first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from refsim import interpreter
from refsim.graph import DTYPES, Array, Graph, Tensor


@dataclass(frozen=True, slots=True)
class Inputs:
    """Made one after another, as they are asked for."""

    graph: Graph
    count: int
    seed: int

    def __len__(self) -> int:
        return self.count + 3

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        for n in range(self.count):
            yield interpreter.random_inputs(self.graph, self.seed + n)
        tensors = [(i, self.graph.tensors[i]) for i in self.graph.inputs]
        for pick in (_lowest, _highest, _zero):
            yield tuple(np.full(t.shape, pick(self.graph, i, t), DTYPES[t.dtype]) for i, t in tensors)


def inputs_for(graph: Graph, count: int, seed: int) -> Inputs:
    """`count` seeded random inputs, then all lowest, all highest, and all zero point."""
    return Inputs(graph, count, seed)


def _quantised(graph: Graph, index: int, tensor: Tensor) -> Tensor:
    """The tensor that a float input becomes when a QUANTIZE reads it."""
    readers = [graph.nodes[n] for n in graph.consumers.get(index, ())]
    found = [graph.tensors[node.outputs[0]] for node in readers if node.operator.name == "quantize"]
    return found[0] if tensor.dtype == "float32" and found else tensor


def _real(graph: Graph, index: int, tensor: Tensor, value: int) -> float:
    """`value` in the input's own type: as it is, or dequantised for float inputs."""
    quantised = _quantised(graph, index, tensor)
    if tensor.dtype != "float32":
        return value
    return quantised.scale * (value - quantised.zero_point) if quantised.quant else float(np.sign(value))


def _limit(tensor: Tensor, end: int) -> int:
    kind = np.dtype(DTYPES[tensor.dtype])
    return int((np.iinfo(kind).min, np.iinfo(kind).max)[end]) if kind.kind in "iu" else (-1, 1)[end]


def _lowest(graph: Graph, index: int, tensor: Tensor) -> float:
    return _real(graph, index, tensor, _limit(_quantised(graph, index, tensor), 0))


def _highest(graph: Graph, index: int, tensor: Tensor) -> float:
    return _real(graph, index, tensor, _limit(_quantised(graph, index, tensor), 1))


def _zero(graph: Graph, index: int, tensor: Tensor) -> float:
    quantised = _quantised(graph, index, tensor)
    return _real(graph, index, tensor, quantised.zero_point if quantised.quant else 0)
