"""Float32 answers of the operators, for calibration: the same bits on every host.

Sums are where hosts differ: a BLAS, or NumPy's SIMD loops, may add in any order. Here they cannot matter. Both factors
are first rounded to so few bits below the largest value that float64 holds every partial sum exactly (`_on_grid`);
with 64 products that leaves 23 bits, about float32's own precision. All else is elementwise IEEE arithmetic, and the
exponential is made of it too, because libraries disagree about its last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refsim.errors import UnsupportedError
from refsim.graph import Array, Call, Graph, Node
from refsim.int8ops.fixedpoint import ACTIVATIONS
from refsim.int8ops.numerics import TFLM
from refsim.int8ops.slicing import Slicing

Real = NDArray[np.float64]
Operands = Sequence[Real | None]
LN2 = 0.6931471805599453


def run_float(graph: Graph, inputs: Sequence[Array]) -> dict[int, NDArray[np.float32]]:
    """Tensor index -> float32 value, for every float32 tensor of a float32 graph.

    Raises UnsupportedError for an operator without a float form.
    """
    values = {i: t.data for i, t in enumerate(graph.tensors) if t.data is not None and t.dtype == "float32"}
    values.update(zip(graph.inputs, (np.asarray(x, np.float32) for x in inputs), strict=True))
    for node in graph.nodes:
        operands = [np.asarray(values[i], np.float64) if i in values else None for i in node.inputs]
        with np.errstate(over="ignore", invalid="ignore"):  # who asks for ranges looks for infinities
            answers = (y.astype(np.float32) for y in _answers(graph, node, operands))
            values.update(zip(node.outputs, answers, strict=True))
    return values


def _answers(graph: Graph, node: Node, operands: Operands) -> tuple[Real, ...]:
    if isinstance(node.operator, Slicing):  # moves values, whatever they are
        return node.operator.reference(graph.call(node), operands, TFLM)
    function = FLOAT.get(node.operator.name)
    if function is None:
        raise UnsupportedError(
            f"graph '{graph.name}', node '{node.name}': {node.operator.name} has no float form, "
            f"expected one of {', '.join(FLOAT)}"
        )
    return (function(graph.call(node), operands),)


def _given(operands: Operands, index: int) -> Real:
    x = operands[index]
    assert x is not None
    return x


def _on_grid(x: Real, terms: int, axis: int | None = None) -> Real:
    """x rounded so that products of two such, `terms` of them, add up exactly in float64 in any order.

    Each is a whole number of at most 2**bits steps, and the step is a power of two: terms * 2**(2 * bits) <= 2**53.
    The step follows the largest magnitude, of each slice of `axis` separately where that is given.
    """
    bits = (53 - math.ceil(math.log2(max(terms, 1)))) // 2
    others = None if axis is None else tuple(i for i in range(x.ndim) if i != axis)
    highest, lowest = (function(x, axis=others, keepdims=True, initial=0.0) for function in (np.max, np.min))
    _, exponent = np.frexp(np.maximum(highest, -lowest))
    step = np.ldexp(1.0, exponent - bits)
    rounded: Real = x / step
    np.rint(rounded, out=rounded)
    rounded *= step
    return rounded


def _sum(x: Real, axes: tuple[int, ...]) -> Real:
    """Exact sum, axes kept."""
    total: Real = np.sum(_on_grid(x, math.prod(x.shape[i] for i in axes)), axis=axes, keepdims=True)
    return total


def _dot(x: Real, w: Real) -> Real:
    """x of (rows, depth) times w of (filters, depth): (rows, filters)."""
    depth = x.shape[1]
    product: Real = _on_grid(x, depth) @ _on_grid(w, depth, axis=0).T
    return product


def _clamped(y: Real, activation: int) -> Real:
    _, low, high = ACTIVATIONS[activation]
    return y if low is None and high is None else np.clip(y, low, high)


def _taps(call: Call, x: Real, size: tuple[int, int], fill: float = 0.0) -> Iterator[Real]:
    """For each element of a window of `size`, in order, what all windows see there: (N, out_h, out_w, C).

    `fill` stands where the window reaches into the padding.
    """
    a = call.attributes
    _, height, width, _ = call.y.shape
    dilation_h, dilation_w = getattr(a, "dilation_h", 1), getattr(a, "dilation_w", 1)
    padding = ((0, 0), (a.pad_top, a.pad_bottom), (a.pad_left, a.pad_right), (0, 0))
    padded = np.pad(x, padding, constant_values=fill) if any(map(any, padding)) else x
    for ky in range(size[0]):
        for kx in range(size[1]):
            rows = slice(ky * dilation_h, ky * dilation_h + (height - 1) * a.stride_h + 1, a.stride_h)
            columns = slice(kx * dilation_w, kx * dilation_w + (width - 1) * a.stride_w + 1, a.stride_w)
            yield padded[:, rows, columns]


def _biased(y: Real, operands: Operands) -> Real:
    bias = operands[2] if len(operands) > 2 else None
    return y if bias is None else y + bias


def _conv2d(call: Call, operands: Operands) -> Real:
    x, w = _given(operands, 0), _given(operands, 1)
    filters, kernel_h, kernel_w, channels = w.shape
    taps = list(_taps(call, x, (kernel_h, kernel_w)))
    patches = np.concatenate(taps, axis=3) if len(taps) > 1 else taps[0]  # (N, out_h, out_w, taps * C)
    y = _dot(patches.reshape(-1, kernel_h * kernel_w * channels), w.reshape(filters, -1))
    return _clamped(_biased(y.reshape(call.y.shape), operands), call.attributes.activation)


def _depthwise_conv2d(call: Call, operands: Operands) -> Real:
    x, w = _given(operands, 0), _given(operands, 1)
    _, kernel_h, kernel_w, channels = w.shape
    multiplier = channels // x.shape[3]
    repeated = x if multiplier == 1 else np.repeat(x, multiplier, axis=3)  # output channel c reads c // multiplier
    y = np.zeros(call.y.shape)
    for seen, tap in zip(_taps(call, repeated, (kernel_h, kernel_w)), w.reshape(-1, channels), strict=True):
        y += seen * tap
    return _clamped(_biased(y, operands), call.attributes.activation)


def _fully_connected(call: Call, operands: Operands) -> Real:
    x, w = _given(operands, 0), _given(operands, 1)
    y = _biased(_dot(x.reshape(-1, w.shape[1]), w), operands)
    return _clamped(y.reshape(call.y.shape), call.attributes.activation)


def _add(call: Call, operands: Operands) -> Real:
    return _clamped(_given(operands, 0) + _given(operands, 1), call.attributes.activation)


def _mul(call: Call, operands: Operands) -> Real:
    return _clamped(_given(operands, 0) * _given(operands, 1), call.attributes.activation)


def _average_pool_2d(call: Call, operands: Operands) -> Real:
    """Mean over the taps inside the image, as TFLite divides."""
    x, size = _given(operands, 0), (call.attributes.size_h, call.attributes.size_w)
    total = np.zeros(call.y.shape)
    count = np.zeros(call.y.shape)
    for seen, inside in zip(_taps(call, x, size), _taps(call, np.ones_like(x), size), strict=True):
        total += seen
        count += inside
    return _clamped(total / count, call.attributes.activation)


def _max_pool_2d(call: Call, operands: Operands) -> Real:
    size = (call.attributes.size_h, call.attributes.size_w)
    largest = np.full(call.y.shape, -np.inf)
    for seen in _taps(call, _given(operands, 0), size, fill=-np.inf):
        largest = np.maximum(largest, seen)
    return _clamped(largest, call.attributes.activation)


def _mean(call: Call, operands: Operands) -> Real:
    x = _given(operands, 0)
    axes = tuple(axis % x.ndim for axis in call.attributes.axes)
    mean: Real = _sum(x, axes) / math.prod(x.shape[i] for i in axes)
    return mean.reshape(call.y.shape)


def _pad(call: Call, operands: Operands) -> Real:
    x, sides = _given(operands, 0), call.attributes.paddings
    return np.pad(x, sides) if any(map(any, sides)) else x


def _reshape(call: Call, operands: Operands) -> Real:
    return _given(operands, 0).reshape(call.y.shape)


def _transpose(call: Call, operands: Operands) -> Real:
    return _given(operands, 0).transpose(call.attributes.perm)


def _concatenation(call: Call, operands: Operands) -> Real:
    return np.concatenate([_given(operands, i) for i in range(len(operands))], axis=call.attributes.axis)


def _softmax(call: Call, operands: Operands) -> Real:
    x = _given(operands, 0)
    powers = _exp((x - x.max(axis=-1, keepdims=True)) * call.attributes.beta)
    share: Real = powers / _sum(powers, (x.ndim - 1,))
    return share


def _exp(x: Real) -> Real:
    """e**x for x <= 0 from elementwise IEEE operations only, within a relative 2e-13 (at -700; 1e-15 near 0).

    x = k ln2 + r with |r| <= ln2 / 2; e**r by 13 terms of its series, whose remainder is below 1e-17.
    """
    x = np.maximum(x, -700.0)  # the result stays a normal number
    k = np.rint(x / LN2)
    r = x - k * LN2
    series = np.ones_like(r)
    for term in range(13, 0, -1):
        series = 1 + series * r / term
    return np.ldexp(series, k.astype(np.int32))


def _relu(activation: int) -> Callable[[Call, Operands], Real]:
    return lambda call, operands: _clamped(_given(operands, 0), activation)


FLOAT: Mapping[str, Callable[[Call, Any], Real]] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "fully_connected": _fully_connected,
    "add": _add,
    "mul": _mul,
    "average_pool_2d": _average_pool_2d,
    "max_pool_2d": _max_pool_2d,
    "mean": _mean,
    "pad": _pad,
    "reshape": _reshape,
    "transpose": _transpose,
    "softmax": _softmax,
    "concatenation": _concatenation,
    "relu": _relu(1),
    "relu6": _relu(3),
}
