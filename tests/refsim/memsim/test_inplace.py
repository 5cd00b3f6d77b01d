"""What takes no bytes of its own: pieces of an input or an output, and elementwise results."""

from __future__ import annotations

from dataclasses import replace

import pytest

from refsim import interpreter, passes
from refsim.builder import Builder
from refsim.errors import PlanError
from refsim.graph import Graph, Tensor
from refsim.int8ops.numerics import TFLM
from refsim.memsim.inplace import dropped, last_uses, replaced
from refsim.memsim.lifetime import lower, placed, planned, whole_tensor_program
from refsim.memsim.lineage import lineage, root
from refsim.memsim.planners.linear import linear
from refsim.memsim.program import Program, Step
from tests.system.random_graphs import Grower

QUANT, OTHER = (0.1, 0), (0.2, 3)


@pytest.fixture
def b() -> Builder:
    return Builder("in place")


def inplace(graph: Graph) -> Program:
    return planned(whole_tensor_program(graph, lower(graph, TFLM), inplace=True))


def copied(graph: Graph) -> Program:
    return planned(whole_tensor_program(graph, lower(graph, TFLM)))


def names(program: Program) -> list[str]:
    """The operators that run, in order."""
    return [program.graph.nodes[step.node].operator.name for step in program.steps()]


def taken(graph: Graph) -> dict[str, str]:
    """By name: output -> the input whose bytes it takes."""
    found = replaced(graph, lineage(graph))
    return {graph.tensors[y].name: graph.tensors[x].name for y, x in found.items()}


def halves(b: Builder, axis: int) -> Graph:
    x = b.input((1, 8, 1, 6), QUANT)
    parts = [b.conv2d(x, 6, 1, quant=QUANT), b.conv2d(x, 6, 1, quant=QUANT)]
    return b.build(b.conv2d(b.concatenation(parts, axis), 2, 1, quant=QUANT))


@pytest.mark.parametrize("axis", [1, 3])
def test_a_concatenation_without_copies_is_no_step_and_saves_its_inputs(b: Builder, axis: int) -> None:
    graph = halves(b, axis)
    program = inplace(graph)
    joined = graph.nodes[2].outputs[0]
    assert names(copied(graph)) == ["conv2d", "conv2d", "concatenation", "conv2d"]
    assert names(program) == ["conv2d", "conv2d", "conv2d"]
    assert program.eliminated[joined] == "concatenation: its inputs are computed into their places"
    whole = graph.tensors[joined].nbytes
    assert copied(graph).placed.lower_bound == 2 * whole
    assert program.placed.lower_bound < 2 * whole
    inputs = interpreter.random_inputs(graph, 1)
    (expected,) = interpreter.outputs(graph, interpreter.run(graph, inputs))
    assert interpreter.run_program(program, inputs)[0].tobytes() == expected.tobytes()


def test_channels_of_several_pixels_a_row_are_copied(b: Builder) -> None:
    x = b.input((1, 8, 2, 6), QUANT)
    parts = [b.conv2d(x, 6, 1, quant=QUANT), b.conv2d(x, 6, 1, quant=QUANT)]
    assert "concatenation" in names(inplace(b.build(b.concatenation(parts, 3))))


def test_slices_and_the_parts_of_a_split_are_no_steps(b: Builder) -> None:
    x = b.conv2d(b.input((1, 8, 2, 6), QUANT), 4, 1, quant=QUANT)
    low, high = b.split(x, 2, 1)
    cut = b.slice(x, (0, 3, 0, 0), (1, 4, 2, 4))
    graph = b.build(b.add(b.add(low, high, quant=QUANT), cut, quant=QUANT))
    program = inplace(graph)
    assert names(program) == ["conv2d", "add", "add"]
    assert program.eliminated[graph.tensors.index(cut)] == "slice: the same bytes as 'conv2d_0'"
    assert [buffer.name for buffer in program.buffers] == ["input_0", "conv2d_0", "scratch of conv2d_0", "add_3"]


def test_a_split_of_which_one_part_is_an_output_with_gaps_is_copied_whole(b: Builder) -> None:
    x = b.conv2d(b.input((1, 8, 1, 6), QUANT), 4, 1, quant=QUANT)
    left, right = b.split(x, 2, 3)
    graph = b.build([left, b.relu(right, quant=OTHER)])
    assert "split" in names(inplace(graph))


def chain(b: Builder) -> Tensor:
    return b.conv2d(b.input((1, 4, 3, 5), QUANT), 5, 1, quant=QUANT, name="x")


def test_an_elementwise_result_takes_the_place_of_an_input_that_nobody_reads_later(b: Builder) -> None:
    x = chain(b)
    graph = b.build(b.conv2d(b.relu(x, quant=OTHER, name="y"), 2, 1, quant=QUANT))
    assert taken(graph) == {"y": "x"}
    assert len(inplace(graph).buffers) == len(copied(graph).buffers) - 1


def test_who_is_read_again_is_kept(b: Builder) -> None:
    x = chain(b)
    y = b.relu(x, quant=OTHER, name="y")
    graph = b.build(b.add(x, y, quant=QUANT, name="z"))
    assert taken(graph) == {"z": "x"}  # the last reader, which may choose either


def test_an_output_of_the_graph_is_kept(b: Builder) -> None:
    x = chain(b)
    assert taken(b.build([x, b.relu(x, quant=OTHER, name="y")])) == {}


def test_who_is_read_later_through_a_piece_is_kept(b: Builder) -> None:
    x = chain(b)
    piece = b.slice(x, (0, 1, 0, 0), (1, 2, 3, 5))
    y = b.relu(x, quant=OTHER, name="y")
    assert "y" not in taken(b.build([y, b.conv2d(piece, 2, 1, quant=QUANT)]))


def test_operands_that_are_broadcast_or_of_another_size_are_kept(b: Builder) -> None:
    x = chain(b)
    small = b.mean(x, (1, 2), keep_dims=True, quant=QUANT, name="small")
    y = b.mul(small, small, quant=QUANT, name="y")
    assert taken(b.build(b.mul(x, y, quant=QUANT, name="z"))) == {"y": "small", "z": "x"}
    floats = Builder("wider")
    x = chain(floats)
    assert taken(floats.build(floats.dequantize(x, name="y"))) == {}


def test_a_tensor_added_to_itself_is_replaced(b: Builder) -> None:
    x = chain(b)
    graph = b.build(b.conv2d(b.add(x, x, quant=QUANT, name="y"), 2, 1, quant=QUANT))
    assert taken(graph) == {"y": "x"}
    inplace(graph)


@pytest.mark.parametrize("seed", range(80))
def test_nobody_reads_a_tensor_after_another_took_its_bytes(seed: int) -> None:
    graph = passes.optimise(Grower(seed).graph(), TFLM)
    parents = lineage(graph)
    found = replaced(graph, parents)
    assert len(set(found.values())) == len(found)
    for y, x in found.items():
        made = graph.producers[y]
        later = (t for node in graph.nodes[made + 1 :] for t in node.inputs)
        assert x not in {root(parents, t) for t in (*later, *graph.outputs)}, f"%{y} over %{x}\n{graph}"
        assert last_uses(graph, parents)[x] == made


@pytest.mark.parametrize("seed", range(80))
def test_every_node_either_runs_once_or_is_said_to_be_dropped(seed: int) -> None:
    graph = passes.optimise(Grower(seed).graph(), TFLM)
    for shared in (False, True):
        program = placed(whole_tensor_program(graph, lower(graph, TFLM), shared), linear)
        program.verify()
        ran = [step.node for step in program.steps()]
        gone = dropped(graph, lineage(graph, windows=shared))
        assert sorted((*ran, *gone)) == list(range(len(graph.nodes)))
        assert {t for n in gone for t in graph.nodes[n].outputs} <= program.eliminated.keys()


def test_taking_the_place_of_a_tensor_that_is_read_again_is_refused(b: Builder) -> None:
    x = chain(b)
    y = b.relu(x, quant=OTHER, name="y")
    graph = b.build(b.add(b.conv2d(y, 5, 1, quant=QUANT), x, quant=QUANT))
    program = copied(graph)
    conv, relu, *rest = program.body
    assert isinstance(relu, Step)
    (source,), (target,) = relu.reads, relu.writes
    assert source is not None
    moved = replace(target, buffer=source.buffer)
    second = rest[0]
    assert isinstance(second, Step)
    reads = (moved, *second.reads[1:])
    body = (conv, replace(relu, writes=(moved,)), replace(second, reads=reads), *rest[1:])
    with pytest.raises(PlanError, match="of 'x' is not there; its bytes hold 'y'"):
        placed(replace(program, body=body, plan=None), linear).verify()
