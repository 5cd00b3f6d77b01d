"""Post-training quantisation: a float32 Graph and samples of its inputs give an int8 Graph.

Activations: int8, one scale and zero point a tensor. Weights: int8, symmetric, one scale a channel in CONV_2D and
DEPTHWISE_CONV_2D; FULLY_CONNECTED has one for all, as most published models do, unless asked otherwise.
Biases: int32, scale of input times weights. All scales are float32 values.

Source of the rules: TFLite's 8-bit quantization specification.

Equal on every host: minima and maxima do not depend on order, float_reference sums exactly, and the errors that "mse"
compares are added up as integers. So no scale depends on how a BLAS orders its sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from refsim.affine import asymmetric, dequantize_values, quantize_bias, quantize_values, quantize_weights
from refsim.errors import UnsupportedError, UsageError
from refsim.float_reference import run_float
from refsim.graph import Array, Graph, Node, Quant, Tensor
from refsim.parameters import CHANNEL_AXIS

Method = Literal["minmax", "mse"]
Range = tuple[float, float]
Sample = tuple[Array, ...]

# Operators that move or select values, so that their output keeps the scale and zero point of their inputs.
SHARING = frozenset(
    {
        "average_pool_2d",
        "max_pool_2d",
        "reshape",
        "transpose",
        "pad",
        "concatenation",
        "slice",
        "split",
        "strided_slice",
    }
)
# Operators whose output quantisation TFLite prescribes.
FIXED: Mapping[str, Quant] = {"softmax": Quant((1 / 256,), (-128,))}

_SHRINKS = tuple(k / 32 for k in range(32, 3, -1))  # of the largest magnitude: limits that "mse" tries
_ERROR_STEPS = 1 << 18  # an error is counted in range / 2**18: its square leaves 2**27 elements of room in int64


def quantize(
    graph: Graph, samples: Iterable[Array | Sequence[Array]], method: Method = "minmax", per_channel_fc: bool = False
) -> Graph:
    """The int8 form of a float32 graph; tensors keep their indices.

    Each sample is one array, or one for each graph input, of the input's very shape. "minmax" takes activations'
    ranges as seen; "mse" then shrinks them to where the samples' mean squared quantisation error is least.
    Raises UsageError for samples or a method that make no sense, UnsupportedError for graphs that cannot be converted.
    """
    if method not in _METHODS:
        raise UsageError(f"calibration method '{method}' is not known: expected one of {', '.join(_METHODS)}")
    _require_float(graph)
    fed = [_sample(graph, n, sample) for n, sample in enumerate(samples)]
    if not fed:
        raise UsageError(f"graph '{graph.name}': calibration needs at least one sample, none was given")
    leaders = _leaders(graph)
    return _converted(graph, leaders, _METHODS[method](graph, fed, leaders), per_channel_fc)


def quantize_to(graph: Graph, ranges: Mapping[int, Range], per_channel_fc: bool = False) -> Graph:
    """The int8 form of a float32 graph whose activations' ranges are known: tensor index -> (low, high).

    Needed for inputs and for what operators compute; operators that only move values keep their input's.
    Raises UsageError for a missing range, UnsupportedError for graphs that cannot be converted.
    """
    _require_float(graph)
    leaders = _leaders(graph)
    merged: dict[int, Range] = {}
    for i in _sources(graph):
        if i not in ranges:
            raise UsageError(f"graph '{graph.name}': '{graph.tensors[i].name}' has no range: expected (low, high)")
        low, high = merged.get(leaders[i], (0.0, 0.0))
        merged[leaders[i]] = (min(low, ranges[i][0]), max(high, ranges[i][1]))
    return _converted(graph, leaders, merged, per_channel_fc)


def _converted(graph: Graph, leaders: Sequence[int], ranges: Mapping[int, Range], per_channel_fc: bool) -> Graph:
    """The int8 graph, given the range of every leader."""
    chosen = {leader: asymmetric(*ends) for leader, ends in ranges.items()} | _fixed(graph, leaders)
    tensors = [_quantized(t, chosen.get(leader)) for t, leader in zip(graph.tensors, leaders, strict=True)]
    nodes = tuple(_with_parameters(graph, node, tensors, per_channel_fc) for node in graph.nodes)
    result = replace(graph, tensors=tuple(tensors), nodes=nodes)
    result.verify()
    for node in result.nodes:
        node.operator.check(result.call(node))
    return result


def _require_float(graph: Graph) -> None:
    for i in (*graph.inputs, *(o for node in graph.nodes for o in node.outputs)):
        if graph.tensors[i].dtype != "float32":
            raise UnsupportedError(
                f"graph '{graph.name}': tensor '{graph.tensors[i].name}' is {graph.tensors[i].dtype}, "
                "only a graph whose activations are all float32 can be quantised"
            )


def _sample(graph: Graph, number: int, sample: Array | Sequence[Array]) -> Sample:
    arrays = (sample,) if isinstance(sample, np.ndarray) else tuple(np.asarray(array) for array in sample)
    where = f"graph '{graph.name}', calibration sample {number}"
    if len(arrays) != len(graph.inputs):
        raise UsageError(f"{where}: it has {len(arrays)} arrays, expected {len(graph.inputs)}, one for each input")
    for array, i in zip(arrays, graph.inputs, strict=True):
        tensor = graph.tensors[i]
        if array.shape != tensor.shape:
            raise UsageError(f"{where}: '{tensor.name}' has shape {array.shape}, expected {tensor.shape}")
        if not np.isfinite(array).all():
            raise UsageError(f"{where}: '{tensor.name}' holds values that are not finite, expected real numbers")
    return arrays


def _operands(graph: Graph, node: Node) -> Iterator[int]:
    """Indices of the float32 tensors that take part as values: not weights and biases."""
    inputs = node.inputs[:1] if node.operator.name in CHANNEL_AXIS else node.inputs
    yield from (i for i in (*inputs, *node.outputs) if i >= 0 and graph.tensors[i].dtype == "float32")


def _leaders(graph: Graph) -> list[int]:
    """For each tensor the lowest index of those that must have the same scale and zero point."""
    leaders = list(range(len(graph.tensors)))
    for node in graph.nodes:
        if node.operator.name in SHARING:
            joined = {leaders[i] for i in _operands(graph, node)}
            leaders = [min(joined) if leader in joined else leader for leader in leaders]
    return leaders


def _sources(graph: Graph) -> list[int]:
    """Tensors whose values decide a range: all but those that only hold another tensor's values again."""
    copied = {o for node in graph.nodes if node.operator.name in SHARING for o in node.outputs}
    used = {i for node in graph.nodes for i in _operands(graph, node)} | set(graph.inputs)
    return sorted(used - copied)


def _minmax(graph: Graph, samples: Sequence[Sample], leaders: Sequence[int]) -> dict[int, Range]:
    found: dict[int, Range] = {}
    for sample in samples:
        values = run_float(graph, sample)
        for i in _sources(graph):
            least, most = float(values[i].min()), float(values[i].max())
            if not (math.isfinite(least) and math.isfinite(most)):
                raise UsageError(f"graph '{graph.name}': '{graph.tensors[i].name}' overflows float32 on these samples")
            low, high = found.get(leaders[i], (0.0, 0.0))
            found[leaders[i]] = (min(low, least), max(high, most))
    return found


def _mse(graph: Graph, samples: Sequence[Sample], leaders: Sequence[int]) -> dict[int, Range]:
    widest = _minmax(graph, samples, leaders)
    errors = {leader: np.zeros(len(_SHRINKS), np.int64) for leader in widest}
    for sample in samples:
        values = run_float(graph, sample)
        for i in _sources(graph):
            errors[leaders[i]] += _squared_errors(values[i], widest[leaders[i]])
    best = {leader: _SHRINKS[int(np.argmin(error))] for leader, error in errors.items()}
    return {leader: _clipped(ends, best[leader]) for leader, ends in widest.items()}


def _clipped(ends: Range, shrink: float) -> Range:
    """The range without what lies beyond `shrink` times its largest magnitude, on either side."""
    low, high = ends
    limit = shrink * max(-low, high)
    return max(low, -limit), min(high, limit)


def _squared_errors(x: Array, ends: Range) -> NDArray[np.int64]:
    """The sum of squared errors for each of _SHRINKS, in (range / _ERROR_STEPS) squared."""
    low, high = ends
    if low == high:
        return np.zeros(len(_SHRINKS), np.int64)
    unit = (high - low) / _ERROR_STEPS
    quants = (asymmetric(*_clipped(ends, shrink)) for shrink in _SHRINKS)
    steps = (np.rint((dequantize_values(quantize_values(x, quant), quant) - x) / unit) for quant in quants)
    return np.array([np.sum(np.square(step.astype(np.int64))) for step in steps], np.int64)


_METHODS: Mapping[str, Callable[[Graph, Sequence[Sample], Sequence[int]], dict[int, Range]]] = {
    "minmax": _minmax,
    "mse": _mse,
}


def _fixed(graph: Graph, leaders: Sequence[int]) -> dict[int, Quant]:
    """Leaders whose quantisation TFLite prescribes. UnsupportedError where other values would have to share it."""
    fixed = {o: FIXED[node.operator.name] for node in graph.nodes for o in node.outputs if node.operator.name in FIXED}
    for i in _sources(graph):
        if i not in fixed and leaders[i] in {leaders[o] for o in fixed}:
            raise UnsupportedError(
                f"graph '{graph.name}': '{graph.tensors[i].name}' would have to share the fixed scale of a softmax, "
                "expected a softmax output that is not joined with other values"
            )
    return {leaders[o]: quant for o, quant in fixed.items()}


def _quantized(tensor: Tensor, quant: Quant | None) -> Tensor:
    """The tensor as int8 activation; untouched where nothing was chosen (parameters, shapes)."""
    if quant is None:
        return tensor
    if tensor.data is None:
        return replace(tensor, dtype="int8", quant=quant)
    return _constant(tensor, "int8", quant, quantize_values(tensor.data, quant))


def _constant(tensor: Tensor, dtype: str, quant: Quant, data: Array) -> Tensor:
    data.flags.writeable = False
    return replace(tensor, dtype=dtype, quant=quant, data=data)


def _with_parameters(graph: Graph, node: Node, tensors: list[Tensor], per_channel_fc: bool) -> Node:
    """The node reading quantised weights and bias, which are put into `tensors`.

    A parameter that an earlier node quantised already is appended again: its scale follows its reader's input.
    """
    name = node.operator.name
    if name not in CHANNEL_AXIS:
        return node
    sources = [graph.tensors[i] if i >= 0 else None for i in node.inputs]
    weights, bias = sources[1], sources[2] if len(sources) > 2 else None
    if weights is None or weights.data is None or (bias is not None and bias.data is None):
        raise UnsupportedError(f"graph '{graph.name}', node '{node.name}': its weights and bias must be constant")
    axis = None if name == "fully_connected" and not per_channel_fc else CHANNEL_AXIS[name]
    input_scale = tensors[node.inputs[0]].scale
    data, quant = quantize_weights(weights.data, axis, input_scale, None if bias is None else bias.data)
    places = [node.inputs[0], _place(tensors, node.inputs[1], _constant(weights, "int8", quant, data))]
    if bias is not None and bias.data is not None:
        data, quant = quantize_bias(bias.data, input_scale, quant)
        places.append(_place(tensors, node.inputs[2], _constant(bias, "int32", quant, data)))
    return replace(node, inputs=(*places, *node.inputs[len(places) :]))


def _place(tensors: list[Tensor], index: int, tensor: Tensor) -> int:
    """Where `tensor` went: at its own index, or at the end where that is taken."""
    if tensors[index].dtype != "float32":
        tensors.append(tensor)
        return len(tensors) - 1
    tensors[index] = tensor
    return index
