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


def check(call: Call, axis: int) -> None:
    """Raise UnsupportedError unless types and quantisation suit TFLite's int8 kernels; `axis` is w's channel axis."""
    x, w, y = call.x, operand(call.inputs[1], "weights"), call.y
    bias = call.inputs[2] if len(call.inputs) > 2 else None
    for tensor, expected in ((x, ("int8",)), (w, ("int8", "int4")), (y, ("int8",)), (bias, ("int32",))):
        if tensor is not None and tensor.dtype not in expected:
            raise UnsupportedError(
                f"convolution tensor '{tensor.name}' is {tensor.dtype}: expected {' or '.join(expected)}"
            )
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


def folded_bias(call: Call, values: Sequence[Array | None], weight_sums: NDArray[np.int64]) -> NDArray[np.int32]:
    """bias - zero point * sum of the channel's weights, wrapped to int32 as the accumulator is."""
    bias = values[2] if len(values) > 2 else None
    plain = np.zeros(len(weight_sums), np.int64) if bias is None else bias.reshape(-1).astype(np.int64)
    return (plain - call.x.zero_point * weight_sums).astype(np.int32)


def pad(call: Call, x: Array) -> Array:
    """x with its padding, filled by the zero point."""
    a: WindowAttributes = call.attributes
    sides = ((0, 0), (a.pad_top, a.pad_bottom), (a.pad_left, a.pad_right), (0, 0))
    return np.pad(x, sides, constant_values=call.x.zero_point) if any(map(any, sides)) else x


def input_rows(call: Call, index: int, rows: Rows) -> Rows:
    """Rows of x for output rows; weights and bias are needed whole."""
    tensor = operand(call.inputs[index], "operand")
    if index > 0:
        return (0, tensor.rows)
    axis = call.attributes.vertical(operand(call.inputs[1], "weights").shape[1])
    return window.rows_needed(axis, rows, call.x.shape[1], call.y.shape[1])


def channel_table(call: Call, bias: NDArray[np.int32], products: NDArray[np.int64]) -> tuple[NDArray[np.int32], bool]:
    """What rs_requantize.h reads, [channels, 3], and whether its fast form holds for every channel.

    `products` bounds the absolute sum of each channel's products, which with the bias bounds the accumulator.
    """
    multipliers, shifts = fixedpoint.quantize_multipliers(real_multipliers(call, len(bias)))
    largest = np.abs(bias.astype(np.int64)) + products
    right = -shifts.astype(np.int64)
    scaled = ((largest * multipliers) >> 31) + (130 << np.clip(right, 0, 31))
    if (right >= 1).all() and (largest < 1 << 31).all() and (scaled < 1 << 30).all():
        doubled = (multipliers.astype(np.int64) * 2).astype(np.int32)
        return np.stack([bias, doubled, right.astype(np.int32)], axis=1), True
    return np.stack([bias, multipliers, shifts], axis=1), False


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
