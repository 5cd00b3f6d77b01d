from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from refsim.errors import UnsupportedError
from refsim.graph import Call, Quant, Tensor
from refsim.int8ops import gemmlowp
from refsim.int8ops.numerics import NUMERICS, TFLM
from refsim.int8ops.softmax import OPERATOR, Attributes, scaling

PROBABILITY = Quant((1 / 256,), (-128,))
SCALES = [float(np.float32(2.0**-k * m)) for k in range(-3, 20, 2) for m in (1.0, 1.37, 1.99)]


def softmax_call(shape, scale=0.1, beta=1.0, zero_point=0, quant=PROBABILITY, dtype="int8"):
    x = Tensor("x", shape, dtype, Quant((float(np.float32(scale)),), (zero_point,)))
    return Call((x,), (Tensor("y", shape, "int8", quant),), Attributes(beta))


def run(call, x):
    return OPERATOR.reference(call, [x], TFLM)[0]


@given(arrays(np.int8, array_shapes(max_dims=4, max_side=5)), st.sampled_from(SCALES))
def test_probabilities_follow_the_real_softmax(x, scale):
    y = run(softmax_call(x.shape, scale), x)
    real = np.exp((x.astype(float) - x.max(axis=-1, keepdims=True)) * np.float32(scale))
    real = real / real.sum(axis=-1, keepdims=True)
    assert y.shape == x.shape
    assert np.abs((y.astype(float) + 128) / 256 - np.minimum(real, 255 / 256)).max() < 0.6 / 256


@given(arrays(np.int8, (3, 7)), st.integers(-20, 20))
def test_only_differences_count(x, shift):
    x = np.clip(x, -100, 100)
    call = softmax_call(x.shape)
    np.testing.assert_array_equal(run(call, x), run(call, (x + shift).astype(np.int8)))


def test_exp_is_within_one_part_in_a_million():
    a = np.linspace(-31 * 2**26, 0, 20001).astype(np.int64)
    error = gemmlowp.exp_on_negative_values(a) / 2.0**31 - np.exp(a / 2.0**26)
    assert np.abs(error).max() < 1e-6


def test_reciprocal_is_within_one_part_in_ten_million():
    x = np.unique(np.geomspace(1 << 19, (1 << 31) - 1, 20001).astype(np.int64))
    r, bits = gemmlowp.reciprocal(x, 12)
    assert np.abs(r / 2.0**31 / 2.0**bits * (x / 2.0**19) - 1).max() < 1e-7
    assert r.min() > 2**30 - 8 and r.max() < 2**31


def test_a_row_of_512_equal_inputs_gives_zero_where_tflite_stops():
    assert (run(softmax_call((1, 511)), np.zeros((1, 511), np.int8)) == -127).all()
    assert (run(softmax_call((1, 512)), np.zeros((1, 512), np.int8)) == -128).all()
    assert (run(softmax_call((1, 4095)), np.zeros((1, 4095), np.int8)) == -128).all()


def test_the_largest_multiplier_saturates():
    rule = scaling(1.0, 1e6)
    assert (rule.multiplier, rule.shift, rule.diff_min) == (2**31 - 1, 30, -1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (softmax_call((1, 4), quant=Quant((1 / 255,), (-128,))), "scale 1/256"),
        (softmax_call((1, 4), quant=Quant((1 / 256,), (0,))), "zero point -128"),
        (softmax_call((1, 4), dtype="int16"), "expected int8"),
        (softmax_call((1, 4096)), "1 to 4095"),
        (softmax_call((1, 4), scale=2.0**-26), "above 2\\*\\*-26"),
        (softmax_call((1, 4), beta=-1.0), "above 2\\*\\*-26"),
    ],
)
def test_what_tflite_does_not_define_is_refused(call, words):
    with pytest.raises(UnsupportedError, match=words):
        OPERATOR.check(call)


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
def test_every_difference_of_inputs_is_exact_at_every_scale(engine, oracles):
    pairs = np.stack([np.full(256, 127), np.arange(127, -129, -1)], axis=1).astype(np.int8)
    for scale in [*SCALES, 100.0]:
        for beta in (1.0, 0.7, 3.0):
            call = softmax_call(pairs.shape, scale, beta)
            case = oracles.single(OPERATOR, call.inputs, call.outputs, {"beta": beta}, [pairs])
            (found,) = oracles.run(engine, case.model, case.given())
            np.testing.assert_array_equal(found, run(case.call, pairs), err_msg=f"{scale} {beta}")


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
def test_random_rows_are_exact(engine, oracles):
    rng = np.random.default_rng(2)
    for scale in SCALES:
        shape = (16, *rng.integers(1, 6, rng.integers(0, 3)), int(rng.choice([1, 2, 3, 10, 12, 100, 500])))
        x = np.clip(rng.normal(rng.integers(-60, 60), rng.choice([1, 10, 60]), shape), -128, 127).astype(np.int8)
        call = softmax_call(x.shape, scale)
        case = oracles.single(OPERATOR, call.inputs, call.outputs, {"beta": 1.0}, [x])
        (found,) = oracles.run(engine, case.model, case.given())
        np.testing.assert_array_equal(found, run(case.call, x), err_msg=f"{scale} {x.shape}")
