"""What needs no bytes of its own: outputs that are pieces of an input, inputs that are pieces of an output, and
elementwise results that take the place of what they were computed from.

Depthwise convolutions, pools and paddings work in place by rows: their output follows the input through the same
bytes a few rows behind (`memsim.overlap`), which for them alone goes by the name of in place too.
"""

from __future__ import annotations

from collections.abc import Mapping

from refsim.graph import Graph, Node
from refsim.memsim.lineage import Lineage, root

# Operators whose rows may follow their input's through the same bytes when only `inplace` is allowed.
BY_ROWS = frozenset(("depthwise_conv2d", "average_pool_2d", "max_pool_2d", "pad", "add", "mul"))


def dropped(graph: Graph, parents: Lineage) -> Mapping[int, str]:
    """Nodes that need no step, as their outputs are there already, and why."""
    found: dict[int, str] = {}
    for n, node in enumerate(graph.nodes):
        source = next(iter(graph.activations(node)), None)
        name = "" if source is None else graph.tensors[source].name
        if source is not None and all(t in parents and parents[t].tensor == source for t in node.outputs):
            found[n] = f"{node.operator.name}: the same bytes as '{name}'"
        elif node.inputs and all(t in parents and parents[t].tensor == node.outputs[0] for t in node.inputs):
            found[n] = f"{node.operator.name}: its inputs are computed into their places"
    return found


def last_uses(graph: Graph, parents: Lineage) -> Mapping[int, int]:
    """Root -> position of the last node that reads it or a piece of it; one past the end for outputs."""
    found: dict[int, int] = {}
    for t in range(len(graph.tensors)):
        used = len(graph.nodes) if t in graph.outputs else max(graph.consumers.get(t, (-1,)))
        r = root(parents, t)
        found[r] = max(found.get(r, -1), used)
    return found


def replaced(graph: Graph, parents: Lineage) -> Mapping[int, int]:
    """Output -> the input whose bytes it takes, element for element, because nobody reads them later."""
    last, found = last_uses(graph, parents), {}
    for n, node in enumerate(graph.nodes):
        y = node.outputs[0]
        for x in (node.inputs[i] for i in node.operator.overwrites(graph.call(node))):
            own = x not in parents and y not in parents and _alone(graph, parents, node, x)
            if y not in found and own and last[x] <= n and _alike(graph, x, y):
                found[y] = x
    return found


def _alone(graph: Graph, parents: Lineage, node: Node, x: int) -> bool:
    """Whether no other input of the node is a piece of x, which it may read after x's own bytes are gone."""
    return all(t == x or root(parents, t) != x for t in graph.activations(node))


def _alike(graph: Graph, x: int, y: int) -> bool:
    a, b = graph.tensors[x], graph.tensors[y]
    return a.data is None and (a.rows, a.row_bytes) == (b.rows, b.row_bytes)
