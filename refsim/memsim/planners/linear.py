"""One after the other, nothing shared: what an arena needs when every tensor has to survive."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from refsim.memsim.plan import LiveRange, aligned


def linear(ranges: Sequence[LiveRange]) -> tuple[int, ...]:
    """Offsets in bytes."""
    return tuple(accumulate((aligned(r.nbytes) for r in ranges[:-1]), initial=0)) if ranges else ()
