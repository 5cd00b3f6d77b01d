"""AVERAGE_POOL_2D, int8: the rounded mean of the taps inside the input, clamped; half is rounded away from zero.

Source: tensorflow/lite/kernels/internal/reference/integer_ops/pooling.h: sum of raw values, half the count added with
the sum's sign, C's truncating division by the count of in-bounds taps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refsim.errors import UnsupportedError
from refsim.graph import Array, Call, KernelCall
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import output_bounds
from refsim.int8ops.pooling import PoolOperator, literals, taps
from refsim.int8ops.window import Axis

# Beyond this count the kernel's reciprocal can be off by more than the one that it corrects.
MOST_TAPS = 130_000
RECIPROCAL_BITS = 24


def counts(axis: Axis, length: int) -> Array:
    """How many taps of each output lie inside the input, along one axis."""
    first = np.arange(axis.output(length)) * axis.stride - axis.before
    inside: Array = np.minimum(first + axis.size, length) - np.maximum(first, 0)
    return inside


def reciprocals(least: int, most: int) -> Array:
    """floor(2**24 / n) for n in [least, most]: what the kernel multiplies by in place of a division."""
    return (1 << RECIPROCAL_BITS) // np.arange(least, most + 1, dtype=np.uint32)


def _rounded_mean(total: Array, count: Array) -> Array:
    quotient: Array = np.sign(total) * ((np.abs(total) + count // 2) // count)
    return quotient


class AveragePool2D(PoolOperator):
    name = "average_pool_2d"
    tflite = "AVERAGE_POOL_2D"

    def check(self, call: Call) -> None:
        super().check(call)
        if call.attributes.size_h * call.attributes.size_w > MOST_TAPS:
            raise UnsupportedError(
                f"AVERAGE_POOL_2D: '{call.y.name}' averages over more than {MOST_TAPS} values, the most supported"
            )

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        x = values[0]
        assert x is not None
        total = taps(call, x, 0).sum(axis=(-2, -1), dtype=np.int32)
        mean = _rounded_mean(total, self._count(call)[:, :, None])
        return (np.clip(mean, *output_bounds(call)).astype(np.int8),)

    def _count(self, call: Call) -> Array:
        _, in_h, in_w, _ = call.x.shape
        p = call.attributes
        product: Array = np.multiply.outer(counts(p.vertical, in_h), counts(p.horizontal, in_w)).astype(np.int32)
        return product

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        count = self._count(call)
        least, most = int(count.min()), int(count.max())
        return KernelCall(
            "average_pool_2d",
            ("x",),
            literals={**literals(call), "least_count": least, "most_count": most},
            constants={"reciprocals": reciprocals(least, most).astype(np.uint32)},
        )


OPERATOR = AveragePool2D()
