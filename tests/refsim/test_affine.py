"""Choosing scales and zero points, and converting with them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from refsim.affine import asymmetric, dequantize_values, quantize_bias, quantize_values, quantize_weights, symmetric
from refsim.builder import seeded_weights
from refsim.graph import Quant

ENDS = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)
# (scale, zero point) of activations in mlcommons/tiny @1afd2c9, kws_ref_model.tflite, to float32's precision.
PUBLISHED = [(0.58470263, 83), (0.07872544, -128), (0.14468753, 14)]


@pytest.mark.parametrize(("scale", "zero_point"), PUBLISHED)
def test_the_range_of_a_published_tensor_gives_its_scale_and_zero_point_again(scale: float, zero_point: int) -> None:
    found = asymmetric(scale * (-128 - zero_point), scale * (127 - zero_point))
    assert found.zero_point == (zero_point,)
    assert found.scale[0] == pytest.approx(scale, rel=1e-6)


@given(ENDS, ENDS)
def test_ranges_hold_zero_exactly_and_their_ends_within_half_a_step(one: float, other: float) -> None:
    quant = asymmetric(min(one, other), max(one, other))
    (scale,), (zero_point,) = quant.scale, quant.zero_point
    assert -128 <= zero_point <= 127 and scale == np.float32(scale) and scale > 0
    assert quantize_values(np.zeros(1), quant)[0] == zero_point
    for end in (one, other):
        back = dequantize_values(quantize_values(np.array([end]), quant), quant)[0]
        assert abs(back - end) <= scale * (0.5 + 1e-4)


@pytest.mark.parametrize(
    ("low", "high", "zero_point"),
    # The end nearer to zero says -128 + 39.5 or -128 + 10.5, a tie; the other end, in float32, 1.5e-5 more than that.
    [(-1.6195000410079956, 8.83549976348877, -89), (-0.1784999966621399, 4.15649938583374, -118)],
)
def test_the_zero_point_follows_the_end_with_the_smaller_rounding_error(low, high, zero_point) -> None:
    assert asymmetric(low, high).zero_point == (zero_point,)


def test_a_range_of_nothing_gets_scale_one() -> None:
    assert asymmetric(0.0, 0.0) == Quant((1.0,), (0,))


def test_values_round_half_away_from_zero_and_saturate() -> None:
    x = np.array([0.5, 1.5, 2.5, -0.5, -2.5, 0.4999999, 1e9, -1e9])
    assert quantize_values(x, Quant((1.0,), (3,))).tolist() == [4, 5, 6, 2, 0, 3, 127, -128]


@pytest.mark.parametrize(("shape", "axis"), [((4, 3, 3, 2), 0), ((1, 3, 3, 8), 3), ((5, 7), None)])
def test_weights_are_symmetric_within_half_a_step_and_use_the_whole_range(shape, axis) -> None:
    w = seeded_weights(shape, 1)
    q, quant = quantize_weights(w, axis)
    assert set(quant.zero_point) == {0} and len(quant.scale) == (1 if axis is None else shape[axis])
    others = tuple(i for i in range(len(shape)) if i != axis) if axis is not None else None
    assert (np.abs(q.astype(int)).max(axis=others) == 127).all()
    steps = np.array(quant.scale).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    assert (np.abs(dequantize_values(q, quant) - w) <= steps * 0.5001).all()


def test_a_channel_of_zeros_keeps_a_usable_scale() -> None:
    q, quant = quantize_weights(np.zeros((2, 1, 1, 3), np.float32), 0)
    assert quant.scale == (1.0, 1.0) and not q.any()


def test_a_scale_grows_until_the_bias_fits_into_int32() -> None:
    w, b = np.full((2, 1, 1, 1), 1e-9, np.float32), np.array([100.0, 0.0], np.float32)
    q, quant = quantize_weights(w, 0, 0.01, b)
    bias, bias_quant = quantize_bias(b, 0.01, quant)
    assert q[1, 0, 0, 0] == 127 and quant.scale[0] > quant.scale[1]
    assert dequantize_values(bias, bias_quant)[0] == pytest.approx(100, rel=1e-6)


@given(st.integers(-(2**31), 2**31 - 1), st.floats(2.0**-13, 1.0, width=32), st.floats(2.0**-13, 1.0, width=32))
def test_bias_scale_is_the_float32_product(steps: int, input_scale: float, weight_scale: float) -> None:
    bias, quant = quantize_bias(np.zeros(1), input_scale, symmetric(weight_scale))
    assert quant.scale == (float(np.float32(input_scale) * np.float32(weight_scale)),)
    exact = float(Fraction(quant.scale[0]) * steps)
    assert abs(int(quantize_values(np.array([exact]), quant, "int32")[0]) - steps) <= 1 and bias[0] == 0
