"""Seeded weights whose activations neither die nor saturate, and the scales that fit them, from one pass over noise.

Deep networks with seeded weights lose their input: what a layer adds to every value grows, what depends on the input
shrinks. Trained ones are kept from that by batch normalisation (Ioffe and Szegedy, arXiv:1502.03167), so each
convolution but a classifier is normalised here and the factors are folded into its weights and bias, as converters do;
its seeded bias becomes the normalisation's shift. Where a channel has few values, its mean and variance are blended
with the layer's.

The same bytes on every host: `float_reference` computes exactly or elementwise, and moments are sums of whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from refsim.builder import seeded_values
from refsim.float_reference import FLOAT
from refsim.graph import Array, Call, Graph, Node, Tensor
from refsim.int8ops.fixedpoint import ACTIVATIONS
from refsim.memsim.training_memory import normalised
from refsim.parameters import CHANNEL_AXIS
from refsim.quantize import quantize_to

Real = NDArray[np.float64]

MOST_MACS, MOST_SAMPLES = 256_000_000, 8  # of a pass: small networks see more samples
PRIOR = 32  # values of the layer that each channel's own are blended with
_BITS = 20  # of values below the largest, when moments are added up


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """What one pass over the samples found: values (float32's) and ranges by tensor, and normalised constants."""

    values: dict[int, Real]
    ranges: dict[int, tuple[float, float]]
    constants: dict[int, Array]


def calibrated(graph: Graph) -> Graph:
    """The int8 form of a float32 graph of one input: normalised, and calibrated on seeded noise over -1..1.

    For inputs that were not seen, a range is widened by 3 / sqrt(n), n the places seen: pixels of all samples.
    """
    samples = max(1, min(MOST_SAMPLES, MOST_MACS // graph.macs))
    (start,) = graph.inputs
    shape = (samples, *graph.tensors[start].shape[1:])
    found = _run(graph, seeded_values(shape, crc32(graph.name.encode()) + 1), samples)
    tensors = tuple(
        replace(t, data=_frozen(found.constants[i])) if i in found.constants else t for i, t in enumerate(graph.tensors)
    )
    return quantize_to(replace(graph, tensors=tensors), found.ranges)


def _frozen(data: Array) -> Array:
    data.flags.writeable = False
    return data


def _run(graph: Graph, sample: Array, samples: int) -> _Pass:
    """All values of a batch of samples through a graph made for one; those no longer needed are let go."""
    (start,) = graph.inputs
    done = _Pass({start: sample.astype(np.float64)}, {start: (-1.0, 1.0)}, {})
    last = {i: n for n, node in enumerate(graph.nodes) for i in node.inputs}
    for n, node in enumerate(graph.nodes):
        operands = [_real(graph, done.values, i) for i in node.inputs]
        call = _batched(graph.call(node), samples)
        if normalised(graph, node):
            y, folded = _normalised(node, call, operands)
            done.constants.update(folded)
        else:
            y = FLOAT[node.operator.name](call, operands)
        (output,) = node.outputs
        if y is not operands[0]:
            y[...] = y.astype(np.float32)  # where y is a view of its input, that changes nothing
        done.values[output], done.ranges[output] = y, _range(y, node.operator.name == "mean")
        for i in set(node.inputs) & set(done.values):
            if last[i] == n:
                del done.values[i]
    return done


def _real(graph: Graph, values: Mapping[int, Real], index: int) -> Real | None:
    if index in values:
        return values[index]
    data = graph.tensors[index].data if index >= 0 else None
    return None if data is None or data.dtype != np.float32 else data.astype(np.float64)


def _batched(call: Call, samples: int) -> Call:
    """The call with `samples` images instead of one; constants stay."""
    return replace(
        call,
        inputs=tuple(None if t is None else _widened(t, samples) for t in call.inputs),
        outputs=tuple(_widened(t, samples) for t in call.outputs),
    )


def _widened(tensor: Tensor, samples: int) -> Tensor:
    return tensor if tensor.data is not None else replace(tensor, shape=(samples, *tensor.shape[1:]))


def _range(y: Array, pooled: bool) -> tuple[float, float]:
    """Lowest and highest value, widened; `pooled` values have no places but the samples, whatever their axes are."""
    places = math.prod(y.shape[:3]) if y.ndim == 4 and not pooled else y.shape[0]
    margin = 1 + 3 / math.sqrt(places)
    return float(y.min()) * margin, float(y.max()) * margin


def _normalised(node: Node, call: Call, operands: list[Any]) -> tuple[Real, dict[int, Array]]:
    """The layer's output with each channel at mean `bias` and about unit variance; weights and bias that give it."""
    x, w, b = operands
    plain = replace(call, attributes=replace(call.attributes, activation=0))
    y = FLOAT[node.operator.name](plain, [x, w, None])
    mean, deviation = _moments(y.reshape(-1, y.shape[3]))
    along = [1, 1, 1, 1]
    along[CHANNEL_AXIS[node.operator.name]] = -1
    folded = {node.inputs[1]: w / deviation.reshape(along), node.inputs[2]: b - mean / deviation}
    _, low, high = ACTIVATIONS[call.attributes.activation]
    y -= mean
    y /= deviation
    y += b
    clamped = y if low is None and high is None else np.clip(y, low, high, out=y)
    return clamped, {i: data.astype(np.float32) for i, data in folded.items()}


def _moments(y: Real) -> tuple[Real, Real]:
    """Mean and standard deviation by channel of (values, channels), each blended with PRIOR values of the layer."""
    highest = max(float(np.max(y, initial=0.0)), -float(np.min(y, initial=0.0)))
    unit = math.ldexp(1.0, math.frexp(highest)[1] - _BITS)
    count = len(y)
    scaled = y / unit
    steps = np.rint(scaled, out=scaled).astype(np.int64)
    sums = steps.sum(axis=0)
    squares = np.square(steps, out=steps).sum(axis=0)
    layer_mean = int(sums.sum()) / y.size
    layer_variance = int(squares.sum()) / y.size - layer_mean**2
    share = count / (count + PRIOR)
    means = sums / count
    variances = share * (squares / count - np.square(means)) + (1 - share) * max(layer_variance, 1.0)
    return share * means * unit, np.sqrt(np.maximum(variances, 1.0)) * unit
