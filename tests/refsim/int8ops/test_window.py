"""Windows against a list of the positions that each output really reads."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from refsim.errors import ModelError
from refsim.int8ops.window import SAME, VALID, Axis, resolve, rows_needed

LENGTHS = st.integers(1, 12)
AXES = st.builds(
    Axis, st.integers(1, 5), st.integers(1, 3), st.integers(0, 4), st.integers(0, 4), dilation=st.integers(1, 3)
)


def read(axis: Axis, output: int, length: int) -> set[int]:
    """Input positions that one output reads."""
    taps = (output * axis.stride - axis.before + tap * axis.dilation for tap in range(axis.size))
    return {tap for tap in taps if 0 <= tap < length}


@given(AXES, LENGTHS)
def test_the_last_output_is_the_last_whose_window_fits(axis: Axis, length: int) -> None:
    outputs = max(0, axis.output(length))
    fits = [o for o in range(40) if o * axis.stride + axis.reach <= length + axis.before + axis.after]
    assert outputs == len(fits)


@given(AXES, LENGTHS, st.data())
def test_what_outputs_need_is_just_what_they_read(axis: Axis, length: int, data: st.DataObject) -> None:
    outputs = axis.output(length)
    if outputs < 1:
        return
    begin = data.draw(st.integers(0, outputs - 1))
    end = data.draw(st.integers(begin + 1, outputs))
    low, high = axis.needs(begin, end, length)
    positions = set().union(*(read(axis, output, length) for output in range(begin, end)))
    assert 0 <= low <= high <= length
    assert positions <= set(range(low, high))
    if axis.dilation == 1 and axis.stride <= axis.size and positions:
        assert (low, high) == (min(positions), max(positions) + 1)


@given(AXES, st.integers(1, 3), LENGTHS, st.data())
def test_rows_of_a_batch_stay_within_what_their_images_need(
    axis: Axis, images: int, height: int, data: st.DataObject
) -> None:
    outputs = axis.output(height)
    if outputs < 1:
        return
    begin = data.draw(st.integers(0, images * outputs - 1))
    end = data.draw(st.integers(begin + 1, images * outputs))
    low, high = rows_needed(axis, (begin, end), height, outputs)
    for row in range(begin, end):
        image = row // outputs
        rows = {image * height + position for position in read(axis, row % outputs, height)}
        assert rows <= set(range(low, high))
    assert begin // outputs * height <= low <= high <= ((end - 1) // outputs + 1) * height


@given(LENGTHS, st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_same_padding_gives_one_output_for_each_stride(length: int, size: int, stride: int, dilation: int) -> None:
    axis = resolve(SAME, length, size, stride, dilation)
    assert axis.output(length) == -(-length // stride)
    assert axis.after - axis.before in (0, 1)
    assert axis.before + axis.after <= axis.reach - 1


@given(LENGTHS, st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_valid_padding_reads_only_the_input(length: int, size: int, stride: int, dilation: int) -> None:
    if (size - 1) * dilation + 1 > length:
        with pytest.raises(ModelError, match="does not fit"):
            resolve(VALID, length, size, stride, dilation)
        return
    axis = resolve(VALID, length, size, stride, dilation)
    assert (axis.before, axis.after) == (0, 0)
    assert all(len(read(axis, o, length)) == size for o in range(axis.output(length)))


@pytest.mark.parametrize("arguments", [(SAME, 5, 3, 0, 1), (SAME, 5, 3, 1, 0), (VALID, 5, 0, 1, 1)])
def test_windows_without_extent_or_movement_are_refused(arguments: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(ModelError, match="expected positive values"):
        resolve(*arguments)


def test_an_unknown_padding_is_refused() -> None:
    with pytest.raises(ModelError, match="padding 2 is not known"):
        resolve(2, 5, 3, 1)
