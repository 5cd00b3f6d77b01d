"""The best of the heuristics, and a long local search from there (`exchange`).

First among the ranges that are alive at crowded moments only, which decide how large the arena is; then, with the
others placed behind them, among all. With slack from the top of the arena downwards and from the bottom upwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from refsim.memsim.plan import LiveRange, Mirrored, Plan, Slack, aligned, place
from refsim.memsim.planners.exchange import improved
from refsim.memsim.planners.smallest import smallest

MOST_TRIES = 2000
MOST_PLACINGS = 60_000  # tries times ranges; some tenths of a second
CROWDED = (0.9, 0.75)  # of the bytes that are live at the most crowded moment


def hill_climb(ranges: Sequence[LiveRange], slack: Slack | None = None) -> tuple[int, ...]:
    """Offsets in bytes; never a larger arena than `smallest`, the same for the same ranges."""
    whole = tuple(replace(r, nbytes=aligned(r.nbytes)) for r in ranges)
    problem = _Problem(whole, slack or {})
    return min(problem.answers(), key=lambda offsets: Plan(whole, offsets).nbytes)


@dataclass(frozen=True, slots=True)
class _Problem:
    ranges: tuple[LiveRange, ...]
    slack: Slack

    def answers(self) -> Iterator[tuple[int, ...]]:
        start = smallest(self.ranges, self.slack)
        yield start
        if Plan(self.ranges, start).nbytes > self.bound:
            yield self.searched(start)
            if self.slack:
                mirrored = Mirrored.of(self.ranges, self.slack)
                turned = _Problem(mirrored.ranges, mirrored.slack)
                yield mirrored.back(turned.searched(mirrored.back(start)))

    @property
    def bound(self) -> int:
        return Plan(self.ranges, (), self.slack).lower_bound

    def searched(self, start: tuple[int, ...]) -> tuple[int, ...]:
        """From the given offsets, or better ones of the crowded moments."""
        starts = (start, *(offsets for share in CROWDED for offsets in self.begun(self.crowded(share))))
        return self.climbed(min(starts, key=lambda offsets: Plan(self.ranges, offsets).nbytes))

    def begun(self, crowded: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Offsets after a search among some ranges, with the others placed as low as they go."""
        inner = self.only(crowded)
        found = inner.climbed(smallest(inner.ranges, inner.slack))
        lowest = sorted(range(len(crowded)), key=lambda k: (found[k], k))
        others = set(range(len(self.ranges))) - set(crowded)
        for key in (lambda i: -self.ranges[i].nbytes, lambda i: self.ranges[i].first, lambda i: -self.ranges[i].last):
            order = [*(crowded[k] for k in lowest), *sorted(others, key=key)]
            yield place(self.ranges, order, slack=self.slack)

    def climbed(self, start: tuple[int, ...]) -> tuple[int, ...]:
        most = min(MOST_TRIES, MOST_PLACINGS // max(len(self.ranges), 1))
        return improved(self.ranges, start, self.bound, most, self.slack)

    def crowded(self, share: float) -> list[int]:
        """The ranges that are alive at a crowded moment."""
        change = [0] * (max((r.last for r in self.ranges), default=0) + 2)
        for r in self.ranges:
            change[r.first] += r.nbytes
            change[r.last + 1] -= r.nbytes
        live = list(accumulate(change))
        return [i for i, r in enumerate(self.ranges) if max(live[r.first : r.last + 1]) >= share * max(live)]

    def only(self, kept: Sequence[int]) -> _Problem:
        place_of = {i: k for k, i in enumerate(kept)}
        slack = {(place_of[i], place_of[j]): d for (i, j), d in self.slack.items() if i in place_of and j in place_of}
        return _Problem(tuple(self.ranges[i] for i in kept), slack)
