"""TinyEngine's allocator: rectangles of time and address, the largest first, each into the lowest slot.

Source: mit-han-lab/tinyengine @47bb283, code_generator/allocator/{base_allocator,firstFit}.py, in our own words. Two
defects are part of it and can be turned off: rectangles that begin and end together are not seen to meet, and the list
of slots is changed while it is walked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Rectangle:
    """`nbytes` from layer `start` up to, but not including, layer `end`; a quarter of it once past `shrinks` (-1:
    never), the last depthwise layer of stride 2 that worked in place on it."""

    tensor: int
    start: int
    end: int
    nbytes: int
    shrinks: int = -1

    def seen_from(self, start: int) -> int:
        """Bytes that it takes for a rectangle that begins at `start`."""
        return -(-self.nbytes // 4) if 0 <= self.shrinks < start else self.nbytes


def first_fit(rectangles: Sequence[Rectangle], as_written: bool = True) -> tuple[int, ...]:
    """The address of each rectangle. `as_written` False repairs both defects."""
    placed: dict[int, int] = {}
    meets, cut = (_meets_as_written, _cut_as_written) if as_written else (_meets, _cut)
    for i in sorted(range(len(rectangles)), key=lambda i: -rectangles[i].nbytes):
        wanted, slots = rectangles[i], [(0, LIMIT)]
        for j, address in placed.items():
            if meets(wanted, rectangles[j]):
                slots = cut(slots, (address, address + rectangles[j].seen_from(wanted.start)))
        placed[i] = min(low for low, high in slots if high - low >= wanted.nbytes)
    return tuple(placed[i] for i in range(len(rectangles)))


Slot = tuple[int, int]


def _meets(a: Rectangle, b: Rectangle) -> bool:
    return a.start < b.end and b.start < a.end


def _meets_as_written(a: Rectangle, b: Rectangle) -> bool:
    """True when an end of one lies strictly inside the other; not when both have the same ends."""
    inside_a = a.start < b.start < a.end or a.start < b.end < a.end
    return inside_a or b.start < a.start < b.end or b.start < a.end < b.end


def _cut(slots: Sequence[Slot], taken: Slot) -> list[Slot]:
    left = ((low, min(high, taken[0])) for low, high in slots)
    right = ((max(low, taken[1]), high) for low, high in slots)
    return [(low, high) for low, high in (*left, *right) if low < high]


def _cut_as_written(slots: Sequence[Slot], taken: Slot) -> list[Slot]:
    """What is left of a slot goes to the end of the list; the slot that follows a cut one is passed over."""
    found, at = list(slots), 0
    while at < len(found):
        low, high = found[at]
        if low <= taken[1] and taken[0] <= high:
            if high > taken[1]:
                found.append((taken[1], high))
            if low < taken[0]:
                found.append((low, taken[0]))
            del found[at]
        at += 1
    return found
