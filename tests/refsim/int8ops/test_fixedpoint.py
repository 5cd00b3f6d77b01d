"""The fixed-point arithmetic against exact rational arithmetic, and its vectorised forms against the scalar ones."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from refsim.int8ops import accumulate, fixedpoint

INT32 = st.integers(-(2**31), 2**31 - 1)
REALS = st.floats(0, 1e9, allow_nan=False) | st.floats(1e-12, 4)


def half_up(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()


def half_away(value: Fraction) -> int:
    return half_up(value) if value >= 0 else -half_up(-value)


@given(st.lists(REALS, min_size=1, max_size=20))
@example([0.0, 1.0, 0.5, 1 - 2**-53, 2.0**-31, 2.0**-32, 2.0**-33, 1e-300, 2.0**30, 2.0**31, 5e-324])
def test_many_multipliers_are_quantised_like_one(reals: list[float]) -> None:
    multipliers, shifts = fixedpoint.quantize_multipliers(reals)
    assert list(zip(multipliers.tolist(), shifts.tolist(), strict=True)) == [
        fixedpoint.quantize_multiplier(real) for real in reals
    ]


@given(st.floats(2.0**-31, 2.0**29))
def test_a_quantised_multiplier_is_the_nearest_of_31_bits(real: float) -> None:
    multiplier, shift = fixedpoint.quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    assert abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) - Fraction(real)) <= Fraction(2) ** (shift - 32)


@given(INT32, INT32)
@example(-(2**31), -(2**31))
def test_doubling_high_multiply_rounds_half_up_and_saturates(a: int, b: int) -> None:
    expected = min(half_up(Fraction(2 * a * b, 2**32)), 2**31 - 1)
    assert fixedpoint.doubling_high_multiply(a, b) == expected


@given(INT32, st.integers(0, 31))
@example(-1, 1)
@example(-3, 1)
@example(3, 1)
def test_division_by_a_power_of_two_rounds_half_away_from_zero(x: int, exponent: int) -> None:
    assert fixedpoint.rounding_divide_by_pot(x, exponent) == half_away(Fraction(x, 2**exponent))


@given(INT32, st.floats(-1e6, 1e6))
@example(1, 0.49999999999999994)
@example(5, 0.5)
@example(-5, 0.5)
def test_exact_multiplication_rounds_the_float_product_once(x: int, real: float) -> None:
    expected = max(-(2**31), min(2**31 - 1, half_away(Fraction(float(x) * real))))
    assert fixedpoint.multiply_exact(x, real) == expected


@pytest.mark.parametrize("seed", range(3))
def test_compiled_requantisation_equals_the_plain_one(seed: int) -> None:
    pick = np.random.default_rng(seed)
    acc = pick.integers(-(2**31), 2**31, (500, 6), dtype=np.int64) >> pick.integers(0, 31, (500, 1))
    bias = (pick.integers(-(2**31), 2**31, 6, dtype=np.int64) >> pick.integers(0, 31, 6)).astype(np.int32)
    real = 10 ** pick.uniform(-8, 2, 6)
    wrapped = (acc + bias).astype(np.int32)
    for bounds in ((-128, 127), (-5, 100)):
        fast = accumulate.requantize(acc, bias, real, 7, bounds, "two-roundings")
        np.testing.assert_array_equal(fast, fixedpoint.requantize(wrapped, real, 7, bounds, "two-roundings"))


@pytest.mark.parametrize("activation, expected", [(0, (-128, 127)), (1, (-10, 127)), (2, (-30, 10)), (3, (-10, 110))])
def test_activation_bounds_are_the_real_ones_quantised(activation: int, expected: tuple[int, int]) -> None:
    assert fixedpoint.activation_bounds(activation, 0.05, -10, "int8") == expected


@given(st.integers(1, 400), st.integers(0, 10))
def test_matrix_products_are_exact_for_any_depth(depth: int, extra: int) -> None:
    depth = depth * 8 + extra  # beyond 1032 the sum leaves float32's integers
    x, w = np.full((2, depth), -128, np.int8), np.full((3, depth), -128, np.int8)
    w[1, 0] = 127
    np.testing.assert_array_equal(accumulate.matmul(x, w), x.astype(np.int64) @ w.astype(np.int64).T)


def test_halves_of_arrays_are_rounded_as_those_of_numbers() -> None:
    values = [-2.5, -1.5, -0.5, -0.49999997, 0.0, 0.49999997, 0.5, 1.5, 2.5, 1e6 + 0.5]
    for kind in (np.float32, np.float64):
        x = np.array(values, kind)
        found = fixedpoint.rounded_half_away(x)
        assert found.dtype == kind
        assert found.tolist() == [fixedpoint.round_half_away(float(v)) for v in x]
