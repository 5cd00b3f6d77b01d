from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from refsim.errors import UnsupportedError
from refsim.graph import DTYPES, Call, Quant, Tensor
from refsim.int8ops.numerics import NUMERICS, TFLM
from refsim.int8ops.quantize import OPERATOR

EVERY = np.arange(-128, 128).astype(np.int8).reshape(1, 2, 8, 16)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def tensor(name, shape, dtype, scale=None, zero_point=0):
    return Tensor(name, shape, dtype, None if scale is None else Quant((float(np.float32(scale)),), (zero_point,)))


def from_float(values, scale, zero_point):
    x = np.asarray(values, np.float32)
    call = Call((tensor("x", x.shape, "float32"),), (tensor("y", x.shape, "int8", scale, zero_point),), None)
    return OPERATOR.reference(call, [x], TFLM)[0]


def requantising(x_type, y_type, x_quant, y_quant):
    return Call((tensor("x", EVERY.shape, x_type, *x_quant),), (tensor("y", EVERY.shape, y_type, *y_quant),), None)


@given(st.lists(FLOATS, min_size=1), st.sampled_from([1e-30, 0.0078125, 0.1, 1.0, 3e8]), st.integers(-128, 127))
def test_float_is_the_nearest_step(values, scale, zero_point):
    y = from_float(values, scale, zero_point).astype(float)
    exact = np.asarray(values, np.float32).astype(float) / float(np.float32(scale)) + zero_point
    assert (np.abs(y - np.clip(exact, -128, 127)) <= 0.5 + 1e-4).all()


def test_halves_go_away_from_zero():
    np.testing.assert_array_equal(from_float([0.5, -0.5, 1.5, 2.5, -2.5, 0.49999997], 1.0, 0), [1, -1, 2, 3, -3, 0])


def test_what_c_leaves_undefined_saturates_and_nan_is_the_zero_point():
    found = from_float([np.inf, -np.inf, 1e30, -1e30, 3e9, np.nan], 1.0, 5)
    np.testing.assert_array_equal(found, [127, -128, 127, -128, 127, 5])


def test_equal_quantisation_is_a_view():
    assert OPERATOR.is_view(requantising("int8", "int8", (0.5, 3), (0.5, 3)))
    assert not OPERATOR.is_view(requantising("int8", "int8", (0.5, 3), (0.5, 4)))
    assert not OPERATOR.is_view(requantising("uint8", "int8", (0.5, 3), (0.5, 3)))


def test_uint8_to_int8_of_the_same_scale_flips_the_top_bit():
    call = requantising("uint8", "int8", (0.02, 128), (0.02, 0))
    x = EVERY.view(np.uint8)
    np.testing.assert_array_equal(OPERATOR.reference(call, [x], TFLM)[0], (x ^ 0x80).view(np.int8))


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (tensor("x", (1, 4), "float32"), tensor("y", (1, 4), "uint8", 1.0), "expected int8"),
        (tensor("x", (1, 4), "float32"), tensor("y", (1, 4), "int8"), "one scale"),
        (tensor("x", (1, 4), "int16", 1.0), tensor("y", (1, 4), "int8", 1.0), "expected int8 or uint8"),
        (tensor("x", (1, 4), "uint8", 1.0), tensor("y", (1, 4), "uint8", 2.0), "both are uint8"),
        (tensor("x", (1, 4), "int8", 0.0), tensor("y", (1, 4), "int8", 2.0), "positive scale"),
    ],
)
def test_other_types_are_refused(x, y, words):
    with pytest.raises(UnsupportedError, match=words):
        OPERATOR.check(Call((x,), (y,), None))


def answers(engine, oracles, call, x):
    case = oracles.single(OPERATOR, call.inputs, call.outputs, {}, [x])
    OPERATOR.check(case.call)
    (found,) = oracles.run(engine, case.model, case.given())
    return found, OPERATOR.reference(case.call, [x], NUMERICS[engine])[0]


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
def test_floats_near_ties_are_exact(engine, oracles):
    rng = np.random.default_rng(4)
    for _ in range(60):
        scale, zero_point = np.float32(10 ** rng.uniform(-6, 4)), int(rng.integers(-128, 128))
        ties = ((rng.integers(-300, 300, 2000) + 0.5) * float(scale)).astype(np.float32)
        around = [np.nextafter(ties, np.float32(side)) for side in (-np.inf, np.inf)]
        x = np.concatenate([ties, *around, rng.normal(0, 100 * scale, 2000).astype(np.float32), [0.0, -0.0, 1e-40]])
        x = np.clip(x, -2e9 * scale, 2e9 * scale).astype(np.float32).reshape(1, -1)
        y = tensor("y", x.shape, "int8", scale, zero_point)
        found, wanted = answers(engine, oracles, Call((tensor("x", x.shape, "float32"),), (y,), None), x)
        np.testing.assert_array_equal(found, wanted, err_msg=str(y.quant))


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
@pytest.mark.parametrize(("x_type", "y_type"), [("int8", "int8"), ("uint8", "int8"), ("int8", "uint8")])
def test_every_byte_is_exact_between_random_quantisations(engine, x_type, y_type, oracles):
    rng = np.random.default_rng(5)
    for i in range(80):
        scale = np.float32(10 ** rng.uniform(-4, 2))
        ratio = (rng.integers(0, 100) + 0.5) / rng.integers(3, 128) if i % 2 else 10 ** rng.uniform(-2, 2)
        other = np.nextafter(np.float32(float(scale) * ratio), np.float32(rng.integers(2))) if i % 5 else scale
        low = {"int8": -128, "uint8": 0}
        zeros = [low[dtype] + int(rng.integers(256)) for dtype in (x_type, y_type)]
        call = requantising(x_type, y_type, (other, zeros[0]), (scale, zeros[1]))
        found, wanted = answers(engine, oracles, call, EVERY.view(DTYPES[x_type]))
        np.testing.assert_array_equal(found, wanted, err_msg=f"{call.x.quant} {call.y.quant}")


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
@pytest.mark.parametrize(
    ("x_scale", "y_scale"),
    [
        ("0x1.b2a4b8p-8", "0x1.9325c6p-9"),
        ("0x1.e88d22p-4", "0x1.cd3db2p-6"),
        ("0x1.f4a60ap-6", "0x1.749360p-8"),
        ("0x1.f1e7f2p-2", "0x1.3a2fccp-2"),
    ],
)
def test_scales_are_divided_in_float64(engine, x_scale, y_scale, oracles):
    """A float32 ratio would take a multiple of these to the other side of a tie."""
    call = requantising("int8", "int8", (float.fromhex(x_scale), 0), (float.fromhex(y_scale), 0))
    found, wanted = answers(engine, oracles, call, EVERY)
    np.testing.assert_array_equal(found, wanted)
