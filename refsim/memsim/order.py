"""The order of a graph's nodes that needs least memory at its worst moment, each node running at once.

Level by level over the sets of nodes that can be done: of the ways to reach a set the best is kept, so the answer is
exact while a level has at most `WIDTH` sets; beyond, only the most promising are followed (a beam). Chains have one set
a level and cost nothing.

Source: dynamic programming over the ideals of a partial order, as in Ahn et al., "Ordering Chaos", MLSys 2020, without
their budgets; the beam is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from refsim.graph import Graph, KernelCall
from refsim.memsim.inplace import replaced
from refsim.memsim.lineage import lineage, root

WIDTH = 4096  # sets of done nodes followed a level in graphs of SMALL nodes or fewer
BEAM = 64  # in larger ones
SMALL = 64


@dataclass(frozen=True, slots=True)
class Ordered:
    """The graph with its nodes in the best order found, and where each was before.

    `exact`: no order has a lower worst moment, with tensors in place where the graph as given lets them.
    """

    graph: Graph
    order: tuple[int, ...]
    nbytes: int
    exact: bool

    @classmethod
    def as_given(cls, graph: Graph, nbytes: int = 0, exact: bool = False) -> Ordered:
        return cls(graph, tuple(range(len(graph.nodes))), nbytes, exact)


@dataclass(frozen=True, slots=True)
class _State:
    """A set of done nodes, reached in some order: bytes at the worst moment so far, and those that are live."""

    peak: int
    live: int
    ready: frozenset[int]
    last: int  # the node done last
    before: _State | None


def ordered(graph: Graph, calls: Sequence[KernelCall], inplace: bool = False, width: int | None = None) -> Ordered:
    """Reorder the nodes. `calls` for their scratch; `inplace` as for `memsim.assemble`; `width` of the beam."""
    problem = _Problem(graph, calls, inplace)
    limit = width or (WIDTH if len(graph.nodes) <= SMALL else BEAM)
    level, exact = {0: problem.start()}, True
    for _ in graph.nodes:
        level = problem.grown(level)
        if len(level) > limit:
            exact = False
            kept = sorted(level, key=lambda done: (level[done].peak, level[done].live, done))[:limit]
            level = {done: level[done] for done in kept}
    (end,) = level.values()
    order = tuple(_path(end))[::-1]
    given = problem.peak(range(len(graph.nodes)))
    if given <= end.peak:  # as it was, where nothing is gained
        return Ordered.as_given(graph, given, exact)
    return Ordered(replace(graph, nodes=tuple(graph.nodes[n] for n in order)), order, end.peak, exact)


def _path(state: _State) -> Iterator[int]:
    while state.before is not None:
        yield state.last
        state = state.before


class _Problem:
    """What running a node changes: which bytes appear, and which nobody needs afterwards."""

    def __init__(self, graph: Graph, calls: Sequence[KernelCall], inplace: bool) -> None:
        self.graph, self.calls = graph, calls
        self.parents = lineage(graph, windows=inplace)
        self.replaced = replaced(graph, self.parents) if inplace else {}
        self.fixed = {root(self.parents, t) for t in graph.outputs}

    @cached_property
    def readers(self) -> Mapping[int, int]:
        """Root -> set of the nodes that read a piece of it."""
        found: dict[int, int] = {}
        for t, nodes in self.graph.consumers.items():
            r = root(self.parents, t)
            found[r] = found.get(r, 0) | sum(1 << n for n in nodes)
        return found

    @cached_property
    def unread(self) -> tuple[int, ...]:
        """Inputs that no node reads: they are gone once the first has run."""
        roots = dict.fromkeys(root(self.parents, t) for t in self.graph.inputs)
        return tuple(r for r in roots if not self.readers.get(r))

    @cached_property
    def makers(self) -> Mapping[int, int]:
        """Root -> set of the nodes that write a piece of it."""
        found: dict[int, int] = {}
        for t, n in self.graph.producers.items():
            r = root(self.parents, t)
            found[r] = found.get(r, 0) | 1 << n
        return found

    @cached_property
    def after(self) -> Sequence[tuple[int, ...]]:
        return tuple(
            tuple(dict.fromkeys(k for t in node.outputs for k in self.graph.consumers.get(t, ())))
            for node in self.graph.nodes
        )

    @cached_property
    def needs(self) -> Sequence[int]:
        """By node: the set of nodes that have to run before."""
        made = self.graph.producers
        return tuple(sum(1 << n for n in {made[t] for t in node.inputs if t in made}) for node in self.graph.nodes)

    @cached_property
    def touched(self) -> Sequence[tuple[tuple[int, ...], tuple[int, ...]]]:
        """By node: roots that it reads, roots that it writes."""
        found = []
        for node in self.graph.nodes:
            reads = {root(self.parents, t) for t in self.graph.activations(node)}
            found.append((tuple(reads), tuple({root(self.parents, t) for t in node.outputs} - reads)))
        return found

    def start(self) -> _State:
        ready = frozenset(n for n, needs in enumerate(self.needs) if not needs)
        held = sum(self.graph.tensors[t].nbytes for t in self.graph.inputs)
        return _State(held, held, ready, -1, None)

    def grown(self, level: Mapping[int, _State]) -> dict[int, _State]:
        found: dict[int, _State] = {}
        for done, state in level.items():
            for n in state.ready:
                after = done | 1 << n
                reached = self.run(state, done, n)
                known = found.get(after)
                if known is None or (reached.peak, reached.live) < (known.peak, known.live):
                    found[after] = reached
        return found

    def run(self, state: _State, done: int, n: int) -> _State:
        after = done | 1 << n
        reads, writes = self.touched[n]
        fresh = sum(self.size(r) for r in writes if not self.makers[r] & done)
        ended = (*reads, *writes) if done else {*reads, *writes, *self.unread}
        dead = sum(self.size(r) for r in ended if self.is_dead(r, after))
        swapped = self.replaced.get(self.graph.nodes[n].outputs[0])
        saved = self.size(swapped) if swapped is not None and self.is_dead(swapped, after) else 0
        moment = state.live + fresh - saved + self.calls[n].scratch
        ready = (state.ready - {n}) | {k for k in self.after[n] if self.needs[k] & after == self.needs[k]}
        return _State(max(state.peak, moment), state.live + fresh - dead, ready, n, state)

    def size(self, r: int) -> int:
        return self.graph.tensors[r].nbytes

    def is_dead(self, r: int, done: int) -> bool:
        return r not in self.fixed and not self.readers.get(r, 0) & ~done

    def peak(self, order: Sequence[int]) -> int:
        """Bytes at the worst moment of one order."""
        state, done = self.start(), 0
        for n in order:
            state, done = self.run(state, done, n), done | 1 << n
        return state.peak
