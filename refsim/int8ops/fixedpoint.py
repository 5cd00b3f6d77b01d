"""TFLite's fixed-point arithmetic on int32 accumulators, element by element, to the bit.

Source: tensorflow/lite/kernels/internal/common.cc and gemmlowp's fixedpoint.h; which rounding each engine uses was
measured (see `numerics`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refsim.int8ops.numerics import Requantize

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1)}
# TFLite's ActivationFunctionType: the real bounds of each fused activation.
ACTIVATIONS: dict[int, tuple[str, float | None, float | None]] = {
    0: ("none", None, None),
    1: ("relu", 0.0, None),
    2: ("relu_n1_to_1", -1.0, 1.0),
    3: ("relu6", 0.0, 6.0),
}


def round_half_away(value: float) -> int:
    """TfLiteRound: C's round()."""
    whole = math.trunc(value)
    return whole + (abs(value - whole) >= 0.5) * (1 if value > 0 else -1)


def rounded_half_away(x: NDArray[Any]) -> NDArray[Any]:
    """The same of each element, as whole numbers of x's floating type."""
    whole = np.trunc(x)
    rounded: NDArray[Any] = whole + np.where(np.abs(x - whole) >= 0.5, np.copysign(1.0, x), 0.0)
    return rounded


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real ~ multiplier * 2**(shift - 31), multiplier in [2**30, 2**31) or 0.

    A positive shift is to the left. Source: QuantizeMultiplier; tiny values become 0, huge ones saturate.
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return (1 << 31) - 1, 30
    return multiplier, shift


def quantize_multipliers(reals: ArrayLike) -> tuple[Int32, Int32]:
    """quantize_multiplier of each value, none of which may be negative."""
    fractions, exponents = np.frexp(np.atleast_1d(np.asarray(reals, np.float64)))
    multipliers = np.floor(fractions * (1 << 31) + 0.5).astype(np.int64)
    carried = multipliers == 1 << 31
    multipliers, shifts = np.where(carried, multipliers // 2, multipliers), exponents.astype(np.int64) + carried
    small, large = (multipliers == 0) | (shifts < -31), shifts > 30
    multipliers = np.where(small, 0, np.where(large, (1 << 31) - 1, multipliers))
    return multipliers.astype(np.int32), np.where(small, 0, np.minimum(shifts, 30)).astype(np.int32)


def doubling_high_multiply(a: ArrayLike, b: ArrayLike) -> Int64:
    """SaturatingRoundingDoublingHighMul: (2ab + 2^31) >> 32, saturated where a = b = -2^31."""
    product: Int64 = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    high: Int64 = (product + (1 << 30)) >> 31
    return np.minimum(high, 2**31 - 1)


def rounding_divide_by_pot(x: ArrayLike, exponent: ArrayLike) -> Int64:
    """x / 2**exponent, rounded half away from zero (RoundingDivideByPOT)."""
    x, exponent = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponent) - 1
    rounded: Int64 = (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0))
    return rounded


def multiply(x: ArrayLike, multiplier: ArrayLike, shift: ArrayLike) -> Int64:
    """MultiplyByQuantizedMultiplier with two roundings; the left shift wraps in int32 as it does on Arm."""
    shift = np.asarray(shift, np.int64)
    left = np.asarray(x, np.int64) << np.maximum(shift, 0)
    return rounding_divide_by_pot(doubling_high_multiply(left.astype(np.int32), multiplier), np.maximum(-shift, 0))


def multiply_exact(x: ArrayLike, real: ArrayLike) -> Int64:
    """x * real in float64, rounded once, half away from zero, saturated to int32."""
    rounded = rounded_half_away(np.asarray(x, np.float64) * np.asarray(real, np.float64))
    saturated: Int64 = np.clip(rounded, -(2.0**31), 2.0**31 - 1).astype(np.int64)
    return saturated


def requantize(
    acc: ArrayLike, real: ArrayLike, zero_point: int, bounds: tuple[int, int], rule: Requantize, dtype: Any = np.int8
) -> NDArray[Any]:
    """Accumulators to the output type: scaled by `real` under `rule`, moved by zero_point, clamped to `bounds`."""
    if rule == "exact":
        scaled = multiply_exact(acc, real)
    else:
        multipliers, shifts = quantize_multipliers(real)
        scaled = multiply(acc, multipliers, shifts)
    return np.clip(scaled + zero_point, *bounds).astype(dtype)


def activation_bounds(activation: int, scale: float, zero_point: int, dtype: str) -> tuple[int, int]:
    """Quantised clamp of a fused activation (CalculateActivationRangeQuantized; float32 division as there)."""
    low, high = LIMITS[dtype]
    _, real_low, real_high = ACTIVATIONS[activation]
    if real_low is not None:
        low = max(low, zero_point + _quantised(real_low, scale))
    if real_high is not None:
        high = min(high, zero_point + _quantised(real_high, scale))
    return low, high


def _quantised(bound: float, scale: float) -> int:
    """A bound in steps, saturated to int32: beyond, C's conversion is undefined."""
    steps = float(np.float32(bound)) / float(np.float32(scale))
    low, high = LIMITS["int32"]
    return round_half_away(float(np.float32(min(max(steps, low), high))))
