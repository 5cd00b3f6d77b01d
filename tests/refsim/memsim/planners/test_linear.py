from __future__ import annotations

from refsim.memsim.plan import LiveRange
from refsim.memsim.planners.linear import linear


def test_nothing_shares_a_byte_even_when_it_could() -> None:
    live = [LiveRange("a", 5, 0, 0), LiveRange("b", 4, 9, 9), LiveRange("c", 1, 5, 5)]
    assert linear(live) == (0, 8, 12)


def test_no_ranges_no_offsets() -> None:
    assert linear([]) == ()
