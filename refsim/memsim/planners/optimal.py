"""The smallest arena, by mixed-integer programming (HiGHS, through scipy), with a proof or the gap that is left.

Where two ranges meet, one lies below the other: a binary variable a pair. The heuristics give the first solution;
the solver is only asked for something smaller, so an infeasible problem proves them right.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refsim.errors import UsageError
from refsim.graph import Array
from refsim.memsim.plan import ALIGNMENT, LiveRange, Mirrored, Plan, Slack, aligned, meetings
from refsim.memsim.planners.hill_climb import hill_climb
from refsim.memsim.planners.smallest import smallest

TIME_LIMIT_S = 60.0
INFEASIBLE, FAILED = 2, 4  # of scipy.optimize.milp


@dataclass(frozen=True, slots=True)
class Certificate:
    """A plan's offsets, and what is known about smaller ones: none is below `lower_bound` bytes."""

    offsets: tuple[int, ...]
    nbytes: int
    lower_bound: int
    seconds: float
    time_limit_s: float

    @property
    def gap(self) -> float:
        """How much of the arena might still be saved; 0.0 for a proven optimum."""
        return 1 - self.lower_bound / self.nbytes if self.nbytes else 0.0

    @property
    def proven(self) -> bool:
        return self.nbytes == self.lower_bound

    def __str__(self) -> str:
        known = "proven optimal" if self.proven else f"at least {self.lower_bound:,} ({self.gap:.1%} gap)"
        return f"{self.nbytes:,} bytes, {known}, {self.seconds:.1f} s of {self.time_limit_s:g}"


def optimal(ranges: Sequence[LiveRange], slack: Slack | None = None) -> tuple[int, ...]:
    """Offsets in bytes, after TIME_LIMIT_S at most. Raises UsageError when the solver is needed and not there."""
    return solve(ranges, slack=slack).offsets


def solve(
    ranges: Sequence[LiveRange],
    time_limit_s: float = TIME_LIMIT_S,
    slack: Slack | None = None,
    known: Sequence[int] | None = None,
) -> Certificate:
    """The best plan found within the time and what is proven about it; no worse than the offsets `known`.

    Raises UsageError without scipy, unless a heuristic meets the lower bound.
    """
    begin, slack = time.monotonic(), slack or {}
    ranges = tuple(replace(r, nbytes=aligned(r.nbytes)) for r in ranges)
    plan, bound = _start(ranges, slack, known)
    if plan.nbytes > bound:
        left = max(time_limit_s - (time.monotonic() - begin), 0.0)
        better, proven = _improved(plan, bound, left)
        plan = better or plan
        bound = max(bound, min(proven, plan.nbytes))
    return Certificate(plan.offsets, plan.nbytes, bound, time.monotonic() - begin, time_limit_s)


def _start(ranges: tuple[LiveRange, ...], slack: Slack, known: Sequence[int] | None) -> tuple[Plan, int]:
    """The best that is known without the solver, and a lower bound; the slower heuristic only where it may help."""
    plans = [Plan(ranges, smallest(ranges, slack), slack), *([Plan(ranges, tuple(known), slack)] if known else [])]
    mirrored = Mirrored.of(ranges, slack)
    bound = max(plans[0].lower_bound, Plan(mirrored.ranges, plans[0].offsets, mirrored.slack).lower_bound)
    if min(plan.nbytes for plan in plans) > bound:
        plans.append(Plan(ranges, hill_climb(ranges, slack), slack))
    return min(plans, key=lambda plan: plan.nbytes), bound


def _improved(plan: Plan, bound: int, time_limit_s: float) -> tuple[Plan | None, int]:
    """A smaller plan, or None; and a proven lower bound in bytes."""
    pairs = _Pairs.of(plan)
    solver, problem = _solver(), _problem(plan, pairs, bound)
    options = {"time_limit": time_limit_s, "mip_rel_gap": 0.0}
    with _silenced():
        answer = solver(**problem, options=options)
        if answer.status == FAILED:  # now and then HiGHS fails at once on small problems, in its presolve
            answer = solver(**problem, options={**options, "presolve": False})
    if answer.status == INFEASIBLE:
        return None, plan.nbytes
    dual = getattr(answer, "mip_dual_bound", None)
    proven = bound if dual is None or not np.isfinite(dual) else int(np.ceil(dual - 1e-6)) * ALIGNMENT
    if answer.x is None:
        return None, proven
    found = pairs.settled(len(plan.ranges), answer.x[len(plan.ranges) + 1 :])
    better = None if found is None else replace(plan, offsets=found)
    return (better if better and better.nbytes < plan.nbytes else None), proven


@contextmanager
def _silenced() -> Iterator[None]:
    """HiGHS at times prints remarks of its own through C's stdout, where somebody expects our answer."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        with suppress(AttributeError, OSError, TypeError):
            ctypes.CDLL(None).fflush(None)  # what C still holds back
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """The pairs that meet, first and second with first < second: (pairs, 2). `rise` (pairs, 2), in units of ALIGNMENT:
    by how much the second must begin above the first when it lies above it, and the first above the second."""

    who: Array
    rise: Array

    @classmethod
    def of(cls, plan: Plan) -> _Pairs:
        pairs = [(i, j) for i, others in enumerate(meetings(plan.ranges)) for j in others if i < j]
        rise = [(_rise(plan, i, j), _rise(plan, j, i)) for i, j in pairs]
        return cls(np.array(pairs, np.int64).reshape(-1, 2), np.array(rise, np.int64).reshape(-1, 2))

    def settled(self, count: int, second_below: Array) -> tuple[int, ...] | None:
        """Each of `count` ranges as low as who lies below whom allows: the solver's own offsets have rounding errors.

        None where its choices contradict each other, by rounding too.
        """
        turned = second_below > 0.5
        lower, upper = np.where(turned, self.who.T[::-1], self.who.T)
        rise = np.where(turned, self.rise[:, 1], self.rise[:, 0])
        offsets = np.zeros(count, np.int64)
        for _ in range(count + 1):
            before = offsets.copy()
            np.maximum.at(offsets, upper, before[lower] + rise)
            if np.array_equal(offsets, before):
                return tuple((offsets * ALIGNMENT).tolist())
        return None


def _problem(plan: Plan, pairs: _Pairs, bound: int) -> dict[str, Any]:
    """Minimise the peak, in units of ALIGNMENT. Unknowns: an offset a range, the peak, a binary a pair (i, j).

    peak - offset_i >= size_i
    offset_j - offset_i + 2 top * b >= rise_ij             i below j where b is 0
    offset_i - offset_j - 2 top * b >= rise_ji - 2 top     j below i where b is 1
    """
    from scipy.optimize import Bounds, LinearConstraint
    from scipy.sparse import csr_array, hstack, vstack

    ranges, n = plan.ranges, len(plan.ranges)
    sizes = np.array([r.nbytes // ALIGNMENT for r in ranges], float)
    top = plan.nbytes // ALIGNMENT - 1  # something smaller than what is known
    p = len(pairs.who)
    rows, ones = np.arange(p), np.ones(p)
    shape = (p, n + 1)
    rise = csr_array((ones, (rows, pairs.who[:, 1])), shape) - csr_array((ones, (rows, pairs.who[:, 0])), shape)
    choice = csr_array((2 * top * ones, (rows, rows)), (p, p))
    under = csr_array((np.r_[np.ones(n), -np.ones(n)], (np.r_[:n, :n], np.r_[np.full(n, n), :n])), (n, n + 1 + p))
    matrix = vstack([under, hstack([rise, choice]), hstack([-rise, -choice])], format="csr")
    low = np.concatenate([sizes, pairs.rise[:, 0], pairs.rise[:, 1] - 2 * top])
    cost, integral = np.zeros(n + 1 + p), np.r_[np.zeros(n + 1), ones]
    cost[n] = 1
    bounds = Bounds(np.r_[np.zeros(n), bound // ALIGNMENT, np.zeros(p)], np.r_[top - sizes, top, ones])
    return {
        "c": cost,
        "integrality": integral,
        "bounds": bounds,
        "constraints": LinearConstraint(matrix, low, np.inf),
    }


def _rise(plan: Plan, i: int, j: int) -> int:
    """By how much j must begin above i when it lies above it, in units of ALIGNMENT."""
    return aligned(plan.slack.get((j, i), plan.ranges[i].nbytes)) // ALIGNMENT


def _solver() -> Any:
    try:
        from scipy.optimize import milp
    except ImportError as error:
        raise UsageError(
            "the planner 'optimal' needs scipy, which is not installed; run pip install 'refsim[optimal]'"
        ) from error
    return milp
