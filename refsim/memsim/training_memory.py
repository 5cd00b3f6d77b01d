"""What training would keep, from the graph of the inference, by the rule of TinyTL (Cai et al., NeurIPS 2020).

The graph has its batch normalisation folded: each convolution stands for itself and the normalisation behind it, and
its bias for the normalisation's scale and shift.
"""

from __future__ import annotations

from refsim.graph import Graph, Node
from refsim.memsim.activations import LAYERS, layer_input

FLOAT_BYTES = 4
CONVOLUTIONS = frozenset({"conv2d", "depthwise_conv2d"})


def normalised(graph: Graph, node: Node) -> bool:
    """True for convolutions but a classifier: one over a single pixel, without activation."""
    if node.operator.name not in CONVOLUTIONS:
        return False
    *_, height, width, _ = graph.tensors[node.inputs[0]].shape
    return height * width > 1 or node.attributes.activation != 0


def trained_parameters(graph: Graph, *, batch_norm: bool = True) -> int:
    """Weights, biases of classifiers, and two parameters a channel for the normalisation behind a convolution."""
    found: dict[int, int] = {}
    for node in graph.nodes:
        if node.operator.name not in LAYERS:
            continue
        weights, *bias = (i for i in node.inputs[1:] if i >= 0)
        found[weights] = graph.tensors[weights].elements
        each = 1 if not normalised(graph, node) else 2 if batch_norm else 0
        found |= {i: each * graph.tensors[i].elements for i in bias}
    return sum(found.values())


def saved_activations(graph: Graph, batch: int = 1) -> int:
    """Bytes that a backward pass through the whole network needs from the forward pass of `batch` inputs.

    The inputs of convolutions, matrices and normalisations in float32, each reader's own; one bit for each ReLU.
    """
    elements = bits = 0
    for node in graph.nodes:
        output = graph.tensors[node.outputs[0]].elements
        if node.operator.name in LAYERS:
            elements += graph.tensors[layer_input(graph, node)].elements
        if normalised(graph, node):
            elements += output
        if node.operator.name in ("relu", "relu6") or getattr(node.attributes, "activation", 0) != 0:
            bits += output
    return batch * (elements * FLOAT_BYTES + -(-bits // 8))
