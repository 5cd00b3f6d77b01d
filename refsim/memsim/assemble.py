"""From a Graph cut into segments to a Program: whole-tensor steps, or rows streamed through rings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refsim.graph import Graph, KernelCall, Node
from refsim.memsim.inplace import dropped, replaced
from refsim.memsim.lineage import lineage, root
from refsim.memsim.program import Body, Buffer, Program, Step, View
from refsim.memsim.stream import Schedule, compress, schedule

Segment = tuple[int, ...]  # positions of neighbouring nodes
Streams = dict[Segment, int]  # segments that run row by row, and how many rows at once


def assemble(
    graph: Graph, calls: Sequence[KernelCall], segments: Sequence[Segment], streams: Streams, inplace: bool = False
) -> Program:
    """A Program without offsets. Segments cover all nodes in running order; those in `streams` run row by row.

    Outputs that are views of their input share its buffer and need no step; with `inplace` so do pieces, and
    elementwise results take the place of an input that nobody else needs.
    """
    maker = _Maker(graph, calls, inplace)
    body: list[Body] = []
    for segment in segments:
        if segment in streams:
            body.append(maker.streamed(segment, schedule(graph, segment, streams[segment])))
        else:
            body.append(tuple(maker.whole(n) for n in segment if n not in maker.dropped))
    steps = tuple(item for part in body for item in part)
    return Program(
        graph,
        tuple(maker.buffers),
        steps,
        tuple(maker.view(i) for i in graph.inputs),
        tuple(maker.view(i) for i in graph.outputs),
        eliminated={**graph.eliminated, **maker.eliminated()},
    )


class _Maker:
    """Collects buffers while steps are made."""

    def __init__(self, graph: Graph, calls: Sequence[KernelCall], inplace: bool) -> None:
        self.graph, self.calls = graph, calls
        self.parents = lineage(graph, windows=inplace)
        self.dropped = dict(dropped(graph, self.parents))
        self.replaced = replaced(graph, self.parents) if inplace else {}
        self.buffers: list[Buffer] = []
        self.held: dict[int, int] = {}  # root -> buffer
        self.rings: dict[int, int] = {}  # tensor -> rows, where it never exists whole
        self.scratches: dict[int, int] = {}  # node -> buffer
        for i in graph.inputs:
            self.hold(i)

    def eliminated(self) -> dict[int, str]:
        return {t: reason for n, reason in self.dropped.items() for t in self.graph.nodes[n].outputs}

    def buffer(self, name: str, nbytes: int) -> int:
        self.buffers.append(Buffer(name, nbytes))
        return len(self.buffers) - 1

    def hold(self, tensor: int, rows: int | None = None) -> None:
        """Make room for a tensor, or for the one that it is a piece of; `rows` of it when it is to be a ring."""
        r = root(self.parents, tensor)
        t = self.graph.tensors[r]
        if r in self.held:
            return
        if rows is not None and rows < t.rows:
            self.rings[r] = rows
        self.held[r] = self.buffer(t.name, t.nbytes if r not in self.rings else self.rings[r] * t.row_bytes)

    def view(self, tensor: int) -> View:
        size, place = self.graph.tensors[tensor].row_bytes, self.parents.get(tensor)
        if place is None:
            return View(tensor, self.held[tensor], size, ring_rows=self.rings.get(tensor, 0))
        outer = self.view(place.tensor)
        if place.window is None:
            return View(tensor, outer.buffer, size, outer.offset)
        inside = place.window.first_row * outer.row_stride + place.window.first_byte
        return View(tensor, outer.buffer, outer.row_stride, outer.offset + inside)

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
            yield self.view(i) if i >= 0 and self.graph.tensors[i].data is None else None

    def whole(self, n: int) -> Step:
        node = self.graph.nodes[n]
        source = self.replaced.get(node.outputs[0])
        if source is not None:
            self.held[node.outputs[0]] = self.held[source]
        for i in node.outputs:
            self.hold(i)
        return self.step(n, (0, self.graph.call(node).y.rows))

    def streamed(self, segment: Segment, plan: Schedule) -> Body:
        run = {event.node for event in plan.events}
        for n in segment:
            (tensor,) = self.graph.nodes[n].outputs
            self.hold(tensor, plan.rings.get(tensor))
            if n not in run:  # a reader has a view of it all the same, of no rows
                self.dropped[n] = f"{self.graph.nodes[n].operator.name}: none of its rows is needed"
        return compress([self.step(event.node, (event.begin, event.end)) for event in plan.events])
