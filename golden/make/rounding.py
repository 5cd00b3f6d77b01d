"""Rounding rules that engines could follow, in plain formulas: to place probes on ties and to tell the rules apart.

Sources: QuantizeMultiplier and MultiplyByQuantizedMultiplier in tensorflow/lite/kernels/internal/common.cc;
"half-up" is ruy's multiplication, "exact" LiteRT's reference FULLY_CONNECTED. Nothing here is taken from refsim.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Rule = Callable[[Array, float], Array]


def half_away(value: Array | float) -> Array:
    """The nearest integer; halves go away from zero."""
    exact = np.asarray(value, np.float64)
    whole = np.trunc(exact)
    return np.asarray(whole + np.copysign(np.abs(exact - whole) >= 0.5, exact)).astype(np.int64)


def parts(real: float) -> tuple[int, int]:
    """real ~ multiplier / 2**31 * 2**shift."""
    fraction, shift = math.frexp(real)
    multiplier = int(half_away(math.ldexp(fraction, 31)))
    return (1 << 30, shift + 1) if multiplier == 1 << 31 else (multiplier, shift)


def high(acc: Array, multiplier: int, left: int) -> Array:
    """The doubling high multiply of acc * 2**left, half up."""
    return np.asarray((acc.astype(np.int64) * (1 << left) * multiplier + (1 << 30)) >> 31)


def divide(value: Array, right: int) -> Array:
    """value / 2**right, halves away from zero."""
    return np.asarray(np.sign(value) * ((np.abs(value) + ((1 << right) >> 1)) >> right))


def two_roundings(acc: Array, real: float) -> Array:
    multiplier, shift = parts(real)
    return divide(high(acc, multiplier, max(shift, 0)), max(-shift, 0))


def half_up(acc: Array, real: float) -> Array:
    multiplier, shift = parts(real)
    right = max(-shift, 0)
    return np.asarray((high(acc, multiplier, max(shift, 0)) + ((1 << right) >> 1)) >> right)


def one_rounding(acc: Array, real: float) -> Array:
    return half_away(acc * np.float64(real))


FLOAT32 = "two-roundings of a float32 multiplier"
RULES: Mapping[str, Rule] = {"two-roundings": two_roundings, "half-up": half_up, "exact": one_rounding}


def single(scale: float) -> float:
    """The nearest float32."""
    return float(np.float32(scale))


def int8(value: Array, zero_point: int) -> Array:
    """Moved by the zero point and saturated."""
    return np.asarray(np.clip(value + zero_point, -128, 127), np.int8)


def by_channel(acc: Array, reals: Sequence[float], zero_point: int) -> dict[str, Array]:
    """acc[..., c] scaled by reals[c] to int8 under each rule."""

    def scaled(rule: Rule, factors: Sequence[float]) -> Array:
        columns = [rule(acc[..., c], factor) for c, factor in enumerate(factors)]
        return int8(np.stack(columns, -1), zero_point)

    found = {name: scaled(rule, reals) for name, rule in RULES.items()}
    return {**found, FLOAT32: scaled(two_roundings, [single(real) for real in reals])}


def ties(real: float, steps: Array, nudge: int = 0) -> Array:
    """int32 accumulators nearest to (k + 1/2) / real for each k of `steps`, moved by `nudge`."""
    return (half_away((steps + 0.5) / real) + nudge).astype(np.int32)
