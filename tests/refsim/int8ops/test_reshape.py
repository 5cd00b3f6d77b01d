from __future__ import annotations

import numpy as np
import pytest

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Call, Quant, Tensor
from refsim.int8ops.numerics import NUMERICS, TFLM
from refsim.int8ops.reshape import OPERATOR, Attributes

QUANT = Quant((0.5,), (3,))


def activation(name, shape):
    return Tensor(name, shape, "int8", QUANT)


def shape_operand(values, known=True):
    array = np.array(values, np.int32)
    return Tensor("shape", array.shape, "int32", data=array if known else None)


def attributes(x, new_shape=(), inputs=(), outputs=()):
    return OPERATOR.attributes({"new_shape": new_shape}, (activation("x", x), *inputs), outputs)


def test_the_constant_operand_comes_before_the_option():
    assert attributes((2, 6), (12,), [shape_operand([3, -1])]).shape == (3, 4)
    assert attributes((2, 6), np.array([4, -1])).shape == (4, 3)


def test_without_either_the_output_says_its_shape():
    y = activation("y", (6, 2))
    assert attributes((2, 6), outputs=[y]).shape == (6, 2)
    assert attributes((2, 6), (12,), [shape_operand([0, 0], known=False)], [y]).shape == (6, 2)


def test_the_shape_operand_is_not_an_operand_of_the_node():
    assert OPERATOR.operands((7, 8)) == (7,)


@pytest.mark.parametrize("shape", [(5, -1), (-1, -1), (7, 2), (-2, -6), ()])
def test_shapes_that_do_not_hold_the_elements_are_refused(shape):
    with pytest.raises(ModelError, match="RESHAPE of 12 elements"):
        OPERATOR.infer((activation("x", (2, 6)),), Attributes(shape))


def test_a_change_of_type_is_refused():
    with pytest.raises(UnsupportedError, match="expected int8"):
        OPERATOR.check(Call((activation("x", (4,)),), (Tensor("y", (4,), "float32"),), Attributes((4,))))


def test_rows_follow_the_bytes():
    call = Call((activation("x", (1, 4, 4, 8)),), (activation("y", (2, 64)),), Attributes((2, 64)))
    assert OPERATOR.is_view(call)
    assert OPERATOR.input_rows(call, 0, (1, 2)) == (2, 4)
    back = Call(call.outputs, call.inputs, Attributes((1, 4, 4, 8)))
    assert [OPERATOR.input_rows(back, 0, (row, row + 1)) for row in range(4)] == [(0, 1), (0, 1), (1, 2), (1, 2)]


@pytest.mark.oracle
@pytest.mark.parametrize("engine", NUMERICS)
@pytest.mark.parametrize(("before", "after"), [((1, 4, 4, 8), (1, -1)), ((3, 8), (2, 3, 4)), ((24,), (1, 2, 3, 4))])
def test_bytes_stay_in_order(engine, before, after, oracles):
    x = np.arange(np.prod(before)).astype(np.int8).reshape(before)
    y = activation("y", np.empty(before).reshape(after).shape)
    for inputs, options in [([shape_operand(after)], {}), ([], {"new_shape": after})]:
        case = oracles.single(OPERATOR, [activation("x", before), *inputs], [y], options, [x])
        (found,) = oracles.run(engine, case.model, case.given())
        np.testing.assert_array_equal(found, OPERATOR.reference(case.call, case.values, TFLM)[0])
