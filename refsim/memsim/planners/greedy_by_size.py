"""Largest first, each into the lowest gap.

Source: Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

from refsim.memsim.plan import LiveRange, place


def greedy_by_size(ranges: Sequence[LiveRange]) -> tuple[int, ...]:
    """Offsets in bytes; ties go to the range that starts first."""
    return place(ranges, sorted(range(len(ranges)), key=lambda i: (-ranges[i].nbytes, ranges[i].first, i)))
