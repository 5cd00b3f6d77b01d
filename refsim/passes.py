"""Graph -> Graph. Tensors keep their indices; what a pass removes is recorded in `Graph.eliminated` with its reason.

Every pass keeps the answer bit for bit: `validate` compares the generated code with the Graph before any pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from refsim.graph import Graph, Node
from refsim.int8ops.numerics import Numerics

Pass = Callable[[Graph, Numerics], Graph]

PADS_ITS_INPUT = frozenset({"conv2d", "depthwise_conv2d"})  # fill with the input's zero point, as PAD does
FUSED_ACTIVATION = {"relu": 1, "relu6": 3}  # TFLite's ActivationFunctionType
CLAMPS_ITS_OUTPUT = frozenset({"conv2d", "depthwise_conv2d", "fully_connected", "add", "mul"})


def optimise(graph: Graph, numerics: Numerics) -> Graph:
    """All passes, verified in between."""
    for step in PASSES:
        graph = step(graph, numerics)
        graph.verify()
    return graph


def fold_constants(graph: Graph, numerics: Numerics) -> Graph:
    """Nodes whose operands are all constant become constants."""
    tensors, nodes, gone = list(graph.tensors), [], dict(graph.eliminated)
    for node in graph.nodes:
        now = replace(graph, tensors=tuple(tensors))
        if any(True for _ in now.activations(node)) or set(node.outputs) & set(graph.outputs):
            nodes.append(node)
            continue
        call = now.call(node)
        answers = node.operator.reference(call, [t.data if t else None for t in call.inputs], numerics)
        for i, answer in zip(node.outputs, answers, strict=True):
            tensors[i] = replace(tensors[i], data=answer)
            gone[i] = f"{node.operator.name} of constants: computed once, at generation"
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes), eliminated=gone)


def drop_dead(graph: Graph, numerics: Numerics) -> Graph:
    """Nodes whose outputs nobody reads go away."""
    wanted, nodes, gone = set(graph.outputs), [], dict(graph.eliminated)
    for node in reversed(graph.nodes):
        if wanted & set(node.outputs):
            wanted |= set(node.inputs)
            nodes.append(node)
        else:
            gone.update(dict.fromkeys(node.outputs, f"{node.operator.name}: nothing reads it"))
    return replace(graph, nodes=tuple(reversed(nodes)), eliminated=gone)


def fuse_pad(graph: Graph, numerics: Numerics) -> Graph:
    """PAD of height and width in front of convolutions becomes their own padding."""
    for position, pad in enumerate(graph.nodes):
        if pad.operator.name != "pad" or not _pads_only_space(graph, pad):
            continue
        (padded,) = pad.outputs
        readers = graph.consumers.get(padded, ())
        if padded in graph.outputs or not readers or not all(_reads_as_image(graph, n, padded) for n in readers):
            continue
        (_, top_bottom, left_right, _) = pad.attributes.paddings
        changed = {n: _with_padding(graph.nodes[n], pad.inputs[0], top_bottom, left_right) for n in readers}
        names = ", ".join(graph.nodes[n].operator.name for n in readers)
        graph = _without(graph, position, changed, padded, f"pad: done inside {names}")
        return fuse_pad(graph, numerics)
    return graph


def _pads_only_space(graph: Graph, pad: Node) -> bool:
    call = graph.call(pad)
    if len(call.x.shape) != 4 or call.x.quant != call.y.quant:
        return False
    batch, _, _, channels = pad.attributes.paddings
    return tuple(batch) == tuple(channels) == (0, 0)


def _reads_as_image(graph: Graph, position: int, tensor: int) -> bool:
    node = graph.nodes[position]
    return node.operator.name in PADS_ITS_INPUT and node.inputs[0] == tensor and tensor not in node.inputs[1:]


def _with_padding(node: Node, source: int, rows: tuple[int, int], columns: tuple[int, int]) -> Node:
    a = node.attributes
    padded = replace(
        a,
        pad_top=a.pad_top + rows[0],
        pad_bottom=a.pad_bottom + rows[1],
        pad_left=a.pad_left + columns[0],
        pad_right=a.pad_right + columns[1],
    )
    return replace(node, inputs=(source, *node.inputs[1:]), attributes=padded)


def fuse_activation(graph: Graph, numerics: Numerics) -> Graph:
    """RELU and RELU6 that keep scale and zero point become the clamp of the node in front of them."""
    for position, node in enumerate(graph.nodes):
        if node.operator.name not in FUSED_ACTIVATION:
            continue
        call = graph.call(node)
        before = graph.producers.get(node.inputs[0])
        if before is None or call.x.quant != call.y.quant or not _clamps_for(graph, before, node.inputs[0]):
            continue
        producer = graph.nodes[before]
        clamped = replace(producer.attributes, activation=FUSED_ACTIVATION[node.operator.name])
        changed = {before: replace(producer, outputs=node.outputs, attributes=clamped, name=producer.name)}
        reason = f"{producer.operator.name}: clamped by {node.operator.name} at once"
        return fuse_activation(_without(graph, position, changed, node.inputs[0], reason), numerics)
    return graph


def _clamps_for(graph: Graph, position: int, tensor: int) -> bool:
    node = graph.nodes[position]
    alone = len(graph.consumers[tensor]) == 1 and tensor not in graph.outputs
    return alone and node.operator.name in CLAMPS_ITS_OUTPUT and node.attributes.activation == 0


def _without(graph: Graph, position: int, changed: Mapping[int, Node], tensor: int, reason: str) -> Graph:
    nodes = tuple(changed.get(n, node) for n, node in enumerate(graph.nodes) if n != position)
    return replace(graph, nodes=nodes, eliminated={**graph.eliminated, tensor: reason})


PASSES: tuple[Pass, ...] = (fold_constants, drop_dead, fuse_pad, fuse_activation)
