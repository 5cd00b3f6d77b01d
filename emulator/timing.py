"""Cycles of what a machine has run: an observer of its counts and memory accesses, outside it, which can be replaced.

    clock = Timing(machine)  # before the first call: caches and branch prediction are followed from then on
    before = clock.now(); machine.call(...); costs = clock.cost(clock.now() - before)
    costs.cycles, costs.by_cause, costs.at_instructions()

Each edge between two executed blocks is priced once by the tables of the board's core (`emulator.cores`), and then
multiplied by its count. What memory adds comes from `emulator.memory_timing`, by instruction. All are integers of
1/256 cycle, so that the parts always sum to the total.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from emulator import memory_timing
from emulator.accesses import Accesses
from emulator.block_accesses import BlockAccesses
from emulator.branch_prediction import BranchPrediction
from emulator.bus_timing import BusTiming
from emulator.counts import Counts, Int64s
from emulator.machine import Machine
from emulator.memory_timing import MemoryTiming, Stalls
from emulator.placed import Placed, place

UNITS = 256  # of a cycle
WELL_KNOWN = 100  # executions of a block after which further samples of its pointers change little

CAUSES = ("issue", "load_store", "branch", "hazard", "pairing", "fetch", "divide", "float", *memory_timing.CAUSES)


class Charge(NamedTuple):
    """Units that instruction number `at` of a block costs, and why; -1 is the last one of the block before it."""

    at: int
    cause: str
    units: int


class Model(Protocol):
    """What a module of `emulator.cores` offers."""

    def block(self, code: Sequence[Placed], before: Sequence[Placed], jumped: bool) -> list[Charge]:
        """Charges of a block that is entered from the block `before`, by a jump or by falling through.

        `before` is empty where a call begins, `code` where it ends.
        """


MODELS: Mapping[str, str] = {
    "cortex-m0plus": "emulator.cores.cortex_m0plus",
    "cortex-m3": "emulator.cores.cortex_m3",
    "cortex-m4": "emulator.cores.cortex_m4",
    "cortex-m7": "emulator.cores.cortex_m7",
    "cortex-m33": "emulator.cores.cortex_m33",
}


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that was counted so far; a later one minus an earlier one: what happened between."""

    counts: Counts
    stalls: Stalls

    def __sub__(self, earlier: Snapshot) -> Snapshot:
        return Snapshot(self.counts - earlier.counts, self.stalls - earlier.stalls)

    @property
    def instructions(self) -> int:
        return self.counts.instructions


@dataclass(frozen=True, eq=False)
class Spent:
    """Units by cause of each instruction that cost something, by rising address: len(CAUSES) x instructions."""

    address: Int64s
    units: Int64s


@dataclass(frozen=True, eq=False)
class Costs:
    """What a span cost. `by_edge` is the price of one passage, edges x causes."""

    span: Snapshot
    clock: Timing
    by_edge: Int64s

    @property
    def counts(self) -> Counts:
        return self.span.counts

    @cached_property
    def units(self) -> Int64s:
        """Units by cause."""
        found: Int64s = self.counts.times @ self.by_edge
        found[-len(memory_timing.CAUSES) :] += self.span.stalls.units.sum(axis=0)
        return found

    @property
    def cycles(self) -> int:
        return int(self.units.sum()) // UNITS

    @property
    def instructions(self) -> int:
        return self.counts.instructions

    @property
    def by_cause(self) -> dict[str, int]:
        """Cycles by cause; they sum to `cycles`, what rounding leaves is added to the largest."""
        cycles = {cause: int(u) // UNITS for cause, u in zip(CAUSES, self.units, strict=True) if u}
        if cycles:
            cycles[max(cycles, key=cycles.__getitem__)] += self.cycles - sum(cycles.values())
        return cycles

    @cached_property
    def at_instructions(self) -> Spent:
        """The same units by instruction; they sum to `units`."""
        return self.clock.spent(self.span)


class Timing:
    """The cycles of one machine, from now on. It keeps what it learned of each edge: many spans are cheap."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._model: Model = importlib.import_module(MODELS[machine.board.core.name])
        self._memory = MemoryTiming(machine)
        self._bus = BusTiming(machine) if machine.board.banks else None
        self._accesses = Accesses(machine, self._memory) if machine.board.core.dual_issue else None
        if self._accesses is None and any(path.kind != "fetch" for path in machine.board.paths):
            BlockAccesses(machine, self._memory)
        wrong = machine.board.core.mispredict
        self._prediction = BranchPrediction(machine, self._memory, wrong) if wrong else None
        self._code: dict[int, list[Placed]] = {0: []}  # of a block, by its id
        self._charges: list[list[Charge]] = [[]]  # of an edge, by its id
        self._prices = np.zeros((1, len(CAUSES)), np.int64)
        self._totals = np.zeros(0, np.int64)  # of the edges' prices, as far as `cycles` has asked for them
        self._thin: dict[int, int] = {}  # edges priced by few samples of pointers: executions of the block by then

    @property
    def error_pct(self) -> float | None:
        """The calibrated error of this board's cycles in percent, or None."""
        return self.machine.board.cycles_error_pct

    @property
    def cycles(self) -> int:
        """Cycles since the machine's first instruction, without a snapshot: devices ask often."""
        times = self.machine.counter.times
        if len(times) > len(self._totals):
            self._learn(self.machine.counts())
            self._totals = self._prices.sum(axis=1)
        return (int(times @ self._totals[: len(times)]) + self._memory.total) // UNITS

    def now(self) -> Snapshot:
        return Snapshot(self.machine.counts(), self._memory.stalls())

    def cost(self, span: Snapshot) -> Costs:
        """The cost of a span: the difference of two snapshots, or one for all since the beginning."""
        self._learn(span.counts)
        self._learn_again()
        return Costs(span, self, self._prices[: len(span.counts.times)])

    def spent(self, span: Snapshot) -> Spent:
        """Units by instruction and cause."""
        self._learn(span.counts)
        found: dict[int, Int64s] = {}
        counts = span.counts
        for e in np.flatnonzero(counts.times):
            before, code = (self._placed(counts, int(side[e])) for side in (counts.before, counts.block))
            for charge in self._charges[e]:
                address = (before[-1] if charge.at < 0 else code[charge.at]).address
                row = found.setdefault(address, np.zeros(len(CAUSES), np.int64))
                row[CAUSES.index(charge.cause)] += charge.units * counts.times[e]
        for address, units in zip(span.stalls.address.tolist(), span.stalls.units, strict=True):
            if units.any():
                row = found.setdefault(address, np.zeros(len(CAUSES), np.int64))
                row[-len(memory_timing.CAUSES) :] += units
        addresses = sorted(found)
        rows = [found[a] for a in addresses]
        return Spent(np.array(addresses, np.int64), np.array(rows, np.int64).reshape(-1, len(CAUSES)).T)

    def by_side(self, counts: Counts) -> tuple[Int64s, Int64s]:
        """Units of one passage by edge: what it costs the block that it leaves, and the block that it enters."""
        self._learn(counts)
        leaves = [sum(c.units for c in charges if c.at < 0) for charges in self._charges[: len(counts.times)]]
        left = np.array(leaves, np.int64)
        return left, self._prices[: len(left)].sum(axis=1) - left

    def waits(self, span: Snapshot) -> tuple[Int64s, Int64s]:
        """(addresses, units) of all that is known by instruction and not by edge; an address may come twice."""
        return span.stalls.address, span.stalls.units.sum(axis=1)

    def _learn(self, counts: Counts) -> None:
        """Price the edges that were not seen before."""
        fresh = range(len(self._charges), len(counts.times))
        if not fresh:
            return
        falls = counts.falls
        self._charges += [self._priced(counts, e, not falls[e]) for e in fresh]
        self._prices = np.concatenate([self._prices, [_by_cause(self._charges[e]) for e in fresh]])
        if self._bus is not None or self._accesses is not None:
            ran = self.machine.counts().count  # `counts` may be those of a span
            self._thin.update((e, int(ran[counts.block[e]])) for e in fresh)

    def _learn_again(self) -> None:
        """Price again what was priced when its block had hardly run, as when a device read the cycles early on."""
        if not self._thin:
            return
        counts = self.machine.counts()
        grown = [e for e, before in self._thin.items() if counts.count[counts.block[e]] > before]
        for block in {int(side[e]) for e in grown for side in (counts.before, counts.block)} - {0}:
            self._code.pop(block, None)
        falls = counts.falls
        for e in grown:
            self._charges[e] = self._priced(counts, e, not falls[e])
            self._prices[e] = _by_cause(self._charges[e])
        now = ((e, int(counts.count[counts.block[e]])) for e in self._thin)
        self._thin = {e: executions for e, executions in now if executions < WELL_KNOWN}
        self._totals = np.zeros(0, np.int64)

    def _priced(self, counts: Counts, edge: int, jumped: bool) -> list[Charge]:
        block, previous = int(counts.block[edge]), int(counts.before[edge])
        before, code = self._placed(counts, previous), self._placed(counts, block)
        return self._model.block(code, before, jumped) + self._on_bus(previous, block, jumped)

    def _on_bus(self, before: int, block: int, jumped: bool) -> list[Charge]:
        """What the bus adds to a block that is entered from another one."""
        if self._bus is None:
            return []
        code, left = self._code[block], self._code[before]
        waits = self._bus.waits(block, code)
        charges = [Charge(n, "bus", u) for n, u in enumerate(waits) if u and not code[n].may_stay]
        if jumped and left and left[-1].may_stay:
            charges.append(Charge(-1, "bus", self._bus.waits(before, left)[-1]))
        return charges

    def _placed(self, counts: Counts, block: int) -> list[Placed]:
        if block not in self._code:
            start, size = int(counts.start[block]), int(counts.size[block])
            code = place(start, self.machine.read(start, size))
            if self._accesses is not None:
                code = [p._replace(samples=self._accesses.samples(p.address)) for p in code]
            self._code[block] = code
        return self._code[block]


def _by_cause(charges: Sequence[Charge]) -> Int64s:
    units = np.zeros(len(CAUSES), np.int64)
    for charge in charges:
        units[CAUSES.index(charge.cause)] += charge.units
    return units
