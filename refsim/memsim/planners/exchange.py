"""Local search: exchange two ranges in the order of placing, one of them under the peak; keep what is not worse.

Where nothing has become better for a while, the best order known is shaken and the search goes on from there.
The idea is that of ethos-u-vela's hill climb allocator; moves and limits are our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from refsim.memsim.plan import LiveRange, Meetings, Slack, meetings, place

SEED = 1
PATIENCE = 150  # tries without a lower peak
SHAKES = 4  # exchanges at random


def improved(
    ranges: Sequence[LiveRange], best: tuple[int, ...], target: int, most: int, slack: Slack | None = None
) -> tuple[int, ...]:
    """Offsets with no higher peak than `best`, after at most `most` tries, fewer where `target` bytes are reached.

    Sizes must be aligned; the same for the same arguments.
    """
    lowest = peak = _peak(ranges, best)
    if peak <= target or len(ranges) < 2:
        return best
    random, meets, current, since = Random(SEED), meetings(ranges), best, 0
    order = kept = _order(ranges, best)
    for _ in range(most):
        changed = _exchanged(order, random.choice(_under_the_peak(ranges, current, meets)), random)
        offsets = place(ranges, changed, meets, slack)
        found = _peak(ranges, offsets)
        since = 0 if found < peak else since + 1
        if found <= peak:
            peak, order, current = found, changed, offsets
        if peak < lowest:
            lowest, kept, best = peak, order, current
        if lowest <= target:
            break
        if since > PATIENCE:
            order, since = _shaken(kept, random), 0
            current = place(ranges, order, meets, slack)
            peak = _peak(ranges, current)
    return best


def _shaken(order: Sequence[int], random: Random) -> list[int]:
    shaken = list(order)
    for _ in range(SHAKES):
        shaken = _exchanged(shaken, random.randrange(len(shaken)), random)
    return shaken


def _peak(ranges: Sequence[LiveRange], offsets: Sequence[int]) -> int:
    return max(o + r.nbytes for o, r in zip(offsets, ranges, strict=True)) if ranges else 0


def _order(ranges: Sequence[LiveRange], offsets: Sequence[int]) -> list[int]:
    """An order that gives these offsets or lower ones: from the bottom up."""
    return sorted(range(len(ranges)), key=lambda i: (offsets[i], -ranges[i].nbytes))


def _under_the_peak(ranges: Sequence[LiveRange], offsets: Sequence[int], meets: Meetings) -> list[int]:
    """The ranges that end highest, and all that lie under them."""
    peak = _peak(ranges, offsets)
    found = [i for i, r in enumerate(ranges) if offsets[i] + r.nbytes == peak]
    seen = set(found)
    for i in found:  # grows while it is walked
        below = [j for j in meets[i] if offsets[j] < offsets[i] and j not in seen]
        seen.update(below)
        found.extend(below)
    return found


def _exchanged(order: Sequence[int], i: int, random: Random) -> list[int]:
    """The order with range `i` and a random other one in each other's places."""
    changed = list(order)
    a, b = changed.index(i), random.randrange(len(order))
    changed[a], changed[b] = changed[b], changed[a]
    return changed
