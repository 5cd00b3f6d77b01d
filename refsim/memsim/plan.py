"""Live ranges, and plans that give each of them an offset in one arena."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Protocol

from refsim.errors import PlanError

ALIGNMENT = 4  # bytes; kernels read words, and float tensors need no more


@dataclass(frozen=True, slots=True)
class LiveRange:
    """`nbytes` that must stay untouched from step `first` to step `last`, both included."""

    name: str
    nbytes: int
    first: int
    last: int

    def meets(self, other: LiveRange) -> bool:
        """True when both are live at some step."""
        return self.first <= other.last and other.first <= self.last


Planner = Callable[[Sequence[LiveRange]], tuple[int, ...]]
# (i, j) -> d: although both live at once, j may lie lower than i and reach into it, while offset i - offset j >= d.
Slack = Mapping[tuple[int, int], int]
Meetings = Sequence[Sequence[int]]


class SlackPlanner(Protocol):
    """A Planner that can make use of slack."""

    def __call__(self, ranges: Sequence[LiveRange], slack: Slack | None = None) -> tuple[int, ...]: ...


def aligned(offset: int) -> int:
    """The next multiple of ALIGNMENT."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def lowest_offset(forbidden: Iterable[tuple[int, int]]) -> int:
    """The lowest aligned offset in none of the open intervals."""
    offset = 0
    for low, high in sorted(forbidden):
        if offset <= low:
            break
        offset = max(offset, aligned(high))
    return offset


def forbidden(i: int, j: int, at: int, ranges: Sequence[LiveRange], slack: Slack) -> tuple[int, int]:
    """Where range i must not begin (an open interval) when j, which it meets, begins at `at`."""
    low = at - slack.get((j, i), ranges[i].nbytes)
    high = at + slack.get((i, j), ranges[j].nbytes)
    return min(low, high), high


def meetings(ranges: Sequence[LiveRange]) -> tuple[tuple[int, ...], ...]:
    """For every range, the others that it meets. Takes time in proportion to how many there are."""
    found: list[list[int]] = [[] for _ in ranges]
    alive: list[int] = []
    for i in sorted(range(len(ranges)), key=lambda i: ranges[i].first):
        alive = [j for j in alive if ranges[j].last >= ranges[i].first]
        for j in alive:
            found[i].append(j)
            found[j].append(i)
        alive.append(i)
    return tuple(map(tuple, found))


def place(
    ranges: Sequence[LiveRange], order: Iterable[int], meets: Meetings | None = None, slack: Slack | None = None
) -> tuple[int, ...]:
    """Put the ranges down in `order`, each as low as those that it meets allow; `meets` when it is known."""
    meets = meetings(ranges) if meets is None else meets
    offsets: dict[int, int] = {}
    for i in order:
        taken = (forbidden(i, j, offsets[j], ranges, slack or {}) for j in meets[i] if j in offsets)
        offsets[i] = lowest_offset(taken)
    return tuple(offsets[i] for i in range(len(ranges)))


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The same problem with addresses counted downwards: who is reached into may then be placed first."""

    ranges: tuple[LiveRange, ...]
    slack: Slack

    @classmethod
    def of(cls, ranges: Sequence[LiveRange], slack: Slack) -> Mirrored:
        padded = tuple(replace(r, nbytes=aligned(r.nbytes)) for r in ranges)
        turned = {(j, i): aligned(d) + padded[i].nbytes - padded[j].nbytes for (i, j), d in slack.items()}
        return cls(padded, turned)

    def back(self, offsets: Sequence[int]) -> tuple[int, ...]:
        """Offsets of this problem as ones of the other; its own inverse."""
        ends = [o + r.nbytes for o, r in zip(offsets, self.ranges, strict=True)]
        return tuple(max(ends, default=0) - end for end in ends)


def _shared(ranges: Sequence[LiveRange], slack: Slack) -> Iterator[tuple[int, int, int]]:
    """(first step, last step, bytes): what ranges may have in common with those above them, pieces of time apart.

    Whichever of (i, j) lies lower, its bytes up to the distance in `slack` are its own, and so are disjoint from
    those of all others.
    """
    partners: dict[int, list[tuple[int, int, int]]] = {}
    for (i, j), distance in slack.items():
        together = max(ranges[i].first, ranges[j].first), min(ranges[i].last, ranges[j].last)
        common = ranges[j].nbytes - max(distance, 0)
        if common > 0 and together[0] <= together[1]:
            partners.setdefault(j, []).append((*together, common))
    for spans in partners.values():
        cuts = sorted({step for first, last, _ in spans for step in (first, last + 1)})
        for begin, end in pairwise(cuts):
            yield begin, end - 1, max((common for first, last, common in spans if first <= begin <= last), default=0)


@dataclass(frozen=True, eq=False)
class Plan:
    """An offset in bytes for every live range."""

    ranges: tuple[LiveRange, ...]
    offsets: tuple[int, ...]
    slack: Slack = field(default_factory=dict)

    @cached_property
    def nbytes(self) -> int:
        """Size of the arena."""
        return aligned(max((o + r.nbytes for o, r in zip(self.offsets, self.ranges, strict=True)), default=0))

    @cached_property
    def lower_bound(self) -> int:
        """The most bytes live at one step, shared ones counted once: no plan of these ranges can be smaller."""
        held = [(r.first, r.last, r.nbytes) for r in self.ranges]
        shared = [(first, last, -nbytes) for first, last, nbytes in _shared(self.ranges, self.slack)]
        change: dict[int, int] = {}
        for first, last, nbytes in (*held, *shared):
            change[first] = change.get(first, 0) + nbytes
            change[last + 1] = change.get(last + 1, 0) - nbytes
        most = max(accumulate(change[step] for step in sorted(change)), default=0)
        return max([most, *(nbytes for _, _, nbytes in held)])

    @property
    def steps(self) -> range:
        return range(max((r.last for r in self.ranges), default=-1) + 1)

    def verify(self) -> None:
        """Raise PlanError, naming both, when two ranges that meet overlap; or one that is misaligned."""
        for r, offset in zip(self.ranges, self.offsets, strict=True):
            if offset < 0 or offset % ALIGNMENT:
                raise PlanError(f"'{r.name}' lies at {offset}: not a multiple of {ALIGNMENT}")
        if (complaint := self.overlap()) is not None:
            raise PlanError(complaint)

    def overlap(self) -> str | None:
        """The first two ranges that meet and overlap, in words; None where there are none."""
        for i, others in enumerate(meetings(self.ranges)):
            for j in others:
                low, high = forbidden(i, j, self.offsets[j], self.ranges, self.slack)
                if low < self.offsets[i] < high:
                    return self._complaint(i, j)
        return None

    def _complaint(self, i: int, j: int) -> str:
        def where(k: int) -> str:
            r = self.ranges[k]
            end = self.offsets[k] + r.nbytes
            return f"'{r.name}' at [{self.offsets[k]}, {end}) in steps {r.first} to {r.last}"

        return f"{where(i)} overlaps {where(j)}"


def make_plan(ranges: Sequence[LiveRange], planner: Planner) -> Plan:
    """Run a planner and check what it did."""
    plan = Plan(tuple(ranges), planner(ranges))
    plan.verify()
    return plan
