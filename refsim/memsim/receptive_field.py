"""How large a patch of each tensor a patch of a later one needs, and what computing it in patches costs.

Patch-based inference (MCUNetV2, NeurIPS 2021): a stage's output of h x h is made in p x p patches of h / p; walking
back, a side of g needs (g - 1) * stride + kernel. Where patches overlap, values are computed again.
Source: mit-han-lab/tinyengine @47bb283, PatchBasedUtil.getPatchParams.
"""

from __future__ import annotations

from dataclasses import dataclass

from refsim.errors import UsageError
from refsim.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class PatchedStage:
    """The side of the image's patch in pixels, padding included, and multiply-accumulates without and with patches."""

    input_side: int
    macs: int
    patched_macs: int


def patch_sides(graph: Graph, nodes: int, side: int) -> dict[int, int]:
    """Tensor index -> side of its patch, for a square patch of `side` at the output of the first `nodes` nodes.

    Parts of a patch that lie outside the image count: they are its padding.
    """
    sides = {graph.nodes[nodes - 1].outputs[0]: side}
    for node in reversed(graph.nodes[:nodes]):
        if node.outputs[0] in sides:
            reach = _reach(graph, node, sides[node.outputs[0]])
            for i in graph.activations(node):
                sides[i] = max(sides.get(i, 0), reach)
    return sides


def _reach(graph: Graph, node: Node, side: int) -> int:
    stride = getattr(node.attributes, "stride_h", 1)
    return (side - 1) * stride + (_kernel(graph, node) - 1) * getattr(node.attributes, "dilation_h", 1) + 1


def _kernel(graph: Graph, node: Node) -> int:
    if node.operator.name in ("conv2d", "depthwise_conv2d"):
        return graph.tensors[node.inputs[1]].shape[1]
    return int(getattr(node.attributes, "size_h", 1))


def patched_stage(graph: Graph, nodes: int, patches: int) -> PatchedStage:
    """The first `nodes` nodes computed in patches x patches patches. UsageError where these do not cut it evenly."""
    output = graph.tensors[graph.nodes[nodes - 1].outputs[0]]
    if len(output.shape) != 4 or output.shape[1] % patches or output.shape[1] != output.shape[2]:
        raise UsageError(
            f"graph '{graph.name}': '{output.name}' {output} cannot be cut into {patches}x{patches} patches: "
            "expected a square output of four axes whose side they divide"
        )
    sides = patch_sides(graph, nodes, output.shape[1] // patches)
    macs = [(node, node.operator.macs(graph.call(node))) for node in graph.nodes[:nodes]]
    again = sum(_share(graph, node, sides, patches, count) for node, count in macs if node.outputs[0] in sides)
    return PatchedStage(sides[graph.inputs[0]], sum(count for _, count in macs), again)


def _share(graph: Graph, node: Node, sides: dict[int, int], patches: int, macs: int) -> int:
    _, height, width, _ = graph.tensors[node.outputs[0]].shape
    return macs // (height * width) * (patches * sides[node.outputs[0]]) ** 2
