from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.concatenation import OPERATOR, Attributes
from refsim.int8ops.numerics import NUMERICS, TFLM

QUANT = Quant((0.5,), (3,))


def tensor(name, shape, dtype="int8", quant=QUANT, data=None):
    return Tensor(name, tuple(shape), dtype, quant if dtype == "int8" else None, data)


def concat_call(shapes, axis, dtype="int8"):
    inputs, attributes = tuple(tensor(f"x{i}", s, dtype) for i, s in enumerate(shapes)), Attributes(axis)
    return Call(inputs, (tensor("y", *OPERATOR.infer(inputs, attributes), dtype),), attributes)


@st.composite
def concat_calls(draw):
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    axis = draw(st.integers(0, len(shape) - 1))
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    return concat_call([(*shape[:axis], length, *shape[axis + 1 :]) for length in lengths], axis)


@given(concat_calls(), st.data())
def test_the_rows_named_are_those_read(call, data):
    begin = data.draw(st.integers(0, call.y.rows - 1))
    end = data.draw(st.integers(begin + 1, call.y.rows))
    for index, chosen in enumerate(call.inputs):
        rows = np.repeat(np.arange(chosen.rows), chosen.elements // chosen.rows).reshape(chosen.shape)
        values = [rows if i == index else np.full(t.shape, -1) for i, t in enumerate(call.inputs)]
        y = OPERATOR.reference(call, values, TFLM)[0].reshape(call.y.rows, -1)
        low, high = OPERATOR.input_rows(call, index, (begin, end))
        assert set(y[begin:end].ravel()) - {-1} == set(range(low, high))


@given(concat_calls())
def test_inputs_lie_where_their_windows_say(call):
    numbers = [np.full(t.shape, i, np.int8) for i, t in enumerate(call.inputs)]
    y = OPERATOR.reference(call, numbers, TFLM)[0].reshape(call.y.rows, call.y.row_bytes)
    for i, (tensor, window) in enumerate(zip(call.inputs, OPERATOR.inputs_within(call), strict=True)):
        if window is not None:
            rows = y[window.first_row : window.first_row + tensor.rows]
            assert (rows[:, window.first_byte : window.first_byte + tensor.row_bytes] == i).all()


@pytest.mark.parametrize(
    ("shapes", "axis", "places"),
    [
        ([(1, 2, 4, 3), (1, 3, 4, 3)], 1, [(0, 0), (2, 0)]),
        ([(2, 3, 1, 4), (2, 3, 2, 4)], 2, [(0, 0), (0, 4)]),
        ([(2, 3, 1, 4), (2, 3, 1, 2)], 3, [(0, 0), (0, 4)]),
        ([(2, 3, 2, 4), (2, 3, 2, 2)], 3, [None, None]),
        ([(2, 2, 2, 4), (2, 3, 2, 4)], 1, [None, None]),
        ([(5, 3), (5, 4)], 1, [(0, 0), (0, 3)]),
    ],
)
def test_windows_of_ordinary_concatenations(shapes, axis, places):
    found = OPERATOR.inputs_within(concat_call(shapes, axis))
    assert [w and (w.first_row, w.first_byte) for w in found] == places


def test_a_constant_has_no_window():
    call = concat_call([(1, 2), (1, 3)], 1)
    constant = replace(call.x, data=np.zeros((1, 2), np.int8))
    found = OPERATOR.inputs_within(replace(call, inputs=(constant, call.inputs[1])))
    assert found[0] is None and found[1] is not None


def test_a_negative_axis_counts_from_the_back():
    inputs = [tensor("x", (2, 3))]
    assert OPERATOR.attributes({"axis": -1, "activation": 0}, inputs, ()) == Attributes(1)
    with pytest.raises(ModelError, match="no such axis"):
        OPERATOR.attributes({"axis": 2, "activation": 0}, inputs, ())


def test_a_fused_activation_is_refused():
    with pytest.raises(UnsupportedError, match="fused activation"):
        OPERATOR.attributes({"axis": 0, "activation": 1}, [tensor("x", (2, 3))], ())


def test_shapes_have_to_agree_on_the_other_axes():
    with pytest.raises(ModelError, match="equal lengths on the other axes"):
        concat_call([(2, 3), (3, 3)], 1)


def test_one_input_is_a_view():
    assert OPERATOR.is_view(concat_call([(2, 3)], 1))
    assert not OPERATOR.is_view(concat_call([(2, 3), (2, 1)], 1))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (concat_call([(1, 2)] * 17, 0), "16 at most"),
        (concat_call([(1, 2)] * 2, 0, "int16"), "expected int8"),
        (concat_call([(1, 1, 1, 1, 2)] * 2, 0), "5 axes"),
    ],
)
def test_what_the_kernel_lacks_is_refused(call, words):
    with pytest.raises(UnsupportedError, match=words):
        OPERATOR.check(call)


def test_int8_needs_equal_quantisation():
    call = concat_call([(1, 2), (1, 2)], 0)
    other = tensor("x1", (1, 2), quant=Quant((0.5,), (4,)))
    with pytest.raises(UnsupportedError, match="expected equal quantisation"):
        OPERATOR.check(replace(call, inputs=(call.x, other)))


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_every_axis_is_exact_also_with_constants(engine, dtype, oracles):
    rng = np.random.default_rng(8)
    for rank in range(1, 5):
        for axis in range(-rank, rank):
            shape = list(rng.integers(1, 4, rank))
            shapes = [(*shape[: axis % rank], length, *shape[axis % rank + 1 :]) for length in (2, 1, 3)]
            values = [rng.integers(-128, 128, s).astype(dtype) for s in shapes]
            call = concat_call(shapes, axis % rank, dtype)
            inputs = [call.x, replace(call.inputs[1], data=values[1]), call.inputs[2]]
            options = {"axis": axis, "activation": 0}
            case = oracles.single(OPERATOR, inputs, call.outputs, options, [values[0], values[2]])
            OPERATOR.check(case.call)
            (found,) = oracles.run(engine, case.model, case.given())
            np.testing.assert_array_equal(found, OPERATOR.reference(case.call, case.values, TFLM)[0])
