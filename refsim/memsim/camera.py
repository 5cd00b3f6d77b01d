"""A camera that delivers rows: the image is never whole in our memory.

The image's tensor lies outside, as a sensor's frame buffer or line FIFO would, and a layer of its own brings its rows
in, in order and once each: a maximum over windows of one pixel, which is a copy. Whatever streams the layers behind it
then holds as many rows as they need. In a run under emulation the bytes outside stand behind the arena.
"""

from __future__ import annotations

from dataclasses import replace

from refsim.graph import Graph, Node, Tensor
from refsim.int8ops import operators
from refsim.int8ops.numerics import Numerics
from refsim.memsim.program import Program
from refsim.memsim.search import least_sram
from refsim.memsim.transforms import Effort


def by_rows(graph: Graph, numerics: Numerics, effort: Effort) -> Program:
    """The Program of least SRAM for a graph whose images arrive row by row; `Program.own_bytes` leaves them out.

    Images are inputs of four axes, batch 1 and int8; other inputs are held whole as ever.
    """
    images = tuple(i for i in graph.inputs if _is_image(graph.tensors[i]))
    return least_sram(_received(graph, images), numerics, effort, outside=frozenset(images))


def _is_image(t: Tensor) -> bool:
    return len(t.shape) == 4 and t.shape[0] == 1 and t.shape[1] > 1 and t.dtype == "int8"


def _received(graph: Graph, images: tuple[int, ...]) -> Graph:
    """The graph with a copying layer behind each image."""
    inside = {i: len(graph.tensors) + k for k, i in enumerate(images)}
    copies = [replace(graph.tensors[i], name=f"{graph.tensors[i].name} received") for i in images]
    pool = operators()["max_pool_2d"]
    options = {name: slot.default for name, slot in pool.options.items()}
    options |= {"padding": 1, "stride_w": 1, "stride_h": 1, "filter_w": 1, "filter_h": 1}
    receive = [
        Node(pool, (i,), (inside[i],), pool.attributes(options, (graph.tensors[i],), (copy,)), f"receive {copy.name}")
        for i, copy in zip(images, copies, strict=True)
    ]
    nodes = [replace(node, inputs=tuple(inside.get(i, i) for i in node.inputs)) for node in graph.nodes]
    outputs = tuple(inside.get(i, i) for i in graph.outputs)
    made = replace(graph, tensors=(*graph.tensors, *copies), nodes=(*receive, *nodes), outputs=outputs)
    made.verify()
    return made
