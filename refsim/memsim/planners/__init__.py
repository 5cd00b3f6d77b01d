"""Planners: one algorithm a file, each a pure function from live ranges to offsets."""

from __future__ import annotations

from collections.abc import Mapping

from refsim.memsim.plan import Planner, SlackPlanner
from refsim.memsim.planners.first_fit import first_fit
from refsim.memsim.planners.greedy_by_size import greedy_by_size
from refsim.memsim.planners.hill_climb import hill_climb
from refsim.memsim.planners.linear import linear
from refsim.memsim.planners.optimal import optimal
from refsim.memsim.planners.smallest import smallest
from refsim.memsim.planners.tflm_greedy import tflm_greedy

PLANNERS: Mapping[str, Planner] = {
    "smallest": smallest,
    "greedy_by_size": greedy_by_size,
    "first_fit": first_fit,
    "tflm_greedy": tflm_greedy,
    "linear": linear,
    "hill_climb": hill_climb,
    "optimal": optimal,
}
DEFAULT = "smallest"
WITH_SLACK: tuple[SlackPlanner, ...] = (smallest, hill_climb, optimal)


def with_slack(planner: Planner) -> SlackPlanner | None:
    """The planner, where it can make use of slack; the others leave it unused."""
    return next((aware for aware in WITH_SLACK if aware is planner), None)
