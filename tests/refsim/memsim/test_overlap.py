"""How far an output may reach into the input that it is computed from, against loops over single rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from refsim import interpreter
from refsim.builder import Builder
from refsim.errors import PlanError
from refsim.int8ops.numerics import TFLM
from refsim.memsim.assemble import assemble
from refsim.memsim.lifetime import live_ranges, lower
from refsim.memsim.overlap import slack_of
from refsim.memsim.plan import ALIGNMENT, Plan, aligned
from refsim.memsim.program import Program
from tests.refsim.memsim.single_operators import QUANT, Case, Cases


@dataclass(frozen=True)
class Conflict:
    """A call writes the output's bytes [begin, end), and it or a later one reads row `row` of the input."""

    begin: int
    end: int
    row: int


def conflicts(case: Case, number: int, rows_at_once: int) -> Iterator[Conflict]:
    """All of one input, with so many rows a call; a call holds on to what lies between the rows that it needs."""
    y = case.graph.tensors[case.graph.outputs[0]]
    calls = range(0, y.rows, rows_at_once)
    read = {begin: set().union(*case.needs[number][begin : begin + rows_at_once]) for begin in calls}
    for begin in calls:
        for later in range(begin, y.rows, rows_at_once):
            for row in range(min(read[later]), max(read[later]) + 1) if read[later] else ():
                yield Conflict(begin * y.row_bytes, min(begin + rows_at_once, y.rows) * y.row_bytes, row)


def harmless(case: Case, number: int, rows_at_once: int, distance: int) -> bool:
    """Whether nothing is written over that is still read, when the input begins `distance` bytes above the output."""
    size = case.graph.tensors[case.graph.inputs[number]].row_bytes
    return not any(
        c.begin < distance + (c.row + 1) * size and distance + c.row * size < c.end
        for c in conflicts(case, number, rows_at_once)
    )


def least_distance(case: Case, number: int, rows_at_once: int) -> int:
    """From which distance on all are harmless."""
    size = case.graph.tensors[case.graph.inputs[number]].row_bytes
    return max(c.end - c.row * size for c in conflicts(case, number, rows_at_once))


def by_rows(case: Case, rows_at_once: int) -> Program:
    """The operator alone, so many rows a call. Buffers: the inputs, the output, scratch."""
    made = assemble(case.graph, lower(case.graph, TFLM), [(0,)], {(0,): rows_at_once})
    return replace(made, plan=None)


def apart(program: Program, number: int, distance: int) -> Program:
    """Input `number` so much above the output, all else above both, and live ranges that allow anything."""
    ranges = live_ranges(program)
    y, low = program.outputs[0].buffer, max(0, -distance)
    offsets = {y: low, program.inputs[number].buffer: low + distance}
    end = max(aligned(offset + ranges[i].nbytes) for i, offset in offsets.items())
    for i, r in enumerate(ranges):
        if i not in offsets:
            offsets[i], end = end, aligned(end + r.nbytes)
    free = tuple(replace(r, first=n, last=n) for n, r in enumerate(ranges))
    return replace(program, plan=Plan(free, tuple(offsets[i] for i in range(len(ranges)))))


def verifies(program: Program) -> bool:
    try:
        program.verify()
    except PlanError:
        return False
    return True


@pytest.mark.parametrize("seed", range(240))
def test_slack_is_the_least_distance_that_is_harmless(seed: int) -> None:
    case = Cases(seed).drawn()
    for rows_at_once in (1, 2, 4):
        program = by_rows(case, rows_at_once)
        slack, y = slack_of(program, live_ranges(program)), program.outputs[0]
        for number, x in enumerate(program.inputs):
            least = least_distance(case, number, rows_at_once)
            given = slack.get((x.buffer, y.buffer))
            if given is None:
                whole = program.buffers[y.buffer].nbytes
                assert least >= whole or not case.exact or once(case, number, rows_at_once), f"{program}"
            else:
                assert given == least if case.exact else given >= least, f"{program}"


def once(case: Case, number: int, rows_at_once: int) -> bool:
    """Whether a single call reads the input: slack is for tensors that are read bit by bit."""
    readers = [row // rows_at_once for row, needs in enumerate(case.needs[number]) if needs]
    return len(set(readers)) == 1


@pytest.mark.parametrize("seed", range(1000, 1060))
def test_what_verifies_at_any_distance_is_what_is_harmless_and_gives_the_answer(seed: int) -> None:
    case, rows_at_once = Cases(seed).drawn(), (1, 2, 4)[seed % 3]
    program = by_rows(case, rows_at_once)
    inputs = interpreter.random_inputs(case.graph, seed)
    expected = interpreter.outputs(case.graph, interpreter.run(case.graph, inputs))
    for number, x in enumerate(program.inputs):
        sizes = (program.buffers[i].nbytes for i in (x.buffer, program.outputs[0].buffer))
        below, above = (aligned(size) + ALIGNMENT for size in sizes)
        for distance in range(-below, above, ALIGNMENT):
            moved, safe = apart(program, number, distance), harmless(case, number, rows_at_once, distance)
            safe = safe or (distance == 0 and overwritten(case, number))
            assert verifies(moved) == safe or (safe and not case.exact), f"{distance}: {moved}"
            if verifies(moved):
                (got,) = interpreter.run_program(moved, inputs)
                assert got.tobytes() == expected[0].tobytes(), f"{distance}: {moved}"


def overwritten(case: Case, number: int) -> bool:
    (node,) = case.graph.nodes
    return number in node.operator.overwrites(case.graph.call(node))


def test_a_step_that_writes_several_pieces_of_one_buffer_reaches_to_the_end_of_the_last() -> None:
    b = Builder("halves, the second first")
    x = b.max_pool_2d(b.input((1, 4, 2, 3), QUANT), 1, name="x")
    pooled = b.max_pool_2d(x, 2, name="read before")
    left, right = b.split(x, 2, 2)
    graph = b.build([b.concatenation([right, left], 1, name="y"), b.relu(pooled, quant=QUANT), left])
    program = assemble(graph, lower(graph, TFLM), [(n,) for n in range(5)], {}, inplace=True)
    names = [buffer.name for buffer in program.buffers]
    assert [view.offset for step in program.steps() for view in step.writes if names[view.buffer] == "y"] == [12, 0]
    assert (names.index("x"), names.index("y")) not in slack_of(program, live_ranges(program))
