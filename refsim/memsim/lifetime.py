"""From a Graph to its first Program, and from a Program's steps to live ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from refsim.graph import Graph, KernelCall
from refsim.int8ops.numerics import Numerics
from refsim.memsim.plan import LiveRange, Planner, make_plan
from refsim.memsim.planners.smallest import smallest
from refsim.memsim.program import Body, Buffer, Program, Step, View, walk


def whole_tensor_program(graph: Graph, calls: tuple[KernelCall, ...]) -> Program:
    """One step per node over whole tensors; outputs that are views share their input's buffer and need no step.

    `calls` gives the kernel call of each node, for its scratch.
    """
    buffers: list[Buffer] = []
    held: dict[int, int] = {}  # tensor -> buffer

    def buffer(name: str, nbytes: int) -> int:
        buffers.append(Buffer(name, nbytes))
        return len(buffers) - 1

    def view(tensor: int) -> View:
        return View(tensor, held[tensor], graph.tensors[tensor].row_bytes)

    for i in graph.inputs:
        held[i] = buffer(graph.tensors[i].name, graph.tensors[i].nbytes)
    steps: list[Step] = []
    eliminated = dict(graph.eliminated)
    for n, node in enumerate(graph.nodes):
        call = graph.call(node)
        if node.operator.is_view(call):
            source = next(iter(graph.activations(node)))
            held[node.outputs[0]] = held[source]
            eliminated[node.outputs[0]] = f"{node.operator.name}: the same bytes as '{graph.tensors[source].name}'"
            continue
        for i in node.outputs:
            held[i] = buffer(graph.tensors[i].name, graph.tensors[i].nbytes)
        scratch = buffer(f"scratch of {call.y.name}", calls[n].scratch) if calls[n].scratch else None
        reads = tuple(view(i) if i in held else None for i in node.inputs)
        steps.append(Step(n, (0, call.y.rows), reads, tuple(view(i) for i in node.outputs), scratch))
    return Program(
        graph,
        tuple(buffers),
        tuple(steps),
        tuple(view(i) for i in graph.inputs),
        tuple(view(i) for i in graph.outputs),
        eliminated=eliminated,
    )


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


def planned(program: Program, planner: Planner = smallest) -> Program:
    """The same Program with offsets, verified."""
    placed = replace(program, plan=make_plan(live_ranges(program), planner))
    placed.verify()
    return placed
