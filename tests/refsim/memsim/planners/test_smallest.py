from __future__ import annotations

import pytest

from refsim import passes, zoo
from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import live_ranges, lower, whole_tensor_program
from refsim.memsim.plan import LiveRange, make_plan
from refsim.memsim.planners.first_fit import first_fit
from refsim.memsim.planners.greedy_by_size import greedy_by_size
from refsim.memsim.planners.smallest import smallest
from refsim.memsim.planners.tflm_greedy import tflm_greedy


def whole_tensors(name: str) -> tuple[LiveRange, ...]:
    graph = passes.optimise(zoo.load(name), TFLM)
    return live_ranges(whole_tensor_program(graph, lower(graph, TFLM)))


@pytest.mark.parametrize("name", ["mcunet-in3", "mcunet-in4", "proxyless-w0.3"])
def test_networks_on_which_greedy_planners_waste_memory_are_planned_without_waste(name: str) -> None:
    live = whole_tensors(name)
    plan = make_plan(live, smallest)
    assert plan.nbytes == plan.lower_bound < make_plan(live, greedy_by_size).nbytes


def test_search_closes_a_gap_that_every_order_leaves() -> None:
    live = whole_tensors("mcunet-in3")
    best = min(make_plan(live, planner).nbytes for planner in (greedy_by_size, first_fit, tflm_greedy))
    assert make_plan(live, smallest).nbytes < 0.93 * best
