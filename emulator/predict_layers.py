"""Which layers generated code will have, from a Graph as it is: what passes and memory planning leave of its nodes.

The same answer as `refsim.passes` and `refsim.memsim.assemble` give for `--optimize latency`, without making a graph
or looking at weights, in microseconds a node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from refsim.graph import Graph, Node
from refsim.memsim.inplace import dropped
from refsim.memsim.lineage import Lineage, dense, lineage
from refsim.passes import CLAMPS_ITS_OUTPUT, FUSED_ACTIVATION, PADS_ITS_INPUT

VIEWS = frozenset(("reshape", "transpose", "pad", "quantize"))  # may be their input's very bytes
PIECES = frozenset(("concatenation", "slice", "split", "strided_slice"))  # may leave bytes where they are


class Layer(NamedTuple):
    """One layer of the code: a node with what was fused into it.

    `x` and `y` are its first input's and its output's index in the Graph; `top` and `left` are the padding in front of
    a convolution; `apart`: rows of its input or output do not follow each other.
    """

    operator: str
    node: Node
    x: int
    y: int
    top: int = 0
    left: int = 0
    activation: int = 0
    apart: bool = False


Readers = Mapping[int, list[Node]]
Padded = tuple[int, int, int]  # what a PAD pads, and how many rows above and columns before it


def layers(graph: Graph) -> list[Layer]:
    """In the order of the nodes."""
    readers = _readers(graph)
    pieces = _Pieces(graph) if any(node.operator.name in PIECES for node in graph.nodes) else None
    found: list[Layer] = []
    padded: dict[int, Padded] = {}
    folded: set[int] = set()  # outputs that are constants
    fused: set[int] = set()  # outputs of activations that the layer before clamps
    for position, node in enumerate(graph.nodes):
        y, name = node.outputs[0], node.operator.name
        if y in fused or not any(o in readers or o in graph.outputs for o in node.outputs):
            continue
        if not _varies(graph, node, folded):
            folded.update(node.outputs)
        elif name == "pad" and _fuses(graph, node, readers):
            (top, _), (left, _) = node.attributes.paddings[1:3]
            x = node.inputs[0]
            before = padded.get(x, (x, 0, 0))
            padded[y] = (before[0], before[1] + top, before[2] + left)
        elif name in PIECES or name in VIEWS:
            if not _needs_no_code(graph, node, position, pieces):
                found.append(Layer(name, node, node.inputs[0], y))
        else:
            found.append(_layer(graph, node, readers, padded, fused, pieces))
    return found


def _layer(
    graph: Graph,
    node: Node,
    readers: Readers,
    padded: Mapping[int, Padded],
    fused: set[int],
    pieces: _Pieces | None,
) -> Layer:
    """A node that computes, with the padding before and the activation behind it."""
    y, name, a = node.outputs[0], node.operator.name, node.attributes
    activation = getattr(a, "activation", 0)
    x, top, left = padded.get(node.inputs[0], (node.inputs[0], 0, 0))
    if name in PADS_ITS_INPUT:
        top, left = top + a.pad_top, left + a.pad_left
    if activation == 0 and name in CLAMPS_ITS_OUTPUT:
        behind = readers.get(y, ())
        if len(behind) == 1 and behind[0].operator.name in FUSED_ACTIVATION and y not in graph.outputs:
            (clamped,) = behind[0].outputs
            if graph.tensors[y].quant == graph.tensors[clamped].quant:
                fused.add(clamped)
                y, activation = clamped, FUSED_ACTIVATION[behind[0].operator.name]
    apart = pieces is not None and (pieces.apart(x) or pieces.apart(y))
    return Layer(name, node, x, y, top, left, activation, apart)


def _readers(graph: Graph) -> Readers:
    """Tensor -> the nodes that read it, of those that are needed."""
    found: dict[int, list[Node]] = {}
    for node in reversed(graph.nodes):
        if any(o in found or o in graph.outputs for o in node.outputs):
            for i in node.inputs:
                if i in found:
                    found[i].append(node)
                else:
                    found[i] = [node]
    return found


def _varies(graph: Graph, node: Node, folded: set[int]) -> bool:
    """Whether any operand depends on the input."""
    tensors = graph.tensors
    return any(i >= 0 and tensors[i].data is None and i not in folded for i in node.inputs)


def _fuses(graph: Graph, pad: Node, readers: Readers) -> bool:
    """Whether PAD becomes the padding of the convolutions that read it."""
    (y,) = pad.outputs
    x, paddings = graph.tensors[pad.inputs[0]], pad.attributes.paddings
    if len(x.shape) != 4 or paddings[0] != (0, 0) or paddings[3] != (0, 0) or y in graph.outputs:
        return False
    if x.quant != graph.tensors[y].quant:
        return False
    return all(
        (n.operator.name in PADS_ITS_INPUT and n.inputs[0] == y)
        or (n.operator.name == "pad" and _fuses(graph, n, readers))
        for n in readers[y]
    )


def _needs_no_code(graph: Graph, node: Node, position: int, pieces: _Pieces | None) -> bool:
    """Whether the outputs are there already, as bytes of the input or of what reads them."""
    if pieces is not None:
        return position in pieces.dropped
    return node.operator.is_view(graph.call(node))


class _Pieces:
    """Where tensors lie inside others; for graphs that cut or join."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.parents: Lineage = lineage(graph)
        self.dropped = dropped(graph, self.parents)

    def apart(self, tensor: int) -> bool:
        return tensor in self.parents and not dense(self.graph, self.parents, tensor)
