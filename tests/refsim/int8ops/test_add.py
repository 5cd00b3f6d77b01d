"""ADD: shapes, broadcasting, refusals, hand-made sums, rows, and both engines over every pair of bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Array, Call, Quant, Tensor
from refsim.int8ops.add import OPERATOR, multipliers
from refsim.int8ops.elementwise import Elementwise
from refsim.int8ops.numerics import TFLM, find

BROADCASTS = [
    ((2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (5,)),
    ((1, 3, 1, 5), (2, 1, 4, 5)),
    ((4, 1, 3), (1, 4, 5, 3)),
    ((1,), (2, 6)),
    ((4, 1), (1, 5)),
    ((3, 1, 1, 1), (1, 2, 2, 2)),
]


def tensor(name: str, shape: tuple[int, ...], scale: float = 0.5, zero_point: int = 0, data: Any = None) -> Tensor:
    return Tensor(name, shape, "int8", Quant((float(np.float32(scale)),), (zero_point,)), data)


def call_of(a: Tensor, b: Tensor, y_scale: float = 1.0, y_zero: int = 0, activation: int = 0) -> Call:
    attributes = Elementwise(activation)
    y = tensor("y", OPERATOR.infer((a, b), attributes)[0], y_scale, y_zero)
    return Call((a, b), (y,), attributes)


def noise(seed: int, shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def test_halves_round_away_from_zero_and_the_clamp_holds() -> None:
    call = call_of(tensor("a", (6,)), tensor("b", (6,)))
    values = [np.array([1, -1, 3, 127, -128, 2], np.int8), np.array([0, 0, 0, 127, -128, -1], np.int8)]
    assert OPERATOR.reference(call, values, TFLM)[0].tolist() == [1, -1, 2, 127, -128, 1]


def test_relu6_clamps_at_the_quantised_bounds() -> None:
    call = call_of(tensor("a", (3,), 1.0), tensor("b", (3,), 1.0), 1.0, -10, activation=3)
    values = [np.array([-9, 3, 100], np.int8), np.zeros(3, np.int8)]
    assert OPERATOR.reference(call, values, TFLM)[0].tolist() == [-10, -7, -4]


def test_the_larger_scale_is_halved_exactly() -> None:
    first, second, _ = multipliers(tensor("a", (1,), 0.1), tensor("b", (1,), 0.7), tensor("y", (1,)))
    assert second == (1 << 30, 0)
    assert first[1] < 0


@pytest.mark.parametrize(("a", "b"), BROADCASTS)
def test_broadcasting_repeats_axes_of_one(a: tuple[int, ...], b: tuple[int, ...], check_rows: Any) -> None:
    call = call_of(tensor("a", a, 0.3, 5), tensor("b", b, 0.2, -9), 0.9)
    values = [noise(1, a), noise(2, b)]
    wide = [np.ascontiguousarray(np.broadcast_to(v, call.y.shape)) for v in values]
    plain = call_of(tensor("a", call.y.shape, 0.3, 5), tensor("b", call.y.shape, 0.2, -9), 0.9)
    np.testing.assert_array_equal(OPERATOR.reference(call, values, TFLM)[0], OPERATOR.reference(plain, wide, TFLM)[0])
    for seed in range(8):
        check_rows(OPERATOR, call, values, seed)


def test_equal_shapes_need_only_the_same_rows() -> None:
    call = call_of(tensor("a", (2, 3, 4, 5)), tensor("b", (2, 3, 1, 1)))
    assert OPERATOR.input_rows(call, 0, (2, 4)) == (2, 4)
    assert OPERATOR.input_rows(call, 1, (2, 4)) == (2, 4)


@given(st.permutations([0, 1]), st.integers(0, 1000))
def test_addition_commutes(order: list[int], seed: int) -> None:
    a, b = tensor("a", (7,), 0.3, 5), tensor("b", (7,), 0.01, -9)
    values = [noise(seed, (7,)), noise(seed + 1, (7,))]
    swapped = OPERATOR.reference(call_of(b, a, 0.2), [values[1], values[0]], TFLM)[0]
    np.testing.assert_array_equal(OPERATOR.reference(call_of(a, b, 0.2), values, TFLM)[0], swapped)


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    with pytest.raises(ModelError, match=r"ADD: shapes \(2, 3\) and \(4,\) do not broadcast"):
        OPERATOR.infer((tensor("a", (2, 3)), tensor("b", (4,))), Elementwise())


def test_what_tflite_does_not_define_is_refused() -> None:
    a = tensor("a", (2,))
    with pytest.raises(UnsupportedError, match="'b'"):
        OPERATOR.check(Call((a, Tensor("b", (2,), "int16", a.quant)), (tensor("y", (2,)),), Elementwise()))
    with pytest.raises(UnsupportedError, match="2\\*\\*19"):
        OPERATOR.check(call_of(a, a, 1e-7))
    with pytest.raises(UnsupportedError, match="activation 5"):
        OPERATOR.attributes({"activation": 5}, (), ())
    five = (1, 2, 2, 2, 3)
    OPERATOR.check(call_of(tensor("a", five), tensor("b", five)))
    with pytest.raises(UnsupportedError, match="5 axes"):
        OPERATOR.check(call_of(tensor("a", five), tensor("b", (3,))))


@pytest.mark.oracle
@pytest.mark.parametrize("engine", ["tflm", "litert"])
@pytest.mark.parametrize(("a_scale", "y_scale"), [(0.031, 0.09), (0.7, 0.5), (0.05, 0.013)])
def test_every_pair_of_bytes_is_exact(engine: str, a_scale: float, y_scale: float, oracles: Any) -> None:
    every = np.arange(-128, 128, dtype=np.int8)
    a, b = tensor("a", (256, 1), a_scale, 3), tensor("b", (256,), 0.05, -7)
    y = tensor("y", (256, 256), y_scale, 5)
    case = oracles.single(OPERATOR, [a, b], [y], {"activation": 0}, [every.reshape(256, 1), every])
    found = OPERATOR.reference(case.call, case.values, find(engine))[0]
    np.testing.assert_array_equal(found, oracles.run(engine, case.model, case.given())[0])
