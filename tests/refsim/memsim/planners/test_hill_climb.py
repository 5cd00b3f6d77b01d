from __future__ import annotations

from random import Random

from refsim.memsim.plan import LiveRange, make_plan
from refsim.memsim.planners import PLANNERS
from refsim.memsim.planners.hill_climb import hill_climb

RANDOM = Random(100)
LIVE = [LiveRange(f"t{n}", RANDOM.randrange(1, 5000), n, n + (1 if n % 7 else 5)) for n in range(100)]


def test_the_same_ranges_give_the_same_plan() -> None:
    assert hill_climb(LIVE) == hill_climb(tuple(LIVE))


def test_it_finds_what_greedy_planners_miss() -> None:
    greedy, climbed = make_plan(LIVE, PLANNERS["greedy_by_size"]), make_plan(LIVE, hill_climb)
    assert climbed.lower_bound <= climbed.nbytes < greedy.nbytes
