"""Live ranges, and plans that give each of them an offset in one arena."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

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


def aligned(offset: int) -> int:
    """The next multiple of ALIGNMENT."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def lowest_gap(nbytes: int, taken: Iterable[tuple[int, int]]) -> int:
    """The lowest aligned offset at which `nbytes` fit between the (offset, nbytes) already taken."""
    offset = 0
    for start, size in sorted(taken):
        if offset + nbytes <= start:
            break
        offset = max(offset, aligned(start + size))
    return offset


def place(ranges: Sequence[LiveRange], order: Iterable[int]) -> tuple[int, ...]:
    """Put the ranges down in `order`, each into the lowest gap among those it meets."""
    offsets: dict[int, int] = {}
    for i in order:
        taken = ((offset, ranges[j].nbytes) for j, offset in offsets.items() if ranges[i].meets(ranges[j]))
        offsets[i] = lowest_gap(ranges[i].nbytes, taken)
    return tuple(offsets[i] for i in range(len(ranges)))


@dataclass(frozen=True, eq=False)
class Plan:
    """An offset in bytes for every live range."""

    ranges: tuple[LiveRange, ...]
    offsets: tuple[int, ...]

    @cached_property
    def nbytes(self) -> int:
        """Size of the arena."""
        return aligned(max((o + r.nbytes for o, r in zip(self.offsets, self.ranges, strict=True)), default=0))

    @cached_property
    def lower_bound(self) -> int:
        """The most bytes live at one step: no plan of these ranges can be smaller."""
        return max((sum(r.nbytes for r in self.ranges if r.first <= step <= r.last) for step in self.steps), default=0)

    @property
    def steps(self) -> range:
        return range(max((r.last for r in self.ranges), default=-1) + 1)

    def verify(self) -> None:
        """Raise PlanError, naming both, when two ranges that meet overlap; or one that is misaligned."""
        by_offset = sorted(range(len(self.ranges)), key=lambda i: self.offsets[i])
        for place_, i in enumerate(by_offset):
            if self.offsets[i] < 0 or self.offsets[i] % ALIGNMENT:
                raise PlanError(f"'{self.ranges[i].name}' lies at {self.offsets[i]}: not a multiple of {ALIGNMENT}")
            for j in by_offset[place_ + 1 :]:
                if self.offsets[j] >= self.offsets[i] + self.ranges[i].nbytes:
                    break
                if self.ranges[i].meets(self.ranges[j]):
                    raise PlanError(self._complaint(i, j))

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
