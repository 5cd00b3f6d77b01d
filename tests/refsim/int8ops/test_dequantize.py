from __future__ import annotations

import numpy as np
import pytest

from refsim.errors import UnsupportedError
from refsim.graph import DTYPES, Call, Quant, Tensor
from refsim.int8ops.dequantize import OPERATOR
from refsim.int8ops.numerics import NUMERICS, TFLM

EVERY = np.arange(-128, 128).astype(np.int8).reshape(1, 2, 8, 16)


def dequantise(scale, zero_point, dtype="int8"):
    x = Tensor("x", EVERY.shape, dtype, Quant((float(np.float32(scale)),), (zero_point,)))
    return Call((x,), (Tensor("y", EVERY.shape, "float32"),), None)


def test_values_are_steps_from_the_zero_point():
    y = OPERATOR.reference(dequantise(0.25, 5), [EVERY], TFLM)[0]
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, (EVERY - 5.0) * 0.25)


def test_the_product_is_rounded_once_to_float32():
    scale = np.float32(0.1)
    y = OPERATOR.reference(dequantise(scale, -128), [EVERY], TFLM)[0]
    np.testing.assert_array_equal(y, (float(scale) * (EVERY + 128.0)).astype(np.float32))


@pytest.mark.parametrize(
    ("x_type", "y_type", "words"),
    [("int16", "float32", "expected int8 or uint8"), ("int8", "int8", "expected float32")],
)
def test_other_types_are_refused(x_type, y_type, words):
    quant = Quant((1.0,), (0,))
    with pytest.raises(UnsupportedError, match=words):
        OPERATOR.check(Call((Tensor("x", (1, 2), x_type, quant),), (Tensor("y", (1, 2), y_type, quant),), None))


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_byte_is_exact_down_to_denormals(engine, dtype, oracles):
    rng = np.random.default_rng(6)
    for exponent in (-45.0, -44.0, -40.0, -38.0, -37.0, *rng.uniform(-8, 3, 40), 36.0, 38.0):
        zero_point = int(rng.integers(256)) - (128 if dtype == "int8" else 0)
        call = dequantise(np.float32(10**exponent), zero_point, dtype)
        x = EVERY.view(DTYPES[dtype])
        case = oracles.single(OPERATOR, call.inputs, call.outputs, {}, [x])
        (found,) = oracles.run(engine, case.model, case.given())
        wanted = OPERATOR.reference(case.call, [x], NUMERICS[engine])[0]
        np.testing.assert_array_equal(found.view(np.uint32), wanted.view(np.uint32), err_msg=str(call.x.quant))
