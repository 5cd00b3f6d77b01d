"""Which chains to stream: the cut of a network into segments that needs little memory at its worst moment.

Dynamic programming over cut points. A segment is costed without placing anything, by the bytes that are truly live at
each of its calls: the rows of its input that are still to be read, what its rings and outputs hold so far, scratch,
and the tensors that pass it by. Running row by row also costs instructions, which are estimated; among the cuts within
a limit of bytes the one with the fewest is taken. A few limits are placed by a planner, and the best result is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from typing import NamedTuple

from refsim.graph import Graph, KernelCall, Rows
from refsim.memsim.assemble import Segment, assemble
from refsim.memsim.lifetime import planned
from refsim.memsim.planners.hill_climb import hill_climb
from refsim.memsim.program import Program
from refsim.memsim.stream import Schedule, ring_fits, schedule

LONGEST = 28  # nodes of a segment
ROWS_AT_ONCE = (1, 2, 4)
LIMITS = (1.0, 1.05, 1.1, 1.2, 1.3, 1.5, 2.0)  # times the least worst moment

REFINED = 4  # of the smallest programs, whose placing is searched further

# Instructions, as measured on a Cortex-M4 with both compilers: of a call, of a byte that a depthwise convolution
# gathers into its scratch again, of a product.
CALL, GATHER, PRODUCT = 90, 2.0, 1.1


class Option(NamedTuple):
    """A way to run a segment: rows at once (0: whole tensors), bytes at its worst moment, extra instructions."""

    segment: Segment
    rows: int
    nbytes: int
    extra: float


Cut = tuple[Option, ...]


def least_sram(graph: Graph, calls: Sequence[KernelCall], most_extra: float | None = None) -> Program:
    """The Program of least SRAM that was found, with its plan.

    `most_extra`: the share of instructions that streaming may add, as estimated; None for any.
    """
    search = _Search(graph, calls)
    budget = float("inf") if most_extra is None else most_extra * PRODUCT * max(graph.macs, 1)
    cuts = [cut for cut in dict.fromkeys(search.cuts()) if sum(option.extra for option in cut) <= budget]
    placed = sorted((planned(search.program(cut)) for cut in cuts), key=lambda program: program.arena_bytes)
    refined = (planned(program, hill_climb) for program in placed[:REFINED])
    return min((*placed, *refined), key=lambda program: program.arena_bytes)


class _Search:
    def __init__(self, graph: Graph, calls: Sequence[KernelCall]) -> None:
        self.graph, self.calls = graph, calls
        self.count = len(graph.nodes)
        self.last_use = {t: max(ns, default=-1) for t, ns in graph.consumers.items()}
        self.last_use |= dict.fromkeys(graph.outputs, self.count)
        self.root: dict[int, int] = {}  # view -> the tensor whose bytes it is
        for n, node in enumerate(graph.nodes):
            if self.is_view(n):
                source = next(iter(graph.activations(node)))
                self.root[node.outputs[0]] = self.root.get(source, source)
        for t, r in self.root.items():  # a view keeps the bytes alive
            self.last_use[r] = max(self.last_use.get(r, -1), self.last_use.get(t, -1))
        self.need = cache(self._need)

    def program(self, cut: Cut) -> Program:
        streams = {option.segment: option.rows for option in cut if option.rows}
        return assemble(self.graph, self.calls, [option.segment for option in cut], streams)

    def cuts(self) -> Iterator[Cut]:
        """Cuts within growing limits of bytes, and the one without streams."""
        least = max((option.nbytes for option in self.best(0)), default=0)
        for limit in (*(int(least * times) for times in LIMITS), 1 << 40):
            yield self.best(limit)

    def best(self, limit: int) -> Cut:
        """Least worst moment, but all within `limit` are equal; among equals the least extra work."""
        reach: list[tuple[int, float, Option | None]] = [(0, 0.0, None)]  # by number of nodes covered
        for end in range(1, self.count + 1):
            reach.append(min((self.joined(reach, option, limit) for option in self.ending[end]), key=lambda r: r[:2]))
        return tuple(self.back(reach))[::-1]

    def joined(
        self, reach: Sequence[tuple[int, float, Option | None]], option: Option, limit: int
    ) -> tuple[int, float, Option]:
        worst, extra, _ = reach[option.segment[0]]
        return max(worst, option.nbytes, limit), extra + option.extra, option

    def back(self, reach: Sequence[tuple[int, float, Option | None]]) -> Iterator[Option]:
        end = self.count
        while end:
            option = reach[end][2]
            assert option is not None
            yield option
            end = option.segment[0]

    @cached_property
    def ending(self) -> tuple[tuple[Option, ...], ...]:
        """Options by the number of nodes that are done when they are."""
        found: list[list[Option]] = [[] for _ in range(self.count + 1)]
        for first in range(self.count):
            for option in self.options(first):
                found[option.segment[-1] + 1].append(option)
        return tuple(map(tuple, found))

    def options(self, first: int) -> Iterator[Option]:
        yield Option((first,), 0, self.wholes[first], 0.0)
        for segment in self.segments(first):
            for rows in ROWS_AT_ONCE:
                plan = schedule(self.graph, segment, rows)
                if all(ring_fits(self.graph, t, held) for t, held in plan.rings.items()):
                    yield Option(segment, rows, self.live(segment, plan), self.extra(plan))

    def segments(self, first: int) -> Iterator[Segment]:
        """Streamable runs from `first` that hold a node worth streaming."""
        for end in range(first + 1, min(self.count, first + LONGEST) + 1):
            if not self.streamable(end - 1):
                return
            if max(self.wholes[first:end]) > self.floor:
                yield tuple(range(first, end))

    @cached_property
    def wholes(self) -> tuple[int, ...]:
        return tuple(map(self.whole, range(self.count)))

    @cached_property
    def floor(self) -> int:
        """What no program can avoid: the inputs, or the outputs, whole."""
        both = (self.graph.inputs, self.graph.outputs)
        return max(sum(self.graph.tensors[t].nbytes for t in end) for end in both)

    def is_view(self, n: int) -> bool:
        node = self.graph.nodes[n]
        return node.operator.is_view(self.graph.call(node))

    def streamable(self, n: int) -> bool:
        return not self.is_view(n) and self.graph.tensors[self.graph.nodes[n].outputs[0]].rows > 1

    def whole(self, n: int) -> int:
        """Bytes live while node n runs at once."""
        node = self.graph.nodes[n]
        touched = {self.root.get(t, t) for t in (*self.graph.activations(node), *node.outputs)}
        held = sum(self.graph.tensors[t].nbytes for t in touched)
        return held + self.passing(n, n, touched) + self.calls[n].scratch

    def passing(self, first: int, last: int, touched: set[int]) -> int:
        """Bytes of tensors that are made before and read after, and not touched in between."""
        made = [*self.graph.inputs, *(t for n in range(first) for t in self.graph.nodes[n].outputs)]
        over = (t for t in made if t not in touched and t not in self.root and self.last_use.get(t, -1) > last)
        return sum(self.graph.tensors[t].nbytes for t in over)

    def live(self, segment: Segment, plan: Schedule) -> int:
        """Bytes live at the worst moment of a streamed segment."""
        graph = self.graph
        inside = {graph.nodes[n].outputs[0] for n in segment}
        outside = {self.root.get(t, t) for n in segment for t in graph.activations(graph.nodes[n]) if t not in inside}
        stays = sum(graph.tensors[t].nbytes for t in outside if self.last_use.get(t, -1) > segment[-1])
        dying = {t for t in outside if self.last_use.get(t, -1) <= segment[-1]}
        passing = self.passing(segment[0], segment[-1], outside)
        return stays + passing + max(self.moments(plan, dying), default=0)

    def _need(self, node: int, index: int, rows: Rows) -> Rows:
        return self.graph.nodes[node].operator.input_rows(self.graph.call(self.graph.nodes[node]), index, rows)

    def moments(self, plan: Schedule, dying: set[int]) -> Iterator[int]:
        """Bytes of rings, outputs so far, and rows of inputs still to be read, at each call."""
        tensors = self.graph.tensors
        left = dict.fromkeys(dying, 0)  # bytes still to be read, from the end backwards
        needs = []
        for event in reversed(plan.events):
            for index, t in enumerate(self.graph.nodes[event.node].inputs):
                r = self.root.get(t, t)
                if r in dying:
                    low = self.need(event.node, index, (event.begin, event.end))[0]
                    left[r] = max(left[r], tensors[r].nbytes - low * tensors[t].row_bytes)
            needs.append(sum(left.values()))
        written: dict[int, int] = {}
        for event, need in zip(plan.events, reversed(needs), strict=True):
            t = self.graph.nodes[event.node].outputs[0]
            held = min(event.end, plan.rings.get(t, event.end))
            written[t] = max(written.get(t, 0), held * tensors[t].row_bytes)
            yield need + sum(written.values()) + self.calls[event.node].scratch

    def extra(self, plan: Schedule) -> float:
        """Instructions that running the segment by rows takes beyond running each node at once."""
        return sum(CALL + self.again(event.node, (event.begin, event.end)) for event in plan.events)

    def again(self, n: int, rows: Rows) -> float:
        """What one call does that a longer one would share: halos of depthwise gathered, a pixel without a partner."""
        node = self.graph.nodes[n]
        call = self.graph.call(node)
        if node.operator.name == "depthwise_conv2d":
            low, high = self.need(n, 0, rows)
            fresh = (rows[1] - rows[0]) * call.attributes.stride_h
            return float(GATHER * max(0, high - low - fresh) * call.x.row_bytes)
        if node.operator.name == "conv2d" and (rows[1] - rows[0]) * call.y.shape[2] % 2:
            return PRODUCT * node.operator.macs(call) / (call.y.elements // call.y.shape[3])
        return 0.0
