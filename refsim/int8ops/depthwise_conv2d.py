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


class DepthwiseConv2D(Operator):
    name = "depthwise_conv2d"
    tflite = "DEPTHWISE_CONV_2D"
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
        bias = convolution.folded_bias(call, values, w.sum(axis=(0, 1, 2), dtype=np.int64))
        reals, bounds = convolution.real_multipliers(call, channels), convolution.bounds(call)
        flat = acc.reshape(-1, channels)
        y = accumulate.requantize(flat, bias, reals, call.y.zero_point, bounds, numerics.requantize)
        return (y.reshape(call.y.shape),)

    def macs(self, call: Call) -> int:
        return call.y.elements * math.prod(operand(call.inputs[1], "weights").shape[1:3])

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        return convolution.input_rows(call, index, rows)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        raise NotImplementedError


OPERATOR = DepthwiseConv2D()
