"""What SLICE, SPLIT and STRIDED_SLICE have in common: index maps, views, windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Call, Quant, Tensor
from refsim.int8ops import slice as box, split, strided_slice
from refsim.int8ops.numerics import TFLM

QUANT = Quant((0.5,), (3,))


def tensor(name, shape, dtype="int8"):
    return Tensor(name, tuple(shape), dtype, QUANT if dtype == "int8" else None)


def make(operator, shape, attributes, dtype="int8"):
    x = tensor("x", shape, dtype)
    shapes = operator.infer((x,), attributes)
    return operator, Call((x,), tuple(tensor(f"y{i}", s, dtype) for i, s in enumerate(shapes)), attributes)


@st.composite
def box_calls(draw, shape):
    begin = tuple(draw(st.integers(0, length - 1)) for length in shape)
    sizes = tuple(draw(st.integers(1, length - first)) for length, first in zip(shape, begin, strict=True))
    return make(box.OPERATOR, shape, box.Attributes(begin, sizes))


@st.composite
def split_calls(draw, shape):
    axis = draw(st.integers(0, len(shape) - 1))
    parts = draw(st.sampled_from([n for n in range(1, 7) if shape[axis] % n == 0]))
    return make(split.OPERATOR, shape, split.Attributes(axis, parts))


@st.composite
def strided_calls(draw, shape):
    spans = []
    for length in shape:
        first, stride = draw(st.integers(0, length - 1)), draw(st.sampled_from([-2, -1, 1, 1, 2, 3]))
        most = (length - 1 - first if stride > 0 else first) // abs(stride) + 1
        size = draw(st.integers(1, most))
        spans.append((first, size, stride if size > 1 else 1))
    kept = tuple(axis for axis, (_, size, _) in enumerate(spans) if size > 1 or draw(st.booleans()))
    return make(strided_slice.OPERATOR, shape, strided_slice.Cut(*zip(*spans, strict=True), kept))


LAST_LINE = strided_slice.Cut((0, 8, 0, 0), (1, 1, 1, 4), (1, 1, 1, 1), (0, 2, 3))
UPWARDS = strided_slice.Cut((0, 8, 0, 0), (1, 2, 1, 4), (1, -1, 1, 1), (0, 1, 2, 3))

shapes = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)
calls = st.one_of(*(shapes.flatmap(kind) for kind in (box_calls, split_calls, strided_calls)))


@given(calls, st.data())
def test_the_rows_named_are_the_first_and_the_last_read(made, data):
    operator, call = made
    rows = np.repeat(np.arange(call.x.rows), call.x.elements // call.x.rows).reshape(call.x.shape)
    begin = data.draw(st.integers(0, call.y.rows - 1))
    end = data.draw(st.integers(begin + 1, call.y.rows))
    answers = operator.reference(call, [rows], TFLM)
    read = np.concatenate([y.reshape(call.y.rows, -1)[begin:end].ravel() for y in answers])
    assert operator.input_rows(call, 0, (begin, end)) == (read.min(), read.max() + 1)


@given(calls)
def test_a_view_is_one_whose_bytes_are_all_of_the_input_in_order(made):
    operator, call = made
    numbers = np.arange(call.x.elements).reshape(call.x.shape)
    y = operator.reference(call, [numbers], TFLM)[0]
    assert operator.is_view(call) == np.array_equal(y.ravel(), numbers.ravel())


@given(calls)
def test_outputs_lie_where_their_windows_say(made):
    operator, call = made
    numbers = np.arange(call.x.elements).reshape(call.x.shape)
    lines = numbers.reshape(call.x.rows, -1)
    answers = operator.reference(call, [numbers], TFLM)
    windows = operator.outputs_within(call)
    assert len(windows) == len(answers)
    for answer, tensor, window in zip(answers, call.outputs, windows, strict=True):
        if window is not None:
            rows = lines[window.first_row : window.first_row + tensor.rows]
            found = rows[:, window.first_byte : window.first_byte + tensor.row_bytes]
            np.testing.assert_array_equal(found, answer.reshape(tensor.rows, -1))


@given(shapes.flatmap(split_calls))
def test_the_parts_of_a_split_make_the_input_again(made):
    operator, call = made
    numbers = np.arange(call.x.elements).reshape(call.x.shape)
    parts = operator.reference(call, [numbers], TFLM)
    np.testing.assert_array_equal(np.concatenate(parts, axis=call.attributes.axis), numbers)


@pytest.mark.parametrize(
    ("made", "places"),
    [
        (make(split.OPERATOR, (1, 6, 4, 3), split.Attributes(1, 3)), [(0, 0), (2, 0), (4, 0)]),
        (make(split.OPERATOR, (2, 3, 4, 6), split.Attributes(2, 2)), [(0, 0), (0, 12)]),
        (make(split.OPERATOR, (2, 3, 4, 6), split.Attributes(3, 2)), [None, None]),
        (make(split.OPERATOR, (2, 3, 1, 6), split.Attributes(3, 2)), [(0, 0), (0, 3)]),
        (make(split.OPERATOR, (2, 4, 3, 2), split.Attributes(1, 2)), [None, None]),
        (make(split.OPERATOR, (5, 8), split.Attributes(1, 2), "float32"), [(0, 0), (0, 16)]),
        (make(box.OPERATOR, (1, 6, 4, 3), box.Attributes((0, 2, 0, 0), (1, 3, 4, 3))), [(2, 0)]),
        (make(strided_slice.OPERATOR, (1, 9, 1, 4), LAST_LINE), [(8, 0)]),
        (make(strided_slice.OPERATOR, (1, 9, 1, 4), UPWARDS), [None]),
    ],
)
def test_windows_of_ordinary_cuts(made, places):
    operator, call = made
    assert [w and (w.first_row, w.first_byte) for w in operator.outputs_within(call)] == places


@pytest.mark.parametrize(
    ("operator", "attributes", "dtypes"),
    [
        (box.OPERATOR, box.Attributes((0, 0), (1, 2)), ("uint8", "int64")),
        (split.OPERATOR, split.Attributes(1, 2), ("uint8", "int64", "bool")),
        (strided_slice.OPERATOR, strided_slice.Cut((0, 0), (1, 2), (1, 1), (0, 1)), ("uint8", "int64")),
    ],
)
def test_types_that_tflm_lacks_are_refused(operator, attributes, dtypes):
    for dtype in dtypes:
        with pytest.raises(UnsupportedError, match="expected int8 or int16 or int32 or float32"):
            operator.check(make(operator, (2, 4), attributes, dtype)[1])


def test_input_and_output_have_one_type_and_four_axes_at_most():
    operator, call = make(box.OPERATOR, (1, 2), box.Attributes((0, 0), (1, 1)))
    with pytest.raises(UnsupportedError, match="expected int8"):
        operator.check(Call(call.inputs, (tensor("y", (1, 1), "int32"),), call.attributes))
    with pytest.raises(UnsupportedError, match="5 axes"):
        operator.check(make(box.OPERATOR, (1,) * 5, box.Attributes((0,) * 5, (1,) * 5))[1])


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        (box.OPERATOR, box.Attributes((0, 2), (1, 3))),
        (box.OPERATOR, box.Attributes((-1, 0), (1, 3))),
        (box.OPERATOR, box.Attributes((0, 0), (1, 0))),
        (strided_slice.OPERATOR, strided_slice.Cut((0, 1), (1, 3), (1, -1), (0, 1))),
        (strided_slice.OPERATOR, strided_slice.Cut((0,), (1,), (1,), (0,))),
    ],
)
def test_elements_that_the_input_lacks_are_refused(operator, attributes):
    with pytest.raises(ModelError, match="expected elements that it has"):
        operator.infer((tensor("x", (2, 4)),), attributes)
