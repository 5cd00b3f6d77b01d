"""MEAN: axes, shapes, a multiplier that holds the division, refusals, rows, and both engines over every set of axes."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import numpy as np
import pytest

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.mean import OPERATOR, Reduction
from refsim.int8ops.numerics import TFLM, find


def tensor(name: str, shape: tuple[int, ...], scale: float = 0.5, zero_point: int = 0) -> Tensor:
    return Tensor(name, shape, "int8", Quant((float(np.float32(scale)),), (zero_point,)))


def axes_of(*axes: int, constant: bool = True) -> Tensor:
    return Tensor("axes", (len(axes),), "int32", None, np.array(axes, np.int32) if constant else None)


def call_of(x: Tensor, axes: tuple[int, ...], keep: bool = False, scale: float = 0.5, zero_point: int = 0) -> Call:
    attributes = Reduction(axes, keep)
    return Call((x,), (tensor("y", OPERATOR.infer((x,), attributes)[0], scale, zero_point),), attributes)


def every_set(rank: int) -> Any:
    return chain.from_iterable(combinations(range(rank), n) for n in range(rank + 1))


def test_axes_are_counted_from_either_end_and_once() -> None:
    x = tensor("x", (2, 3, 4, 5))
    attributes = OPERATOR.attributes({"keep_dims": True}, (x, axes_of(-1, 1, 3)), ())
    assert attributes == Reduction((1, 3), True)
    assert OPERATOR.infer((x,), attributes) == ((2, 1, 4, 1),)
    assert OPERATOR.infer((x,), Reduction((1, 3))) == ((2, 4),)


def test_the_axes_operand_becomes_an_attribute() -> None:
    assert OPERATOR.operands([7, 3]) == (7,)


def test_halves_of_the_first_rounding_go_up() -> None:
    call = call_of(tensor("x", (4, 2), 0.5, 3), (1,), zero_point=3)
    x = np.array([[3, 4], [3, 2], [10, 20], [-128, 127]], np.int8)
    assert OPERATOR.reference(call, [x], TFLM)[0].tolist() == [4, 3, 15, 0]


def test_the_scale_ratio_applies() -> None:
    call = call_of(tensor("x", (3,), 1.0), (0,), scale=0.25)
    assert OPERATOR.reference(call, [np.array([4, 5, 6], np.int8)], TFLM)[0].tolist() == 20


def test_rows_of_every_set_of_axes(check_rows: Any) -> None:
    random = np.random.default_rng(0)
    for shape in ((2, 3, 4, 5), (1, 6, 2, 3), (3, 4, 5), (6, 5)):
        for seed, axes in enumerate(every_set(len(shape))):
            call = call_of(tensor("x", shape), axes, keep=bool(seed % 2))
            check_rows(OPERATOR, call, [random.integers(-128, 128, shape).astype(np.int8)], seed)


def test_a_mean_within_rows_streams() -> None:
    assert OPERATOR.input_rows(call_of(tensor("x", (1, 160, 3, 3)), (2,)), 0, (5, 9)) == (5, 9)
    assert OPERATOR.input_rows(call_of(tensor("x", (1, 7, 7, 8)), (1, 2)), 0, (0, 1)) == (0, 7)


def test_what_tflite_does_not_define_is_refused() -> None:
    x = tensor("x", (2, 3))
    with pytest.raises(UnsupportedError, match="run time"):
        OPERATOR.attributes({"keep_dims": False}, (x, axes_of(1, constant=False)), ())
    with pytest.raises(ModelError, match="outside the 2 axes"):
        OPERATOR.attributes({"keep_dims": False}, (x, axes_of(2)), ())
    with pytest.raises(UnsupportedError, match="MEAN"):
        OPERATOR.check(call_of(Tensor("x", (2, 3), "int16", x.quant), (1,)))
    with pytest.raises(UnsupportedError, match="at most 4"):
        OPERATOR.check(call_of(tensor("x", (1, 1, 1, 2, 3)), (4,)))
    with pytest.raises(UnsupportedError, match="overflow"):
        OPERATOR.check(call_of(tensor("x", (3000, 3000)), (0, 1)))


@pytest.mark.oracle
@pytest.mark.parametrize("engine", ["tflm", "litert"])
@pytest.mark.parametrize("out", [(0.1, -4), (0.043, 9), (0.21, 0)])
def test_every_set_of_axes_is_exact(engine: str, out: tuple[float, int], oracles: Any) -> None:
    random = np.random.default_rng(5)
    for shape in ((2, 7, 5, 6), (3, 7, 5), (4, 9), (11,)):
        for number, axes in enumerate(every_set(len(shape))):
            keep, x = bool(number % 2), tensor("x", shape, 0.1, -4)
            y = call_of(x, axes, keep, *out).y
            value = random.integers(-128, 128, shape).astype(np.int8)
            case = oracles.single(OPERATOR, [x, axes_of(*axes)], [y], {"keep_dims": keep}, [value])
            found = OPERATOR.reference(case.call, case.values, find(engine))[0]
            np.testing.assert_array_equal(found, oracles.run(engine, case.model, case.given())[0].reshape(y.shape))
