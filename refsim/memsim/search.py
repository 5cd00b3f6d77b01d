"""Which transformations to use: the order and the cut of a network that need little memory at their worst moment.

Dynamic programming over cut points. A segment is costed without placing anything, by the bytes that are truly live at
each of its calls: the rows of its input that are still to be read, what its rings and outputs hold so far, scratch,
and the tensors that pass it by. Running row by row also costs instructions, which are estimated (`memsim.work`); among
the cuts within a limit of bytes the one with the fewest is taken. A few limits are placed by a planner, and the best
result is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from refsim.graph import Graph, KernelCall
from refsim.int8ops.numerics import Numerics
from refsim.memsim.assemble import assemble
from refsim.memsim.lifetime import lower, placed
from refsim.memsim.lineage import lineage
from refsim.memsim.order import Ordered, ordered
from refsim.memsim.patch import PATCHES, patched, stages
from refsim.memsim.plan import Planner
from refsim.memsim.planners.hill_climb import hill_climb
from refsim.memsim.planners.optimal import optimal
from refsim.memsim.planners.smallest import smallest
from refsim.memsim.program import Program
from refsim.memsim.segments import Option, Segments
from refsim.memsim.transforms import INPLACE, ORDER, PATCH, STREAM, Effort

LIMITS = (1.0, 1.02, 1.05, 1.1, 1.2, 1.3, 1.5, 2.0)  # times the least worst moment
ANY = 1 << 40  # bytes
HALVINGS = 10  # to come close to the least bytes within the instructions allowed
REFINED = 3  # of the smallest programs, whose placing is searched further

PATCHED = 3  # ways to cut into patches that are placed

Cut = tuple[Option, ...]


def least_sram(
    graph: Graph,
    numerics: Numerics,
    effort: Effort,
    planner: Planner = smallest,
    outside: frozenset[int] = frozenset(),
) -> Program:
    """The Program of least SRAM that was found by the transformations allowed, with its plan, verified.

    `planner` places what is cut; with the default one the best few are searched further. Inputs that are `outside`
    take no bytes of ours (`memsim.camera`).
    """
    calls, quick = lower(graph, numerics), smallest if planner is optimal else planner
    found = min(_candidates(graph, calls, numerics, effort, quick, outside), key=lambda program: program.own_bytes)
    if planner is optimal:  # once, as it takes its time
        found = min(found, placed(found, optimal), key=lambda program: program.own_bytes)
    found.verify()
    return found


def _candidates(
    graph: Graph,
    calls: Sequence[KernelCall],
    numerics: Numerics,
    effort: Effort,
    planner: Planner,
    outside: frozenset[int],
) -> Iterator[Program]:
    for inplace in _inplace(graph, effort):
        best = ordered(graph, calls, inplace) if ORDER in effort.transforms else Ordered.as_given(graph)
        mine = [calls[n] for n in best.order]
        yield from _cut(_Search(Segments(best.graph, mine, effort, inplace, outside)), planner)
    if effort.transforms and not outside:  # what a planner makes of less is not always less
        yield from _candidates(graph, calls, numerics, _fewer(effort), planner, outside)
    if PATCH in effort.transforms:
        for segments in _in_patches(graph, numerics, effort, outside):
            yield from _cut(_Search(segments), planner)


def _fewer(effort: Effort) -> Effort:
    """Layers one at a time where chains were allowed, else whole tensors as they come."""
    if STREAM in effort.transforms:
        return effort._replace(transforms=effort.transforms - {STREAM, PATCH})
    return Effort(frozenset(), 0.0)


def _in_patches(graph: Graph, numerics: Numerics, effort: Effort, outside: frozenset[int]) -> list[Segments]:
    """The few ways to run the first layers in patches that need least at their worst moment, layers running whole."""
    most = (1 + effort.most_extra) * graph.macs
    alone = effort._replace(transforms=effort.transforms - {STREAM, ORDER})
    made = (patched(graph, stage, patches) for stage in stages(graph) for patches in PATCHES)
    found = [Segments(g, lower(g, numerics), alone, True, outside) for g in made if g is not None and g.macs <= most]
    return sorted(found, key=lambda segments: max(segments.wholes))[:PATCHED]


def _inplace(graph: Graph, effort: Effort) -> tuple[bool, ...]:
    """Pieces of a tensor keep all of it alive, which does not always save bytes: both ways are tried."""
    if INPLACE not in effort.transforms:
        return (False,)
    return (True,) if lineage(graph) == lineage(graph, windows=False) else (True, False)


def _cut(search: _Search, planner: Planner) -> Iterator[Program]:
    programs = [placed(search.program(cut), planner) for cut in dict.fromkeys(search.cuts())]
    yield from programs
    if planner is smallest and len(programs) > 1:
        by_size = sorted(programs, key=lambda program: program.own_bytes)
        worth = dict.fromkeys((*programs[:REFINED], *by_size[:REFINED]))  # least bytes live, least bytes as placed
        yield from (placed(program, hill_climb) for program in worth)


NOWHERE = (1 << 60, float("inf"), None)  # bytes, instructions and option of a place where no segment may end


class _Search:
    """Cuts of one graph."""

    def __init__(self, segments: Segments) -> None:
        self.segments, self.count = segments, segments.count

    def program(self, cut: Cut) -> Program:
        streams = {option.segment: option.rows for option in cut if option.rows}
        known = self.segments
        made = assemble(known.graph, known.calls, [option.segment for option in cut], streams, known.inplace)
        owned = frozenset(view.buffer for view in made.inputs if view.tensor in known.outside)
        return replace(made, outside=owned)

    def cuts(self) -> Iterator[Cut]:
        """Cuts within growing limits of bytes and the instructions allowed; the one that adds fewest at last."""
        budget = self.segments.effort.most_extra * self.segments.work.whole()
        least = max((option.nbytes for option in self.best(0)), default=0)
        allowed = self.allowed(least, budget)
        for limit in (*(int(max(least, allowed) * times) for times in LIMITS), ANY):
            cut = self.best(limit)
            if _extra(cut) <= budget or limit == ANY:
                yield cut

    def allowed(self, least: int, budget: float) -> int:
        """About the least limit of bytes whose cut stays within the budget of instructions."""
        low, high = least, max(self.segments.wholes, default=least)
        if _extra(self.best(low)) <= budget:
            return low
        for _ in range(HALVINGS):
            middle = (low + high) // 2
            low, high = (low, middle) if _extra(self.best(middle)) <= budget else (middle, high)
        return high

    def best(self, limit: int) -> Cut:
        """Least worst moment, but all within `limit` are equal; among equals the least extra work."""
        reach: list[tuple[int, float, Option | None]] = [(0, 0.0, None)]  # by number of nodes covered
        for end in range(1, self.count + 1):
            ways = (self.joined(reach, option, limit) for option in self.ending[end])
            reach.append(min(ways, key=lambda r: r[:2], default=NOWHERE))
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
        for option in self.segments.options():
            found[option.segment[-1] + 1].append(option)
        return tuple(map(tuple, found))


def _extra(cut: Cut) -> float:
    return sum(option.extra for option in cut)
