"""The first layers of a network patch by patch, so that their large tensors never exist whole.

The output of a stage, the first n nodes, is cut into p x p patches; each is computed from the part of the image that
it depends on. Parts of neighbouring patches overlap, and what lies in the overlap (the halo) is computed again.
The result is an ordinary Graph of SLICE, the stage's own operators on smaller tensors, and CONCATENATION, of which the
first and the last need no code (`memsim.inplace`).

Source of the idea: MCUNetV2 (Lin et al., NeurIPS 2021), which also shortens the receptive field of such a stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import pairwise

import numpy as np

from refsim.graph import Graph, Node, Part, Tensor
from refsim.int8ops import operators
from refsim.int8ops.concatenation import Attributes as Join
from refsim.int8ops.slice import Attributes as Box
from refsim.int8ops.window import Axis

PATCHES = (2, 3, 4)  # a side
POINT = Axis(1, 1, 0, 0)
POINTWISE = frozenset(("add", "mul", "relu", "relu6", "quantize", "logistic", "tanh", "hard_swish"))
Span = tuple[int, int]  # half-open


@dataclass(frozen=True, slots=True)
class Region:
    """Rows and columns of a tensor of four axes."""

    rows: Span
    columns: Span

    def joined(self, other: Region) -> Region:
        return Region(_hull(self.rows, other.rows), _hull(self.columns, other.columns))

    def shape(self, t: Tensor) -> tuple[int, ...]:
        return 1, self.rows[1] - self.rows[0], self.columns[1] - self.columns[0], t.shape[3]


def _hull(a: Span, b: Span) -> Span:
    return min(a[0], b[0]), max(a[1], b[1])


def stages(graph: Graph) -> Iterator[int]:
    """Numbers of nodes, from the start, that can run in patches: only the last one's output is used afterwards."""
    if len(graph.inputs) != 1 or not _image(graph.tensors[graph.inputs[0]]):
        return
    for n, node in enumerate(graph.nodes):
        if not _patchable(graph, node):
            return
        open_ends = {t for m in graph.nodes[: n + 1] for t in (*m.inputs, *m.outputs) if _used_after(graph, t, n)}
        if open_ends == set(node.outputs):
            yield n + 1


def _image(t: Tensor) -> bool:
    return len(t.shape) == 4 and t.shape[0] == 1


def _used_after(graph: Graph, tensor: int, n: int) -> bool:
    fixed = tensor >= 0 and graph.tensors[tensor].data is not None
    return not fixed and (tensor in graph.outputs or max(graph.consumers.get(tensor, (-1,))) > n)


def _patchable(graph: Graph, node: Node) -> bool:
    if axes(graph, node) is None or len(node.outputs) != 1 or not _image(graph.tensors[node.outputs[0]]):
        return False
    live = [graph.tensors[i] for i in graph.activations(node)]
    if node.operator.name not in POINTWISE:
        return len(live) == 1
    fixed = [graph.tensors[i] for i in node.inputs if i >= 0 and graph.tensors[i].data is not None]
    y = graph.tensors[node.outputs[0]]
    return all(t.shape == y.shape for t in live) and all(t.elements in (1, t.shape[-1]) for t in fixed)


def axes(graph: Graph, node: Node) -> tuple[Axis, Axis] | None:
    """The windows that a node moves over rows and columns; None where it has no such thing."""
    a = node.attributes
    if node.operator.name in ("conv2d", "depthwise_conv2d"):
        _, height, width, _ = graph.tensors[node.inputs[1]].shape
        return a.vertical(height), a.horizontal(width)
    if node.operator.name in ("average_pool_2d", "max_pool_2d"):
        return a.vertical, a.horizontal
    return (POINT, POINT) if node.operator.name in POINTWISE else None


def regions(graph: Graph, stage: int, region: Region) -> Mapping[int, Region]:
    """Of each tensor of the stage, what a region of its output depends on."""
    needed = {graph.nodes[stage - 1].outputs[0]: region}
    for node in reversed(graph.nodes[:stage]):
        if node.outputs[0] in needed:
            for i in graph.activations(node):
                mine = _input_region(graph, node, i, needed[node.outputs[0]])
                needed[i] = needed[i].joined(mine) if i in needed else mine
    return needed


def _input_region(graph: Graph, node: Node, tensor: int, region: Region) -> Region:
    found, (_, height, width, _) = axes(graph, node), graph.tensors[tensor].shape
    assert found is not None
    return Region(found[0].needs(*region.rows, height), found[1].needs(*region.columns, width))


def grid(t: Tensor, patches: int) -> Iterator[Iterator[Region]]:
    """Rows of patches, as equal as can be."""
    _, height, width, _ = t.shape
    for rows in _spans(height, patches):
        yield (Region(rows, columns) for columns in _spans(width, patches))


def _spans(length: int, parts: int) -> Iterator[Span]:
    ends = [length * k // parts for k in range(parts + 1)]
    return pairwise(ends)


def patched(graph: Graph, stage: int, patches: int) -> Graph | None:
    """The graph with its first `stage` nodes (one of `stages`) in patches x patches patches.

    None where the stage's output is too small for so many, or a patch would lie in nothing but padding.
    """
    y = graph.nodes[stage - 1].outputs[0]
    if min(graph.tensors[y].shape[1:3]) < patches:
        return None
    maker = _Maker(graph, stage)
    strips = []
    for row in grid(graph.tensors[y], patches):
        pieces = [(region, maker.patch(region)) for region in row]
        if any(piece is None for _, piece in pieces):
            return None
        whole = reduce(Region.joined, (region for region, _ in pieces))
        strips.append(maker.joined([piece for _, piece in pieces if piece is not None], 2, y, whole))
    maker.nodes.append(Node(operators()["concatenation"], tuple(strips), (y,), Join(1), graph.tensors[y].name))
    return maker.graph()


@dataclass
class _Maker:
    """Collects the nodes of one patch after the other."""

    origin: Graph
    stage: int
    tensors: list[Tensor] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    parts: dict[int, Part] = field(default_factory=dict)

    def graph(self) -> Graph:
        origin = self.origin
        gone = {t for node in origin.nodes[: self.stage - 1] for t in node.outputs}
        made = replace(
            origin,
            tensors=(*origin.tensors, *self.tensors),
            nodes=(*self.nodes, *origin.nodes[self.stage :]),
            eliminated={**origin.eliminated, **dict.fromkeys(gone, "computed patch by patch")},
            parts=self.parts,
        )
        made.verify()
        return made

    def part(self, tensor: int, region: Region) -> int:
        """A tensor for a region of another."""
        t = self.origin.tensors[tensor]
        name = f"{t.name} [{region.rows[0]}:{region.rows[1]}, {region.columns[0]}:{region.columns[1]}]"
        self.tensors.append(replace(t, name=name, shape=region.shape(t)))
        index = len(self.origin.tensors) + len(self.tensors) - 1
        self.parts[index] = Part(tensor, region.rows[0], region.columns[0])
        return index

    def patch(self, region: Region) -> int | None:
        """Compute one region of the stage's output; the tensor that holds it, or None where that is impossible."""
        held = regions(self.origin, self.stage, region)
        if any(a >= b for r in held.values() for a, b in (r.rows, r.columns)):
            return None
        image = self.origin.inputs[0]
        known = {image: (image, self.whole(image))}
        for node in self.origin.nodes[: self.stage]:
            y = node.outputs[0]
            if y in held:
                known[y] = (self.compute(node, held[y], known), held[y])
        return known[self.origin.nodes[self.stage - 1].outputs[0]][0]

    def whole(self, tensor: int) -> Region:
        _, height, width, _ = self.origin.tensors[tensor].shape
        return Region((0, height), (0, width))

    def compute(self, node: Node, region: Region, known: Mapping[int, tuple[int, Region]]) -> int:
        inputs = tuple(self.cut(node, i, region, known) if i in known else i for i in node.inputs)
        y = self.part(node.outputs[0], region)
        name = f"{node.name or node.operator.name} [{region.rows[0]}, {region.columns[0]}]"
        self.nodes.append(Node(node.operator, inputs, (y,), self.attributes(node, region), name))
        return y

    def cut(self, node: Node, tensor: int, region: Region, known: Mapping[int, tuple[int, Region]]) -> int:
        """The very rows and columns of an input that a node needs for a region of its output."""
        held, there = known[tensor]
        wanted = _input_region(self.origin, node, tensor, region)
        if wanted == there:
            return held
        piece = self.part(tensor, wanted)
        t = self.origin.tensors[tensor]
        begin = (0, wanted.rows[0] - there.rows[0], wanted.columns[0] - there.columns[0], 0)
        self.nodes.append(Node(operators()["slice"], (held,), (piece,), Box(begin, wanted.shape(t)), "patch"))
        return piece

    def attributes(self, node: Node, region: Region) -> object:
        """Those of the node, padded only where the region lies at the image's border."""
        if node.operator.name in POINTWISE:
            return node.attributes
        found = axes(self.origin, node)
        source = self.origin.tensors[next(iter(self.origin.activations(node)))]
        assert found is not None
        top, bottom = _padding(found[0], region.rows, source.shape[1])
        left, right = _padding(found[1], region.columns, source.shape[2])
        return replace(node.attributes, pad_top=top, pad_bottom=bottom, pad_left=left, pad_right=right)

    def joined(self, pieces: Sequence[int], axis: int, tensor: int, region: Region) -> int:
        strip = self.part(tensor, region)
        self.nodes.append(Node(operators()["concatenation"], tuple(pieces), (strip,), Join(axis), "patches"))
        return strip


def _padding(axis: Axis, span: Span, length: int) -> Span:
    """What the window reads before and after the input, for outputs `span`."""
    first = span[0] * axis.stride - axis.before
    last = (span[1] - 1) * axis.stride - axis.before + axis.reach
    return max(0, -first), max(0, last - length)


def least_overlap(graph: Graph, stage: int, patches: int) -> tuple[Node, float] | None:
    """Receptive-field redistribution: the node of the stage whose window, made 1x1, saves most of the halo's work.

    The second value is the share of all multiply-accumulates that is saved. MCUNetV2 moves such windows behind the
    stage, where they cost no halo.
    """
    best: tuple[Node, float] | None = None
    now = halo_macs(graph, stage, patches)
    for n in range(1, stage):
        found = axes(graph, graph.nodes[n])
        if found is not None and max(found[0].size, found[1].size) > 1:
            saved = (now - halo_macs(_narrowed(graph, n), stage, patches)) / max(graph.macs, 1)
            if saved > (best[1] if best else 0.0):
                best = (graph.nodes[n], saved)
    return best


def halo_macs(graph: Graph, stage: int, patches: int) -> int:
    """Multiply-accumulates that are done again because patches overlap."""
    again = 0
    for row in grid(graph.tensors[graph.nodes[stage - 1].outputs[0]], patches):
        for region in row:
            again += _macs(graph, stage, regions(graph, stage, region))
    return again - sum(node.operator.macs(graph.call(node)) for node in graph.nodes[:stage])


def _macs(graph: Graph, stage: int, held: Mapping[int, Region]) -> int:
    total = 0
    for node in graph.nodes[:stage]:
        t = graph.tensors[node.outputs[0]]
        _, height, width, _ = held[node.outputs[0]].shape(t)
        total += node.operator.macs(graph.call(node)) * height * width // (t.shape[1] * t.shape[2])
    return total


def _narrowed(graph: Graph, n: int) -> Graph:
    """Shapes as they are, but node n reads for each output only the input in the middle of its window."""
    node = graph.nodes[n]
    found = axes(graph, node)
    assert found is not None
    middle = {"pad_top": found[0].before - found[0].reach // 2, "pad_left": found[1].before - found[1].reach // 2}
    tensors = list(graph.tensors)
    if node.operator.name in ("conv2d", "depthwise_conv2d"):
        w = tensors[node.inputs[1]]
        shape = (w.shape[0], 1, 1, w.shape[3])
        tensors.append(replace(w, shape=shape, data=np.zeros(shape, np.int8)))
        narrow = replace(node, inputs=(node.inputs[0], len(tensors) - 1, *node.inputs[2:]))
    else:
        narrow, middle = node, {**middle, "size_h": 1, "size_w": 1}
    narrow = replace(narrow, attributes=replace(node.attributes, **middle))
    return replace(graph, tensors=tuple(tensors), nodes=(*graph.nodes[:n], narrow, *graph.nodes[n + 1 :]))


def suggestion(graph: Graph, cut: Graph) -> str | None:
    """What `patched` did to `graph`, and which window costs most halo. None for a graph that is not in patches."""
    at = next((n for n, node in enumerate(cut.nodes) if cut.parts and node.outputs[0] in graph.producers), None)
    if at is None:
        return None
    stage, patches = len(graph.nodes) - (len(cut.nodes) - at) + 1, len(cut.nodes[at].inputs)
    again = halo_macs(graph, stage, patches) / max(graph.macs, 1)
    text = f"the first {stage} layers run in {patches}x{patches} patches, which computes {again:.1%} of the MACs again"
    if (found := least_overlap(graph, stage, patches)) is None:
        return text
    node, saved = found
    name = node.name or node.operator.name
    return f"{text}; with its window moved behind them, '{name}' alone would save {saved:.1%}"
