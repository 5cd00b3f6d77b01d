from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import lower, planned, whole_tensor_program
from refsim.memsim.plan import LiveRange, Mirrored, Plan, make_plan, meetings
from refsim.memsim.planners import PLANNERS, WITH_SLACK, with_slack
from refsim.memsim.planners.optimal import solve
from tests.bench.chains import live_ranges, network
from tests.refsim.memsim.planners.random_problems import problems

QUICK = {name: planner for name, planner in PLANNERS.items() if name != "optimal"}
needs_scipy = pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="pip install 'refsim[optimal]'")


@pytest.mark.parametrize("planner", QUICK.values(), ids=QUICK)
@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_offsets_hold_and_are_never_below_the_lower_bound_with_slack_or_without(planner, problem) -> None:
    live, slack = problem
    aware = with_slack(planner)
    for allowed in ({}, slack):
        plan = Plan(live, aware(live, allowed) if aware else planner(live), allowed)
        plan.verify()
        assert plan.lower_bound <= plan.nbytes


@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_the_bound_of_the_mirrored_problem_holds_too(problem) -> None:
    live, slack = problem
    mirrored = Mirrored.of(live, slack)
    for planner in (PLANNERS["smallest"], PLANNERS["hill_climb"]):
        offsets = with_slack(planner)(live, slack)
        assert Plan(mirrored.ranges, offsets, mirrored.slack).lower_bound <= Plan(live, offsets).nbytes


@needs_scipy
@settings(max_examples=30, deadline=None)
@given(problem=problems(most=9))
def test_the_optimum_is_no_larger_than_what_any_planner_finds(problem) -> None:
    live, slack = problem
    for allowed in ({}, slack):
        best = solve(live, 10, allowed)
        Plan(live, best.offsets, allowed).verify()
        assert best.lower_bound <= best.nbytes == Plan(live, best.offsets).nbytes
        for planner in QUICK.values():
            aware = with_slack(planner)
            assert best.nbytes <= Plan(live, aware(live, allowed) if aware else planner(live)).nbytes


@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_longer_search_is_never_worse(problem) -> None:
    live, _ = problem
    sizes = {name: make_plan(live, planner).nbytes for name, planner in QUICK.items()}
    assert sizes["hill_climb"] <= sizes["smallest"]
    assert sizes["smallest"] <= min(sizes["greedy_by_size"], sizes["first_fit"], sizes["tflm_greedy"])


def test_planners_that_use_slack_are_planners() -> None:
    assert {id(planner) for planner in WITH_SLACK} <= {id(planner) for planner in PLANNERS.values()}
    assert with_slack(PLANNERS["first_fit"]) is None


def calls(action: Callable[[], Any]) -> int:
    """How many functions an action calls, those written in C too."""
    seen: Counter[str] = Counter()
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, argument: seen.update((event,)))
    try:
        action()
    finally:
        sys.setprofile(before)
    return seen["call"] + seen["c_call"]


GREW = 1.3  # sorting takes a little more for each range when there are more


@pytest.mark.parametrize("name", ["smallest", "greedy_by_size", "first_fit", "tflm_greedy", "linear"])
def test_ten_times_the_operators_are_ten_times_the_work(name: str) -> None:
    few, many = (calls(lambda n=n: make_plan(live_ranges(n), PLANNERS[name])) for n in (500, 5_000))
    assert many <= 10 * GREW * few


def test_ten_times_the_nodes_of_a_program_are_ten_times_the_work_verification_included() -> None:
    def work(count: int) -> int:
        graph = network(count)
        program = whole_tensor_program(graph, lower(graph, TFLM))
        return calls(lambda: planned(program))

    assert work(2_000) <= 10 * GREW * work(200)


class Watched(LiveRange):
    """A live range that counts how often somebody looks when it ends."""

    looked = 0

    @property
    def last(self) -> int:  # type: ignore[override]
        Watched.looked += 1
        return self.end

    @last.setter
    def last(self, end: int) -> None:
        object.__setattr__(self, "end", end)


def test_meetings_looks_at_no_more_pairs_than_meet() -> None:
    live = [Watched(r.name, r.nbytes, r.first, r.last) for r in live_ranges(3_000)]
    Watched.looked = 0
    pairs = sum(map(len, meetings(live))) // 2
    assert Watched.looked <= pairs + len(live)
