"""MUL: hand-made products, refusals, MACs, rows, and both engines over every pair of bytes and any broadcast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.elementwise import Elementwise
from refsim.int8ops.mul import OPERATOR
from refsim.int8ops.numerics import TFLM, find


def tensor(name: str, shape: tuple[int, ...], scale: float = 1.0, zero_point: int = 0) -> Tensor:
    return Tensor(name, shape, "int8", Quant((float(np.float32(scale)),), (zero_point,)))


def call_of(a: Tensor, b: Tensor, y_scale: float = 1.0, y_zero: int = 0, activation: int = 0) -> Call:
    attributes = Elementwise(activation)
    return Call((a, b), (tensor("y", OPERATOR.infer((a, b), attributes)[0], y_scale, y_zero),), attributes)


def test_zero_points_come_off_and_halves_of_the_first_rounding_go_up() -> None:
    call = call_of(tensor("a", (5,), 1.0, 1), tensor("b", (5,), 1.0, -1), 2.0, 10)
    values = [np.array([2, 0, 4, 127, 1], np.int8), np.array([0, 0, 2, 100, 50], np.int8)]
    assert OPERATOR.reference(call, values, TFLM)[0].tolist() == [11, 10, 15, 127, 10]


def test_a_scale_above_one_shifts_left() -> None:
    call = call_of(tensor("a", (2,), 3.0), tensor("b", (2,), 2.0), 1.0)
    values = [np.array([2, -5], np.int8), np.array([3, 4], np.int8)]
    assert OPERATOR.reference(call, values, TFLM)[0].tolist() == [36, -120]


def test_rows_of_a_broadcast(check_rows: Any) -> None:
    random = np.random.default_rng(0)
    for seed, (a, b) in enumerate([((2, 3, 4, 5), (2, 1, 4, 5)), ((3, 4, 5), (2, 3, 4, 5)), ((6, 5), (1, 5))] * 4):
        call = call_of(tensor("a", a), tensor("b", b), 50.0)
        check_rows(OPERATOR, call, [random.integers(-128, 128, shape).astype(np.int8) for shape in (a, b)], seed)


def test_what_tflite_does_not_define_is_refused() -> None:
    a = tensor("a", (2,))
    with pytest.raises(UnsupportedError, match="MUL"):
        OPERATOR.check(Call((a, Tensor("b", (2,), "float32")), (a,), Elementwise()))
    with pytest.raises(ModelError, match="do not broadcast"):
        OPERATOR.infer((a, tensor("b", (3,))), Elementwise())


@pytest.mark.oracle
@pytest.mark.parametrize("engine", ["tflm", "litert"])
@pytest.mark.parametrize("scales", [(0.031, 0.05, 0.02), (0.5, 0.5, 0.25), (0.9, 1.7, 0.3)])
def test_every_pair_of_bytes_is_exact(engine: str, scales: tuple[float, float, float], oracles: Any) -> None:
    every = np.arange(-128, 128, dtype=np.int8)
    a, b, y = (
        tensor("a", (256, 1), scales[0], 3),
        tensor("b", (256,), scales[1], -7),
        tensor("y", (256, 256), scales[2]),
    )
    case = oracles.single(OPERATOR, [a, b], [y], {"activation": 0}, [every.reshape(256, 1), every])
    found = OPERATOR.reference(case.call, case.values, find(engine))[0]
    np.testing.assert_array_equal(found, oracles.run(engine, case.model, case.given())[0])
