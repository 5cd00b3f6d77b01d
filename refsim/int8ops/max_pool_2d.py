"""MAX_POOL_2D, int8: the largest value in the window, padding left out, clamped.

Source: tensorflow/lite/kernels/internal/reference/integer_ops/pooling.h.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refsim.graph import Array, Call, KernelCall
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import output_bounds
from refsim.int8ops.pooling import PoolOperator, literals, taps


class MaxPool2D(PoolOperator):
    name = "max_pool_2d"
    tflite = "MAX_POOL_2D"

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        x = values[0]
        assert x is not None
        largest = taps(call, x, -128).max(axis=(-2, -1))
        return (np.clip(largest, *output_bounds(call)).astype(np.int8),)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        return KernelCall("max_pool_2d", ("x",), literals=literals(call))


OPERATOR = MaxPool2D()
