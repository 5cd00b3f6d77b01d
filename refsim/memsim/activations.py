"""Peak activation memory as papers count it: layers one at a time, from shapes alone, without a plan.

Sources: mit-han-lab/mcunet @9c164f8, utils, count_peak_activation_size; with the depthwise layer in place, as
MCUNetV2 (NeurIPS 2021) counts it.
"""

from __future__ import annotations

from refsim.graph import Graph, Node

LAYERS = frozenset({"conv2d", "depthwise_conv2d", "fully_connected"})
_MOVES = frozenset({"pad", "reshape", "transpose"})  # not counted: their input's values


def peak_activation(graph: Graph, *, in_place_depthwise: bool = False, first: int = 0) -> int:
    """Elements at the peak, of the nodes from position `first` on: bytes at 8 bits, half of them at 4.

    A layer holds its input and its output; a depthwise one also what waits for an ADD behind it, and in place only the
    larger of input and output. The projection is taken to add into what waits, so that this is not counted there.
    """
    return max((_held(graph, n, in_place_depthwise) for n in _layers(graph, first)), default=0)


def _layers(graph: Graph, first: int) -> list[int]:
    return [n for n, node in enumerate(graph.nodes) if n >= first and node.operator.name in LAYERS]


def _held(graph: Graph, position: int, in_place_depthwise: bool) -> int:
    node = graph.nodes[position]
    source, output = layer_input(graph, node), node.outputs[0]
    sizes = graph.tensors[source].elements, graph.tensors[output].elements
    if node.operator.name != "depthwise_conv2d":
        return sum(sizes)
    waiting = sum(graph.tensors[i].elements for i in _waiting(graph, position) - {source, output})
    return waiting + (max(sizes) if in_place_depthwise else sum(sizes))


def layer_input(graph: Graph, node: Node) -> int:
    """The tensor that a layer reads, looked for in front of PAD, RESHAPE and TRANSPOSE."""
    tensor = node.inputs[0]
    while (n := graph.producers.get(tensor)) is not None and graph.nodes[n].operator.name in _MOVES:
        tensor = graph.nodes[n].inputs[0]
    return tensor


def _waiting(graph: Graph, position: int) -> set[int]:
    """Tensors that are there before the node and that an ADD reads behind it."""
    return {
        i
        for n, node in enumerate(graph.nodes)
        if n > position and node.operator.name == "add"
        for i in graph.activations(node)
        if graph.producers.get(i, -1) < position
    }
