from __future__ import annotations

import numpy as np
import pytest

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Call, Tensor
from refsim.int8ops.numerics import NUMERICS, TFLM
from refsim.int8ops.split import LARGEST_COUNT, OPERATOR, Attributes


def axis_of(value):
    return Tensor("axis", (), "int32", data=np.array(value, np.int32))


def test_the_axis_is_the_first_input_and_counts_from_either_end():
    x = Tensor("x", (2, 6), "int8")
    assert OPERATOR.attributes({"num_splits": 3}, (axis_of(-1), x), ()) == Attributes(1, 3)
    assert OPERATOR.operands((7, 9)) == (9,)


@pytest.mark.parametrize(("axis", "parts"), [(2, 2), (-3, 2), (1, 4), (0, 0), (0, 3)])
def test_parts_have_to_be_equal(axis, parts):
    with pytest.raises(ModelError, match="expected equal parts of an axis"):
        OPERATOR.attributes({"num_splits": parts}, (axis_of(axis), Tensor("x", (2, 6), "int8")), ())


def test_more_parts_than_the_kernel_has_fields_are_refused():
    x, attributes = Tensor("x", (LARGEST_COUNT + 1,), "int32"), Attributes(0, LARGEST_COUNT + 1)
    ys = tuple(Tensor(f"y{i}", s, "int32") for i, s in enumerate(OPERATOR.infer((x,), attributes)))
    with pytest.raises(UnsupportedError, match="expected 16 at most"):
        OPERATOR.check(Call((x,), ys, attributes))


def test_an_axis_computed_at_run_time_is_refused():
    with pytest.raises(UnsupportedError, match="axis 'axis' computed at run time"):
        OPERATOR.attributes({"num_splits": 2}, (Tensor("axis", (), "int32"), Tensor("x", (2,), "int8")), ())


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "float32"])
def test_every_axis_is_exact(engine, dtype, oracles):
    rng = np.random.default_rng(32)
    for rank in range(1, 5):
        for axis in range(-rank, rank):
            parts, shape = int(rng.integers(1, 5)), [int(n) for n in rng.integers(1, 4, rank)]
            shape[axis] *= parts
            value = rng.integers(-99, 99, shape).astype(dtype)
            wanted = np.split(value, parts, axis)
            ys = [Tensor(f"y{i}", part.shape, dtype) for i, part in enumerate(wanted)]
            inputs = [axis_of(axis), Tensor("x", tuple(shape), dtype)]
            case = oracles.single(OPERATOR, inputs, ys, {"num_splits": parts}, [value])
            OPERATOR.check(case.call)
            found = oracles.run(engine, case.model, case.given())
            ours = OPERATOR.reference(case.call, case.values, TFLM)
            for theirs, our, part in zip(found, ours, wanted, strict=True):
                np.testing.assert_array_equal(theirs, our)
                np.testing.assert_array_equal(theirs, part)
