"""Where tensors lie inside others, held to the values that they have."""

from __future__ import annotations

import numpy as np
import pytest

from refsim import interpreter
from refsim.builder import Builder
from refsim.graph import Array, Graph, Tensor, Window
from refsim.memsim.lineage import Parent, bytes_in_root, dense, lineage, origin, origins, root, stride
from tests.system.random_graphs import Grower

QUANT = (0.1, 0)


def place(graph: Graph, tensor: Tensor) -> int:
    return graph.tensors.index(tensor)


def flat(value: Array) -> Array:
    return np.ascontiguousarray(value).reshape(-1).view(np.uint8)


@pytest.mark.parametrize("seed", range(120))
def test_the_bytes_of_a_piece_are_those_of_its_root(seed: int) -> None:
    graph = Grower(seed).graph()
    values = interpreter.run(graph, interpreter.random_inputs(graph, seed))
    for windows in (False, True):
        parents = lineage(graph, windows)
        for t in parents:
            r, inside = root(parents, t), bytes_in_root(graph, parents, t)
            assert inside.shape == (graph.tensors[t].rows, graph.tensors[t].row_bytes)
            assert np.array_equal(flat(values[r])[inside.reshape(-1)], flat(values[t])), f"%{t} in %{r}\n{graph}"
            steps = np.diff(inside[:, 0]) if inside.size else []
            assert all(step == stride(graph, parents, t) for step in steps), f"%{t}\n{graph}"


@pytest.mark.parametrize("seed", range(120))
def test_bytes_of_one_origin_have_one_value(seed: int) -> None:
    graph = Grower(seed).graph()
    values = interpreter.run(graph, interpreter.random_inputs(graph, seed))
    known = origins(graph)
    for t in values:
        owner, index = (each.reshape(-1) for each in origin(graph, known, t))
        source = np.empty(owner.shape, np.uint8)
        for each in np.unique(owner):
            source[owner == each] = flat(values[int(each)])[index[owner == each]]
        assert np.array_equal(source, flat(values[t])), f"%{t}\n{graph}"
    assert set(lineage(graph)) <= {t for t in values if t in known or root(lineage(graph), t) != t}


@pytest.mark.parametrize("seed", range(120))
def test_what_a_caller_passes_or_gets_lies_in_one_piece(seed: int) -> None:
    graph = Grower(seed).graph()
    parents = lineage(graph)
    assert not parents.keys() & set(graph.inputs)
    assert all(dense(graph, parents, t) for t in graph.outputs)


@pytest.fixture
def b() -> Builder:
    return Builder("pieces")


def test_a_slice_of_rows_and_a_concatenation_of_channels_have_windows(b: Builder) -> None:
    x = b.relu(b.input((1, 6, 2, 4), QUANT), quant=QUANT)
    rows = b.slice(x, (0, 2, 0, 0), (1, 3, 2, 4))
    y = b.conv2d(rows, 3, 1, quant=QUANT)
    both = b.concatenation([y, b.relu(y, quant=QUANT)], 3)
    graph = b.build(b.relu(both, quant=QUANT))
    parents = lineage(graph)
    assert parents[place(graph, rows)] == Parent(place(graph, x), Window(2, 0))
    assert place(graph, y) not in parents  # two pixels a row: its channels do not lie together
    column = Builder("column")
    z = column.relu(column.input((1, 6, 1, 3), QUANT), quant=QUANT)
    joined = column.concatenation([z, column.relu(z, quant=QUANT)], 3)
    graph = column.build(column.relu(joined, quant=QUANT))
    assert lineage(graph)[place(graph, z)] == Parent(place(graph, joined), Window(0, 0))
    inside = bytes_in_root(graph, lineage(graph), place(graph, z))
    assert inside.tolist() == [[6 * row, 6 * row + 1, 6 * row + 2] for row in range(6)]


def test_a_tensor_lies_in_one_other_at_most(b: Builder) -> None:
    x, z = (b.relu(b.input((1, 3, 2, 4), QUANT), quant=QUANT) for _ in range(2))
    first, second = b.concatenation([x, z], 1), b.concatenation([z, x], 1)
    graph = b.build([b.relu(first, quant=QUANT), b.relu(second, quant=QUANT)])
    assert {p.tensor for p in lineage(graph).values()} == {place(graph, first)}


def test_a_tensor_joined_with_itself_has_no_place(b: Builder) -> None:
    x = b.relu(b.input((1, 3, 2, 4), QUANT), quant=QUANT)
    graph = b.build(b.concatenation([x, x], 1))
    assert lineage(graph) == {}


def test_an_input_of_the_graph_is_not_moved_into_a_concatenation(b: Builder) -> None:
    x = b.input((1, 3, 2, 4), QUANT)
    graph = b.build(b.concatenation([x, b.relu(x, quant=QUANT)], 1))
    assert lineage(graph) == {}


def test_a_view_of_a_piece_with_gaps_is_copied_but_has_its_origin(b: Builder) -> None:
    x = b.input((1, 2, 8, 3), QUANT)
    piece = b.slice(x, (0, 0, 7, 0), (1, 2, 1, 3))
    turned = b.reshape(piece, (1, 6))
    graph = b.build(turned)
    assert place(graph, turned) not in lineage(graph)
    assert place(graph, turned) in lineage(graph, windows=False)
    owner, index = origins(graph)[place(graph, turned)]
    assert set(owner.reshape(-1).tolist()) == {place(graph, x)}
    assert index.tolist() == [[21, 22, 23, 45, 46, 47]]


def test_pieces_of_pieces_have_one_root(b: Builder) -> None:
    x = b.input((1, 9, 2, 4), QUANT)
    halves = b.slice(b.slice(x, (0, 2, 0, 0), (1, 6, 2, 4)), (0, 1, 0, 0), (1, 3, 2, 4))
    graph = b.build(b.relu(b.reshape(halves, (1, 3, 4, 2)), quant=QUANT))
    parents = lineage(graph)
    inside = bytes_in_root(graph, parents, graph.nodes[-1].inputs[0])
    assert inside.reshape(-1).tolist() == list(range(24, 48))


@pytest.mark.parametrize("through", ["a view", "a view of a piece", "an output"])
def test_who_is_seen_without_gaps_is_not_moved_to_where_it_has_some(b: Builder, through: str) -> None:
    x = b.relu(b.input((1, 6, 1, 2), QUANT), quant=QUANT)
    seen = x if through == "a view" else b.slice(x, (0, 1, 0, 0), (1, 3, 1, 2))
    if through != "an output":
        seen = b.fully_connected(b.reshape(seen, (1, seen.elements)), 3, quant=QUANT)
    graph = b.build([b.concatenation([x, b.relu(x, quant=QUANT)], 3), seen])
    parents = lineage(graph)
    assert place(graph, x) not in parents
    assert all(dense(graph, parents, t) for t in graph.outputs)
