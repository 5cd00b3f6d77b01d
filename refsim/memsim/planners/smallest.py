"""Several orders of placing, each range as low as it goes; the smallest arena wins. No order wins on every network.

The only planner that uses slack (`plan.Slack`): there a range that others reach into has to come after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refsim.memsim.plan import LiveRange, Meetings, Mirrored, Slack, meetings, place


def smallest(ranges: Sequence[LiveRange], slack: Slack | None = None) -> tuple[int, ...]:
    """Offsets in bytes; the first of equals."""
    return min(_plans(ranges, slack or {}), key=lambda offsets: _top(ranges, offsets))


def _top(ranges: Sequence[LiveRange], offsets: Sequence[int]) -> int:
    return max((o + r.nbytes for o, r in zip(offsets, ranges, strict=True)), default=0)


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
    if slack:
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
