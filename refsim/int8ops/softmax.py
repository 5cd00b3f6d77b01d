"""SOFTMAX over the last axis, int8 to int8."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from refsim.errors import UnsupportedError
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Slot, Tensor
from refsim.int8ops import gemmlowp
from refsim.int8ops.fixedpoint import Int64, doubling_high_multiply, quantize_multiplier, rounding_divide_by_pot
from refsim.int8ops.numerics import Numerics

DIFF_INTEGER_BITS = 5  # differences from the maximum are Q5.26
SUM_INTEGER_BITS = 12  # sums of exponentials are Q12.19
LARGEST_DEPTH = (1 << SUM_INTEGER_BITS) - 1  # more ones than that overflow the sum


@dataclass(frozen=True, slots=True)
class Attributes:
    beta: float = 1.0


@dataclass(frozen=True, slots=True)
class Scaling:
    """Differences of int8 inputs to Q5.26: (diff << shift) * multiplier; those below diff_min count as exp = 0."""

    multiplier: int
    shift: int
    diff_min: int


def scaling(beta: float, scale: float) -> Scaling:
    """Source: PreprocessSoftmaxScaling and CalculateInputRadius in kernels/internal/quantization_util.cc."""
    real = min(float(np.float32(beta)) * scale * (1 << (31 - DIFF_INTEGER_BITS)), 2.0**31 - 1.0)
    multiplier, shift = quantize_multiplier(real)
    largest = ((1 << DIFF_INTEGER_BITS) - 1) * (1 << (31 - DIFF_INTEGER_BITS))
    return Scaling(multiplier, shift, -math.floor(largest / (1 << shift)))


def exponentials(rule: Scaling) -> Int64:
    """exp of 0, -1, ..., -255 input steps in Q0.31, 0 below diff_min."""
    diff = -np.arange(256, dtype=np.int64)
    counted = diff >= rule.diff_min
    scaled = doubling_high_multiply(np.where(counted, diff, 0) << rule.shift, rule.multiplier)
    return np.where(counted, gemmlowp.exp_on_negative_values(scaled), 0)


class Softmax(Operator):
    """y = exp(beta * x) / sum(exp(beta * x)), in gemmlowp's fixed point (kernels/internal/reference/softmax.h).

    Where 512 inputs or more share the maximum, TFLite stops at an assertion (its last shift would be by 32 or more);
    here that shift gives its exact result, probability 0.
    """

    name = "softmax"
    tflite = "SOFTMAX"
    options: ClassVar[Mapping[str, Slot]] = {"beta": Slot(0, "float32", 0.0)}

    def attributes(
        self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Attributes:
        return Attributes(float(options["beta"]))

    def infer(self, inputs: Sequence[Tensor | None], attributes: Attributes) -> tuple[Shape, ...]:
        assert inputs[0] is not None
        return (inputs[0].shape,)

    def check(self, call: Call) -> None:
        x, y = call.x, call.y
        if x.dtype != "int8" or y.dtype != "int8":
            raise UnsupportedError(f"SOFTMAX from '{x.name}' ({x}) to '{y.name}' ({y}): expected int8 for both")
        if x.quant is None or x.quant.per_channel:
            raise UnsupportedError(f"SOFTMAX input '{x.name}' needs one scale and zero point")
        if y.quant is None or (y.quant.scale, y.quant.zero_point) != ((1 / 256,), (-128,)):
            raise UnsupportedError(f"SOFTMAX output '{y.name}' needs scale 1/256 and zero point -128")
        if not x.shape or not 1 <= x.shape[-1] <= LARGEST_DEPTH:
            raise UnsupportedError(f"SOFTMAX input '{x.name}' ({x}): expected 1 to {LARGEST_DEPTH} on the last axis")
        if not float(np.float32(call.attributes.beta)) * x.scale * (1 << (31 - DIFF_INTEGER_BITS)) > 1.0:
            raise UnsupportedError(f"SOFTMAX of '{x.name}': beta * scale has to be above 2**-26")

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        x = values[0]
        assert x is not None
        wide = x.astype(np.int64)
        exps = exponentials(scaling(call.attributes.beta, call.x.scale))[wide.max(axis=-1, keepdims=True) - wide]
        total = rounding_divide_by_pot(exps, SUM_INTEGER_BITS).sum(axis=-1, keepdims=True)
        scale, over_unit = gemmlowp.reciprocal(total, SUM_INTEGER_BITS)
        y = rounding_divide_by_pot(doubling_high_multiply(scale, exps), over_unit + 31 - 8)
        return (np.clip(y - 128, -128, 127).astype(np.int8),)

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        return rows

    def overwrites(self, call: Call) -> tuple[int, ...]:
        """The kernel finishes a run's maximum and sum before it writes, and then reads each element for itself only."""
        return (0,)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        rule = scaling(call.attributes.beta, call.x.scale)
        depth = call.x.shape[-1]
        literals = {
            "depth": depth,
            "groups": call.x.row_bytes // depth,
            "multiplier": rule.multiplier,
            "shift": rule.shift,
            "diff_min": max(rule.diff_min, -255),
        }
        return KernelCall("softmax", ("x",), literals=literals)


OPERATOR = Softmax()
