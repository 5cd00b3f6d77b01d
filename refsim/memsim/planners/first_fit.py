"""In the order in which they become live, each into the lowest gap: what an allocator without foresight does."""

from __future__ import annotations

from collections.abc import Sequence

from refsim.memsim.plan import LiveRange, place


def first_fit(ranges: Sequence[LiveRange]) -> tuple[int, ...]:
    """Offsets in bytes; ranges that start together are placed largest first."""
    return place(ranges, sorted(range(len(ranges)), key=lambda i: (ranges[i].first, -ranges[i].nbytes, i)))
