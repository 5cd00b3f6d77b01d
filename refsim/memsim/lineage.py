"""Which tensors are the same bytes as a piece of another, whatever a Program does with them.

A RESHAPE's output is its input; a slice lies inside what it was cut from, a concatenation's inputs lie inside its
output. Every tensor has one parent at most, so that a tensor's bytes have one name: those of its root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from refsim.graph import Array, Graph, Node, Tensor, Window


@dataclass(frozen=True, slots=True)
class Parent:
    """Where a tensor's bytes are: in `tensor`, all of them where `window` is None."""

    tensor: int
    window: Window | None = None


Lineage = Mapping[int, Parent]


def lineage(graph: Graph, windows: bool = True) -> Lineage:
    """Tensor -> its parent. Without `windows` only outputs that are all of their input.

    What a caller passes in or gets back stays in one piece: its rows follow each other without gaps.
    """
    parents: dict[int, Parent] = {}
    for node in graph.nodes:
        parents.update(_views(graph, node, parents))
        if windows:
            parents.update(_slices(graph, node, parents))
            parents.update(_pieces(graph, node, parents))
    return parents


def _views(graph: Graph, node: Node, parents: Lineage) -> Iterator[tuple[int, Parent]]:
    if node.operator.is_view(graph.call(node)):
        source = next(iter(graph.activations(node)))
        if dense(graph, parents, source):
            yield node.outputs[0], Parent(source)


def _slices(graph: Graph, node: Node, parents: Lineage) -> Iterator[tuple[int, Parent]]:
    """The outputs, when all of them are pieces of the input."""
    call = graph.call(node)
    found = node.operator.outputs_within(call)
    source = next(iter(graph.activations(node)), None)
    pieces = [Parent(source, window) for window in found if window is not None and source is not None]
    yield from _all_or_none(graph, parents, node.outputs, pieces)


def _pieces(graph: Graph, node: Node, parents: Lineage) -> Iterator[tuple[int, Parent]]:
    """The inputs, when all of them are pieces of the output, none has a place elsewhere, and they are distinct."""
    found = node.operator.inputs_within(graph.call(node))
    pieces = [Parent(node.outputs[0], window) for window in found if window is not None]
    free = len(set(node.inputs)) == len(node.inputs) and not any(i in parents for i in (*node.inputs, *node.outputs))
    if free:
        yield from _all_or_none(graph, parents, node.inputs, pieces)


def _all_or_none(
    graph: Graph, parents: Lineage, tensors: Sequence[int], places: Sequence[Parent]
) -> Iterator[tuple[int, Parent]]:
    if len(tensors) == len(places):
        pairs = tuple(zip(tensors, places, strict=True))
        yield from pairs if all(_presentable(graph, parents, *pair) for pair in pairs) else ()


def _presentable(graph: Graph, parents: Lineage, tensor: int, place: Parent) -> bool:
    """Whether a tensor may lie there: everybody but the caller, and views, copes with gaps between rows."""
    if tensor in graph.inputs:
        return False
    if tensor not in graph.outputs and not _seen_dense(graph, parents, tensor):
        return True
    return dense(graph, {**parents, tensor: place}, tensor)


def _seen_dense(graph: Graph, parents: Lineage, tensor: int) -> bool:
    """Whether a view, or something that the caller gets, lies in the tensor or a piece of it already."""
    outputs = [t for n in graph.consumers.get(tensor, ()) for t in graph.nodes[n].outputs]
    joined = graph.nodes[graph.producers[tensor]].inputs if tensor in graph.producers else ()
    pieces = [(t, parents[t]) for t in (*outputs, *joined) if t in parents and parents[t].tensor == tensor]
    return any(p.window is None or t in graph.outputs or _seen_dense(graph, parents, t) for t, p in pieces)


def stride(graph: Graph, parents: Lineage, tensor: int) -> int:
    """Bytes from a row of the tensor to the next, where its root is whole."""
    place = parents.get(tensor)
    if place is None or place.window is None:
        return graph.tensors[tensor].row_bytes
    return stride(graph, parents, place.tensor)


def dense(graph: Graph, parents: Lineage, tensor: int) -> bool:
    """Whether the tensor's rows follow each other without gaps."""
    t = graph.tensors[tensor]
    return t.rows <= 1 or stride(graph, parents, tensor) == t.row_bytes


def root(parents: Lineage, tensor: int) -> int:
    """The tensor that all the others lie in."""
    while tensor in parents:
        tensor = parents[tensor].tensor
    return tensor


def bytes_in_root(graph: Graph, parents: Lineage, tensor: int) -> Array:
    """[rows, row_bytes]: which byte of the root each byte of the tensor is."""
    t = graph.tensors[tensor]
    place = parents.get(tensor)
    if place is None:
        return np.arange(t.nbytes).reshape(t.rows, t.row_bytes)
    within = bytes_in_root(graph, parents, place.tensor)
    return within.reshape(t.rows, t.row_bytes) if place.window is None else _cut(within, place.window, t)


def _cut(within: Array, window: Window, t: Tensor) -> Array:
    rows = within[window.first_row : window.first_row + t.rows]
    return np.asarray(rows[:, window.first_byte : window.first_byte + t.row_bytes])


Origins = Mapping[int, tuple[Array, Array]]


def origins(graph: Graph) -> Origins:
    """Tensors that hold other tensors' bytes -> of each byte, [rows, row_bytes], whose it is and which of them.

    Bytes of one origin have one value, wherever a Program puts them and whether it copies them or not.
    """
    found: dict[int, tuple[Array, Array]] = {}
    for node in graph.nodes:
        call = graph.call(node)
        source = next(iter(graph.activations(node)), None)
        if source is not None and node.operator.is_view(call):
            owner, index = origin(graph, found, source)
            shape = call.y.rows, call.y.row_bytes
            found[node.outputs[0]] = owner.reshape(shape), index.reshape(shape)
            continue
        for y, window in zip(node.outputs, node.operator.outputs_within(call), strict=True):
            if source is not None and window is not None:
                owner, index = origin(graph, found, source)
                found[y] = _cut(owner, window, graph.tensors[y]), _cut(index, window, graph.tensors[y])
        for x, window in zip(node.inputs, node.operator.inputs_within(call), strict=True):
            if window is not None:
                y = node.outputs[0]
                found.setdefault(y, origin(graph, {}, y))
                for whole, part in zip(found[y], origin(graph, found, x), strict=True):
                    _cut(whole, window, graph.tensors[x])[:] = part
    return found


def origin(graph: Graph, known: Origins, tensor: int) -> tuple[Array, Array]:
    """Of each byte of a tensor, whose it is and which of them: its own, in order, unless it is `known`."""
    if tensor in known:
        return known[tensor]
    t = graph.tensors[tensor]
    shape = t.rows, t.row_bytes
    return np.full(shape, tensor, np.int32), np.arange(t.nbytes).reshape(shape)
