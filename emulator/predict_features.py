"""What every kernel does for a layer, counted: closed forms of their loops, one function a kernel.

Coefficients (`emulator.predict_fit`) say how many cycles each of these takes on a board.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from emulator import predict_convolutions as convolutions, predict_depthwise as depthwise
from emulator.predict_layers import Layer
from emulator.predict_traits import Counted, Traits, bounds, is_heavy, scales_suit
from refsim.graph import Graph
from refsim.int8ops.elementwise import extent, flat
from refsim.int8ops.mean import Reduction
from refsim.int8ops.slicing import Slicing
from refsim.int8ops.transpose import steps

POOLED = (
    "call",
    "row",
    "pixel",
    "fours",
    "lines",
    "fours_taken",
    "ones",
    "one_lines",
    "ones_taken",
    "clamps",
    "partial",
)

FEATURES: Mapping[str, tuple[str, ...]] = {
    **convolutions.FEATURES,
    **depthwise.FEATURES,
    "fully_connected": (
        *("call", "batch", "groups", "steps", "ragged", "pair", "pair_steps", "summed", "output", "away", "clamps"),
        *("slow", "block", "gathered", "weight_lines"),
    ),
    "add": ("call", "run", "fours", "ones", "scaled", "clamps", "bytes_missed"),
    "add.broadcast": ("call", "run", "fours", "ones", "scaled", "clamps", "bytes_missed"),
    "mul": ("call", "run", "fours", "ones", "clamps", "bytes_missed"),
    "mul.broadcast": ("call", "run", "fours", "ones", "clamps", "bytes_missed"),
    "average_pool_2d": POOLED,
    "max_pool_2d": POOLED,
    "mean.pixels": ("call", "output", "lines", "summed", "strided_lines"),
    "mean.channels": ("call", "output", "lines", "summed", "strided_lines"),
    "softmax": ("call", "run", "value"),
    "lookup": ("call", "row", "fours", "ones", "bytes_missed"),
    "pad": ("call", "row", "run", "copied", "copied_unaligned", "filled"),
    "copy": ("call", "row", "run", "bytes", "unaligned_bytes"),
    "to_float": ("call", "row", "value"),
    "from_float": ("call", "row", "value"),
    "other": ("call", "value"),
}


def fully_connected(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    tensors, node = graph.tensors, layer.node
    x, w, y = tensors[layer.x], tensors[node.inputs[1]], tensors[layer.y]
    n, k = w.shape
    batches = x.elements // k
    low, high = bounds(layer.activation, y)
    rest = n % 4
    groups, pair = (n // 4 + (rest == 3), 0) if rest in (0, 3) else (n // 4, 1)
    turned, outputs = batches * groups, batches * n
    return "fully_connected", (
        *(1, batches, turned, turned * (k // 4), turned if k % 4 else 0),
        *(batches * pair, batches * pair * ((k + 3) // 4), batches * k, outputs),
        *(outputs * (low != y.zero_point), outputs * ((low > -128) + (high < 127))),
        0 if scales_suit(x, w, y) else outputs,
        turned * ((k - 1) // 508) if k > 508 and is_heavy(w) else 0,
        batches * k if x.row_bytes % k else 0,
        traits.flash.lines(2 * n * k) * (1 + (batches - 1) * traits.flash.gone(2 * n * k)),
    )


def elementwise(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    tensors, node = graph.tensors, layer.node
    a, b, y = tensors[node.inputs[0]], tensors[node.inputs[1]], tensors[layer.y]
    whole = extent(y.shape)
    if (a.shape == y.shape or flat(a.shape, y.shape)) and (b.shape == y.shape or flat(b.shape, y.shape)):
        runs, length = whole.outer * whole.inner, whole.pixels * whole.channels
    else:
        runs, length = whole.outer * whole.inner * whole.pixels, whole.channels
    low, high = bounds(layer.activation, y)
    clamps = (low > -128) + (high < 127)
    counted = (1, runs, runs * (length // 4), runs * (length % 4))
    missed = traits.far(a.nbytes + b.nbytes) * traits.sram.lines(a.nbytes + b.nbytes)
    path = layer.operator if a.shape == b.shape else f"{layer.operator}.broadcast"
    if layer.operator == "mul":
        return path, (*counted, y.elements * clamps, missed)
    return path, (*counted, y.elements * (a.scale != b.scale), y.elements * clamps, missed)


def pooled(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    p = layer.node.attributes
    x, y = graph.tensors[layer.x], graph.tensors[layer.y]
    images, in_h, in_w, channels = x.shape
    _, out_h, out_w, _ = y.shape
    down = convolutions.along(in_h, out_h, p.size_h, p.stride_h, p.pad_top, 1)
    across = convolutions.along(in_w, out_w, p.size_w, p.stride_w, p.pad_left, 1)
    low, high = bounds(layer.activation, y)
    pixels, lines = images * out_h * out_w, images * down.inside * out_w
    taps, fours, ones = images * down.inside * across.inside, channels // 4, channels % 4
    partial = 0 if down.full == out_h and across.full == out_w else pixels * (fours + ones)
    return layer.operator, (
        *(1, images * out_h, pixels, pixels * fours, lines * fours, taps * fours),
        *(pixels * ones, lines * ones, taps * ones, y.elements * ((low > -128) + (high < 127)), partial),
    )


def mean(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    """Each output is summed on its own, line by line."""
    a: Reduction = layer.node.attributes
    x, y = graph.tensors[layer.x], graph.tensors[layer.y]
    last = len(x.shape) - 1
    run = x.shape[last] if last in a.axes else 1
    pixels = x.shape[2] if last == 3 and 2 in a.axes else 1
    lines = x.elements // (run * pixels) if last in a.axes else x.elements // pixels
    kind = "mean.channels" if last in a.axes else "mean.pixels"
    touched = x.elements // max(1, y.elements) * min(traits.sram.line, y.shape[-1])
    strided = (
        0.0
        if last in a.axes
        else traits.far(x.nbytes) * traits.sram.gone(touched) * traits.sram.lines(touched) * y.elements
    )
    return kind, (1, y.elements, lines, x.elements, strided)


def softmax(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    x = graph.tensors[layer.x]
    return "softmax", (1, x.elements // x.shape[-1], x.elements)


def lookup(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    y = graph.tensors[layer.y]
    missed = traits.far(y.nbytes) * traits.sram.lines(y.nbytes)
    return "lookup", (1, y.rows, y.rows * (y.row_bytes // 4), y.rows * (y.row_bytes % 4), missed)


def quantize(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    x, y = graph.tensors[layer.x], graph.tensors[layer.y]
    return ("from_float", (1, y.rows, y.elements)) if x.dtype == "float32" else lookup(graph, layer, traits)


def dequantize(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    y = graph.tensors[layer.y]
    return "to_float", (1, y.rows, y.elements)


def pad(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    """Whole rows are copied where channels are not padded, else pixels."""
    x, y = graph.tensors[layer.x], graph.tensors[layer.y]
    whole = x.shape[-1] == y.shape[-1]
    run = x.row_bytes if whole else x.shape[-1] * x.itemsize
    before = layer.node.attributes.paddings[-2:] if len(x.shape) == 4 else ((0, 0), layer.node.attributes.paddings[-1])
    offset = before[0][0] * y.shape[-1] * y.itemsize if whole else before[1][0]
    aligned = run % 4 == 0 and offset % 4 == 0 and y.row_bytes % 4 == 0
    copied = (x.nbytes, 0) if aligned else (0, x.nbytes)
    return "pad", (1, y.rows, x.nbytes // run, *copied, y.nbytes - x.nbytes)


def transpose(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    call = graph.call(layer.node)
    return _copied(call.y.rows, steps(call).literals(call.x.itemsize)["run"], call.y.nbytes)


def cut(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    """SLICE, STRIDED_SLICE and SPLIT: of several outputs, as many walks."""
    call, operator = graph.call(layer.node), layer.node.operator
    assert isinstance(operator, Slicing)
    run = operator.walks(call)[0].literals(call.x.itemsize)["run"]
    return _copied(sum(t.rows for t in call.outputs), run, sum(t.nbytes for t in call.outputs))


def concatenation(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    call = graph.call(layer.node)
    axis = call.attributes.axis % len(call.y.shape)
    runs = [math.prod(t.shape[axis:]) for t in call.inputs if t is not None]
    run = runs[0] if axis == len(call.y.shape) - 1 else call.y.row_bytes
    return _copied(call.y.rows * len(runs), min(run, call.y.row_bytes), call.y.nbytes)


def _copied(rows: int, run: int, nbytes: int) -> Counted:
    moved = (nbytes, 0) if run % 4 == 0 else (0, nbytes)
    return "copy", (1, rows, nbytes // max(run, 1), *moved)


def reshape(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    y = graph.tensors[layer.y]
    return _copied(y.rows, y.row_bytes, y.nbytes)


def other(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    """A kernel that nothing is known of."""
    return "other", (1, graph.tensors[layer.y].elements)


COUNTS: Mapping[str, Callable[[Graph, Layer, Traits], Counted]] = {
    "conv2d": convolutions.conv2d,
    "depthwise_conv2d": depthwise.depthwise_conv2d,
    "fully_connected": fully_connected,
    "add": elementwise,
    "mul": elementwise,
    "average_pool_2d": pooled,
    "max_pool_2d": pooled,
    "mean": mean,
    "softmax": softmax,
    "relu": lookup,
    "relu6": lookup,
    "quantize": quantize,
    "dequantize": dequantize,
    "pad": pad,
    "transpose": transpose,
    "slice": cut,
    "strided_slice": cut,
    "split": cut,
    "concatenation": concatenation,
    "reshape": reshape,
}


def counted(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    """The path that the layer's kernel takes, and what it does there."""
    return COUNTS.get(layer.operator, other)(graph, layer, traits)
