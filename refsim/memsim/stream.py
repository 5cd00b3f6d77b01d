"""Chains of layers run row by row through rings of just the rows that their kernels need, so that nothing is computed
twice and a tensor inside a chain never exists whole.

A segment is a run of neighbouring nodes. Its last node asks for its rows one after another; each node then computes,
of every tensor, only the rows that the next call needs (`Operator.input_rows`). What comes out is a flat list of
kernel calls, which repeats itself once the windows are full: the repetition becomes a Loop.

Source of the idea: line buffers of hardware pipelines; on microcontrollers, the streaming inference of Kwan and
Nunez-Yanez and the pyramids of fused-layer accelerators (Alwani et al., 2016) without their recomputation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from refsim.graph import Graph, Rows
from refsim.memsim.program import RING_LIMIT, Body, Loop, Step


@dataclass(frozen=True, slots=True)
class Event:
    """One kernel call: rows [begin, end) of the output of node `node`."""

    node: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """The calls of a segment, and of each tensor that lives in a ring how many rows it holds."""

    events: tuple[Event, ...]
    rings: Mapping[int, int]


def schedule(graph: Graph, nodes: Sequence[int], rows_at_once: int = 1) -> Schedule:
    """Demand-driven calls of `nodes` (positions, in running order), `rows_at_once` rows of the last one a turn."""
    inside = {graph.nodes[n].outputs[0]: n for n in nodes}
    kept = {t for t in inside if _read_outside(graph, t, set(nodes))}
    produced = dict.fromkeys(nodes, 0)
    events: list[Event] = []
    needs: list[tuple[tuple[int, Rows], ...]] = []

    def demand(n: int, until: int) -> None:
        node = graph.nodes[n]
        call = graph.call(node)
        while produced[n] < until:
            rows = (produced[n], min(produced[n] + rows_at_once, until))
            reads = []
            for index, t in enumerate(node.inputs):
                if t in inside:
                    wanted = node.operator.input_rows(call, index, rows)
                    demand(inside[t], wanted[1])
                    reads.append((t, wanted))
            events.append(Event(n, *rows))
            needs.append(tuple(reads))
            produced[n] = rows[1]

    last = nodes[-1]
    total = graph.tensors[graph.nodes[last].outputs[0]].rows
    for row in range(rows_at_once, total + rows_at_once, rows_at_once):
        demand(last, min(row, total))
    for n in nodes:  # rows that nothing in the segment asked for, but somebody after it does
        if graph.nodes[n].outputs[0] in kept:
            demand(n, graph.tensors[graph.nodes[n].outputs[0]].rows)
    return Schedule(tuple(events), _rings(graph, events, needs, {t: n for t, n in inside.items() if t not in kept}))


def _read_outside(graph: Graph, tensor: int, nodes: set[int]) -> bool:
    return tensor in graph.outputs or any(n not in nodes for n in graph.consumers.get(tensor, ()))


def _rings(
    graph: Graph,
    events: Sequence[Event],
    needs: Sequence[Sequence[tuple[int, Rows]]],
    producers: Mapping[int, int],
) -> dict[int, int]:
    """Rows between the oldest that a later call reads, or this one writes, and the newest there is, at their most."""
    tensor_of = {n: t for t, n in producers.items()}
    newest = dict.fromkeys(producers, 0)
    after: list[dict[int, int]] = []  # newest row of each tensor that a call touches, when it has run
    for event, reads in zip(events, needs, strict=True):
        touched = {t: newest[t] for t, _ in reads if t in producers}
        if event.node in tensor_of:
            newest[tensor_of[event.node]] = event.end
            touched[tensor_of[event.node]] = event.end
        after.append(touched)
    oldest = {t: graph.tensors[t].rows for t in producers}
    most = dict.fromkeys(producers, 1)
    for event, touched, reads in zip(reversed(events), reversed(after), reversed(needs), strict=True):
        for t, (low, high) in reads:
            if t in producers and low < high:
                oldest[t] = min(oldest[t], low)
        for t, end in touched.items():
            written = event.begin if tensor_of.get(event.node) == t else end
            most[t] = max(most[t], end - min(oldest[t], written))
    return {t: min(rows, graph.tensors[t].rows) for t, rows in most.items()}


def ring_fits(graph: Graph, tensor: int, rows: int) -> bool:
    """Whether the kernels' arithmetic can address such a ring."""
    return graph.tensors[tensor].rows * rows < RING_LIMIT


def compress(steps: Sequence[Step], longest: int = 64) -> Body:
    """The same steps with repetitions as Loops; a body may have `longest` steps at most."""
    body: list[Step | Loop] = []
    at = 0
    while at < len(steps):
        length, times = _repetition(steps, at, longest)
        if times > 1:
            body.append(Loop(times, tuple(_advancing(steps, at, length))))
        else:
            body.append(steps[at])
        at += length * times
    return tuple(body)


def _advancing(steps: Sequence[Step], at: int, length: int) -> Iterator[Step]:
    for i in range(at, at + length):
        yield replace(steps[i], advance=steps[i + length].rows[0] - steps[i].rows[0])


def _repetition(steps: Sequence[Step], at: int, longest: int) -> tuple[int, int]:
    """(length, times) of the repetition from `at` that covers most; (1, 1) when there is none."""
    best = (1, 1)
    for length in range(1, min(longest, (len(steps) - at) // 2) + 1):
        times = _times(steps, at, length)
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best


def _times(steps: Sequence[Step], at: int, length: int) -> int:
    """How often the `length` steps from `at` come again, each moved on by as much every time."""
    i = at + length
    while i < len(steps) and _continues(steps, i, length, first=i < at + 2 * length):
        i += 1
    return (i - at) // length


def _continues(steps: Sequence[Step], i: int, length: int, first: bool) -> bool:
    now, before = steps[i], steps[i - length]
    moved = now.rows[0] - before.rows[0]
    if replace(before, rows=(before.rows[0] + moved, before.rows[1] + moved)) != now:
        return False
    return first or moved == before.rows[0] - steps[i - 2 * length].rows[0]
