from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.numerics import NUMERICS, TFLM
from refsim.int8ops.pad import OPERATOR, Attributes

QUANT = Quant((0.5,), (-5,))


def tensor(name, shape, dtype="int8", quant=QUANT):
    return Tensor(name, tuple(shape), dtype, quant if dtype == "int8" else None)


def constant(values, data=True):
    array = np.array(values, np.int32)
    return Tensor("paddings", array.shape, "int32", data=array if data else None)


def pad_call(shape, paddings, dtype="int8"):
    x, attributes = tensor("x", shape, dtype), Attributes(tuple(paddings))
    return Call((x,), (tensor("y", *OPERATOR.infer((x,), attributes), dtype),), attributes)


@st.composite
def pad_calls(draw):
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    return pad_call(shape, [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in shape])


def numbered_rows(t):
    """Each element holds the number of its row, from 1 on."""
    return np.repeat(np.arange(1, t.rows + 1), t.elements // t.rows).astype(np.int8).reshape(t.shape)


@given(pad_calls(), st.data())
def test_the_rows_named_are_those_read(call, data):
    y = OPERATOR.reference(call, [numbered_rows(call.x)], TFLM)[0].reshape(call.y.rows, -1)
    begin = data.draw(st.integers(0, call.y.rows - 1))
    end = data.draw(st.integers(begin + 1, call.y.rows))
    low, high = OPERATOR.input_rows(call, 0, (begin, end))
    assert set(y[begin:end].ravel()) - {-5} == set(range(low + 1, high + 1))


def test_the_border_is_the_zero_point_or_zero():
    assert OPERATOR.reference(pad_call((1,), [(1, 1)]), [np.array([9], np.int8)], TFLM)[0].tolist() == [-5, 9, -5]
    wide = OPERATOR.reference(pad_call((1,), [(1, 1)], "float32"), [np.array([9.0], np.float32)], TFLM)[0]
    assert wide.tolist() == [0.0, 9.0, 0.0]


def test_no_padding_is_a_view():
    assert OPERATOR.is_view(pad_call((2, 3), [(0, 0), (0, 0)]))
    assert not OPERATOR.is_view(pad_call((2, 3), [(0, 0), (0, 1)]))


@pytest.mark.parametrize("paddings", [[[1, 1]], [[1, 1], [-1, 0]]])
def test_paddings_that_do_not_fit_are_refused(paddings):
    with pytest.raises(ModelError, match="two numbers >= 0 an axis"):
        OPERATOR.attributes({}, (tensor("x", (2, 3)), constant(paddings)), ())


def test_paddings_have_to_be_constant():
    with pytest.raises(UnsupportedError, match="computed at run time"):
        OPERATOR.attributes({}, (tensor("x", (2,)), constant([[1, 1]], data=False)), ())
    with pytest.raises(ModelError, match="without paddings"):
        OPERATOR.attributes({}, (tensor("x", (2,)),), ())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (pad_call((1, 2), [(0, 1), (0, 1)], "int16"), "expected int8 or int32 or float32"),
        (pad_call((1, 1, 1, 1, 1), [(0, 1)] * 5), "5 axes"),
    ],
)
def test_other_types_and_ranks_are_refused(call, words):
    with pytest.raises(UnsupportedError, match=words):
        OPERATOR.check(call)


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_every_rank_is_exact(engine, dtype, oracles):
    rng = np.random.default_rng(7)
    for i in range(24):
        shape = tuple(rng.integers(1, 5, 1 + i % 4))
        paddings = rng.integers(0, 3, (len(shape), 2))
        x = rng.integers(-128, 128, shape).astype(dtype)
        call = pad_call(shape, [tuple(pair) for pair in paddings], dtype)
        case = oracles.single(OPERATOR, [call.x, constant(paddings)], call.outputs, {}, [x])
        (found,) = oracles.run(engine, case.model, case.given())
        np.testing.assert_array_equal(found, OPERATOR.reference(case.call, [x], TFLM)[0])
