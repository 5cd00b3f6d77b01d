from __future__ import annotations

from dataclasses import replace

import pytest

from refsim.builder import Builder
from refsim.errors import PlanError
from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import lower, planned, whole_tensor_program
from refsim.memsim.plan import LiveRange, Plan
from refsim.memsim.program import Buffer, Loop, Program, Step, View


def test_a_streamed_program_verifies_and_reads_as_text(streamed: Program) -> None:
    streamed.verify()
    text = str(streamed)
    assert "9 times" in text
    assert "ring 3" in text
    assert "depthwise_conv2d" in text
    assert "rows 1..2 advancing 1" in text


def test_steps_in_a_loop_move_on_by_their_advance(streamed: Program) -> None:
    rows = [(step.node, step.rows) for step in streamed.steps()]
    assert rows[:4] == [(0, (0, 1)), (0, (1, 2)), (1, (0, 1)), (0, (2, 3))]
    assert rows[-1] == (1, (9, 10))
    assert len(rows) == 20


def test_nested_loops_count_their_turns_as_one_number(streamed: Program) -> None:
    conv = next(streamed.steps())
    nested = replace(streamed, body=(Loop(2, (Loop(3, (replace(conv, advance=1),)),)),))
    assert [step.rows for step in nested.steps()] == [(n, n + 1) for n in range(6)]


def test_a_ring_that_lost_a_row_is_refused_by_name(streamed: Program) -> None:
    first, loop, last = streamed.body
    assert isinstance(loop, Loop)
    conv, depthwise = loop.body
    late = replace(streamed, body=(first, replace(loop, body=(depthwise, conv)), last))
    with pytest.raises(PlanError, match=r"row 1 of .* is not there; its bytes hold nothing valid"):
        late.verify()


def test_a_ring_too_small_for_the_window_is_refused(streamed: Program) -> None:
    def shrunk(step: Step) -> Step:
        def ring(view: View | None) -> View | None:
            return replace(view, ring_rows=2) if view is not None and view.ring_rows else view

        return replace(step, reads=tuple(map(ring, step.reads)), writes=tuple(map(ring, step.writes)))

    first, loop, last = streamed.body
    body = (shrunk(first), replace(loop, body=tuple(map(shrunk, loop.body))), shrunk(last))
    with pytest.raises(PlanError, match=r"3 rows of .* in a ring of 2"):
        replace(streamed, body=body).verify()


def test_a_plan_that_puts_live_buffers_on_each_other_is_refused(streamed: Program) -> None:
    plan = streamed.placed
    clash = replace(streamed, plan=Plan(plan.ranges, (0,) * len(plan.ranges)))
    with pytest.raises(PlanError, match="overlaps"):
        clash.verify()


def test_bytes_reused_too_early_are_found_even_when_the_live_ranges_lie(streamed: Program) -> None:
    ranges = tuple(LiveRange(r.name, r.nbytes, n, n) for n, r in enumerate(streamed.placed.ranges))
    with pytest.raises(PlanError, match=r"is not there; its bytes hold|still needs"):
        replace(streamed, plan=Plan(ranges, (0,) * len(ranges))).verify()


def test_rows_outside_the_buffer_are_refused(streamed: Program) -> None:
    buffers = (*streamed.buffers[:2], replace(streamed.buffers[2], nbytes=8), *streamed.buffers[3:])
    with pytest.raises(PlanError, match="leave the buffer of 8 bytes"):
        replace(streamed, buffers=buffers).verify()


def test_rows_that_the_tensor_does_not_have_are_refused(streamed: Program) -> None:
    first = streamed.body[0]
    assert isinstance(first, Step)
    with pytest.raises(PlanError, match=r"'.*' has rows 0\.\.10, not 10\.\."):
        replace(streamed, body=(replace(first, rows=(10, 11)), *streamed.body[1:])).verify()


def test_a_ring_beyond_the_kernels_exact_remainder_is_refused(streamed: Program) -> None:
    view = replace(streamed.inputs[0], ring_rows=9000)
    with pytest.raises(PlanError, match="ring of 9000 for row 10 of 'input_0' is too large"):
        replace(streamed, inputs=(view,)).verify()


def test_direction_backwards_calls_row_by_row_from_the_last() -> None:
    step = Step(0, (2, 5), (), (), direction=-1)
    assert list(step.intervals()) == [(4, 5), (3, 4), (2, 3)]


@pytest.fixture
def added() -> Program:
    """One ADD of two inputs whole."""
    b = Builder("added")
    x, z = (b.input((1, 4), quant=(0.1, 0)) for _ in range(2))
    graph = b.build(b.add(x, z, quant=(0.2, 0), name="sum"))
    return planned(whole_tensor_program(graph, lower(graph, TFLM)))


def test_a_step_that_reads_another_tensor_than_its_node_is_refused(added: Program) -> None:
    (step,) = added.body
    assert isinstance(step, Step)
    for reads in ((step.reads[0], step.reads[0]), step.reads[::-1], (step.reads[0], None)):
        with pytest.raises(
            PlanError, match=r"step 'sum' rows 0\.\.1: views of tensors \[.*\], the graph means \[0, 1\]"
        ):
            replace(added, body=(replace(step, reads=reads),)).verify()
    with pytest.raises(PlanError, match=r"the inputs: views of tensors \[1, 0\]"):
        replace(added, inputs=added.inputs[::-1]).verify()


def test_a_tensor_that_nobody_computes_has_to_be_eliminated(added: Program) -> None:
    with pytest.raises(PlanError, match="the output: row 0 of 'sum' is not there"):
        replace(added, body=()).verify()
    b = Builder("dead")
    x = b.input((1, 4), quant=(0.1, 0))
    b.relu(x, quant=(0.1, 0), name="unused")
    graph = b.build(b.relu6(x, quant=(0.1, 0)))
    program = planned(whole_tensor_program(graph, lower(graph, TFLM)))
    shorter = replace(program, body=program.body[1:])
    with pytest.raises(PlanError, match="no step computes 'unused', nor is it eliminated"):
        shorter.verify()
    replace(shorter, eliminated={graph.nodes[0].outputs[0]: "relu: nothing reads it"}).verify()


def test_scratch_over_bytes_that_the_step_reads_is_refused(added: Program) -> None:
    (step,) = added.body
    assert isinstance(step, Step)
    ranges = (*(replace(r, first=n, last=n) for n, r in enumerate(added.placed.ranges)), LiveRange("scratch", 8, 3, 3))
    buffers, offset = (*added.buffers, Buffer("scratch", 8)), added.placed.offsets[0]
    plan = Plan(ranges, (*added.placed.offsets, offset))
    with pytest.raises(PlanError, match="'scratch' is over bytes that the step still needs"):
        replace(added, buffers=buffers, body=(replace(step, scratch=3),), plan=plan).verify()


def test_rows_of_floats_off_their_alignment_are_refused() -> None:
    b = Builder("floats")
    graph = b.build(b.quantize(b.input((2, 1)), quant=(0.1, 0)))
    program = planned(whole_tensor_program(graph, lower(graph, TFLM)))
    view = replace(program.inputs[0], offset=2)
    roomy = (replace(program.buffers[0], nbytes=12), *program.buffers[1:])
    wider = planned(replace(program, buffers=roomy))
    with pytest.raises(PlanError, match="rows of 'input_0' do not lie at multiples of its 4 bytes"):
        replace(wider, inputs=(view,)).verify()
