from __future__ import annotations

import numpy as np
import pytest

from refsim.errors import UnsupportedError
from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.numerics import LITERT, NUMERICS, TFLM
from refsim.int8ops.relu import OPERATOR

EVERY = np.arange(-128, 128).astype(np.int8).reshape(1, 2, 8, 16)


def relu_call(x_quant, y_quant):
    quants = [Quant((float(np.float32(scale)),), (zero_point,)) for scale, zero_point in (x_quant, y_quant)]
    x, y = (Tensor(name, EVERY.shape, "int8", quant) for name, quant in zip("xy", quants, strict=True))
    return Call((x,), (y,), None)


def draw(rng):
    """Quantisations; half of them put a quotient next to a rounding tie, where float32 and float64 ratios part."""
    y_scale = np.float32(10 ** rng.uniform(-3, 1))
    ratio = (rng.integers(0, 100) + 0.5) / rng.integers(3, 128) if rng.integers(2) else 10 ** rng.uniform(-1.5, 1.5)
    x_scale = np.nextafter(np.float32(float(y_scale) * ratio), np.float32(rng.integers(2)))
    return (x_scale, int(rng.integers(-128, 128))), (y_scale, int(rng.choice([-128, -128, 0, 127, 5])))


def test_values_follow_the_real_relu():
    call = relu_call((0.1, 3), (0.05, -128))
    y = OPERATOR.reference(call, [EVERY], TFLM)[0]
    real = np.clip(np.maximum((EVERY - 3.0) * 0.1, 0.0), 0, 255 * 0.05)
    assert np.abs((y + 128.0) * 0.05 - real).max() <= 0.026


def test_the_engines_differ_where_a_float32_ratio_crosses_a_tie():
    rng = np.random.default_rng(0)
    calls = [relu_call(*draw(rng)) for _ in range(400)]
    pairs = [[OPERATOR.reference(call, [EVERY], rules)[0] for rules in (TFLM, LITERT)] for call in calls]
    assert any((a != b).any() for a, b in pairs)


def test_rows_of_the_output_come_from_the_same_rows():
    assert OPERATOR.input_rows(relu_call((1, 0), (1, 0)), 0, (1, 2)) == (1, 2)


def test_other_types_and_several_scales_are_refused():
    y = Tensor("y", (1, 2), "int8", Quant((1.0,), (0,)))
    for x, words in [
        (Tensor("x", (1, 2), "int16", Quant((1.0,), (0,))), "expected int8"),
        (Tensor("x", (1, 2), "int8", Quant((1.0, 2.0), (0, 0))), "one scale"),
        (Tensor("x", (1, 2), "int8"), "one scale"),
        (Tensor("x", (1, 2), "int8", Quant((1.0,), (200,))), "-128..127"),
    ]:
        with pytest.raises(UnsupportedError, match=words):
            OPERATOR.check(Call((x,), (y,), None))


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
def test_every_input_is_exact_between_random_quantisations(engine, oracles):
    rng = np.random.default_rng(3)
    for _ in range(300):
        call = relu_call(*draw(rng))
        case = oracles.single(OPERATOR, call.inputs, call.outputs, {}, [EVERY])
        (found,) = oracles.run(engine, case.model, case.given())
        wanted = OPERATOR.reference(case.call, [EVERY], NUMERICS[engine])[0]
        np.testing.assert_array_equal(found, wanted, err_msg=str([t.quant for t in (call.x, call.y)]))
