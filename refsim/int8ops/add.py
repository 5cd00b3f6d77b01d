"""ADD, int8: both operands are brought to a common scale with 20 fractional bits, added, and requantised.

Source: tensorflow/lite/kernels/internal/reference/add.h and kernels/add.cc (multipliers in double). No numerics in use
changes this arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refsim.errors import UnsupportedError
from refsim.graph import Array, Call, KernelCall, Tensor
from refsim.int8ops.elementwise import ElementwiseOperator, operands, placement, requantized
from refsim.int8ops.fixedpoint import multiply, quantize_multiplier
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import output_bounds

LEFT_SHIFT = 20
BYTES = np.arange(256, dtype=np.uint8).view(np.int8)
Multiplier = tuple[int, int]


def multipliers(a: Tensor, b: Tensor, y: Tensor) -> tuple[Multiplier, Multiplier, Multiplier]:
    """(multiplier, shift) of both inputs and of the output."""
    twice_max = 2.0 * max(a.scale, b.scale)
    reals = a.scale / twice_max, b.scale / twice_max, twice_max / ((1 << LEFT_SHIFT) * y.scale)
    first, second, output = map(quantize_multiplier, reals)
    return first, second, output


class Add(ElementwiseOperator):
    name = "add"
    tflite = "ADD"
    most_operands = 2

    def check(self, call: Call) -> None:
        super().check(call)
        a, b, _ = operands(call)
        if 2.0 * max(a.scale, b.scale) >= (1 << LEFT_SHIFT) * call.y.scale:
            raise UnsupportedError(
                f"ADD: '{call.y.name}' has a scale 2**19 times smaller than its inputs, which overflows"
            )

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        a, b = call.inputs
        assert a is not None and b is not None
        first, second, output = multipliers(a, b, call.y)
        total = _scaled(values[0], a.zero_point, first) + _scaled(values[1], b.zero_point, second)
        return (requantized(total, output, call),)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        a, b, _ = operands(call)
        views, literals, constants = placement(call)
        first, second, output = multipliers(a, b, call.y)
        low, high = output_bounds(call)
        arithmetic = {
            "zero_point1": a.zero_point,
            "multiplier1": first[0],
            "right1": -first[1],
            "zero_point2": b.zero_point,
            "multiplier2": second[0],
            "right2": -second[1],
            "multiplier": output[0],
            "right": -output[1],
            "zero_point": call.y.zero_point,
            "low": low,
            "high": high,
        }
        return KernelCall("add", views, literals={**literals, **arithmetic}, constants=constants)


def _scaled(x: Array | None, zero_point: int, multiplier: Multiplier) -> NDArray[np.int32]:
    """x on the common scale, by way of a table of all bytes."""
    assert x is not None
    table = multiply((BYTES.astype(np.int64) - zero_point) << LEFT_SHIFT, *multiplier).astype(np.int32)
    found: NDArray[np.int32] = table.take(x.view(np.uint8))
    return found


OPERATOR = Add()
