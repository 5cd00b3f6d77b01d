from __future__ import annotations

from refsim.memsim.plan import LiveRange
from refsim.memsim.planners.greedy_by_size import greedy_by_size
from refsim.memsim.planners.tflm_greedy import tflm_greedy


def test_of_equals_the_last_one_added_is_placed_first() -> None:
    live = [LiveRange("a", 16, 0, 1), LiveRange("b", 16, 1, 2)]
    assert tflm_greedy(live) == (16, 0)
    assert greedy_by_size(live) == (0, 16)
