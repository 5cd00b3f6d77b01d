"""What really lies in which bytes of an arena, and when: what pictures draw and peaks are read from.

A Program is executed on ownership instead of values. A byte belongs to a tensor from the kernel call that writes it
to the last one that reads it, so that rows of streamed layers and of rings come and go one by one, and the bytes that
a plan lets two buffers share are seen to be free when the other takes them. A byte that a call both reads and writes
over belongs to what the call writes.

Time is counted in kernel calls, and for people in layers: neighbouring layers that run row by row share the time of
that many layers, others have one each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from refsim.graph import Array, Graph, Node, Rows
from refsim.memsim.plan import Plan
from refsim.memsim.program import Program, Step, View, walk

INPUT, OUTPUT, ACTIVATION, RING, SCRATCH = KINDS = ("input", "output", "activation", "ring", "scratch")


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who has bytes: a tensor, or scratch; `nbytes` of the arena at `offset` are set aside in calls [first, end)."""

    name: str
    kind: str
    nbytes: int
    offset: int
    first: int
    end: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of the picture's axis; `tensor` is the first that it computes, -1 when it computes none."""

    name: str
    op: str
    tensor: int = -1
    output: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """Layers that run in calls [first, end), one after another (`layers` has one) or row by row."""

    layers: tuple[Layer, ...]
    first: int
    end: int


@dataclass(frozen=True, eq=False)
class Occupancy:
    """`runs` [n, 5]: bytes [low, high) hold rows of tenant `who` in calls first to last, both included."""

    nbytes: int
    tenants: tuple[Tenant, ...]
    columns: tuple[Column, ...]
    runs: Array = field(repr=False)

    @property
    def calls(self) -> int:
        return self.columns[-1].end if self.columns else 0

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(layer for column in self.columns for layer in column.layers)

    @cached_property
    def used(self) -> Array:
        """[calls] bytes that hold something somebody still reads. Bytes of two tenants count for both."""
        change = np.zeros(self.calls + 1, np.int64)
        np.add.at(change, self.runs[:, 3], self.runs[:, 1] - self.runs[:, 0])
        np.add.at(change, self.runs[:, 4] + 1, self.runs[:, 0] - self.runs[:, 1])
        return np.asarray(np.cumsum(change)[:-1])

    @cached_property
    def time(self) -> Array:
        """[calls + 1] when each call begins, in layers, and when the last one ends."""
        begins, at = [], 0
        for column in self.columns:
            count = column.end - column.first
            begins.append(at + len(column.layers) * np.arange(count) / max(count, 1))
            at += len(column.layers)
        return np.concatenate([*begins, [float(at)]])

    @property
    def peak(self) -> int:
        """The call with most bytes in use, the first of them."""
        return int(self.used.argmax()) if self.calls else 0

    @property
    def most(self) -> int:
        """Bytes in use at the peak."""
        return int(self.used.max(initial=0))

    def alive(self, call: int) -> tuple[tuple[Tenant, int], ...]:
        """Who has how many bytes in use at a call, the most first."""
        held: dict[int, int] = {}
        for low, high, who, *_ in self.runs[(self.runs[:, 3] <= call) & (call <= self.runs[:, 4])].tolist():
            held[who] = held.get(who, 0) + high - low
        return tuple((self.tenants[who], held[who]) for who in sorted(held, key=lambda who: -held[who]))

    def column_at(self, call: int) -> tuple[int, Column]:
        """The column that a call belongs to, and the number of its first layer."""
        at = 0
        for column in self.columns:
            if column.first <= call < column.end:
                return at, column
            at += len(column.layers)
        raise IndexError(call)


def layer_of(graph: Graph, node: Node) -> Layer:
    """How a node is labelled."""
    op = node.operator.name
    tensor = node.outputs[0] if node.outputs else -1
    return Layer(node.name or op, op, tensor, "x".join(map(str, graph.tensors[tensor].shape)) if node.outputs else "")


def of_plan(plan: Plan, layers: Sequence[Layer], kinds: Mapping[str, str] | None = None) -> Occupancy:
    """A plan without a Program: every range is in use for as long as it lives, one call a step.

    `kinds` says by name what is an input or an output.
    """
    count = max(len(plan.steps), len(layers))
    named = (*layers, *(Layer(str(n), "") for n in range(len(layers), count)))
    columns = tuple(Column((layer,), n, n + 1) for n, layer in enumerate(named))
    placed = list(zip(plan.ranges, plan.offsets, strict=True))
    known = kinds or {}
    tenants = tuple(
        Tenant(r.name, known.get(r.name) or _guess(r.name), r.nbytes, at, r.first, r.last + 1) for r, at in placed
    )
    runs = [(at, at + r.nbytes, who, r.first, r.last) for who, (r, at) in enumerate(placed) if r.nbytes]
    return Occupancy(plan.nbytes, tenants, columns, np.array(runs, np.int64).reshape(-1, 5))


def _guess(name: str) -> str:
    return SCRATCH if name.startswith("scratch of ") or name in ("im2col buffer", "kernel buffer") else ACTIVATION


def of_program(program: Program) -> Occupancy:
    """What the Program's calls do with its arena."""
    return _Execution(program).run()


class _Execution:
    """Follows every call. Owners are numbered by tensor, then by buffer for scratch; -1 has nothing of use."""

    def __init__(self, program: Program) -> None:
        self.program, self.graph = program, program.graph
        self.calls = [(step, rows) for step in program.steps() for rows in step.intervals()]
        self.owner = np.full(program.arena_bytes, -1, np.int32)
        self.since = np.zeros(program.arena_bytes, np.int32)
        self.until = np.zeros(program.arena_bytes, np.int32)
        self.runs: list[Array] = [np.zeros((0, 5), np.int64)]

    def run(self) -> Occupancy:
        for view in self.program.inputs:
            self.write(self.places(view, (0, self.graph.tensors[view.tensor].rows)), view.tensor, 0)
        for now, (step, rows) in enumerate(self.calls):
            self.call(step, rows, now)
        end = len(self.calls)
        for view in self.program.outputs:
            for low, high in self.places(view, (0, self.graph.tensors[view.tensor].rows)):
                self.until[low:high] = end - 1
        self.close(0, self.program.arena_bytes, max(end, 1))
        return self.result(np.concatenate(self.runs))

    def call(self, step: Step, rows: Rows, now: int) -> None:
        node = self.graph.nodes[step.node]
        call = self.graph.call(node)
        for index, view in enumerate(step.reads):
            if view is not None:
                for low, high in self.places(view, node.operator.input_rows(call, index, rows)):
                    self.until[low:high] = now
        if step.scratch is not None:
            low = self.program.placed.offsets[step.scratch]
            place = (low, low + self.program.buffers[step.scratch].nbytes)
            self.write((place,), len(self.graph.tensors) + step.scratch, now)
        for view in step.writes:
            self.write(self.places(view, rows), view.tensor, now)

    def places(self, view: View, rows: Rows) -> Iterator[tuple[int, int]]:
        """Bytes [low, high) of the arena that the rows are in, neighbours joined."""
        width = self.graph.tensors[view.tensor].row_bytes
        begin = end = -1
        for row in range(*rows):
            low = self.program.row_address(view, row)
            if low != end:
                if end > begin:
                    yield begin, end
                begin = low
            end = low + width
        if end > begin:
            yield begin, end

    def write(self, places: Sequence[tuple[int, int]] | Iterator[tuple[int, int]], owner: int, now: int) -> None:
        for low, high in places:
            self.close(low, high, now)
            self.owner[low:high], self.since[low:high], self.until[low:high] = owner, now, now

    def close(self, low: int, high: int, now: int) -> None:
        """Record what was in these bytes up to a call that takes them."""
        owner, since, until = self.owner[low:high], self.since[low:high], self.until[low:high]
        changes = (np.diff(owner) != 0) | (np.diff(since) != 0) | (np.diff(until) != 0)
        begins = np.concatenate([[0], np.flatnonzero(changes) + 1]) if high > low else np.zeros(0, np.int64)
        ends = np.append(begins[1:], high - low)[: begins.size]
        last = np.minimum(until[begins], now - 1)
        found = np.stack([low + begins, low + ends, owner[begins], since[begins], last], axis=1).astype(np.int64)
        self.runs.append(found[(found[:, 2] >= 0) & (found[:, 4] >= found[:, 3])])

    def result(self, runs: Array) -> Occupancy:
        columns = tuple(self.columns())
        if not self.calls:
            runs = runs[:0]
        names = {int(owner): n for n, owner in enumerate(dict.fromkeys(runs[:, 2].tolist()))}
        spans = self.reserved()
        tenants = tuple(self.tenant(owner, spans) for owner in names)
        runs[:, 2] = [names[owner] for owner in runs[:, 2].tolist()]
        return Occupancy(self.program.arena_bytes, tenants, columns, runs)

    def columns(self) -> Iterator[Column]:
        """Nodes whose calls interleave stand together."""
        span: dict[int, tuple[int, int]] = {}
        for now, (step, _) in enumerate(self.calls):
            span[step.node] = (span.get(step.node, (now, now))[0], now + 1)
        together: list[int] = []
        begin = end = 0
        for node, (first, last) in span.items():  # in the order of their first calls
            if together and first >= end:
                yield self.column(together, begin, end)
                together, begin = [], first
            together.append(node)
            end = max(end, last)
        if together:
            yield self.column(together, begin, end)

    def column(self, nodes: Sequence[int], first: int, end: int) -> Column:
        return Column(tuple(layer_of(self.graph, self.graph.nodes[n]) for n in nodes), first, end)

    def reserved(self) -> tuple[tuple[int, int], ...]:
        """Of every buffer, the calls [first, end) that its live range in steps as written stands for."""
        begins: list[int] = []
        ends: list[int] = []
        for item in self.program.body:
            before = ends[-1] if ends else 0
            alone = replace(self.program, body=(item,))
            after = before + sum(1 for step in alone.steps() for _ in step.intervals())
            count = len(tuple(walk((item,))))
            begins += [before] * count
            ends += [after] * count
        ranges = self.program.placed.ranges
        return tuple((begins[r.first], ends[r.last]) if begins else (0, 0) for r in ranges)

    def tenant(self, owner: int, spans: Sequence[tuple[int, int]]) -> Tenant:
        tensors = self.graph.tensors
        if owner >= len(tensors):
            buffer = owner - len(tensors)
            return self.made(self.program.buffers[buffer].name, SCRATCH, buffer, spans, "")
        written = (view for step in walk(self.program.body) for view in step.writes)
        view = next(v for v in (*self.program.inputs, *written) if v.tensor == owner)
        note = f"ring of {view.ring_rows} rows of {tensors[owner].rows}" if view.ring_rows else ""
        return self.made(tensors[owner].name, self.kind(view), view.buffer, spans, note)

    def kind(self, view: View) -> str:
        if view in self.program.inputs:
            return INPUT
        if any(view.tensor == other.tensor or self.same_bytes(view, other) for other in self.program.outputs):
            return OUTPUT
        return RING if view.ring_rows else ACTIVATION

    def same_bytes(self, view: View, output: View) -> bool:
        """Whether an output that no step writes is this view."""
        written = any(view.tensor == output.tensor for step in walk(self.program.body) for view in step.writes)
        return not written and (view.buffer, view.offset) == (output.buffer, output.offset)

    def made(self, name: str, kind: str, buffer: int, spans: Sequence[tuple[int, int]], note: str) -> Tenant:
        nbytes, offset = self.program.buffers[buffer].nbytes, self.program.placed.offsets[buffer]
        return Tenant(name, kind, nbytes, offset, *spans[buffer], note)
