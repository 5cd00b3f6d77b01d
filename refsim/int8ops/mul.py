"""MUL, int8: the product of the zero-based operands, requantised once.

Source: tensorflow/lite/kernels/internal/reference/integer_ops/mul.h and kernels/mul.cc. In which type the scales are
multiplied was found by probes (golden/reference/mul) in which the last bits of the multiplier decide.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refsim.graph import Array, Call, KernelCall, Tensor
from refsim.int8ops.elementwise import ElementwiseOperator, operands, placement, requantized
from refsim.int8ops.fixedpoint import quantize_multiplier
from refsim.int8ops.numerics import Numerics, Precision
from refsim.int8ops.operand import output_bounds


def multiplier(a: Tensor, b: Tensor, y: Tensor, precision: Precision) -> tuple[int, int]:
    first, second, out = np.array([a.scale, b.scale, y.scale], precision)
    return quantize_multiplier(float(first * second / out))


class Mul(ElementwiseOperator):
    name = "mul"
    tflite = "MUL"
    most_operands = 2

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        a, b = call.inputs
        first, second = values
        assert a is not None and b is not None and first is not None and second is not None
        product = (first.astype(np.int32) - a.zero_point) * (second.astype(np.int32) - b.zero_point)
        return (requantized(product, multiplier(a, b, call.y, numerics.mul_precision), call),)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        a, b, _ = operands(call)
        views, literals, constants = placement(call)
        scale, shift = multiplier(a, b, call.y, numerics.mul_precision)
        low, high = output_bounds(call)
        arithmetic = {
            "zero_point1": a.zero_point,
            "zero_point2": b.zero_point,
            "multiplier": scale,
            "shift": shift,
            "zero_point": call.y.zero_point,
            "low": low,
            "high": high,
        }
        return KernelCall("mul", views, literals={**literals, **arithmetic}, constants=constants)


OPERATOR = Mul()
