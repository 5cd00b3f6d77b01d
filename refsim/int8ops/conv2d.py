"""CONV_2D: a window of weights [O, KH, KW, I] over x [N, H, W, I] plus bias [O]; int8, scales per channel or one.

Source of the arithmetic: TFLite's reference_integer_ops/conv.h.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Slot, Tensor
from refsim.int8ops import accumulate, convolution
from refsim.int8ops.convolution import WindowAttributes, operand
from refsim.int8ops.numerics import Numerics


class Conv2D(Operator):
    name = "conv2d"
    tflite = "CONV_2D"
    most_operands = 3
    options = convolution.options(
        activation=Slot(3, "int8"),
        dilation_w=Slot(4, "int32", 1),
        dilation_h=Slot(5, "int32", 1),
    )

    def attributes(
        self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> WindowAttributes:
        return WindowAttributes.decode(options, operand(inputs[0], "input"), operand(inputs[1], "weights"))

    def infer(self, inputs: Sequence[Tensor | None], attributes: WindowAttributes) -> tuple[Shape, ...]:
        x, w = operand(inputs[0], "input"), operand(inputs[1], "weights")
        return ((x.shape[0], *convolution.output_size(x, w, attributes), w.shape[0]),)

    def check(self, call: Call) -> None:
        convolution.check(call, axis=0)
        x, w = call.x, operand(call.inputs[1], "weights")
        if x.shape[3] % w.shape[3]:
            raise ModelError(f"weights '{w.name}' {w} do not match the channels of '{x.name}' {x}")
        if x.shape[3] != w.shape[3]:
            raise UnsupportedError(
                f"weights '{w.name}' {w} make groups of the channels of '{x.name}' {x}: expected one group"
            )

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        x, w = values[0], values[1]
        assert x is not None and w is not None
        channels = w.shape[0]
        flat = w.reshape(channels, -1)
        acc = accumulate.matmul(patches(call, x, w.shape[1], w.shape[2]), flat)
        bias = convolution.folded_bias(call, values, flat.sum(axis=1, dtype=np.int64), call.x.zero_point)
        reals, bounds = convolution.real_multipliers(call, channels), convolution.bounds(call)
        y = accumulate.requantize(acc, bias, reals, call.y.zero_point, bounds, numerics.requantize)
        return (y.reshape(call.y.shape),)

    def macs(self, call: Call) -> int:
        return call.y.elements * math.prod(operand(call.inputs[1], "weights").shape[1:])

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        return convolution.input_rows(call, index, rows)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        convolution.require_two_roundings(numerics, self.tflite)
        w = convolution.constant(call, 1)
        channels = convolution.channels(call, w.reshape(len(w), -1), call.x.zero_point)
        live = live_channels(channels)
        single = whole_fours(channels.w[live])
        pairs, depth = in_pairs(in_fours(single)), single.shape[1]
        constants: dict[str, Array] = {"w_single": single} if pairs is None else {"w": pairs}
        if len(live) < len(w):
            constants |= {"place": live.astype(np.uint16), "still": channels.values}
        return KernelCall(
            kernel=self.name,
            views=("x", *(None for _ in call.inputs[1:])),
            literals={
                **convolution.literals(call, w.shape[1], w.shape[2]),
                "paired": int(pairs is not None),
                "live": len(live),
                "depth": depth,
                "fast": int(channels.fast),
            },
            constants={"channel": channels.table[live], **constants},
            scratch=4 * depth + (depth if call.x.shape[3] % 4 else 0),
        )


def live_channels(channels: convolution.Channels) -> NDArray[np.int64]:
    """Indices of the channels to compute: all, unless enough are constant to pay for copying those."""
    constant = int(channels.still.sum())
    return np.flatnonzero(~channels.still) if constant * 16 >= len(channels.w) else np.arange(len(channels.w))


def whole_fours(w: NDArray[np.int8]) -> NDArray[np.int8]:
    """Rows followed by zeros up to a multiple of 4."""
    return np.pad(w, ((0, 0), (0, -w.shape[1] % 4)))


def in_fours(w: NDArray[np.int8]) -> NDArray[np.int8]:
    """The same, each four in the order 0 2 1 3, as rs_dot.h wants them."""
    rows = whole_fours(w)
    return np.ascontiguousarray(rows.reshape(len(w), rows.shape[1] // 4, 4)[:, :, [0, 2, 1, 3]].reshape(rows.shape))


def in_pairs(w: NDArray[np.int8]) -> NDArray[np.int16] | None:
    """256 * odd channel + even channel, [ceil(O/2), K]; None where 16 bits, or 24 bits of a sum, are too few."""
    even, odd = w[0::2].astype(np.int32), np.zeros(((len(w) + 1) // 2, w.shape[1]), np.int32)
    odd[: len(w) // 2] = w[1::2]
    both = 256 * odd + even
    if both.min(initial=0) < -(1 << 15) or 128 * np.abs(odd).sum(axis=1).max(initial=0) >= 1 << 23:
        return None
    return both.astype(np.int16)


def patches(call: Call, x: Array, height: int, width: int) -> Array:
    """Windows of x as rows [N*OH*OW, KH*KW*I]."""
    a: WindowAttributes = call.attributes
    _, rows, columns, _ = call.y.shape
    padded = convolution.pad(call, x)
    if (height, width, a.stride_h, a.stride_w) == (1, 1, 1, 1):
        return padded.reshape(-1, x.shape[3])
    reach = ((height - 1) * a.dilation_h + 1, (width - 1) * a.dilation_w + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(1, 2))
    taken = windows[:, :: a.stride_h, :: a.stride_w, :, :: a.dilation_h, :: a.dilation_w][:, :rows, :columns]
    return np.ascontiguousarray(taken.transpose(0, 1, 2, 4, 5, 3)).reshape(-1, height * width * x.shape[3])


OPERATOR = Conv2D()
