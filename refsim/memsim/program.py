"""The Program: in which order a Graph's nodes run, and in which bytes.

A Program is a list of steps over views of buffers, and offsets of those buffers in one arena. It says everything that
the generated code does, so that order, in-place execution, overlap, patches and streams are functions from Program
to Program, and the interpreter and the C printer know none of their names.

    Buffer   bytes that belong together; the Plan gives it an offset in the arena
    View     how a tensor's rows lie in a buffer: row r at offset + slot(r) * row_stride, where
             slot(r) = r - first_row, modulo ring_rows when that is not zero
    Step     one call of a node's kernel for an interval of output rows
    Loop     steps repeated, each step's rows moved on by its `advance` every time

Rows are those of `Tensor.rows`: lines of H over the batch for 4-D tensors, runs of the last axis for others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from refsim.errors import PlanError
from refsim.graph import Array, Graph, Rows, Tensor
from refsim.memsim.lineage import origins
from refsim.memsim.plan import ALIGNMENT, Plan, aligned

RING_LIMIT = 65536  # the kernels' remainder by multiplication is exact below


@dataclass(frozen=True, slots=True)
class Buffer:
    """`nbytes` of the arena."""

    name: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class View:
    """How the rows of `tensor` lie in `buffer`; offsets and strides in bytes."""

    tensor: int
    buffer: int
    row_stride: int
    offset: int = 0
    ring_rows: int = 0
    first_row: int = 0

    def slot(self, row: int) -> int:
        index = row - self.first_row
        return index % self.ring_rows if self.ring_rows else index


@dataclass(frozen=True, slots=True)
class Step:
    """Compute output rows `rows` of node `node`; `reads` has None where an input is constant or absent.

    `direction` -1 runs row by row from the last to the first. Inside a Loop, `rows` are those of the first turn.
    """

    node: int
    rows: Rows
    reads: tuple[View | None, ...]
    writes: tuple[View, ...]
    scratch: int | None = None  # buffer
    direction: int = 1
    advance: int = 0

    def intervals(self) -> Iterator[Rows]:
        """The row intervals of the kernel calls, in order."""
        begin, end = self.rows
        if self.direction > 0:
            yield self.rows
        else:
            yield from ((row, row + 1) for row in range(end - 1, begin - 1, -1))

    def moved(self, turns: int) -> Step:
        begin, end = self.rows
        return replace(self, rows=(begin + turns * self.advance, end + turns * self.advance), advance=0)


@dataclass(frozen=True, slots=True)
class Loop:
    """`body`, `times` over."""

    times: int
    body: tuple[Step | Loop, ...]


Body = tuple[Step | Loop, ...]


@dataclass(frozen=True, eq=False)
class Program:
    """A Graph's execution. `inputs` and `outputs` are the views through which a caller passes tensors.

    `eliminated` says of each tensor that no step computes why that is so. `outside` names buffers that are not ours,
    such as a camera's: they lie behind all others in the arena.
    """

    graph: Graph
    buffers: tuple[Buffer, ...]
    body: Body
    inputs: tuple[View, ...]
    outputs: tuple[View, ...]
    plan: Plan | None = None
    eliminated: Mapping[int, str] = field(default_factory=dict)
    outside: frozenset[int] = frozenset()

    @property
    def placed(self) -> Plan:
        """The plan. Raises PlanError when there is none yet."""
        if self.plan is None:
            raise PlanError(f"program '{self.graph.name}' has no memory plan yet")
        return self.plan

    @property
    def arena_bytes(self) -> int:
        return self.placed.nbytes

    @property
    def own_bytes(self) -> int:
        """Bytes of the arena without the buffers that lie outside."""
        live = zip(self.placed.offsets, self.placed.ranges, strict=True)
        ends = (o + r.nbytes for i, (o, r) in enumerate(live) if i not in self.outside)
        return aligned(max(ends, default=0))

    def address(self, view: View) -> int:
        """Arena offset of the view's first row."""
        return self.placed.offsets[view.buffer] + view.offset

    def row_address(self, view: View, row: int) -> int:
        return self.address(view) + view.slot(row) * view.row_stride

    def steps(self) -> Iterator[Step]:
        """Every step as executed, loops unrolled."""
        yield from _unrolled(self.body)

    def verify(self) -> None:
        """Raise PlanError unless every byte that a step reads is the one that the graph means it to read."""
        self.placed.verify()
        for buffer, live in zip(self.buffers, self.placed.ranges, strict=True):
            if live.nbytes < buffer.nbytes:
                raise PlanError(f"buffer '{buffer.name}' has {buffer.nbytes} bytes, its live range {live.nbytes}")
        Tracer(self).run()

    def __str__(self) -> str:
        lines = [f"program {self.graph.name}, arena {self.arena_bytes} bytes"]
        for i, buffer in enumerate(self.buffers):
            lines.append(f"  buffer {i} '{buffer.name}' [{self.placed.offsets[i]}, +{buffer.nbytes})")
        return "\n".join([*lines, *_lines(self, self.body, "  ")]) + "\n"


def walk(body: Body) -> Iterator[Step]:
    """Every step as written, loops entered once."""
    for item in body:
        yield from walk(item.body) if isinstance(item, Loop) else (item,)


def _unrolled(body: Body, turns: int = 0) -> Iterator[Step]:
    for item in body:
        if isinstance(item, Loop):
            for turn in range(item.times):
                yield from _unrolled(item.body, turns * item.times + turn)
        else:
            yield item.moved(turns)


def _lines(program: Program, body: Body, indent: str) -> Iterator[str]:
    for item in body:
        if isinstance(item, Loop):
            yield f"{indent}{item.times} times"
            yield from _lines(program, item.body, indent + "  ")
            continue
        reads = ", ".join(_text(view) for view in item.reads if view is not None)
        writes = ", ".join(_text(view) for view in item.writes)
        name = program.graph.nodes[item.node].operator.name
        order = "" if item.direction > 0 else " backwards"
        moved = f" advancing {item.advance}" if item.advance else ""
        yield f"{indent}{writes} = {name}({reads}) rows {item.rows[0]}..{item.rows[1]}{order}{moved}"


def _text(view: View) -> str:
    ring = f" ring {view.ring_rows}" if view.ring_rows else ""
    first = f" from row {view.first_row}" if view.first_row else ""
    return f"%{view.tensor}@{view.buffer}+{view.offset}/{view.row_stride}{ring}{first}"


class Tracer:
    """Executes a Program on provenance instead of values: which byte of which tensor each arena byte holds.

    Bytes that are copies of each other have one name (`memsim.lineage.origins`).
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.origins = origins(program.graph)
        self.owner = np.full(program.arena_bytes, -1, np.int32)
        self.index = np.zeros(program.arena_bytes, np.int64)
        self.needed = np.zeros(program.arena_bytes, np.bool_)  # by the step that runs

    def run(self) -> None:
        graph = self.program.graph
        self._match(self.program.inputs, graph.inputs, "the inputs")
        self._match(self.program.outputs, graph.outputs, "the outputs")
        for view in self.program.inputs:
            self._write(view, (0, graph.tensors[view.tensor].rows), "the input")
        for step in self.program.steps():
            for rows in step.intervals():
                self._step(step, rows)
        for view in self.program.outputs:
            self._read(view, (0, graph.tensors[view.tensor].rows), "the output")
        self._all_accounted_for()

    def _match(self, views: Sequence[View | None], tensors: Sequence[int], where: str) -> None:
        """Raise PlanError unless the views are those of these tensors; constant and absent ones have none."""
        expected = [i if i >= 0 and self.program.graph.tensors[i].data is None else None for i in tensors]
        found = [None if view is None else view.tensor for view in views]
        if found != expected:
            raise PlanError(f"{where}: views of tensors {found}, the graph means {expected}")

    def _all_accounted_for(self) -> None:
        """Raise PlanError for a tensor of the graph that no step writes and that is not said to be eliminated."""
        written = {view.tensor for step in walk(self.program.body) for view in step.writes}
        for i in (i for node in self.program.graph.nodes for i in node.outputs):
            if i not in written and i not in self.program.eliminated:
                raise PlanError(f"no step computes '{self.program.graph.tensors[i].name}', nor is it eliminated")

    def _step(self, step: Step, rows: Rows) -> None:
        node = self.program.graph.nodes[step.node]
        call = self.program.graph.call(node)
        where = f"step '{node.name or node.operator.name}' rows {rows[0]}..{rows[1]}"
        self._match(step.reads, node.inputs, where)
        self._match(step.writes, node.outputs, where)
        read = {
            i: self._read(view, node.operator.input_rows(call, i, rows), where)
            for i, view in enumerate(step.reads)
            if view is not None
        }
        written = [self._addresses(view, rows, where) for view in step.writes]
        replaced = {i for i in node.operator.overwrites(call) if i in read and np.array_equal(read[i], written[0])}
        kept = [addresses for i, addresses in read.items() if i not in replaced]
        for addresses in kept:
            self.needed[addresses] = True
        if step.scratch is not None:
            kept.append(self._scratch(step.scratch, where))
        for view, addresses in zip(step.writes, written, strict=True):
            if self.needed[addresses].any():
                raise PlanError(f"{where}: '{self._name(view)}' is written over bytes that the step still needs")
            self._write(view, rows, where)
        for addresses in kept:
            self.needed[addresses] = False

    def _name(self, view: View) -> str:
        return self.program.graph.tensors[view.tensor].name

    def _scratch(self, buffer: int, where: str) -> Array:
        start = self.program.placed.offsets[buffer]
        addresses = np.arange(start, start + self.program.buffers[buffer].nbytes)
        if self.needed[addresses].any():
            raise PlanError(f"{where}: '{self.program.buffers[buffer].name}' is over bytes that the step still needs")
        self.owner[addresses] = -1
        self.needed[addresses] = True
        return addresses

    def _addresses(self, view: View, rows: Rows, where: str) -> Array:
        tensor = self.program.graph.tensors[view.tensor]
        self._check(view, tensor, rows, where)
        row = np.arange(*rows)
        slots = row - view.first_row
        if view.ring_rows:
            slots %= view.ring_rows
        inside = view.offset + slots[:, None] * view.row_stride + np.arange(tensor.row_bytes)
        size = self.program.buffers[view.buffer].nbytes
        if inside.size and not 0 <= inside.min() <= inside.max() < size:
            raise PlanError(f"{where}: rows of '{tensor.name}' leave the buffer of {size} bytes")
        return np.asarray(self.program.placed.offsets[view.buffer] + inside)

    def _check(self, view: View, tensor: Tensor, rows: Rows, where: str) -> None:
        if not 0 <= rows[0] <= rows[1] <= tensor.rows:
            raise PlanError(f"{where}: '{tensor.name}' has rows 0..{tensor.rows}, not {rows[0]}..{rows[1]}")
        if view.ring_rows and rows[1] - rows[0] > view.ring_rows:
            raise PlanError(f"{where}: {rows[1] - rows[0]} rows of '{tensor.name}' in a ring of {view.ring_rows}")
        if view.ring_rows and (rows[1] - view.first_row) * view.ring_rows >= RING_LIMIT:
            raise PlanError(f"{where}: ring of {view.ring_rows} for row {rows[1]} of '{tensor.name}' is too large")
        if (view.offset | view.row_stride) % min(tensor.itemsize, ALIGNMENT):
            raise PlanError(f"{where}: rows of '{tensor.name}' do not lie at multiples of its {tensor.itemsize} bytes")
        if rows[0] < view.first_row:
            raise PlanError(f"{where}: '{tensor.name}' is held from row {view.first_row}, row {rows[0]} is used")

    def _read(self, view: View, rows: Rows, where: str) -> Array:
        addresses = self._addresses(view, rows, where)
        tensor = self.program.graph.tensors[view.tensor]
        holder, expected = self._label(view.tensor, rows)
        wrong = (self.owner[addresses] != holder) | (self.index[addresses] != expected)
        if wrong.any():
            first = tuple(np.argwhere(wrong)[0])
            there = self.owner[addresses][first]
            found = f"'{self.program.graph.tensors[there].name}'" if there >= 0 else "nothing valid"
            raise PlanError(
                f"{where}: row {rows[0] + int(first[0])} of '{tensor.name}' is not there; its bytes hold {found}"
            )
        return addresses

    def _write(self, view: View, rows: Rows, where: str) -> Array:
        addresses = self._addresses(view, rows, where)
        self.owner[addresses], self.index[addresses] = self._label(view.tensor, rows)
        return addresses

    def _label(self, tensor: int, rows: Rows) -> tuple[int | Array, Array]:
        """Whose bytes these rows of a tensor are, and which of them."""
        if tensor in self.origins:
            owner, index = self.origins[tensor]
            return owner[rows[0] : rows[1]], index[rows[0] : rows[1]]
        size = self.program.graph.tensors[tensor].row_bytes
        return tensor, np.arange(rows[0] * size, rows[1] * size).reshape(rows[1] - rows[0], size)
