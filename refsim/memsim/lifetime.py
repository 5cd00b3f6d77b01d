"""From a Graph to its first Program, and from a Program's steps to live ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from refsim.graph import Graph, KernelCall
from refsim.int8ops.numerics import Numerics
from refsim.memsim.assemble import assemble
from refsim.memsim.overlap import slack_of
from refsim.memsim.plan import LiveRange, Plan, Planner, aligned
from refsim.memsim.planners import with_slack
from refsim.memsim.planners.smallest import smallest
from refsim.memsim.program import Body, Program, Step, walk


def whole_tensor_program(graph: Graph, calls: tuple[KernelCall, ...], inplace: bool = False) -> Program:
    """One step per node over whole tensors; outputs that are views share their input's buffer and need no step.

    `calls` gives the kernel call of each node, for its scratch.
    """
    return assemble(graph, calls, [(n,) for n in range(len(graph.nodes))], {}, inplace)


def live_ranges(program: Program) -> tuple[LiveRange, ...]:
    """One range per buffer, in steps as written; what a loop touches lives through the whole loop.

    Inputs live from the first step, outputs to the last. Scratch lives at its step only.
    """
    last = sum(1 for _ in _spans(program.body)) - 1
    span: dict[int, tuple[int, int]] = {}

    def touch(buffer: int, first: int, end: int) -> None:
        low, high = span.get(buffer, (first, end))
        span[buffer] = (min(low, first), max(high, end))

    for view in program.inputs:
        touch(view.buffer, 0, 0)
    for view in program.outputs:
        touch(view.buffer, last, last)
    for at, step, first, end in _spans(program.body):
        for used in (*step.reads, *step.writes):
            if used is not None:
                touch(used.buffer, first, end)
        if step.scratch is not None:
            touch(step.scratch, at, at)
    return tuple(LiveRange(b.name, b.nbytes, *span.get(i, (0, 0))) for i, b in enumerate(program.buffers))


def _spans(body: Body) -> Iterator[tuple[int, Step, int, int]]:
    """(position, step, first and last position of the outermost loop around it) of each step as written."""
    at = 0
    for item in body:
        inside = tuple(walk((item,)))
        for k, step in enumerate(inside):
            yield at + k, step, at, at + len(inside) - 1
        at += len(inside)


def lower(graph: Graph, numerics: Numerics) -> tuple[KernelCall, ...]:
    """The kernel call of every node."""
    return tuple(node.operator.lower(graph.call(node), numerics) for node in graph.nodes)


def placed(program: Program, planner: Planner = smallest) -> Program:
    """The same Program with offsets, which nobody has verified."""
    ranges = live_ranges(program)
    aware = with_slack(planner)
    slack = slack_of(program, ranges) if aware else {}
    own = [i for i in range(len(ranges)) if i not in program.outside]
    place = {i: k for k, i in enumerate(own)}
    inner = {(place[i], place[j]): d for (i, j), d in slack.items() if i in place and j in place}
    mine = [ranges[i] for i in own]
    offsets = dict(zip(own, aware(mine, inner) if aware else planner(mine), strict=True))
    end = max((offsets[i] + ranges[i].nbytes for i in own), default=0)
    for i in sorted(program.outside):
        offsets[i] = aligned(end)
        end = offsets[i] + ranges[i].nbytes
    return replace(program, plan=Plan(ranges, tuple(offsets[i] for i in range(len(ranges))), slack))


def planned(program: Program, planner: Planner = smallest) -> Program:
    """The same Program with offsets, verified."""
    found = placed(program, planner)
    found.verify()
    return found
