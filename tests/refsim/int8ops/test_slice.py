from __future__ import annotations

import numpy as np
import pytest

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Tensor
from refsim.int8ops.numerics import NUMERICS, TFLM
from refsim.int8ops.slice import OPERATOR, Attributes


def constant(values, dtype=np.int32):
    array = np.array(values, dtype)
    return Tensor("constant", array.shape, array.dtype.name, data=array)


def test_a_size_of_minus_one_reaches_to_the_end():
    inputs = (Tensor("x", (4, 5), "int8"), constant((1, 2)), constant((-1, 2)))
    assert OPERATOR.attributes({}, inputs, ()) == Attributes((1, 2), (3, 2))


@pytest.mark.parametrize(("begin", "size"), [((1,), (2, 2)), ((1, 0), (2,)), ((0, 0, 0), (1, 1, 1))])
def test_numbers_have_to_be_as_many_as_axes(begin, size):
    with pytest.raises(ModelError, match="expected two numbers an axis"):
        OPERATOR.attributes({}, (Tensor("x", (4, 5), "int8"), constant(begin), constant(size)), ())


def test_a_begin_computed_at_run_time_is_refused():
    inputs = (Tensor("x", (4,), "int8"), Tensor("begin", (1,), "int32"), constant((1,)))
    with pytest.raises(UnsupportedError, match="begin 'begin' computed at run time"):
        OPERATOR.attributes({}, inputs, ())


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "float32", "bool"])
def test_random_boxes_are_exact(engine, dtype, oracles):
    rng = np.random.default_rng(31)
    for number in range(24):
        shape = tuple(int(n) for n in rng.integers(1, 6, number % 4 + 1))
        begin = tuple(int(rng.integers(n)) for n in shape)
        size = [int(rng.integers(1, n - b + 1)) for n, b in zip(shape, begin, strict=True)]
        size = tuple(-1 if rng.integers(4) == 0 else n for n in size)
        value = (rng.integers(-99, 99, shape) & (1 if dtype == "bool" else -1)).astype(dtype)
        kind = (np.int32, np.int64)[number % 2]
        inputs = [Tensor("x", shape, dtype), constant(begin, kind), constant(size, kind)]
        out = value[tuple(slice(b, None if s == -1 else b + s) for b, s in zip(begin, size, strict=True))]
        case = oracles.single(OPERATOR, inputs, [Tensor("y", out.shape, dtype)], {}, [value])
        OPERATOR.check(case.call)
        (found,) = oracles.run(engine, case.model, case.given())
        np.testing.assert_array_equal(found, OPERATOR.reference(case.call, case.values, TFLM)[0])
        np.testing.assert_array_equal(found, out)
