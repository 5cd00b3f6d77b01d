from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.numerics import NUMERICS, TFLM
from refsim.int8ops.transpose import OPERATOR, Attributes

QUANT = Quant((0.5,), (3,))


def tensor(name, shape, dtype="int8"):
    return Tensor(name, tuple(shape), dtype, QUANT if dtype == "int8" else None)


def constant(values):
    array = np.array(values, np.int32)
    return Tensor("perm", array.shape, "int32", data=array)


def transpose_call(shape, perm, dtype="int8"):
    x, attributes = tensor("x", shape, dtype), Attributes(tuple(perm))
    return Call((x,), (tensor("y", *OPERATOR.infer((x,), attributes), dtype),), attributes)


@st.composite
def transpose_calls(draw):
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    return transpose_call(shape, draw(st.permutations(range(len(shape)))))


@given(transpose_calls(), st.data())
def test_the_rows_named_are_the_first_and_the_last_read(call, data):
    rows = np.repeat(np.arange(call.x.rows), call.x.elements // call.x.rows).reshape(call.x.shape)
    y = OPERATOR.reference(call, [rows], TFLM)[0].reshape(call.y.rows, -1)
    begin = data.draw(st.integers(0, call.y.rows - 1))
    end = data.draw(st.integers(begin + 1, call.y.rows))
    part = y[begin:end]
    assert OPERATOR.input_rows(call, 0, (begin, end)) == (part.min(), part.max() + 1)


@given(transpose_calls())
def test_a_view_is_one_whose_bytes_stay_in_order(call):
    numbers = np.arange(call.x.elements).reshape(call.x.shape)
    y = OPERATOR.reference(call, [numbers], TFLM)[0]
    assert OPERATOR.is_view(call) == (y.ravel() == numbers.ravel()).all()


@pytest.mark.parametrize("perm", [(0,), (0, 0), (1, 2), (0, -1)])
def test_what_is_no_permutation_is_refused(perm):
    with pytest.raises(ModelError, match="expected each axis once"):
        OPERATOR.attributes({}, (tensor("x", (2, 3)), constant(perm)), ())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (transpose_call((1, 2), (1, 0), "int32"), "expected int8 or int16 or float32"),
        (transpose_call((1, 2, 1, 1, 1), (1, 0, 2, 3, 4)), "5 axes"),
    ],
)
def test_other_types_and_ranks_are_refused(call, words):
    with pytest.raises(UnsupportedError, match=words):
        OPERATOR.check(call)


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_every_permutation_is_exact(engine, dtype, rank, oracles):
    shape = (2, 3, 4, 5)[:rank]
    x = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    for perm in permutations(range(rank)):
        call = transpose_call(shape, perm, dtype)
        case = oracles.single(OPERATOR, [call.x, constant(perm)], call.outputs, {}, [x])
        (found,) = oracles.run(engine, case.model, case.given())
        np.testing.assert_array_equal(found, OPERATOR.reference(case.call, [x], TFLM)[0], err_msg=str(perm))
