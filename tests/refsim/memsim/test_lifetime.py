from __future__ import annotations

import pytest

from refsim.builder import Builder
from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import live_ranges, lower, planned, whole_tensor_program
from refsim.memsim.planners import PLANNERS
from refsim.memsim.program import Program


@pytest.fixture
def branched() -> Program:
    b = Builder("branched")
    x = b.input((1, 4, 4, 8), quant=(0.1, 0))
    left = b.conv2d(x, 8, 1, quant=(0.1, 0), name="left")
    right = b.conv2d(left, 8, 3, padding="same", quant=(0.1, 0), name="right")
    total = b.add(left, right, quant=(0.1, 0), name="sum")
    graph = b.build(b.reshape(total, (1, 128)))
    return whole_tensor_program(graph, lower(graph, TFLM))


def ranges(program: Program) -> dict[str, tuple[int, int]]:
    return {r.name: (r.first, r.last) for r in live_ranges(program)}


def test_a_tensor_lives_from_its_step_to_its_last_reader(branched: Program) -> None:
    live = ranges(branched)
    assert live["input_0"] == (0, 0)
    assert live["left"] == (0, 2)
    assert live["right"] == (1, 2)
    assert live["sum"] == (2, 2)


def test_scratch_lives_at_its_own_step_only(branched: Program) -> None:
    scratch = [r for r in live_ranges(branched) if r.name.startswith("scratch")]
    assert scratch
    assert all(r.first == r.last for r in scratch)


def test_a_reshape_needs_no_step_and_no_bytes_and_says_so(branched: Program) -> None:
    assert len(list(branched.steps())) == 3
    assert branched.outputs[0].buffer == list(branched.steps())[-1].writes[0].buffer
    assert branched.eliminated[branched.outputs[0].tensor] == "reshape: the same bytes as 'sum'"


def test_what_a_loop_touches_lives_through_the_whole_loop(streamed: Program) -> None:
    live = ranges(streamed)
    assert live["x"] == (0, 2)
    assert live["t ring"] == (0, 3)
    assert live["y"] == (1, 3)


@pytest.mark.parametrize("planner", PLANNERS.values(), ids=PLANNERS)
def test_every_planner_gives_a_program_that_verifies(branched: Program, planner) -> None:
    program = planned(branched, planner)
    assert program.placed.lower_bound <= program.arena_bytes
