from __future__ import annotations

import ctypes
import importlib
import sys
from itertools import accumulate, permutations
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

from refsim.errors import UsageError
from refsim.memsim.plan import LiveRange, Plan, Slack, place
from refsim.memsim.planners.linear import linear
from tests.refsim.memsim.planners.random_problems import problems

MODULE = importlib.import_module("refsim.memsim.planners.optimal")  # the package's attribute is the function
needs_scipy = pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="pip install 'refsim[optimal]'")

# Found by search: 24 bytes are live at once and 28 are needed.
ABOVE_ITS_BOUND = tuple(
    LiveRange(f"t{n}", nbytes, first, last)
    for n, (nbytes, first, last) in enumerate(
        [
            *[(12, 2, 4), (8, 5, 5), (12, 6, 7), (12, 0, 3), (12, 7, 7), (8, 4, 5)],
            *[(4, 4, 6), (12, 1, 1), (4, 5, 6), (4, 0, 0), (8, 0, 0), (4, 6, 6)],
        ]
    )
)


def weaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heuristics share nothing, so that whatever is saved is the solver's work."""
    monkeypatch.setattr(MODULE, "smallest", lambda ranges, slack: linear(ranges))
    monkeypatch.setattr(MODULE, "hill_climb", lambda ranges, slack: linear(ranges))


@pytest.fixture
def weak_start(monkeypatch: pytest.MonkeyPatch) -> None:
    weaken(monkeypatch)


@needs_scipy
@pytest.mark.parametrize("seed", range(40))
def test_no_order_of_placing_gives_less(seed, weak_start) -> None:
    random = Random(seed)
    count = random.randrange(1, 7)
    firsts = [random.randrange(5) for _ in range(count)]
    live = tuple(LiveRange(f"t{n}", random.randrange(1, 120), f, f + random.randrange(4)) for n, f in enumerate(firsts))
    found = MODULE.solve(live, 30)
    Plan(live, found.offsets).verify()
    assert found.proven
    assert found.nbytes == min(Plan(live, place(live, order)).nbytes for order in permutations(range(count)))


def fits(ranges: tuple[LiveRange, ...], words: int) -> bool:
    """Whether the ranges, in words of 4 bytes, fit `words`: tries every offset of every range."""
    free = {step: 0 for r in ranges for step in range(r.first, r.last + 1)}  # bit mask of words taken

    def put(n: int) -> bool:
        if n == len(ranges):
            return True
        size, steps = ranges[n].nbytes // 4, range(ranges[n].first, ranges[n].last + 1)
        for mask in ((2**size - 1) << at for at in range(words - size + 1)):
            if not any(free[step] & mask for step in steps):
                free.update({step: free[step] | mask for step in steps})
                if put(n + 1):
                    return True
                free.update({step: free[step] & ~mask for step in steps})
        return False

    return put(0)


@needs_scipy
def test_a_proof_above_the_bytes_live_at_once_holds() -> None:
    found = MODULE.solve(ABOVE_ITS_BOUND, 60)
    assert Plan(ABOVE_ITS_BOUND, found.offsets).lower_bound == 24
    assert (found.nbytes, found.lower_bound, found.gap, found.proven) == (28, 28, 0.0, True)
    assert fits(ABOVE_ITS_BOUND, 7)
    assert not fits(ABOVE_ITS_BOUND, 6)


def arrangeable(live: tuple[LiveRange, ...], slack: Slack, words: int) -> bool:
    """Whether the ranges fit so many words of 4 bytes: tries every offset of every range against the rule itself."""

    def allowed(i: int, j: int, at: list[int]) -> bool:
        above, below = at[i] - at[j], at[j] - at[i]
        reaches = above >= slack.get((i, j), 1 << 20) or below >= slack.get((j, i), 1 << 20)
        return not live[i].meets(live[j]) or reaches or above >= live[j].nbytes or below >= live[i].nbytes

    def put(at: list[int]) -> bool:
        n = len(at)
        if n == len(live):
            return True
        tries = ([*at, offset] for offset in range(0, 4 * words - live[n].nbytes + 1, 4))
        return any(all(allowed(n, j, more) for j in range(n)) and put(more) for more in tries)

    return put([])


@needs_scipy
@pytest.mark.parametrize("start", ["heuristics", "nothing shared"])
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(problem=problems(most=4, largest=14))
def test_with_slack_too_the_certificate_is_right(start, problem, monkeypatch) -> None:
    live, slack = problem
    with monkeypatch.context() as patched:
        if start == "nothing shared":
            weaken(patched)
        found = MODULE.solve(live, 30, slack)
    Plan(live, found.offsets, slack).verify()
    assert found.proven
    assert arrangeable(live, slack, found.nbytes // 4)
    assert not live or not arrangeable(live, slack, found.nbytes // 4 - 1)


def test_offsets_that_are_known_are_not_made_worse(weak_start) -> None:
    known = (0, 0)
    live = (LiveRange("a", 8, 0, 0), LiveRange("b", 4, 1, 2))
    assert MODULE.solve(live, known=known).offsets == known


@needs_scipy
def test_slack_lets_a_range_reach_into_another(weak_start, monkeypatch) -> None:
    live = (LiveRange("in", 40, 0, 1), LiveRange("out", 32, 1, 2))
    monkeypatch.setattr(MODULE, "smallest", lambda ranges, slack: tuple(accumulate((0, 40))))
    found = MODULE.solve(live, 30, slack={(0, 1): 8})
    assert (found.nbytes, found.offsets) == (48, (8, 0))
    Plan(live, found.offsets, {(0, 1): 8}).verify()


@needs_scipy
def test_out_of_time_the_gap_is_told(weak_start) -> None:
    random = Random(3)
    live = tuple(
        LiveRange(f"t{n}", random.randrange(1, 5000), n // 4, n // 4 + random.randrange(9)) for n in range(120)
    )
    found = MODULE.solve(live, 0.05)
    Plan(live, found.offsets).verify()
    assert found.lower_bound < found.nbytes
    assert 0 < found.gap < 1
    assert "at least" in str(found)


def test_without_the_solver_a_sentence_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(UsageError) as caught:
        MODULE.optimal(ABOVE_ITS_BOUND)
    remedy = "run pip install 'refsim[optimal]'"
    assert str(caught.value) == f"the planner 'optimal' needs scipy, which is not installed; {remedy}"


def test_the_solver_is_not_needed_where_a_heuristic_meets_the_bound(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    assert MODULE.solve((LiveRange("a", 8, 0, 1), LiveRange("b", 4, 1, 2))).proven


def test_what_the_solver_prints_reaches_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    """HiGHS writes through C's buffered stdout, which would appear in the middle of our JSON."""
    library = ctypes.CDLL(None)
    with MODULE._silenced():
        library.puts(b"a remark")
    library.fflush(None)
    print("ours")
    assert capfd.readouterr().out == "ours\n"
