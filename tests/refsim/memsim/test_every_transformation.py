"""Random graphs through every transformation and every planner: the program is right, and not below its bound."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from codegen.build import make_program
from refsim import interpreter, passes
from refsim.graph import Array, Graph
from refsim.int8ops.numerics import TFLM
from refsim.memsim import transforms
from refsim.memsim.assemble import Segment, Streams, assemble
from refsim.memsim.lifetime import lower, placed
from refsim.memsim.lineage import origin, origins
from refsim.memsim.patch import PATCHES, patched, stages
from refsim.memsim.planners import PLANNERS
from refsim.memsim.planners.optimal import solve
from refsim.memsim.program import Program
from refsim.memsim.segments import Segments
from tests.system.random_graphs import Grower

SEEDS = range(int(os.environ.get("REFSIM_RANDOM_PROGRAMS", "80")))
FIRST = int(os.environ.get("REFSIM_RANDOM_PROGRAMS_FROM", "0"))
QUICK = [name for name in PLANNERS if name != "optimal"]
OPTIMAL_EVERY, OPTIMAL_SECONDS = 10, 0.5
TRANSFORMS = (
    "none",
    "order",
    "inplace",
    "order,inplace",
    "overlap",
    "order,inplace,overlap",
    "stream",
    "order,inplace,overlap,stream",
    "patch",
    "order,inplace,overlap,patch,stream",
)


def programs(graph: Graph, seed: int) -> Iterator[tuple[str, Program]]:
    """Every set of transformations with one planner, and what one of `--optimize`'s words chooses."""
    planner = QUICK[seed % len(QUICK)]
    for named in TRANSFORMS:
        yield f"{named}, {planner}", make_program(graph, planner=planner, transforms=named)
    optimize = list(transforms.OPTIMIZE)[seed // len(QUICK) % len(transforms.OPTIMIZE)]
    yield f"{optimize}, {planner}", make_program(graph, planner=planner, optimize=optimize)


def bytes_of_all(graph: Graph, tensors: Sequence[int]) -> int:
    """Bytes of these tensors together, copies of one byte counted once."""
    known = origins(graph)
    pairs = [np.stack([each.reshape(-1) for each in origin(graph, known, t)]) for t in tensors]
    return int(np.unique(np.concatenate(pairs, axis=1), axis=1).shape[1])


def assert_right(program: Program, inputs: Sequence[Array], expected: Sequence[Array]) -> None:
    program.verify()
    for got, want in zip(interpreter.run_program(program, inputs), expected, strict=True):
        assert got.tobytes() == want.tobytes(), "the program gives another answer than the graph"
    plan, graph = program.placed, program.graph
    assert program.arena_bytes == plan.nbytes >= plan.lower_bound
    assert plan.nbytes >= sum(graph.tensors[i].nbytes for i in graph.inputs)
    assert plan.nbytes >= bytes_of_all(graph, graph.outputs)


@pytest.fixture(autouse=True)
def short_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the planners search is no matter here."""
    module = importlib.import_module("refsim.memsim.planners.hill_climb")
    monkeypatch.setattr(module, "MOST_TRIES", 60)


@pytest.mark.parametrize("seed", [FIRST + n for n in SEEDS])
def test_a_random_graph_keeps_its_answer_within_its_bound(seed: int) -> None:
    graph = Grower(seed).graph()
    inputs = interpreter.random_inputs(graph, seed)
    expected = interpreter.outputs(graph, interpreter.run(graph, inputs))
    known: set[str] = set()
    sizes: dict[str, int] = {}
    for how, program in programs(graph, seed):
        sizes[how] = program.arena_bytes
        if str(program) not in known:
            known.add(str(program))
            try:
                assert_right(program, inputs, expected)
            except Exception as error:
                raise AssertionError(f"{how}: {error}\n{graph}\n{program}") from error
    none = next(iter(sizes.values()))
    assert all(nbytes <= none for nbytes in sizes.values()), f"more bytes than with none: {sizes}\n{graph}"
    if seed % OPTIMAL_EVERY == 0 and importlib.util.find_spec("scipy"):
        assert_right(best(program), inputs, expected)


def best(program: Program) -> Program:
    """The program as the planner `optimal` places it, after a moment's search, and what it proves about it."""
    plan = program.placed
    found = solve(plan.ranges, OPTIMAL_SECONDS, plan.slack, plan.offsets)
    assert plan.lower_bound <= found.nbytes <= plan.nbytes
    assert found.lower_bound <= found.nbytes
    return replace(program, plan=replace(plan, offsets=found.offsets))


@pytest.mark.parametrize("seed", [FIRST + n for n in SEEDS])
def test_any_cut_keeps_the_answer_whether_the_search_would_take_it_or_not(seed: int) -> None:
    draw = Random(seed)
    graph = passes.optimise(Grower(seed).graph(), TFLM)
    inputs = interpreter.random_inputs(graph, seed)
    expected = interpreter.outputs(graph, interpreter.run(graph, inputs))
    for _ in range(4):
        inplace = draw.randrange(2) == 1
        mine = in_patches(graph, draw) if draw.randrange(2) else in_order(graph, draw)
        segments, streams = cut(mine, inplace, draw)
        made = assemble(mine, lower(mine, TFLM), segments, streams, inplace)
        program = placed(made, PLANNERS[draw.choice(QUICK)])
        try:
            assert_right(program, inputs, expected)
        except Exception as error:
            raise AssertionError(f"{segments} {streams}: {error}\n{mine}\n{program}") from error


def in_patches(graph: Graph, draw: Random) -> Graph:
    """Any number of its first nodes in any number of patches; as it is where that cannot be."""
    many = list(stages(graph))
    return (patched(graph, draw.choice(many), draw.choice(PATCHES)) if many else None) or graph


def in_order(graph: Graph, draw: Random) -> Graph:
    """Its nodes in any order in which they can run."""
    known, left, order = set(graph.inputs), list(range(len(graph.nodes))), []
    while left:
        n = draw.choice([n for n in left if known.issuperset(graph.activations(graph.nodes[n]))])
        left.remove(n)
        order.append(graph.nodes[n])
        known.update(graph.nodes[n].outputs)
    return replace(graph, nodes=tuple(order))


def cut(graph: Graph, inplace: bool, draw: Random) -> tuple[list[Segment], Streams]:
    """Runs of neighbouring nodes, by rows where that is possible and the dice say so."""
    allowed = transforms.effort("sram", ",".join(transforms.NAMES))
    able = Segments(graph, lower(graph, TFLM), allowed, inplace).streamable
    segments: list[Segment] = []
    streams: Streams = {}
    for n in range(len(graph.nodes)):
        if segments and segments[-1] in streams and able(n) and draw.randrange(4):
            rows = streams.pop(segments[-1])
            segments[-1] = (*segments[-1], n)
            streams[segments[-1]] = rows
        else:
            segments.append((n,))
            if able(n) and draw.randrange(3):
                streams[segments[-1]] = draw.randint(1, 4)
    return segments, streams
