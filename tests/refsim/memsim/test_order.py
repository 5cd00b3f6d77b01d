"""The order of nodes against every other order there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

import pytest

from refsim import interpreter, passes
from refsim.builder import Builder
from refsim.graph import Graph, KernelCall, Tensor
from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import live_ranges, lower, whole_tensor_program
from refsim.memsim.lineage import lineage, root
from refsim.memsim.order import ordered
from refsim.memsim.plan import Plan
from tests.system.random_graphs import Grower

QUANT = (0.1, 0)
LONGEST = 8  # nodes of a graph whose orders are all tried


def dag(seed: int) -> Graph:
    """Up to eight nodes that read what is there already; no views."""
    draw, b = Random(seed), Builder(f"dag {seed}", seed=seed)
    pool = [b.input((1, 2, 2, draw.randint(1, 30)), QUANT) for _ in range(draw.randint(1, 2))]
    for _ in range(draw.randint(2, LONGEST)):
        x, z = draw.choice(pool), draw.choice(pool)
        kind = draw.randrange(3)
        if kind == 0 and x.shape == z.shape:
            y = b.add(x, z, quant=QUANT)
        elif kind == 1:
            y = b.concatenation([x, z], 3)
        else:
            y = b.conv2d(x, draw.randint(1, 40), 1, quant=QUANT)
        pool.append(y)
    ends = [pool[-1], *draw.sample(pool[1:-1], min(len(pool) - 2, draw.randint(0, 2)))]
    return b.build(list(dict.fromkeys(ends)))


def orders(graph: Graph, done: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Every order in which the nodes can run."""
    if len(done) == len(graph.nodes):
        yield done
    known = {t for n in done for t in graph.nodes[n].outputs} | set(graph.inputs)
    for n, node in enumerate(graph.nodes):
        if n not in done and all(t in known for t in graph.activations(node)):
            yield from orders(graph, (*done, n))


def worst_moment(graph: Graph, calls: Sequence[KernelCall], order: Sequence[int]) -> int:
    """Bytes: each tensor from the node that makes it to the last that reads it, views of another not counted."""
    parents = lineage(graph, windows=False)
    at = {n: moment for moment, n in enumerate(order)}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for t in graph.inputs:
        first[t] = last[t] = 0
    for n, node in enumerate(graph.nodes):
        for t in (*graph.activations(node), *node.outputs):
            r = root(parents, t)
            first[r], last[r] = min(first.get(r, at[n]), at[n]), max(last.get(r, at[n]), at[n])
    for t in graph.outputs:
        last[root(parents, t)] = len(order)
    for t in graph.inputs:
        first[t] = 0
    moments, start = range(len(order)), sum(graph.tensors[t].nbytes for t in graph.inputs)
    held = [sum(graph.tensors[r].nbytes for r in first if first[r] <= now <= last[r]) for now in moments]
    return max((held[now] + calls[n].scratch for now, n in enumerate(order)), default=start)


@pytest.mark.parametrize("seed", range(80))
def test_no_other_order_needs_less(seed: int) -> None:
    graph = dag(seed) if seed % 4 else small(seed)
    calls = lower(graph, TFLM)
    best = ordered(graph, calls)
    assert best.exact
    assert best.nbytes == min(worst_moment(graph, calls, order) for order in orders(graph)), f"{graph}"
    assert best.nbytes == worst_moment(best.graph, lower(best.graph, TFLM), range(len(graph.nodes)))


def small(seed: int) -> Graph:
    """Any graph of a few nodes, with views, unread inputs and nodes of several outputs."""
    seeds = (10_000 * seed + k for k in range(1000))
    graphs = (passes.optimise(Grower(s).graph(), TFLM) for s in seeds)
    return next(g for g in graphs if 3 <= len(g.nodes) <= LONGEST - 1)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_the_worst_moment_is_the_bound_of_the_program_in_that_order(seed: int, inplace: bool) -> None:
    graph = passes.optimise(Grower(seed).graph(), TFLM)
    best = ordered(graph, lower(graph, TFLM), inplace)
    ranges = live_ranges(whole_tensor_program(best.graph, lower(best.graph, TFLM), inplace))
    assert Plan(ranges, ()).lower_bound == best.nbytes, f"{best.graph}"


@pytest.mark.parametrize("seed", range(60))
def test_a_narrow_beam_is_never_worse_than_the_given_order_nor_better_than_a_wide_one(seed: int) -> None:
    graph = passes.optimise(Grower(seed).graph(), TFLM)
    calls = lower(graph, TFLM)
    given, wide = worst_moment(graph, calls, range(len(graph.nodes))), ordered(graph, calls)
    for width in (1, 2, 5):
        beam = ordered(graph, calls, width=width)
        assert wide.nbytes <= beam.nbytes <= given if wide.exact else beam.nbytes <= given
        assert beam.nbytes == wide.nbytes or not beam.exact
    assert sorted(map(id, wide.graph.nodes)) == sorted(map(id, graph.nodes))
    wide.graph.verify()
    assert wide.nbytes < given or wide.graph is graph  # as it was, where nothing is gained


@pytest.mark.parametrize("seed", range(20))
def test_another_order_gives_the_same_answer(seed: int) -> None:
    graph = dag(seed)
    inputs = interpreter.random_inputs(graph, seed)
    found = interpreter.run(ordered(graph, lower(graph, TFLM)).graph, inputs)
    for t, value in interpreter.run(graph, inputs).items():
        assert found[t].tobytes() == value.tobytes()


def widths(b: Builder, x: Tensor, *channels: int) -> Tensor:
    for count in channels:
        x = b.conv2d(x, count, 1, quant=QUANT)
    return x


def test_the_branch_that_swells_runs_before_the_one_that_stays_large() -> None:
    b = Builder("branches")
    x = b.input((1, 4, 4, 4), QUANT)
    large, swelling = widths(b, x, 32), widths(b, x, 64, 4)
    graph = b.build(b.concatenation([large, swelling], 3))
    best = ordered(graph, lower(graph, TFLM))
    assert [graph.nodes.index(node) for node in best.graph.nodes] == [1, 2, 0, 3]


def test_a_node_may_read_several_outputs_of_another() -> None:
    b = Builder("split")
    parts = b.split(b.input((1, 4, 4, 4), QUANT), 2, 1)
    graph = b.build(b.concatenation(parts[::-1], 1))
    assert ordered(graph, lower(graph, TFLM)).exact


def test_an_input_that_nobody_reads_is_gone_after_the_first_node() -> None:
    b = Builder("unread")
    b.input((1, 10, 10, 9), QUANT, name="unread")
    x = b.input((1, 2, 2, 1), QUANT)
    graph = b.build(widths(b, x, 2, 100, 2))
    calls = lower(graph, TFLM)
    assert ordered(graph, calls).nbytes == worst_moment(graph, calls, range(3))
    assert ordered(replace(graph, inputs=graph.inputs[1:]), calls).nbytes < 900


def test_a_graph_without_nodes_has_an_order() -> None:
    b = Builder("nothing")
    graph = b.build(b.input((1, 4), QUANT))
    assert ordered(graph, ()).graph is graph
