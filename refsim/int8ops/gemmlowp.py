"""gemmlowp's transcendental functions on int32 fixed point, element by element, to the bit.

A number in Qm.n is an int32 holding value * 2**n, with m integer bits and m + n = 31. Arrays are int64 that hold int32
values. Source: gemmlowp's fixedpoint.h (exp_on_negative_values, one_over_one_plus_x_for_x_in_0_1) and TFLite's
GetReciprocal in kernels/internal/common.h.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from refsim.int8ops.fixedpoint import Int64, doubling_high_multiply, rounding_divide_by_pot

INT32_MAX = 2**31 - 1
SCALED_DIFF_FRACTION = 26  # exp takes Q5.26
EXP_MINUS_EIGHTH = 1895147668  # Q0.31
ONE_THIRD = 715827883  # Q0.31
# k and exp(-2**k) in Q0.31, for the bits of an argument in Q5.26 from 1/4 to 16.
EXP_OF_BIT = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
FORTY_EIGHT_SEVENTEENTHS = 1515870810  # Q2.29
THIRTY_TWO_SEVENTEENTHS = 1010580540  # Q2.29


def saturating_shift_left(x: ArrayLike, bits: int) -> Int64:
    """x * 2**bits, saturated to int32."""
    shifted: Int64 = np.asarray(x, np.int64) << bits
    return np.clip(shifted, -INT32_MAX - 1, INT32_MAX)


def exp_on_negative_values(a: ArrayLike) -> Int64:
    """exp(a) in Q0.31 for a <= 0 in Q5.26; 1 saturates to 2**31 - 1."""
    a = np.asarray(a, np.int64)
    quarter = 1 << (SCALED_DIFF_FRACTION - 2)
    within = (a & (quarter - 1)) - quarter  # in [-1/4, 0)
    rest = within - a
    result = _exp_on_last_quarter(within << 5)
    for exponent, factor in EXP_OF_BIT:
        bit = 1 << (SCALED_DIFF_FRACTION + exponent)
        result = np.where(rest & bit, doubling_high_multiply(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _exp_on_last_quarter(a: Int64) -> Int64:
    """exp(a) for a in [-1/4, 0), both Q0.31: Taylor series of four terms around -1/8."""
    x = a + (1 << 28)
    x2 = doubling_high_multiply(x, x)
    x3 = doubling_high_multiply(x2, x)
    x4_over_4 = rounding_divide_by_pot(doubling_high_multiply(x2, x2), 2)
    tail = rounding_divide_by_pot(doubling_high_multiply(x4_over_4 + x3, ONE_THIRD) + x2, 1)
    return EXP_MINUS_EIGHTH + doubling_high_multiply(EXP_MINUS_EIGHTH, x + tail)


def one_over_one_plus_x(x: ArrayLike) -> Int64:
    """1 / (1 + x) for x in [0, 1], both Q0.31: three Newton steps."""
    half_denominator = (np.asarray(x, np.int64) + INT32_MAX + 1) >> 1  # rounding half sum of non-negative numbers
    guess = FORTY_EIGHT_SEVENTEENTHS + doubling_high_multiply(half_denominator, -THIRTY_TWO_SEVENTEENTHS)
    for _ in range(3):
        error = (1 << 29) - doubling_high_multiply(half_denominator, guess)
        guess = guess + saturating_shift_left(doubling_high_multiply(guess, error), 2)
    return saturating_shift_left(guess, 1)


def reciprocal(x: ArrayLike, integer_bits: int) -> tuple[Int64, Int64]:
    """(r, b) with 1 / x ~ r * 2**-b for x > 0 in Q`integer_bits`, r in Q0.31 from 1/2 to 1."""
    x = np.asarray(x, np.int64)
    headroom = np.asarray(32 - np.frexp(x.astype(np.float64))[1], np.int64)  # leading zeros of 32
    over = (x << headroom) - (1 << 31)
    return one_over_one_plus_x(over), integer_bits - headroom
