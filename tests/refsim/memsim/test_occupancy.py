"""Who has which bytes: held against live ranges, and against the tracer, from which free bytes are taken away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codegen.build import make_program
from refsim.builder import Builder
from refsim.errors import PlanError
from refsim.graph import Graph, Rows
from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import lower, planned, whole_tensor_program
from refsim.memsim.occupancy import INPUT, OUTPUT, RING, SCRATCH, Layer, Occupancy, of_plan, of_program
from refsim.memsim.plan import LiveRange, Plan
from refsim.memsim.program import Buffer, Program, Step, Tracer, View
from refsim.zoo import find


class Poisoned(Tracer):
    """Forgets bytes before each call: those that `forget` says and that the call does not read.

    What a call reads and writes over belongs to what it writes, so that it is said to be free for what is read.
    """

    def __init__(self, program: Program, forget: list[np.ndarray]) -> None:
        super().__init__(program)
        self.forget, self.now = forget, 0

    def _step(self, step: Step, rows: Rows) -> None:
        node = self.program.graph.nodes[step.node]
        call = self.program.graph.call(node)
        read = np.zeros(self.owner.shape, np.bool_)
        for i in node.operator.overwrites(call):
            view = step.reads[i]
            if view is not None:
                read[self._addresses(view, node.operator.input_rows(call, i, rows), "")] = True
        if self.now:
            self.owner[self.forget[self.now - 1] & ~read] = -1
        super()._step(step, rows)
        self.now += 1


def needed_after(found: Occupancy) -> list[np.ndarray]:
    """By call: the bytes that are said to be read later."""
    needed = np.zeros((found.calls, found.nbytes), np.bool_)
    for low, high, _, first, last in found.runs.tolist():
        needed[first:last, low:high] = True
    needed[-1] |= True  # the outputs are read after the last call
    return list(needed)


@pytest.fixture(scope="module")
def programs(streamed: Program) -> tuple[Program, ...]:
    return streamed, make_program(find("ds-cnn"), transforms="stream"), make_program(find("ds-cnn"))


def test_bytes_said_to_be_free_can_be_taken_away(programs: tuple[Program, ...]) -> None:
    for program in programs:
        Poisoned(program, [~needed for needed in needed_after(of_program(program))]).run()


def test_bytes_said_to_be_in_use_cannot(programs: tuple[Program, ...]) -> None:
    for program in programs:
        found = of_program(program)
        lasting = [run for run in found.runs.tolist() if run[4] > run[3]]
        for low, _, _, first, last in lasting[:: max(1, len(lasting) // 8)]:
            forget = [np.zeros(found.nbytes, np.bool_) for _ in range(found.calls)]
            forget[(first + last) // 2][low] = True
            with pytest.raises(PlanError, match="its bytes hold"):
                Poisoned(program, forget).run()


def test_no_byte_has_two_tenants(programs: tuple[Program, ...]) -> None:
    for program in programs:
        found = of_program(program)
        held = np.zeros((found.calls, found.nbytes), np.int8)
        for low, high, _, first, last in found.runs.tolist():
            held[first : last + 1, low:high] += 1
        assert held.max() == 1
        assert held.sum(axis=1).tolist() == found.used.tolist()


def test_whole_tensors_are_in_use_for_as_long_as_they_live() -> None:
    graph = make_program(find("mcunet-vww0")).graph
    program = planned(whole_tensor_program(graph, lower(graph, TFLM)))
    live = [sum(r.nbytes for r in program.placed.ranges if r.first <= at <= r.last) for at in program.placed.steps]
    if program.placed.slack:
        pytest.skip("the planner lets whole tensors share bytes, so that live ranges say too much")
    found = of_program(program)
    assert found.used.tolist() == live
    assert found.most == program.placed.lower_bound


def test_streams_need_less_than_their_buffers_and_say_who_they_are(streamed: Program) -> None:
    found = of_program(streamed)
    kinds = {tenant.kind for tenant in found.tenants}
    assert {INPUT, OUTPUT, RING} <= kinds
    ring = next(tenant for tenant in found.tenants if tenant.kind == RING)
    assert ring.note == "ring of 3 rows of 10"
    (column,) = found.columns
    assert [layer.op for layer in column.layers] == ["conv2d", "depthwise_conv2d"]
    assert (found.calls, found.time[-1]) == (20, 2.0)
    assert found.most < found.nbytes
    assert np.all(np.diff(found.time) > 0)


def test_the_peak_names_who_is_alive() -> None:
    found = of_program(make_program(find("ds-cnn")))
    alive = found.alive(found.peak)
    assert sum(nbytes for _, nbytes in alive) == found.most
    assert [nbytes for _, nbytes in alive] == sorted((nbytes for _, nbytes in alive), reverse=True)
    with pytest.raises(IndexError):
        found.column_at(found.calls)


def test_a_program_without_steps_has_nothing_in_use() -> None:
    program = planned(whole_tensor_program(identity(), ()))
    found = of_program(program)
    assert (found.calls, found.most, found.peak, found.layers) == (0, 0, 0, ())


def identity() -> Graph:
    b = Builder("identity")
    x = b.input((1, 4), quant=(0.1, 0))
    graph = b.build(b.softmax(x))
    return replace(graph, nodes=(), outputs=graph.inputs)


def test_a_plan_alone_is_drawn_as_its_ranges() -> None:
    plan = Plan((LiveRange("a", 8, 0, 1), LiveRange("scratch of b", 4, 1, 1)), (0, 8))
    found = of_plan(plan, (Layer("inputs", "inputs"),), {"a": INPUT})
    assert found.used.tolist() == [8, 12]
    assert [tenant.kind for tenant in found.tenants] == [INPUT, SCRATCH]
    assert [layer.name for layer in found.layers] == ["inputs", "1"]


def elementwise(stride: int, shared: bool) -> Program:
    """RELU of 4 rows of 8 bytes, over its input or beside it, with output rows `stride` bytes apart."""
    b = Builder("elementwise")
    graph = b.build(b.relu(b.input((4, 8), quant=(0.1, 0)), quant=(0.1, 0)))
    size = 3 * stride + 8
    buffers = (Buffer("x", max(32, size)),) if shared else (Buffer("x", 32), Buffer("y", size))
    x, y = View(graph.inputs[0], 0, 8), View(graph.outputs[0], len(buffers) - 1, stride)
    step = Step(0, (0, 4), (x,), (y,))
    ranges = tuple(LiveRange(buffer.name, buffer.nbytes, 0, 0) for buffer in buffers)
    return Program(graph, buffers, (step,), (x,), (y,), Plan(ranges, (0, 32)[: len(buffers)]))


def test_what_is_written_over_its_input_counts_once_and_gaps_between_rows_do_not() -> None:
    in_place = of_program(elementwise(8, shared=True))
    assert (in_place.used.tolist(), [t.kind for t, _ in in_place.alive(0)]) == ([32], [OUTPUT])
    apart = of_program(elementwise(16, shared=False))
    assert (apart.used.tolist(), apart.nbytes) == ([64], 32 + 56)
    assert len(apart.runs) == 1 + 4
