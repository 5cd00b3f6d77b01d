"""The best of the heuristics, and a long local search from there (`exchange`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from refsim.memsim.plan import LiveRange, Mirrored, Plan, Slack, aligned
from refsim.memsim.planners.exchange import improved
from refsim.memsim.planners.smallest import smallest

MOST_TRIES = 2000
MOST_PLACINGS = 150_000  # tries times ranges; about a second


def hill_climb(ranges: Sequence[LiveRange], slack: Slack | None = None) -> tuple[int, ...]:
    """Offsets in bytes; never a larger arena than `smallest`, the same for the same ranges."""
    most = min(MOST_TRIES, MOST_PLACINGS // max(len(ranges), 1))
    if slack:
        mirrored = Mirrored.of(ranges, slack)
        start = mirrored.back(smallest(mirrored.ranges, slack))
        target = Plan(mirrored.ranges, start, mirrored.slack).lower_bound
        return mirrored.back(improved(mirrored.ranges, start, target, most, mirrored.slack))
    ranges = tuple(replace(r, nbytes=aligned(r.nbytes)) for r in ranges)
    start = smallest(ranges)
    return improved(ranges, start, Plan(ranges, start).lower_bound, most)
