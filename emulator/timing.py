"""Cycles of what a machine has run: an observer of block counts, outside the machine, which can be replaced.

Each executed block is decoded once and costed by the tables of the board's core (`emulator.cores`). Costs are
integers of 1/256 cycle, so that the parts always sum to the total. A charge falls due each time the block runs, each
time it is left by a jump, or each time it is entered by one.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from emulator import instructions
from emulator.hooks import Counts, Int64s
from emulator.instructions import Instruction
from emulator.machine import Machine
from refsim.boards import Core

UNITS = 256  # of a cycle

ALWAYS, LEFT, ENTERED = range(3)  # when a charge falls due: the block runs, is left by a jump, is entered by one

CAUSES = ("issue", "load_store", "branch", "hazard", "fetch", "divide", "float")


class Placed(NamedTuple):
    """An instruction at its address; `skips`: it is governed by an IT instruction."""

    address: int
    instruction: Instruction
    skips: bool

    @property
    def unaligned_wide(self) -> bool:
        return self.instruction.size == 4 and self.address % 4 == 2


class Charge(NamedTuple):
    """Units that instruction number `at` of a block costs, and why."""

    at: int
    cause: str
    units: int
    when: int = ALWAYS


class Model(Protocol):
    """What a module of `emulator.cores` offers."""

    CALIBRATED: float | None  # error against silicon in percent, None where it was not calibrated

    def block(self, code: Sequence[Placed], before: Placed | None) -> list[Charge]:
        """Charges of a block. `before` is the instruction that always runs before it without a jump."""


MODELS: Mapping[str, str] = {
    "cortex-m0plus": "emulator.cores.cortex_m0plus",
    "cortex-m3": "emulator.cores.cortex_m3",
    "cortex-m4": "emulator.cores.cortex_m4",
    "cortex-m7": "emulator.cores.cortex_m7",
    "cortex-m33": "emulator.cores.cortex_m33",
}


@dataclass(frozen=True, eq=False)
class BlockCosts:
    """Units by cause and block id (an array of len(CAUSES) x blocks) beside the counts that they come from."""

    counts: Counts
    units: Int64s

    @property
    def cycles(self) -> int:
        return int(self.units.sum()) // UNITS

    @property
    def instructions(self) -> int:
        return self.counts.instructions

    @cached_property
    def by_block(self) -> Int64s:
        """Units of each block."""
        return np.asarray(self.units.sum(axis=0), np.int64)

    @property
    def by_cause(self) -> dict[str, int]:
        """Cycles by cause; they sum to `cycles`, what rounding leaves is added to the largest."""
        cycles = {cause: int(u) // UNITS for cause, u in zip(CAUSES, self.units.sum(axis=1), strict=True) if u}
        if cycles:
            cycles[max(cycles, key=cycles.__getitem__)] += self.cycles - sum(cycles.values())
        return cycles


class Timing:
    """The cycles of one core. Keeps what it learned of each block, so that many observations are cheap."""

    def __init__(self, core: Core) -> None:
        self._model: Model = importlib.import_module(MODELS[core.name])
        self._known: dict[tuple[int, bytes, bytes], Int64s] = {}

    @property
    def error_pct(self) -> float | None:
        """The calibrated error of this core's cycles in percent, or None."""
        return self._model.CALIBRATED

    def charges(self, machine: Machine, start: int, size: int, before: Placed | None = None) -> list[Charge]:
        """What the model charges for one block of code."""
        return self._model.block(place(start, machine.read(start, size)), before)

    def observe(self, machine: Machine, counts: Counts | None = None) -> BlockCosts:
        """The cost of all that ran, or of what `counts` (the difference of two snapshots) says."""
        whole = machine.counts()
        counts = whole if counts is None else counts
        times = np.stack([counts.count, *_jumps(counts)])  # by (when, block)
        tariffs = np.zeros((len(counts.count), len(CAUSES), 3), np.int64)
        above = _by_end(whole)  # of all that ran, so that the costs of spans sum to that of the whole
        for i in np.flatnonzero(counts.count):
            start = int(counts.start[i])
            tariffs[i] = self._tariff(machine, start, int(counts.size[i]), above.get(start))
        return BlockCosts(counts, np.einsum("bcw,wb->cb", tariffs, times))

    def _tariff(self, machine: Machine, start: int, size: int, above: tuple[int, int] | None) -> Int64s:
        """Units by (cause, when) of a block; `above` is (start, bytes) of one that ends where it begins."""
        code = machine.read(start, size)
        earlier = b"" if above is None else machine.read(*above)
        key = (start, code, earlier)
        if key not in self._known:
            before = _continues(start, earlier)
            tariff = np.zeros((len(CAUSES), 3), np.int64)
            for charge in self._model.block(place(start, code), before):
                tariff[CAUSES.index(charge.cause), charge.when] += charge.units
            self._known[key] = tariff
        return self._known[key]


def _by_end(counts: Counts) -> dict[int, tuple[int, int]]:
    """(start, bytes) of a block that ran, by the address where it ends."""
    ran = counts.count > 0
    rows = zip(counts.start[ran].tolist(), counts.size[ran].tolist(), strict=True)
    return {start + size: (start, size) for start, size in rows}


def place(start: int, data: bytes) -> list[Placed]:
    """The instructions of straight-line code at `start`."""
    placed = []
    governed = 0
    for offset, i in instructions.split(data):
        placed.append(Placed(start + offset, i, governed > 0))
        governed = _governed(data[offset]) if i.kind == "it" else max(governed - 1, 0)
    return placed


def _governed(encoding: int) -> int:
    """Instructions that an IT instruction governs: its mask ends in a one bit after them."""
    mask = encoding & 0xF
    return 4 - ((mask & -mask).bit_length() - 1)


def _continues(start: int, earlier: bytes) -> Placed | None:
    """The last instruction of the code above, if it always runs on: Unicorn cuts blocks at 1 KiB."""
    if not earlier:
        return None
    last = place(start - len(earlier), earlier)[-1]
    return None if last.instruction.jumps else last


def _jumps(counts: Counts) -> tuple[Int64s, Int64s]:
    """How often each block was left by a jump, and entered by one.

    A block that ends without a branch is never left by a jump, but models charge it nothing then.
    """
    fell: dict[int, int] = {}
    for i in np.flatnonzero(counts.fall):
        end = int(counts.start[i] + counts.size[i])
        fell[end] = fell.get(end, 0) + int(counts.fall[i])
    entered = counts.count - np.array([fell.get(int(start), 0) for start in counts.start], np.int64)
    return counts.count - counts.fall, entered
