from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Tensor
from refsim.int8ops.numerics import NUMERICS, TFLM
from refsim.int8ops.slicing import Cut
from refsim.int8ops.strided_slice import OPERATOR, as_operands

DEFAULTS = {name: slot.default for name, slot in OPERATOR.options.items()}


def constant(values):
    array = np.array(values, np.int32)
    return Tensor("constant", array.shape, "int32", data=array)


def attributes(shape, begin, end, strides, **masks):
    x = Tensor("x", shape, "int8")
    return OPERATOR.attributes(DEFAULTS | masks, (x, *map(constant, (begin, end, strides))), ())


@st.composite
def indices(draw):
    """A shape and a NumPy index of it that takes something, in the words of people."""
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple))
    ends = st.none() | st.integers(-9, 9)
    index = []
    for length in shape:
        spans = st.builds(slice, ends, ends, st.sampled_from([None, 1, 1, 2, 3, -1, -2]))
        taking = spans.filter(lambda s, length=length: len(range(*s.indices(length))) > 0)
        index.append(draw(taking | st.integers(-length, length - 1)))
    return shape, tuple(index)


@given(indices())
def test_it_takes_what_numpys_index_takes(given):
    shape, index = given
    x = np.arange(np.prod(shape)).reshape(shape)
    operands, masks = as_operands(index, len(shape))
    cut = attributes(shape, *operands, **masks)
    np.testing.assert_array_equal(cut.of(x), x[index])
    assert cut.shape == x[index].shape and cut.inside(shape)


def test_missing_axes_are_whole_and_open_ends_are_masked():
    operands, masks = as_operands((slice(1, None), -1), 3)
    assert operands == [[1, -1, 0], [0, 0, 0], [1, 1, 1]]
    assert masks == {"begin_mask": 0b100, "end_mask": 0b101, "shrink_axis_mask": 0b010}


def test_the_end_of_an_axis_that_is_left_out_does_not_matter():
    for end in (-7, 0, 99):
        assert attributes((4, 5), (2, -1), (end, end), (1, 1), shrink_axis_mask=3) == Cut((2, 4), (1, 1), (1, 1), ())


@pytest.mark.parametrize("name", ["ellipsis_mask", "new_axis_mask", "offset"])
def test_other_masks_are_refused(name):
    with pytest.raises(UnsupportedError, match=f"with {name}"):
        attributes((4,), (0,), (1,), (1,), **{name: 1})


@pytest.mark.parametrize(
    ("begin", "end", "strides"), [((0,), (1, 1), (1, 1)), ((0, 0), (1, 1), (1,)), ((0, 0), (1, 1), (1, 0))]
)
def test_numbers_have_to_be_as_many_as_axes_and_strides_not_zero(begin, end, strides):
    with pytest.raises(ModelError, match="expected three numbers an axis, strides not 0"):
        attributes((4, 5), begin, end, strides)


@pytest.mark.parametrize(("begin", "stride"), [(4, 1), (-5, 1), (2, -1)])
def test_one_element_that_is_not_there_is_refused(begin, stride):
    """The engines write nothing then, and leave whatever was in the output."""
    with pytest.raises(ModelError, match="expected one of 0 to 3"):
        attributes((4,), (begin,), (0,), (stride,), shrink_axis_mask=1)


def test_a_span_without_elements_is_refused():
    cut = attributes((4,), (3,), (1,), (1,))
    with pytest.raises(ModelError, match="expected elements that it has"):
        OPERATOR.infer((Tensor("x", (4,), "int8"),), cut)


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "float32", "bool"])
def test_random_indices_are_exact(engine, dtype, oracles):
    rng = np.random.default_rng(33)
    compared = 0
    while compared < 40:
        shape = tuple(int(n) for n in rng.integers(1, 7, compared % 4 + 1))
        rank = len(shape)
        begin, end = rng.integers(-8, 9, (2, rank))
        strides = rng.choice([-3, -2, -1, 1, 1, 2, 3], rank)
        masks = dict(zip(("begin_mask", "end_mask"), rng.integers(0, 1 << rank, 2).tolist(), strict=True))
        shrink = int(rng.integers(0, 1 << rank)) if rng.integers(2) else 0
        inputs = [Tensor("x", shape, dtype), constant(begin), constant(end), constant(strides)]
        options = DEFAULTS | masks | {"shrink_axis_mask": shrink}
        try:
            (out,) = OPERATOR.infer(inputs[:1], OPERATOR.attributes(options, inputs, ()))
        except ModelError:
            continue
        compared += 1
        value = (rng.integers(-99, 99, shape) & (1 if dtype == "bool" else -1)).astype(dtype)
        case = oracles.single(OPERATOR, inputs, [Tensor("y", out, dtype)], options, [value])
        OPERATOR.check(case.call)
        (found,) = oracles.run(engine, case.model, case.given())
        np.testing.assert_array_equal(found, OPERATOR.reference(case.call, case.values, TFLM)[0])
