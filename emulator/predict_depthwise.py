"""What the kernel of DEPTHWISE_CONV_2D does for a layer, counted: closed forms of its loops."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from emulator.predict_convolutions import along, outputs_of
from emulator.predict_layers import Layer
from emulator.predict_traits import Counted, Traits
from refsim.graph import Graph
from refsim.int8ops.depthwise_conv2d import SCRATCH, keeps_x

# A block of rows, rows of its `plane`; a channel begun in it and a `word` of its weights; rows of input taken, by
# eights and fours and alone, zero points subtracted; rows of output.
TAKEN = (
    *("call", "block", "plane", "channel", "word", "input_row", "eight", "four", "value", "subtracted"),
    *("strided_lines", "output_row", "away", "clamps", "slow"),
)
ROWS = tuple(f"row_{width}_{stride}" for width in (3, 5, 7) for stride in (1, 2))

FEATURES: Mapping[str, tuple[str, ...]] = {
    "depthwise_conv2d.threes": (*TAKEN, "fours_by_1", "fours_by_2", "partial", "alone"),
    "depthwise_conv2d.fours": (*TAKEN, "fours", "partial", "alone", "alone_row", "alone_product", *ROWS),
    "depthwise_conv2d.wide": (*TAKEN, "two", "two_row", "two_product"),
    "depthwise_conv2d.plain": (*TAKEN, "output", "row", "product", *ROWS),
}


class Blocks(NamedTuple):
    """How a depthwise kernel cuts an image into blocks of rows: blocks, rows of the plane in scratch, rows of input
    taken to it, columns taken, and the most rows of a block."""

    number: int
    plane: int
    taken: int
    width: int
    rows: int


@cache
def blocks_of(size: tuple[int, int], out: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int],
              dilation: tuple[int, int], top: int, left: int) -> Blocks:  # fmt: skip
    """Sizes are (height, width). The rule is `depthwise_conv2d.plane`'s."""
    (out_h, out_w), (kernel_h, kernel_w) = out, kernel
    reach_h, reach_w = (kernel_h - 1) * dilation[0] + 1, (kernel_w - 1) * dilation[1] + 1
    widest = (out_w - 1 + out_w % 2) * stride[1] + max(reach_w, kernel_w + kernel_w % 2)
    row = 2 * (widest + widest % 2)
    most = min(out_h, max(1, (SCRATCH // row - reach_h) // stride[0] + 1))
    plane = taken = 0
    for begin in range(0, out_h, most):
        first = begin * stride[0] - top
        rows = (min(most, out_h - begin) - 1) * stride[0] + reach_h
        plane += rows
        taken += max(0, min(first + rows, size[0]) - max(first, 0))
    used = (out_w - 1) * stride[1] + reach_w - left
    return Blocks(-(-out_h // most), plane, taken, min(used, size[1]), most)


def depthwise_conv2d(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    tensors, node, a = graph.tensors, layer.node, layer.node.attributes
    x, w, y = tensors[layer.x], tensors[node.inputs[1]], tensors[layer.y]
    images, in_h, in_w, in_c = x.shape
    _, out_h, out_w, out_c = y.shape
    _, kernel_h, kernel_w, _ = w.shape
    threes = keeps_x(a, kernel_h, kernel_w)
    done = outputs_of(graph, layer, threes)
    stride, dilation = (a.stride_h, a.stride_w), (a.dilation_h, a.dilation_w)
    cut = blocks_of((in_h, in_w), (out_h, out_w), (kernel_h, kernel_w), stride, dilation, layer.top, layer.left)
    down = along(in_h, out_h, kernel_h, a.stride_h, layer.top, a.dilation_h)
    lines, rows, begun = images * in_c * cut.taken, images * out_c * out_h, images * out_c * cut.number
    odd = kernel_w in (3, 5, 7)
    fours = traits.dsp and (threes or (odd and kernel_h > 1 and a.dilation_w == 1 and a.stride_w <= 2 < out_w))
    wide = traits.dsp and not fours and a.dilation_w == 1
    words = kernel_h * _words(kernel_w, a.stride_w, fours) if fours or wide else 0
    outputs = rows * out_w
    taken = (
        *(1, images * cut.number, images * cut.plane, begun, begun * words, lines, lines * (cut.width // 8)),
        *(lines * (cut.width // 4 % 2), lines * (cut.width % 4)),
        0 if threes or not x.zero_point else lines * cut.width,
        images * traits.far(max(x.nbytes, y.nbytes)) * _strided_lines(cut, in_c, out_h, out_w, traits),
        *(rows, outputs * done.away, outputs * done.clamps, outputs * done.slow),
    )
    taps = images * out_c * down.inside
    if fours:
        return _by_fours(taken, threes, rows, taps, out_w, kernel_w, a.stride_w)
    if wide:
        twos = taps * ((out_w + 1) // 2)
        return "depthwise_conv2d.wide", (*taken, rows * ((out_w + 1) // 2), twos, twos * ((kernel_w + 1) // 2))
    visits = (rows * kernel_h if threes and x.zero_point else taps) * out_w
    usual = a.dilation_w == 1 and f"row_{kernel_w}_{a.stride_w}" in ROWS
    other = (0, 0) if usual else (visits, visits * kernel_w)
    return "depthwise_conv2d.plain", (*taken, outputs, *other, *_by_row(visits, kernel_w, a.stride_w))


def _words(width: int, stride: int, fours: bool) -> int:
    """Words of a kernel row of weights in scratch."""
    if not fours:
        return (width + 1) // 2
    return width - 1 if stride == 1 else width // 2 + 1


def _by_fours(
    taken: tuple[Any, ...], threes: bool, rows: int, taps: int, out_w: int, width: int, stride: int
) -> Counted:
    """`rows` of outputs of all channels, `taps` kernel rows inside the image."""
    rest = out_w % 4
    alone = rest if rest == 1 or (rest == 2 and threes) else 0
    fours = (out_w - alone + 3) // 4
    partial = rows * fours if (out_w - alone) % 4 else 0
    if threes:
        by = (rows * fours, 0) if stride == 1 else (0, rows * fours)
        return "depthwise_conv2d.threes", (*taken, *by, partial, rows * alone)
    visits = taps * alone
    lone = (rows * alone, visits, visits * (width // 2))
    return "depthwise_conv2d.fours", (*taken, rows * fours, partial, *lone, *_by_row(taps * fours, width, stride))


def _by_row(visits: int, width: int, stride: int) -> tuple[int, ...]:
    """The visits in their place among ROWS."""
    return tuple(visits if row == f"row_{width}_{stride}" else 0 for row in ROWS)


def _strided_lines(cut: Blocks, channels: int, out_h: int, out_w: int, traits: Traits) -> float:
    """Lines that miss while blocks are gone through channel by channel, a value or more to a line: those of x, of y and
    of the plane in scratch."""
    reach = traits.sram
    if not reach.size:
        return 0.0
    apart = min(channels, reach.line)  # bytes of a line between values of one channel
    strided = (cut.taken * cut.width + out_h * out_w) / cut.number * apart
    plane = 2 * cut.plane / cut.number * cut.width
    fresh, spread = strided / apart, 1
    if channels % reach.line == 0:
        lines, sets = channels // reach.line, reach.size // (reach.line * reach.ways)
        while lines % 2 == 0 and spread < sets:
            lines, spread = lines // 2, spread * 2
    gone = reach.gone(strided + plane, fresh, spread)
    return channels * cut.number * reach.lines(gone * (strided + plane) + (1 - gone) * fresh)
