"""Claims that an output may take an input's bytes: what they imply about rows, and what a Program makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refsim.builder import Builder
from refsim.errors import PlanError
from refsim.graph import Call, Quant, Tensor
from refsim.importers.tflite import read_tflite
from refsim.int8ops import add, operators, quantize
from refsim.int8ops.elementwise import Elementwise
from refsim.int8ops.numerics import TFLM
from refsim.interpreter import outputs, random_inputs, run, run_program
from refsim.memsim.lifetime import planned
from refsim.memsim.program import Buffer, Program, Step, View

REFERENCE = Path(__file__).resolve().parents[3] / "golden" / "reference"
GOLDENS = sorted(REFERENCE.glob("*/*.tflite"))
OVERWRITING = {"add", "mul", "quantize", "relu", "relu6", "softmax"}


def calls():
    for path in GOLDENS:
        graph = read_tflite(path.read_bytes(), path.stem)
        yield from ((graph.call(node), node.operator) for node in graph.nodes)


def test_an_input_that_may_be_overwritten_has_the_outputs_rows():
    claiming = set()
    for call, operator in calls():
        for i in operator.overwrites(call):
            claiming.add(operator.name)
            assert call.inputs[i].shape == call.y.shape and call.inputs[i].itemsize == call.y.itemsize
            assert call.inputs[i].data is None
            rows = call.y.rows
            for begin, end in ((0, rows), (0, 1), (rows - 1, rows), (rows // 2, rows)):
                assert operator.input_rows(call, i, (begin, end)) == (begin, end)
    assert claiming == OVERWRITING <= set(operators())


def test_only_the_operand_that_is_not_broadcast_may_be_overwritten():
    quant = Quant((0.5,), (0,))
    x, b = (Tensor(n, s, "int8", quant) for n, s in (("x", (2, 3)), ("b", (3,))))
    constant = replace(x, data=np.zeros((2, 3), np.int8))
    for inputs, wanted in (((x, x), (0, 1)), ((x, b), (0,)), ((b, x), (1,)), ((x, constant), (0,))):
        assert add.OPERATOR.overwrites(Call(inputs, (replace(x, name="y"),), Elementwise(0))) == wanted


def test_bytes_that_become_fewer_are_not_overwritten():
    x, y = Tensor("x", (4,), "float32"), Tensor("y", (4,), "int8", Quant((0.5,), (0,)))
    assert quantize.OPERATOR.overwrites(Call((x,), (y,), None)) == ()


def in_one_buffer(graph, input_index):
    """A Program of the graph's one node whose output is in the bytes of one of its inputs."""
    (node,) = graph.nodes
    read = tuple(dict.fromkeys(graph.activations(node)))
    tensors = {i: graph.tensors[i] for i in (*read, *node.outputs)}
    others = [i for i in read if i != node.inputs[input_index]]
    buffers = [Buffer("shared", max(tensors[node.inputs[input_index]].nbytes, tensors[node.outputs[0]].nbytes))]
    buffers += [Buffer(f"input {i}", tensors[i].nbytes) for i in others]
    place = {i: 1 + n for n, i in enumerate(others)}
    views = {i: View(i, place.get(i, 0), t.row_bytes) for i, t in tensors.items()}
    step = Step(0, (0, tensors[node.outputs[0]].rows), tuple(map(views.get, node.inputs)), (views[node.outputs[0]],))
    inputs, ends = tuple(views[i] for i in graph.inputs), tuple(views[i] for i in graph.outputs)
    return planned(Program(graph, tuple(buffers), (step,), inputs, ends))


def unary(operator, *given, **more):
    b = Builder("g")
    return b.build(getattr(b, operator)(b.input((1, 4, 6, 3), (0.05, 3)), *given, **more))


def binary(operator, *shapes):
    b = Builder("g")
    return b.build(getattr(b, operator)(*(b.input(shape, (0.05, 3)) for shape in shapes), quant=(0.1, 1)))


def kind(value):
    """The operator of a graph of one node, for the tests' names."""
    return value if isinstance(value, int) else value.nodes[0].operator.name


IMAGE, CHANNELS = (1, 4, 6, 3), (1, 1, 1, 3)
HONOURED = [
    (unary("relu", quant=(0.1, 1)), 0),
    (unary("relu6", quant=(0.05, 3)), 0),
    (unary("quantize", (0.1, 1)), 0),
    (unary("softmax"), 0),
    (binary("add", IMAGE, IMAGE), 0),
    (binary("add", IMAGE, IMAGE), 1),
    (binary("add", CHANNELS, IMAGE), 1),
    (binary("mul", IMAGE, CHANNELS), 0),
]


@pytest.mark.parametrize(("graph", "index"), HONOURED, ids=kind)
def test_programs_in_place_are_accepted_and_exact(graph, index):
    program = in_one_buffer(graph, index)
    program.verify()
    given = random_inputs(graph, 7)
    np.testing.assert_array_equal(run_program(program, given)[0], outputs(graph, run(graph, given, TFLM))[0])


CLAIMING_NOTHING = [
    unary("max_pool_2d", 3, 1, "same"),
    unary("depthwise_conv2d", 3, quant=(0.1, 0)),
    unary("mean", (3,), True, quant=(0.1, 0)),
    unary("strided_slice", slice(None), slice(None, None, -1)),
]


@pytest.mark.parametrize("graph", CLAIMING_NOTHING, ids=kind)
def test_programs_in_place_are_refused_where_the_operator_claims_nothing(graph):
    with pytest.raises(PlanError, match="written over bytes that the step still needs"):
        in_one_buffer(graph, 0).verify()


def test_a_program_that_overwrites_the_broadcast_operand_is_refused():
    with pytest.raises(PlanError, match="written over bytes that the step still needs"):
        in_one_buffer(binary("add", CHANNELS, IMAGE), 0).verify()
