"""QUANTIZE: float32 to int8, and from one 8-bit quantisation to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refsim.errors import UnsupportedError
from refsim.graph import DTYPES, Array, Call, KernelCall, Operator, Rows, Shape, Tensor
from refsim.int8ops.fixedpoint import LIMITS, requantize, rounded_half_away
from refsim.int8ops.lookup import table_call
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import has_type, per_tensor

BEYOND = 512.0  # a quotient of that size saturates whatever the zero point is


def affine(x: Array, scale: float, zero_point: int, bounds: tuple[int, int]) -> Array:
    """round(x / scale) + zero_point, clamped; division in float32, halves away from zero (AffineQuantize).

    What C leaves undefined is defined here: infinities and quotients beyond int32 saturate, NaN gives the zero point.
    """
    with np.errstate(over="ignore", under="ignore"):
        quotient = x.astype(np.float32) / np.float32(scale)
    near = np.clip(np.nan_to_num(quotient, nan=0.0), -BEYOND, BEYOND)
    moved: Array = np.clip(rounded_half_away(near).astype(np.int64) + zero_point, *bounds)
    return moved


class Quantize(Operator):
    """Source: kernels/quantize.cc, reference/quantize.h and reference/requantize.h; scale ratio in float64."""

    name = "quantize"
    tflite = "QUANTIZE"

    def infer(self, inputs: Sequence[Tensor | None], attributes: Any) -> tuple[Shape, ...]:
        assert inputs[0] is not None
        return (inputs[0].shape,)

    def check(self, call: Call) -> None:
        x, y = call.x, call.y
        if x.dtype == "float32":
            has_type("QUANTIZE from float32", y, "int8")
        else:
            per_tensor("QUANTIZE", x, "int8", "uint8")
        per_tensor("QUANTIZE", y, "int8", "uint8")
        if x.dtype == y.dtype == "uint8":
            raise UnsupportedError(f"QUANTIZE from '{x.name}' to '{y.name}': expected int8 on one side, both are uint8")

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        x, y = values[0], call.y
        assert x is not None
        if call.x.dtype == "float32":
            return (affine(x, y.scale, y.zero_point, LIMITS[y.dtype]).astype(np.int8),)
        return (_requantized(call, x, numerics),)

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        return rows

    def is_view(self, call: Call) -> bool:
        return call.x.dtype == call.y.dtype and call.x.quant == call.y.quant

    def overwrites(self, call: Call) -> tuple[int, ...]:
        return (0,) if call.x.itemsize == call.y.itemsize else ()

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        if call.x.dtype != "float32":
            every_byte = np.arange(-128, 128).astype(np.int8).view(DTYPES[call.x.dtype])
            return table_call(call, _requantized(call, every_byte, numerics))
        literals = {
            "elements": call.y.row_bytes,
            "scale": int(np.float32(call.y.scale).view(np.int32)),
            "zero_point": call.y.zero_point,
        }
        return KernelCall("quantize", ("x",), literals=literals)


def _requantized(call: Call, q: Array, numerics: Numerics) -> Array:
    x, y = call.x, call.y
    wide = q.astype(np.int64) - x.zero_point
    ratio = float(np.float32(x.scale)) / float(np.float32(y.scale))
    return requantize(wide, ratio, y.zero_point, LIMITS[y.dtype], numerics.requantize, DTYPES[y.dtype])


OPERATOR = Quantize()
