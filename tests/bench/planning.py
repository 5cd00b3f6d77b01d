"""How planning scales: `python tests/bench/planning.py` plans synthetic chains with skips of 10 to 10,000 operators.

Prints milliseconds, and by how much the time of one operator grows from each size to the next: 1 is linear. Nothing
here is asserted; run it on an idle machine. `optimal` is left out: its limit bounds its time, not the size.

Local search, the last part of `smallest` where no order of placing meets the lower bound, is bounded too: it is most of
the time at 100 operators and little of it at 10,000.
"""

from __future__ import annotations

import os

for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"  # before numpy is imported

import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

from chains import LONG, live_ranges, network

from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import lower, planned, whole_tensor_program
from refsim.memsim.plan import make_plan, meetings
from refsim.memsim.planners import DEFAULT, PLANNERS
from refsim.memsim.program import Program

COUNTS = (10, 100, 1_000, 10_000)
SKIPS = (50, 200, 500, 1_000)
TURNS = 3  # of which the fastest counts


def fastest(action: Callable[[], Any]) -> float:
    """Seconds."""
    found = []
    for _ in range(TURNS):
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return min(found)


def report(what: str, actions: Mapping[int, Callable[[], Any]]) -> None:
    """A line: what it takes for each count."""
    seconds = {count: fastest(action) for count, action in actions.items()}
    each = [seconds[count] / count for count in COUNTS]
    times = "".join(f"{1e3 * seconds[count]:11,.1f}" for count in COUNTS)
    growth = "".join(f"{b / a:8.2f}" for a, b in pairwise(each))
    print(f"{what:<44}{times}{1e6 * each[-1]:10.1f}   {growth}", flush=True)


def scaling() -> None:
    """Every planner on live ranges; then programs: made of a graph, planned, verified byte by byte."""
    heads = "".join(f"{count:>11,}" for count in COUNTS)
    print(f"{'milliseconds for so many operators':<44}{heads}   us each   growth of us each")
    problems = {count: live_ranges(count) for count in COUNTS}
    for name, planner in PLANNERS.items():
        if name != "optimal":
            mark = " (default)" if name == DEFAULT else ""
            report(f"live ranges, {name}{mark}", {n: partial(make_plan, live, planner) for n, live in problems.items()})
    graphs = {count: network(count) for count in COUNTS}
    calls = {count: lower(graph, TFLM) for count, graph in graphs.items()}
    makers = {count: partial(whole_tensor_program, graph, calls[count]) for count, graph in graphs.items()}
    report("graph to program", makers)
    programs: dict[int, Program] = {count: make() for count, make in makers.items()}
    for name, planner in PLANNERS.items():
        if name != "optimal":
            report(f"program, {name}, verified", {n: partial(planned, p, planner) for n, p in programs.items()})


def skips() -> None:
    """Skips that are long and many make ranges meet: time follows the number of meetings, not of operators."""
    for later in SKIPS:
        live = live_ranges(COUNTS[-1], later=later)
        met = sum(map(len, meetings(live)))
        seconds = fastest(partial(make_plan, live, PLANNERS[DEFAULT]))
        print(
            f"{COUNTS[-1]:,} operators, every {LONG[0]}th tensor read again {later:,} later: {1e3 * seconds:,.0f} ms, "
            f"{met / len(live):,.0f} meetings each, {1e6 * seconds / met:.2f} us a meeting"
        )


if __name__ == "__main__":
    scaling()
    skips()
