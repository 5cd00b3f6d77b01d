"""AVERAGE_POOL_2D: rounding by hand, counts at the border, refusals, rows, MACs, and both engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.average_pool_2d import OPERATOR
from refsim.int8ops.numerics import TFLM, find

QUANT = Quant((0.5,), (-5,))
SAME, VALID = 0, 1


def options(size: tuple[int, int], stride: tuple[int, int] = (1, 1), padding: int = VALID, activation: int = 0) -> Any:
    down, across = {"filter_h": size[0], "stride_h": stride[0]}, {"filter_w": size[1], "stride_w": stride[1]}
    return {"padding": padding, **down, **across, "activation": activation}


def call_of(shape: tuple[int, ...], chosen: Any, quant: Quant = QUANT) -> Call:
    x = Tensor("x", shape, "int8", QUANT)
    attributes = OPERATOR.attributes(chosen, (x,), ())
    return Call((x,), (Tensor("y", OPERATOR.infer((x,), attributes)[0], "int8", quant),), attributes)


def test_halves_round_away_from_zero() -> None:
    x = np.array([[1, 2], [-1, -2], [1, 0], [-1, 0], [127, 127], [-128, -128]], np.int8).reshape(1, 6, 2, 1)
    y = OPERATOR.reference(call_of(x.shape, options((1, 2))), [x], TFLM)[0]
    assert y.ravel().tolist() == [2, -2, 1, -1, 127, -128]


def test_only_taps_inside_the_input_count() -> None:
    x = np.full((1, 3, 3, 1), 100, np.int8)
    call = call_of(x.shape, options((3, 3), padding=SAME))
    assert (OPERATOR.reference(call, [x], TFLM)[0] == 100).all()


def test_one_reciprocal_for_each_count_that_occurs() -> None:
    kernel = OPERATOR.lower(call_of((1, 3, 3, 1), options((3, 3), padding=SAME)), TFLM)
    assert kernel.constants["reciprocals"].tolist() == [(1 << 24) // n for n in range(4, 10)]
    assert len(OPERATOR.lower(call_of((1, 8, 8, 1), options((8, 8))), TFLM).constants["reciprocals"]) == 1


def test_relu6_clamps_at_the_quantised_bounds() -> None:
    x = np.array([-100, -3, 100], np.int8).reshape(1, 1, 3, 1)
    assert OPERATOR.reference(call_of(x.shape, options((1, 1), activation=3)), [x], TFLM)[0].ravel().tolist() == [
        -5,
        -3,
        7,
    ]


def test_rows_of_windows(check_rows: Any) -> None:
    random = np.random.default_rng(0)
    for seed in range(30):
        size, stride = tuple(random.integers(1, 4, 2)), tuple(random.integers(1, 4, 2))
        call = call_of((2, 7, 5, 2), options(size, stride, padding=seed % 2))
        check_rows(OPERATOR, call, [random.integers(-128, 128, call.x.shape).astype(np.int8)], seed)


def test_an_output_row_needs_its_window_only() -> None:
    assert OPERATOR.input_rows(call_of((1, 8, 8, 1), options((2, 2), (2, 2))), 0, (1, 3)) == (2, 6)


def test_what_tflite_does_not_define_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="differ in scale"):
        OPERATOR.check(call_of((1, 4, 4, 1), options((2, 2)), Quant((0.25,), (-5,))))
    with pytest.raises(UnsupportedError, match="differ in scale"):
        OPERATOR.check(call_of((1, 4, 4, 1), options((2, 2)), Quant((0.5,), (-4,))))
    with pytest.raises(UnsupportedError, match="130000"):
        OPERATOR.check(call_of((1, 400, 400, 1), options((400, 400))))
    with pytest.raises(ModelError, match="four axes"):
        OPERATOR.attributes(options((1, 1)), (Tensor("x", (4, 4), "int8", QUANT),), ())
    with pytest.raises(ModelError, match="does not fit"):
        call_of((1, 2, 2, 1), options((3, 3)))


@pytest.mark.oracle
@pytest.mark.parametrize("engine", ["tflm", "litert"])
@pytest.mark.parametrize("padding", [SAME, VALID])
def test_windows_are_exact(engine: str, padding: int, oracles: Any) -> None:
    random = np.random.default_rng(padding)
    for activation in range(4):
        chosen = options((3, 2), (2, 1), padding, activation)
        call = call_of((1, 9, 6, 5), chosen)
        x = random.integers(-128, 128, call.x.shape).astype(np.int8)
        case = oracles.single(OPERATOR, [call.x], [call.y], chosen, [x])
        found = OPERATOR.reference(case.call, case.values, find(engine))[0]
        np.testing.assert_array_equal(found, oracles.run(engine, case.model, case.given())[0])
