"""What it costs to run a segment of a network, whole tensors or row by row: bytes at the worst moment, instructions.

Nothing is placed for that: the bytes are those that are truly live at each kernel call. All segments that end at a
node are costed together, because the calls of a shorter one are among those of a longer one, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from refsim.graph import Graph, KernelCall, Rows
from refsim.memsim.assemble import Segment
from refsim.memsim.inplace import BY_ROWS, dropped, last_uses, replaced
from refsim.memsim.lineage import lineage, root
from refsim.memsim.stream import Schedule, ring_fits, schedule
from refsim.memsim.transforms import INPLACE, OVERLAP, STREAM, Effort
from refsim.memsim.work import Work

LONGEST = 28  # nodes of a segment
ROWS_AT_ONCE = (1, 2, 4)
Series = NDArray[np.int64]  # bytes, by kernel call


class Option(NamedTuple):
    """A way to run a segment: rows at once (0: whole tensors), bytes at its worst moment, extra instructions."""

    segment: Segment
    rows: int
    nbytes: int
    extra: float


class Segments:
    """The segments of one graph, under the transformations allowed. Inputs that are `outside` count for nothing."""

    def __init__(
        self,
        graph: Graph,
        calls: Sequence[KernelCall],
        effort: Effort,
        inplace: bool,
        outside: frozenset[int] = frozenset(),
    ) -> None:
        self.graph, self.calls, self.effort, self.inplace, self.outside = graph, calls, effort, inplace, outside
        self.work = Work(graph, self.calls)
        self.count = len(graph.nodes)
        self.parents = lineage(graph, windows=inplace)
        self.dropped = dropped(graph, self.parents)
        self.replaced = replaced(graph, self.parents) if inplace else {}
        self.last_use = last_uses(graph, self.parents)
        self.needed = cache(self._needed)

    def _needed(self, node: int, index: int, begin: int, end: int) -> Rows:
        """Rows of input `index` that a call of a node reads."""
        n = self.graph.nodes[node]
        return n.operator.input_rows(self.graph.call(n), index, (begin, end))

    def options(self) -> Iterator[Option]:
        """Every way to run every segment that is worth a thought."""
        found = [option for option in self._all() if option.segment[-1] not in self.bringing]
        yield from found
        carried = {n for option in found for n in option.segment}
        yield from (Option((n,), 0, self.wholes[n], 0.0) for n in sorted(self.bringing - carried))

    @cached_property
    def bringing(self) -> frozenset[int]:
        """Nodes that bring in what lies outside, and have to run with those behind them where these can run by rows."""
        readers = (n for t in self.outside for n in self.graph.consumers.get(t, ()))
        return frozenset(n for n in readers if n + 1 < self.count and self.longest > 1 and self.streamable(n + 1))

    def _all(self) -> Iterator[Option]:
        for n in range(self.count):
            yield Option((n,), 0, self.wholes[n], 0.0)
        for last in range(self.count):
            first = self.first(last)
            if first <= last and max(self.wholes[first : last + 1]) > self.floor:
                for rows in ROWS_AT_ONCE:
                    yield from _Suffixes(self, first, last, rows).options()

    def first(self, last: int) -> int:
        """Where the longest segment that ends at node `last` begins; last + 1 when it cannot run by rows at all."""
        first = last + 1
        while first > max(0, last + 1 - self.longest) and self.streamable(first - 1):
            first -= 1
        return first

    @cached_property
    def longest(self) -> int:
        """Nodes that may run by rows together; 0: none at all, not even alone."""
        if not self.effort.most_extra:
            return 0
        if STREAM in self.effort.transforms:
            return LONGEST
        return 1 if {OVERLAP, INPLACE} & self.effort.transforms else 0

    def streamable(self, n: int) -> bool:
        node = self.graph.nodes[n]
        if n in self.dropped or len(node.outputs) != 1 or self.graph.tensors[node.outputs[0]].rows <= 1:
            return False
        return bool({OVERLAP, STREAM} & self.effort.transforms) or node.operator.name in BY_ROWS

    @cached_property
    def floor(self) -> int:
        """What no program can avoid: the inputs, or the outputs, whole."""
        both = (self.graph.inputs, self.graph.outputs)
        return max(sum(map(self.nbytes, end)) for end in both)

    @cached_property
    def wholes(self) -> tuple[int, ...]:
        """By node: bytes live while it runs at once."""
        return tuple(map(self._whole, range(self.count)))

    def _whole(self, n: int) -> int:
        node = self.graph.nodes[n]
        touched = {self.root(t) for t in (*self.graph.activations(node), *node.outputs)}
        held = sum(self.nbytes(t) for t in touched if t != node.outputs[0] or t not in self.replaced)
        own = 0 if n in self.dropped else self.calls[n].scratch
        return held + self.passing(n, n, touched) + own

    def nbytes(self, tensor: int) -> int:
        return 0 if tensor in self.outside else self.graph.tensors[tensor].nbytes

    def root(self, tensor: int) -> int:
        return root(self.parents, tensor)

    def passing(self, first: int, last: int, touched: set[int]) -> int:
        """Bytes of tensors that are made before and read after, and not touched in between."""
        over = (t for t in self.alive[first] if t not in touched and self.last_use.get(t, -1) > last)
        return sum(map(self.nbytes, over))

    @cached_property
    def alive(self) -> tuple[tuple[int, ...], ...]:
        """By node: the roots that are live when it begins."""
        begun: dict[int, list[int]] = {}
        for t, n in self.first_use.items():
            begun.setdefault(n, []).append(t)
        live, found = list(begun.get(-1, ())), []
        for n in range(self.count):
            live = [t for t in live if self.last_use.get(t, -1) >= n]
            found.append(tuple(live))
            live += begun.get(n, ())
        return tuple(found)

    @cached_property
    def first_use(self) -> dict[int, int]:
        """Root -> position of the first node that writes a piece of it; -1 for inputs."""
        found = dict.fromkeys(map(self.root, self.graph.inputs), -1)
        for n, node in enumerate(self.graph.nodes):
            for t in node.outputs:
                found.setdefault(self.root(t), n)
        return found


@dataclass(frozen=True)
class _Suffixes:
    """The segments [first, last], [first + 1, last], ... [last, last], with so many rows at once."""

    costs: Segments
    first: int
    last: int
    rows: int

    @cached_property
    def plan(self) -> Schedule:
        return schedule(self.costs.graph, range(self.first, self.last + 1), self.rows)

    @cached_property
    def calls_of(self) -> Mapping[int, NDArray[np.intp]]:
        """Node -> which of the calls are its own."""
        nodes = np.array([event.node for event in self.plan.events])
        return {n: np.flatnonzero(nodes == n) for n in range(self.first, self.last + 1)}

    def options(self) -> Iterator[Option]:
        """From the shortest to the longest that the kernels can address."""
        costs = self.costs
        held = np.zeros(len(self.plan.events), np.int64)  # by rings, outputs so far, and scratch
        runs = np.zeros(held.shape, np.bool_)  # whether a call belongs to the segment
        left: dict[int, Series] = {}  # bytes of each tensor that the calls from here on still read
        extra = 0.0
        for n in range(self.last, self.first - 1, -1):
            if not self._addressable(n):
                return
            y = costs.graph.nodes[n].outputs[0]
            left.pop(y, None)
            self._read(n, left)
            if y not in costs.parents:
                held += self._written(n)
            held[self.calls_of[n]] += costs.calls[n].scratch
            runs[self.calls_of[n]] = True
            begins, extra = extra + self._extra(n, ring_in=False), extra + self._extra(n, ring_in=True)
            if max(costs.wholes[n : self.last + 1]) > costs.floor:
                segment = tuple(range(n, self.last + 1))
                yield Option(segment, self.rows, self._worst(segment, held, runs, left), begins)

    def _addressable(self, n: int) -> bool:
        y = self.costs.graph.nodes[n].outputs[0]
        return y not in self.plan.rings or ring_fits(self.costs.graph, y, self.plan.rings[y])

    def _extra(self, n: int, ring_in: bool) -> float:
        """Instructions of node n's calls beyond one for all its rows."""
        ring_out = self.costs.graph.nodes[n].outputs[0] in self.plan.rings
        return self.costs.work.by_rows(n, self._intervals(n), ring_in, ring_out)

    def _intervals(self, n: int) -> list[Rows]:
        """The output rows of node n's calls."""
        events = self.plan.events
        return [(events[i].begin, events[i].end) for i in self.calls_of[n]]

    def _written(self, n: int) -> Series:
        """Bytes that node n's output holds at each call, from its first on."""
        tensor, ends = self.costs.graph.nodes[n].outputs[0], [end for _, end in self._intervals(n)]
        t = self.costs.graph.tensors[tensor]
        grown = np.zeros(len(self.plan.events), np.int64)
        grown[self.calls_of[n]] = np.minimum(ends, self.plan.rings.get(tensor, t.rows)) * t.row_bytes
        return np.maximum.accumulate(grown)

    def _read(self, n: int, left: dict[int, Series]) -> None:
        """Note what node n still has to read of each input, at each call."""
        graph = self.costs.graph
        node = graph.nodes[n]
        for index, tensor in enumerate(node.inputs):
            if tensor >= 0 and graph.tensors[tensor].data is None:
                t, series = graph.tensors[tensor], np.zeros(len(self.plan.events), np.int64)
                series[self.calls_of[n]] = t.nbytes - t.row_bytes * np.array(self._lowest(n, index), np.int64)
                series = np.maximum.accumulate(series[::-1])[::-1]
                left[tensor] = np.maximum(left[tensor], series) if tensor in left else series

    def _lowest(self, n: int, index: int) -> Sequence[int]:
        """The first row of an input that each call of node n reads."""
        return [self.costs.needed(n, index, *rows)[0] for rows in self._intervals(n)]

    def _worst(self, segment: Segment, held: Series, runs: NDArray[np.bool_], left: Mapping[int, Series]) -> int:
        """Bytes live at the worst moment of a segment."""
        costs = self.costs
        pieces = {costs.graph.nodes[n].outputs[0] for n in segment} & costs.parents.keys()
        roots = {costs.root(t) for t in (*left, *pieces)}
        # A root that is read through a piece of itself is taken to stay: which of its rows are dead is not followed.
        dying = {t for t in left if t in roots and costs.last_use.get(t, -1) <= segment[-1]}
        moments = sum((left[t] for t in dying - costs.outside), start=held)
        stays = sum(map(costs.nbytes, roots - dying))
        return int(moments[runs].max()) + stays + costs.passing(segment[0], segment[-1], roots)
