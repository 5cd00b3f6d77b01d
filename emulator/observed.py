"""A finished run with all that was counted, for reports that look closer than its profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulator.image import Symbol
from emulator.machine import Machine
from emulator.stacks import Moment, Stacks
from emulator.timing import Costs, Snapshot, Timing
from refsim.board import Board


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A part of a run: a kernel call of a model. Stages of one `group` run in turns, row by row."""

    name: str
    span: Moment
    group: int = 0
    live: int | None = None  # bytes of SRAM in use


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """What ran, and where it can be looked at. `stages`, in the order in which they ran, are empty for firmware;
    `whole` is None where calls were not followed."""

    name: str
    board: Board
    machine: Machine
    clock: Timing
    span: Snapshot
    functions: tuple[Symbol, ...]  # by rising address
    whole: Moment | None = None
    stages: tuple[Stage, ...] = ()

    @property
    def costs(self) -> Costs:
        return self.clock.cost(self.span)

    def stacks(self) -> Stacks:
        """The chains of calls; to be asked only where they were followed."""
        assert self.whole is not None
        return Stacks(self.clock, self.whole, self.functions)


def stages_of(names: Sequence[tuple[str, int]], moments: Sequence[Moment], live: Sequence[int]) -> tuple[Stage, ...]:
    """One stage per (name, group), from its moment to the next one; the first has the way there too."""
    spans = [later - moments[n] if n else later for n, later in enumerate(moments[1:])]
    return tuple(
        Stage(name, span, group, nbytes) for (name, group), span, nbytes in zip(names, spans, live, strict=True)
    )
