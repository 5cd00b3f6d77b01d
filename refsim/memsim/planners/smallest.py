"""Whichever of the other planners needs the smallest arena: neither order wins on every network."""

from __future__ import annotations

from collections.abc import Sequence

from refsim.memsim.plan import LiveRange, Plan
from refsim.memsim.planners.first_fit import first_fit
from refsim.memsim.planners.greedy_by_size import greedy_by_size


def smallest(ranges: Sequence[LiveRange]) -> tuple[int, ...]:
    """Offsets in bytes; the first of equals."""
    plans = (planner(ranges) for planner in (greedy_by_size, first_fit))
    return min(plans, key=lambda offsets: Plan(tuple(ranges), offsets).nbytes)
