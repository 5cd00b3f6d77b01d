"""DEPTHWISE_CONV_2D: weights [1, KH, KW, I*M] over x [N, H, W, I]; output channel c reads input channel c // M.

Source of the arithmetic: TFLite's reference_integer_ops/depthwise_conv.h.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refsim.errors import ModelError
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Slot, Tensor
from refsim.int8ops import accumulate, convolution
from refsim.int8ops.convolution import WindowAttributes, operand
from refsim.int8ops.numerics import Numerics

SCRATCH = 2048  # bytes of input rows of one channel, unless a single output row needs more


class DepthwiseConv2D(Operator):
    name = "depthwise_conv2d"
    tflite = "DEPTHWISE_CONV_2D"
    most_operands = 3
    options = convolution.options(
        depth_multiplier=Slot(3, "int32"),
        activation=Slot(4, "int8"),
        dilation_w=Slot(5, "int32", 1),
        dilation_h=Slot(6, "int32", 1),
    )

    def attributes(
        self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> WindowAttributes:
        x, w = operand(inputs[0], "input"), operand(inputs[1], "weights")
        decoded = WindowAttributes.decode(options, x, w)
        given = options["depth_multiplier"]
        if given > 0 and given * x.shape[3] != w.shape[3]:
            raise ModelError(f"depth multiplier {given} of '{w.name}' {w} contradicts the channels of '{x.name}' {x}")
        return decoded

    def infer(self, inputs: Sequence[Tensor | None], attributes: WindowAttributes) -> tuple[Shape, ...]:
        x, w = operand(inputs[0], "input"), operand(inputs[1], "weights")
        return ((x.shape[0], *convolution.output_size(x, w, attributes), w.shape[3]),)

    def check(self, call: Call) -> None:
        convolution.check(call, axis=3)
        x, w = call.x, operand(call.inputs[1], "weights")
        if w.shape[0] != 1 or w.shape[3] % x.shape[3]:
            raise ModelError(f"depthwise weights '{w.name}' {w} do not match the channels of '{x.name}' {x}")

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        x, w = values[0], values[1]
        assert x is not None and w is not None
        a: WindowAttributes = call.attributes
        channels = w.shape[3]
        padded = np.repeat(convolution.pad(call, x), channels // x.shape[3], axis=3)
        acc = np.empty(call.y.shape, np.int32)
        accumulate.depthwise(padded, w[0], (a.stride_h, a.stride_w), (a.dilation_h, a.dilation_w), acc)
        bias = convolution.folded_bias(call, values, w.sum(axis=(0, 1, 2), dtype=np.int64), call.x.zero_point)
        reals, bounds = convolution.real_multipliers(call, channels), convolution.bounds(call)
        flat = acc.reshape(-1, channels)
        y = accumulate.requantize(flat, bias, reals, call.y.zero_point, bounds, numerics.requantize)
        return (y.reshape(call.y.shape),)

    def macs(self, call: Call) -> int:
        return call.y.elements * math.prod(operand(call.inputs[1], "weights").shape[1:3])

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        return convolution.input_rows(call, index, rows)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        convolution.require_two_roundings(numerics, self.tflite)
        _, height, width, channels = operand(call.inputs[1], "weights").shape
        w = convolution.constant(call, 1).reshape(-1, channels).T
        folded = keeps_x(call.attributes, height, width)
        computed = convolution.channels(call, w, call.x.zero_point if folded else 0)
        plane_w, block_rows, plane_bytes = plane(call, height, width)
        return KernelCall(
            kernel=self.name,
            views=("x", *(None for _ in call.inputs[1:])),
            literals={
                **convolution.literals(call, height, width),
                "subtract": 0 if folded else call.x.zero_point,
                "fill": call.x.zero_point if folded else 0,
                "block_rows": block_rows,
                "plane_w": plane_w,
                "fast": int(computed.fast),
            },
            constants={"channel": computed.table, "w": computed.w},
            scratch=plane_bytes + 4 * height * most_words(width),
        )


def keeps_x(attributes: WindowAttributes, height: int, width: int) -> bool:
    """Whether the kernel takes the 3x3 path of depthwise_conv2d.h, which leaves x's zero point to the bias."""
    a = attributes
    return (height, width, a.dilation_h, a.dilation_w) == (3, 3, 1, 1) and a.stride_w <= 2


def most_words(width: int) -> int:
    """Words that a kernel row of weights may take once unpacked, by depthwise_conv2d.h's ways of doing so."""
    return width - 1 if width in (3, 5, 7) else (width + 1) // 2


def plane(call: Call, height: int, width: int) -> tuple[int, int, int]:
    """Values in a row of the scratch plane, output rows whose input it holds, and its bytes."""
    a: WindowAttributes = call.attributes
    _, out_h, out_w, _ = call.y.shape
    widest = (out_w - 1 + out_w % 2) * a.stride_w + max((width - 1) * a.dilation_w + 1, width + width % 2)
    row = 2 * (widest + widest % 2)
    reach = (height - 1) * a.dilation_h + 1
    rows = min(out_h, max(1, (SCRATCH // row - reach) // a.stride_h + 1))
    return row // 2, rows, row * ((rows - 1) * a.stride_h + reach)


OPERATOR = DepthwiseConv2D()
