from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st

from refsim.graph import DTYPES, Tensor, Window
from refsim.int8ops.layout import walk, window


@st.composite
def boxes(draw):
    """(part, whole, begin, sizes): a box of a tensor; the part may lack some axes of one element."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    begin = [draw(st.integers(0, length - 1)) for length in shape]
    sizes = [draw(st.integers(1, length - first)) for length, first in zip(shape, begin, strict=True)]
    whole = [draw(st.booleans()) for _ in shape]
    begin = [0 if full else first for full, first in zip(whole, begin, strict=True)]
    sizes = [length if full else size for full, length, size in zip(whole, shape, sizes, strict=True)]
    kept = tuple(size for size in sizes if size > 1 or draw(st.booleans()))
    dtype = draw(st.sampled_from(["int8", "int16", "float32"]))
    return Tensor("part", kept, dtype), Tensor("whole", tuple(shape), dtype), tuple(begin), tuple(sizes)


def by_hand(part, whole, begin, sizes):
    """The window, from the address of every byte."""
    bytes_of = np.arange(whole.nbytes).reshape(*whole.shape, whole.itemsize)
    picked = bytes_of[tuple(slice(first, first + size) for first, size in zip(begin, sizes, strict=True))]
    found = picked.reshape(part.rows, part.row_bytes)
    row, byte = divmod(int(found[0, 0]), whole.row_bytes)
    expected = (row + np.arange(part.rows)[:, None]) * whole.row_bytes + byte + np.arange(part.row_bytes)
    inside = byte + part.row_bytes <= whole.row_bytes
    return Window(row, byte) if inside and np.array_equal(found, expected) else None


@given(boxes())
@settings(max_examples=600)
def test_a_window_is_found_exactly_where_there_is_one(box):
    assert window(*box) == by_hand(*box)


@given(boxes(), st.data())
def test_a_walk_visits_the_elements_in_order(box, data):
    _, whole, begin, sizes = box
    ends = [data.draw(st.booleans()) for _ in sizes]
    first = tuple(b + s - 1 if back else b for b, s, back in zip(begin, sizes, ends, strict=True))
    strides = tuple(-1 if back else 1 for back in ends)
    numbers = np.arange(whole.elements, dtype=DTYPES["int32"]).reshape(whole.shape)
    spans = zip(first, sizes, strides, strict=True)
    wanted = numbers[np.ix_(*(f + s * np.arange(n) for f, n, s in spans))]
    steps = walk(whole.shape, sizes, range(len(sizes)), first, strides)
    index = np.indices(steps.lengths)
    rows = steps.first_row + sum(r * i for r, i in zip(steps.rows, index, strict=True))
    columns = steps.first_column + sum(c * i for c, i in zip(steps.columns, index, strict=True))
    per_row = whole.elements // whole.rows
    np.testing.assert_array_equal((rows * per_row + columns).ravel(), wanted.ravel())
    assert ((columns >= 0) & (columns < per_row)).all()
