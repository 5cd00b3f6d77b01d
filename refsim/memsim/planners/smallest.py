"""Several orders of placing, each range as low as it goes; the smallest arena wins. No order wins on every network.

Where none meets the lower bound, a short local search follows: it closes the gap on every network of the zoo. With
slack (`plan.Slack`) there is none, but more orders: a range that others reach into has to come after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from refsim.memsim.plan import LiveRange, Meetings, Mirrored, Plan, Slack, aligned, meetings, place
from refsim.memsim.planners.exchange import improved

MOST_TRIES = 64
MOST_PLACINGS = 8_000  # tries times ranges; some hundredths of a second


def smallest(ranges: Sequence[LiveRange], slack: Slack | None = None) -> tuple[int, ...]:
    """Offsets in bytes; the first of equals."""
    ranges = tuple(ranges)
    if slack:
        return min(_plans(ranges, slack), key=lambda offsets: Plan(ranges, offsets).nbytes)
    bound = aligned(Plan(ranges, ()).lower_bound)
    found: list[Plan] = []
    for offsets in _plans(ranges, {}):
        found.append(Plan(ranges, offsets))
        if found[-1].nbytes <= bound:
            return offsets
    return _searched(min(found, key=lambda plan: plan.nbytes))


def _searched(plan: Plan) -> tuple[int, ...]:
    whole = tuple(replace(r, nbytes=aligned(r.nbytes)) for r in plan.ranges)
    most = min(MOST_TRIES, MOST_PLACINGS // len(whole))
    return improved(whole, plan.offsets, Plan(whole, ()).lower_bound, most)


def _plans(ranges: Sequence[LiveRange], slack: Slack) -> Iterator[tuple[int, ...]]:
    meets = meetings(ranges)
    for order in _orders(ranges, slack):
        yield place(ranges, order, meets, slack)
    if slack:
        yield from _hung(ranges, slack, meets)


def _hung(ranges: Sequence[LiveRange], slack: Slack, meets: Meetings) -> Iterator[tuple[int, ...]]:
    """Placed from the top of the arena downwards."""
    mirrored = Mirrored.of(ranges, slack)
    for order in _orders(mirrored.ranges, mirrored.slack):
        yield mirrored.back(place(mirrored.ranges, order, meets, mirrored.slack))


def _orders(ranges: Sequence[LiveRange], slack: Slack) -> Iterator[list[int]]:
    everything = range(len(ranges))
    by_size = sorted(everything, key=lambda i: (-ranges[i].nbytes, ranges[i].first, i))
    by_start = sorted(everything, key=lambda i: (ranges[i].first, -ranges[i].nbytes, i))
    yield by_size
    yield by_start
    if not slack:
        yield sorted(everything, key=lambda i: (-ranges[i].nbytes, -i))  # as TFLM does, see tflm_greedy
    else:
        entered = {i for i, _ in slack}
        depth = _depth(ranges, slack)
        yield sorted(by_size, key=lambda i: i in entered)
        yield sorted(by_start, key=lambda i: i in entered)
        yield sorted(by_size, key=lambda i: depth[i])
        yield sorted(by_start, key=lambda i: depth[i])
        yield by_start[::-1]


def _depth(ranges: Sequence[LiveRange], slack: Slack) -> list[int]:
    """How long a chain of ranges that reach into each other ends in each."""
    depth = [0] * len(ranges)
    for i in sorted(range(len(ranges)), key=lambda i: -ranges[i].first):
        depth[i] = max((depth[j] + 1 for a, j in slack if a == i), default=0)
    return depth
