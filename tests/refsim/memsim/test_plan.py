from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from refsim.errors import PlanError
from refsim.memsim.plan import ALIGNMENT, LiveRange, Plan, make_plan
from refsim.memsim.planners import PLANNERS

ANY_TIME = {name: planner for name, planner in PLANNERS.items() if name != "optimal"}  # it has a test of its own
WITHOUT_WASTE = {name: planner for name, planner in ANY_TIME.items() if name != "linear"}


@st.composite
def ranges(draw: st.DrawFn) -> list[LiveRange]:
    found = []
    for n in range(draw(st.integers(0, 25))):
        first = draw(st.integers(0, 12))
        found.append(LiveRange(f"t{n}", draw(st.integers(1, 500)), first, first + draw(st.integers(0, 6))))
    return found


@pytest.mark.parametrize("planner", ANY_TIME.values(), ids=ANY_TIME)
@settings(max_examples=150, deadline=None)
@given(live=ranges())
def test_no_two_live_buffers_share_a_byte_and_the_arena_is_within_its_bounds(planner, live) -> None:
    plan = make_plan(live, planner)
    owner: dict[tuple[int, int], str] = {}
    for r, offset in zip(live, plan.offsets, strict=True):
        for step in range(r.first, r.last + 1):
            for byte in range(offset, offset + r.nbytes):
                assert owner.setdefault((step, byte), r.name) == r.name
    assert plan.lower_bound <= plan.nbytes <= sum(r.nbytes + ALIGNMENT for r in live)
    assert all(offset % ALIGNMENT == 0 for offset in plan.offsets)


@pytest.mark.parametrize("planner", ANY_TIME.values(), ids=ANY_TIME)
def test_planning_is_a_pure_function(planner) -> None:
    live = [LiveRange(f"t{n}", 10 + n % 3, n, n + 2) for n in range(20)]
    assert planner(live) == planner(tuple(live))


def test_an_overlap_names_both_buffers() -> None:
    plan = Plan((LiveRange("conv", 100, 0, 2), LiveRange("add", 50, 2, 3)), (0, 96))
    with pytest.raises(PlanError) as caught:
        plan.verify()
    assert str(caught.value) == "'conv' at [0, 100) in steps 0 to 2 overlaps 'add' at [96, 146) in steps 2 to 3"


def test_an_overlap_hidden_behind_a_dead_buffer_is_found() -> None:
    live = (LiveRange("a", 100, 0, 5), LiveRange("dead", 20, 9, 9), LiveRange("b", 20, 5, 6))
    with pytest.raises(PlanError, match=r"'a' .* overlaps 'b'"):
        Plan(live, (0, 4, 40)).verify()


def test_buffers_that_never_live_together_may_share_bytes() -> None:
    Plan((LiveRange("a", 100, 0, 1), LiveRange("b", 100, 2, 3)), (0, 0)).verify()


def test_misaligned_buffers_are_refused() -> None:
    with pytest.raises(PlanError, match="'a' lies at 2: not a multiple of 4"):
        Plan((LiveRange("a", 8, 0, 0),), (2,)).verify()


def test_greedy_by_size_places_the_largest_first_and_first_fit_the_earliest() -> None:
    live = [LiveRange("early", 4, 0, 1), LiveRange("large", 100, 1, 2)]
    assert PLANNERS["greedy_by_size"](live) == (100, 0)
    assert PLANNERS["first_fit"](live) == (0, 4)


def test_a_thousand_buffers_of_a_chain_are_planned_without_waste() -> None:
    live = [LiveRange(f"t{n}", 64, n, n + 1) for n in range(1000)]
    for planner in WITHOUT_WASTE.values():
        assert make_plan(live, planner).nbytes == 128


def test_bytes_that_two_ranges_may_share_count_once_in_the_lower_bound() -> None:
    live = (LiveRange("in", 40, 0, 1), LiveRange("out", 32, 1, 3), LiveRange("later", 36, 2, 3))
    assert Plan(live, (0, 40, 0)).lower_bound == 72
    assert Plan(live, (8, 0, 32), {(0, 1): 8}).lower_bound == 68  # `out` beside `later`, where it shares nothing
    assert Plan(live[:2], (8, 0), {(0, 1): 8}).lower_bound == 48
    assert Plan(live[:2], (0, 0), {(0, 1): -8}).lower_bound == 40


def test_the_sharing_of_the_nearest_counts_where_several_reach_into_a_range() -> None:
    live = (LiveRange("a", 40, 0, 4), LiveRange("b", 8, 0, 1), LiveRange("c", 8, 4, 6))
    slack = {(1, 0): 12, (2, 0): 20}
    assert Plan(live, (0, 40, 40), slack).lower_bound == 40
    assert Plan((*live, LiveRange("d", 36, 2, 3)), (0, 40, 40, 40), slack).lower_bound == 76
    assert Plan((*live, LiveRange("d", 36, 4, 4)), (0, 40, 40, 48), slack).lower_bound == 20 + 8 + 36


def test_overlap_says_in_words_what_overlaps_and_minds_no_alignment() -> None:
    live = (LiveRange("a", 3, 0, 1), LiveRange("b", 4, 1, 1))
    assert Plan(live, (0, 3)).overlap() is None
    assert Plan(live, (0, 2)).overlap() == "'a' at [0, 3) in steps 0 to 1 overlaps 'b' at [2, 6) in steps 1 to 1"
