"""From a Graph cut into segments to a Program: whole-tensor steps, or rows streamed through rings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refsim.graph import Graph, KernelCall, Node
from refsim.memsim.program import Body, Buffer, Program, Step, View
from refsim.memsim.stream import Schedule, compress, schedule

Segment = tuple[int, ...]  # positions of neighbouring nodes
Streams = dict[Segment, int]  # segments that run row by row, and how many rows at once


def assemble(graph: Graph, calls: Sequence[KernelCall], segments: Sequence[Segment], streams: Streams) -> Program:
    """A Program without offsets. Segments cover all nodes in running order; those in `streams` run row by row.

    Outputs that are views of their input share its buffer and need no step.
    """
    maker = _Maker(graph, calls)
    body: list[Body] = []
    for segment in segments:
        if segment in streams:
            body.append(maker.streamed(schedule(graph, segment, streams[segment])))
        else:
            body.append(tuple(maker.whole(n) for n in segment if not maker.alias(n)))
    steps = tuple(item for part in body for item in part)
    return Program(
        graph,
        tuple(maker.buffers),
        steps,
        tuple(maker.view(i) for i in graph.inputs),
        tuple(maker.view(i) for i in graph.outputs),
        eliminated=maker.eliminated,
    )


class _Maker:
    """Collects buffers while steps are made."""

    def __init__(self, graph: Graph, calls: Sequence[KernelCall]) -> None:
        self.graph, self.calls = graph, calls
        self.buffers: list[Buffer] = []
        self.held: dict[int, int] = {}  # tensor -> buffer
        self.rings: dict[int, int] = {}  # tensor -> rows, where it never exists whole
        self.scratches: dict[int, int] = {}  # node -> buffer
        self.eliminated = dict(graph.eliminated)
        for i in graph.inputs:
            self.hold(i, graph.tensors[i].rows)

    def buffer(self, name: str, nbytes: int) -> int:
        self.buffers.append(Buffer(name, nbytes))
        return len(self.buffers) - 1

    def hold(self, tensor: int, rows: int) -> None:
        t = self.graph.tensors[tensor]
        if rows < t.rows:
            self.rings[tensor] = rows
        nbytes = t.nbytes if rows >= t.rows else rows * t.row_bytes
        self.held[tensor] = self.buffer(t.name, nbytes)

    def view(self, tensor: int) -> View:
        stride = self.graph.tensors[tensor].row_bytes
        return View(tensor, self.held[tensor], stride, ring_rows=self.rings.get(tensor, 0))

    def alias(self, n: int) -> bool:
        """True for a node whose output is its input's bytes, which is then recorded as such."""
        node = self.graph.nodes[n]
        if not node.operator.is_view(self.graph.call(node)):
            return False
        source = next(iter(self.graph.activations(node)))
        self.held[node.outputs[0]] = self.held[source]
        name = self.graph.tensors[source].name
        self.eliminated[node.outputs[0]] = f"{node.operator.name}: the same bytes as '{name}'"
        return True

    def scratch(self, n: int) -> int | None:
        if not self.calls[n].scratch:
            return None
        if n not in self.scratches:
            name = self.graph.tensors[self.graph.nodes[n].outputs[0]].name
            self.scratches[n] = self.buffer(f"scratch of {name}", self.calls[n].scratch)
        return self.scratches[n]

    def step(self, n: int, rows: tuple[int, int]) -> Step:
        node = self.graph.nodes[n]
        return Step(n, rows, tuple(self.reads(node)), tuple(self.view(i) for i in node.outputs), self.scratch(n))

    def reads(self, node: Node) -> Iterator[View | None]:
        for i in node.inputs:
            yield self.view(i) if i in self.held else None

    def whole(self, n: int) -> Step:
        node = self.graph.nodes[n]
        for i in node.outputs:
            self.hold(i, self.graph.tensors[i].rows)
        return self.step(n, (0, self.graph.call(node).y.rows))

    def streamed(self, plan: Schedule) -> Body:
        for n in dict.fromkeys(event.node for event in plan.events):
            tensor = self.graph.nodes[n].outputs[0]
            self.hold(tensor, plan.rings.get(tensor, self.graph.tensors[tensor].rows))
        return compress([self.step(event.node, (event.begin, event.end)) for event in plan.events])
