"""What CONV_2D and DEPTHWISE_CONV_2D share: attributes, checks, real multipliers, and the tables of their C kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Array, Call, Rows, Slot, Tensor
from refsim.int8ops import fixedpoint, window
from refsim.int8ops.numerics import Numerics


@dataclass(frozen=True, slots=True)
class WindowAttributes:
    """Strides, dilations, padding (filled with the input's zero point) on four sides, and the fused activation."""

    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_bottom: int = 0
    pad_left: int = 0
    pad_right: int = 0
    activation: int = 0  # key of fixedpoint.ACTIVATIONS

    @classmethod
    def decode(cls, options: Mapping[str, Any], x: Tensor, w: Tensor) -> Self:
        """From TFLite's options, with SAME or VALID resolved. Raises ModelError, UnsupportedError."""
        if len(x.shape) != 4 or len(w.shape) != 4:
            raise UnsupportedError(f"convolution of '{x.name}' {x} with '{w.name}' {w}: expected four axes each")
        if options["activation"] not in fixedpoint.ACTIVATIONS:
            raise UnsupportedError(f"fused activation {options['activation']} after a convolution of '{x.name}'")
        padding, (height, width) = options["padding"], w.shape[1:3]
        rows = window.resolve(padding, x.shape[1], height, options["stride_h"], options["dilation_h"])
        columns = window.resolve(padding, x.shape[2], width, options["stride_w"], options["dilation_w"])
        return cls(
            stride_h=rows.stride,
            stride_w=columns.stride,
            dilation_h=rows.dilation,
            dilation_w=columns.dilation,
            pad_top=rows.before,
            pad_bottom=rows.after,
            pad_left=columns.before,
            pad_right=columns.after,
            activation=options["activation"],
        )

    def vertical(self, size: int) -> window.Axis:
        return window.Axis(size, self.stride_h, self.pad_top, self.pad_bottom, self.dilation_h)

    def horizontal(self, size: int) -> window.Axis:
        return window.Axis(size, self.stride_w, self.pad_left, self.pad_right, self.dilation_w)


def options(**others: Slot) -> Mapping[str, Slot]:
    """Slots 0 to 2 are those of both options tables; the rest differs."""
    return {"padding": Slot(0, "int8"), "stride_w": Slot(1, "int32"), "stride_h": Slot(2, "int32"), **others}


def operand(tensor: Tensor | None, what: str) -> Tensor:
    if tensor is None:
        raise ModelError(f"a convolution has no {what}: expected a tensor")
    return tensor


def output_size(x: Tensor, w: Tensor, attributes: WindowAttributes) -> tuple[int, int]:
    """Height and width of the output. Raises ModelError when nothing is left of them."""
    height = attributes.vertical(w.shape[1]).output(x.shape[1])
    width = attributes.horizontal(w.shape[2]).output(x.shape[2])
    if height < 1 or width < 1:
        raise ModelError(f"the window of '{w.name}' {w} does not fit into '{x.name}' {x}")
    return height, width


LONGEST_REACH = 4096  # positions from a window's first tap to its last; padding is made of as many


def check(call: Call, axis: int) -> None:
    """Raise UnsupportedError unless types and quantisation suit TFLite's int8 kernels; `axis` is w's channel axis."""
    x, w, y, a = call.x, operand(call.inputs[1], "weights"), call.y, call.attributes
    bias = call.inputs[2] if len(call.inputs) > 2 else None
    for tensor, expected in ((x, ("int8",)), (w, ("int8", "int4")), (y, ("int8",)), (bias, ("int32",))):
        if tensor is not None and tensor.dtype not in expected:
            raise UnsupportedError(
                f"convolution tensor '{tensor.name}' is {tensor.dtype}: expected {' or '.join(expected)}"
            )
    reach = max((k - 1) * d + 1 for k, d in zip(w.shape[1:3], (a.dilation_h, a.dilation_w), strict=True))
    if reach > LONGEST_REACH:
        raise UnsupportedError(f"a convolution whose window reaches {reach}: refsim takes up to {LONGEST_REACH}")
    for tensor in (x, w, y):
        if tensor.quant is None:
            raise UnsupportedError(f"convolution tensor '{tensor.name}' has no scale: expected a quantised model")
    for tensor in (x, y):
        if tensor.quant is not None and tensor.quant.per_channel:
            raise UnsupportedError(f"convolution tensor '{tensor.name}' has several scales: expected one")
    check_weights(w, axis)
    for tensor in (w, bias):
        if tensor is not None and tensor.data is None:
            raise UnsupportedError(f"'{tensor.name}' is computed by the network: expected constant weights and bias")
    if bias is not None and bias.elements != w.shape[axis]:
        raise ModelError(f"bias '{bias.name}' has {bias.elements} elements: expected {w.shape[axis]}")


def check_weights(w: Tensor, axis: int) -> None:
    assert w.quant is not None
    if w.quant.per_channel and (w.quant.axis != axis or len(w.quant.scale) != w.shape[axis]):
        raise UnsupportedError(
            f"weights '{w.name}' have {len(w.quant.scale)} scales along axis {w.quant.axis}: "
            f"expected one, or {w.shape[axis]} along axis {axis}"
        )
    if any(w.quant.zero_point):
        raise UnsupportedError(f"weights '{w.name}' have a zero point that is not 0, which int8 kernels do not take")


def real_multipliers(call: Call, channels: int) -> NDArray[np.float64]:
    """double(x scale) * double(w scale) / double(y scale), one for each output channel."""
    w = call.inputs[1]
    assert w is not None and w.quant is not None
    reals = call.x.scale * np.asarray(w.quant.scale, np.float64) / call.y.scale
    return np.broadcast_to(reals, (channels,))


def bounds(call: Call) -> tuple[int, int]:
    """The output's clamp."""
    return fixedpoint.activation_bounds(call.attributes.activation, call.y.scale, call.y.zero_point, "int8")


def folded_bias(
    call: Call, values: Sequence[Array | None], weight_sums: NDArray[np.int64], zero_point: int
) -> NDArray[np.int32]:
    """bias - zero point * sum of the channel's weights, wrapped to int32 as the accumulator is."""
    bias = values[2] if len(values) > 2 else None
    plain = np.zeros(len(weight_sums), np.int64) if bias is None else bias.reshape(-1).astype(np.int64)
    return (plain - zero_point * weight_sums).astype(np.int32)


def pad(call: Call, x: Array) -> Array:
    """x with its padding, filled by the zero point."""
    a: WindowAttributes = call.attributes
    sides = ((0, 0), (a.pad_top, a.pad_bottom), (a.pad_left, a.pad_right), (0, 0))
    return np.pad(x, sides, constant_values=call.x.zero_point) if any(map(any, sides)) else x


def input_rows(call: Call, index: int, interval: Rows) -> Rows:
    """Rows of x for output rows; weights and bias are needed whole."""
    tensor = operand(call.inputs[index], "operand")
    if index > 0:
        return (0, tensor.rows)
    axis = call.attributes.vertical(operand(call.inputs[1], "weights").shape[1])
    return window.rows_needed(axis, interval, call.x.shape[1], call.y.shape[1])


@dataclass(frozen=True, slots=True)
class Channels:
    """Output channels as the C kernels take them.

    w: int8 [channels, K], zero for constant channels. table: int32 [channels, 3], what rs_requantize.h reads.
    fast: whether its fast form holds for every channel. still: which channels no input can change.
    """

    w: NDArray[np.int8]
    table: NDArray[np.int32]
    fast: bool
    still: NDArray[np.bool_]
    values: NDArray[np.int8]  # of the constant channels; 0 for others


def channels(call: Call, w: NDArray[np.int8], zero_point: int) -> Channels:
    """The kernel's view of w [channels, K] when it multiplies x - (x's zero point - zero_point).

    With the extremes of x an accumulator has bounds; where both give the same output, the channel is constant: its
    weights become zero and its table entry says the value.
    """
    sums, above = (values.sum(axis=1, dtype=np.int64) for values in (w, np.maximum(w, 0)))
    below = sums - above  # the negative weights'
    bias = folded_bias(call, [t.data if t else None for t in call.inputs], sums, zero_point)
    first, last = (limit - call.x.zero_point + zero_point for limit in fixedpoint.LIMITS["int8"])
    low = bias + above * first + below * last
    high = bias + above * last + below * first
    multipliers, shifts = fixedpoint.quantize_multipliers(real_multipliers(call, len(bias)))
    ends = [requantized(call, end, multipliers, shifts) for end in (low, high)]
    largest = np.maximum(np.abs(low), np.abs(high))
    still = (ends[0] == ends[1]) & (largest << np.maximum(shifts, 0) < 1 << 31)
    fast = bool((still | suits_fast(largest, multipliers, shifts)).all())
    values = np.where(still, ends[0], 0).astype(np.int8)
    table = np.where(
        still[:, None], constant_rows(values, call.y.zero_point, fast), rows(bias, multipliers, shifts, fast)
    )
    return Channels(np.where(still[:, None], 0, w).astype(np.int8), table, fast, still, values)


def suits_fast(largest: NDArray[np.int64], multipliers: Array, shifts: Array) -> NDArray[np.bool_]:
    """Channels whose accumulators, at most `largest` in size, rs_requantize.h can take in its fast form."""
    right = -shifts.astype(np.int64)
    scaled = ((np.minimum(largest, 1 << 31) * multipliers) >> 31) + (130 << np.clip(right, 0, 31))
    suits: NDArray[np.bool_] = (right >= 1) & (largest < 1 << 31) & (scaled < 1 << 30)
    return suits


def rows(bias: NDArray[np.int32], multipliers: Array, shifts: Array, fast: bool) -> NDArray[np.int32]:
    """{bias, multiplier, shift} of each channel; for the fast form the multiplier doubled and the shift turned."""
    table = np.stack([bias, multipliers.astype(np.int64) << fast, -shifts if fast else shifts], axis=1)
    return table.astype(np.int32)


def constant_rows(values: NDArray[np.int8], zero_point: int, fast: bool) -> NDArray[np.int32]:
    """The entries that give `values` where all weights are zero: multipliers of 1/4 and 1."""
    moved = values.astype(np.int64) - zero_point
    multiplier = np.full_like(moved, 1 << 31 if fast else 1 << 30)
    return np.stack([4 * moved if fast else moved, multiplier, np.ones_like(moved)], axis=1).astype(np.int32)


def requantized(call: Call, acc: NDArray[np.int64], multipliers: Array, shifts: Array) -> NDArray[np.int8]:
    scaled = fixedpoint.multiply(acc.astype(np.int32), multipliers, shifts) + call.y.zero_point
    return np.clip(scaled, *bounds(call)).astype(np.int8)


def require_two_roundings(numerics: Numerics, operator: str) -> None:
    if numerics.requantize != "two-roundings":
        raise UnsupportedError(
            f"{operator} in C requantises with two roundings: numerics '{numerics.name}' wants '{numerics.requantize}'"
        )


def constant(call: Call, index: int) -> Array:
    """The data of a constant operand. Raises UnsupportedError when it is computed by the network."""
    tensor = operand(call.inputs[index], "weights")
    if tensor.data is None:
        raise UnsupportedError(f"'{tensor.name}' is computed by the network: expected constant weights and bias")
    return tensor.data


def literals(call: Call, height: int, width: int) -> dict[str, int]:
    """The literals that both kernels' structs have."""
    a: WindowAttributes = call.attributes
    low, high = bounds(call)
    names = ("stride_h", "stride_w", "dilation_h", "dilation_w", "pad_top", "pad_left")
    images, in_h, in_w, in_c = call.x.shape
    _, out_h, out_w, out_c = call.y.shape
    return {
        **{"images": images, "in_h": in_h, "in_w": in_w, "in_c": in_c, "out_h": out_h, "out_w": out_w, "out_c": out_c},
        **{"kernel_h": height, "kernel_w": width},
        **{name: getattr(a, name) for name in names},
        **{"x_zero": call.x.zero_point, "y_zero": call.y.zero_point, "low": low, "high": high},
    }
