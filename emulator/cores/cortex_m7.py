"""Cortex-M7: a scheduler of its dual issue over the edge between two blocks; memory answers at once.

Two instructions a cycle, in order. The rules and their sources are in `emulator.cores.cortex_m7_tables`; the letters
below are those.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from emulator.cores.cortex_m7_tables import (
    ADDERS,
    EX1,
    EX2,
    FLAGS,
    FROM_EX1,
    FROM_EX2,
    FUSED_CHAIN,
    LOADS,
    MULTIPLY_TO_ADDRESS,
    PREDICATED,
    QUEUE,
    REVERSE_TO_EARLY,
    ROUNDS,
    SLOW,
    STORE_TO_LOAD,
    UNALIGNED,
    WINDOW,
    WORD_LOAD_TO_EARLY,
    Traits,
    traits,
)  # fmt: skip
from emulator.instructions import Instruction
from emulator.placed import Placed
from emulator.timing import UNITS, Charge

WORK = ("issue", "pairing")


def pairs(older: Placed, younger: Placed) -> bool:
    """Whether two instructions may issue in one cycle, their operands apart."""
    a, b = traits(older.instruction), traits(younger.instruction)
    if a.alone or b.alone or b.kind in SLOW:  # [J L]: bitfield and DSP instructions in the older slot only
        return False
    if (a.shifted and (b.shifted or b.shifter)) or (a.shifter and b.shifted):
        return False  # one shifter [J L Q]
    kinds = {a.kind, b.kind}
    if kinds <= {"multiply", "store"} or kinds <= {"float", "fused"}:
        return False  # [J L Q]
    if a.floats and b.floats and "fused" in kinds:
        return False  # a load or store beside VFMA [J Q L]
    return not kinds <= LOADS or banks_differ(older, younger)


def banks_differ(older: Placed, younger: Placed) -> bool:
    """Two loads pair on different banks, even and odd words [J L]; where they went is not known, pointers count as
    aligned to 8 bytes [S]."""
    a, b = older.samples, younger.samples
    if a and b:
        return 2 * sum((x ^ y) >> 2 for x, y in zip(a, b, strict=False)) > min(len(a), len(b))
    return (older.instruction.offset ^ younger.instruction.offset) & 4 != 0


class _Pipe:
    """The state of issue: what issued in the last cycle, when each register can be used, what was fetched."""

    def __init__(self) -> None:
        self.cycle = -1
        self.free = 0  # the first cycle in which something else can issue
        self.older: Placed | None = None  # alone in its cycle so far, and may have company
        self.waits = "issue"  # why the last instruction issued no earlier
        self.ready: dict[str, tuple[int, str]] = {}  # register -> cycle from which it is there, kind of its producer
        self.stored: dict[tuple[frozenset[str], int], int] = {}
        self.window, self.fetched = -1, -QUEUE  # the last window and when it came; fetch is ahead at first
        self.taken: deque[int] = deque([-QUEUE] * QUEUE, maxlen=QUEUE)  # cycles in which the last windows were issued

    def issue(self, placed: Placed) -> None:
        t = traits(placed.instruction)
        operands, fetched = self._operands(placed, t), self._fetch(placed.address, placed.instruction.size)
        older = self.older
        if older is not None and self._joins(older, placed, operands, fetched):
            self.older = None
        else:
            self.waits = self._why(t, operands, fetched)
            self.cycle = max(self.cycle + 1, self.free, operands, fetched)
            self.free = self.cycle + t.occupancy
            older, self.older = None, None if t.alone else placed
        self.taken[-1] = self.cycle
        self._write(placed, t, older)

    def _joins(self, older: Placed, placed: Placed, operands: int, fetched: int) -> bool:
        """Whether the instruction issues in the cycle that has begun."""
        a, b = older.instruction, placed.instruction
        if fetched > self.cycle:
            return False
        if a.name == "mov" and b.name == "movt" and a.writes == b.writes:
            return True  # a constant in two halves [J Q]
        return operands <= self.cycle and pairs(older, placed)

    def _why(self, t: Traits, operands: int, fetched: int) -> str:
        """What keeps an instruction from the cycle that has begun."""
        begun = self.cycle if self.older is not None else self.cycle + 1
        if t.cause != "hazard" and t.occupancy > 1:
            return t.cause
        if max(operands, fetched) > begun:
            return "fetch" if fetched > operands else "hazard"
        return "issue" if self.older is None else "pairing"

    def _operands(self, placed: Placed, t: Traits) -> int:
        """The cycle in which the last operand is there."""
        first, i = 0, placed.instruction
        for register, stage, guarded in t.needs:
            if register in self.ready:
                cycle, kind = self.ready[register]
                cycle += _late(kind, stage, register in i.address) if guarded else 0
                if kind == t.kind == "fused" and register in i.writes:
                    cycle -= FUSED_CHAIN
                first = max(first, cycle - stage)
        if placed.skips and FLAGS in self.ready:
            first = max(first, self.ready[FLAGS][0] - EX2)
        if t.kind in LOADS and self.stored:
            first = max(first, self.stored.get((i.address, i.offset), -STORE_TO_LOAD) + STORE_TO_LOAD)
        return first

    def _fetch(self, address: int, size: int) -> int:
        """The cycle in which the last byte is in the queue; a taken branch costs none [T: BTAC]."""
        for window in (address // WINDOW, (address + size - 1) // WINDOW):
            if window != self.window:
                self.window = window
                self.fetched = max(self.fetched + 1, self.taken[0])
                self.taken.append(self.cycle)
        return self.fetched

    def _write(self, placed: Placed, t: Traits, older: Placed | None) -> None:
        i = placed.instruction
        ready = self.cycle + t.occupancy - 1 + t.ready + (PREDICATED if placed.skips else 0)
        if t.kind == "simple" and self._early(i, t, older):
            ready -= FROM_EX2 - FROM_EX1
        for register in t.results:
            self.ready[register] = (self.cycle + FROM_EX2 if register == FLAGS else ready, t.kind)
        for register in t.updates:
            self.ready[register] = (self.cycle + FROM_EX1, "simple")
        recent = self.cycle - STORE_TO_LOAD
        if self.stored:
            self.stored = {k: c for k, c in self.stored.items() if c > recent and not k[0] & i.writes}
        if t.kind == "store" and not i.indexed and not i.writeback:
            self.stored[i.address, i.offset] = self.cycle

    def _early(self, i: Instruction, t: Traits, older: Placed | None) -> bool:
        """Whether the early ALU takes it: its operands are there, and in the younger slot only a shift [J]."""
        beside = None if older is None else traits(older.instruction)
        if beside is not None and (i.name in ADDERS or beside.shifted or beside.shifter):
            return False
        found = [self.ready[r] for r, _, _ in t.needs if r in self.ready]
        return all(cycle + (kind == "load") <= self.cycle for cycle, kind in found)


def _late(kind: str, stage: int, address: bool) -> int:
    if kind == "load":
        return WORD_LOAD_TO_EARLY if stage > EX1 or address else 0
    if kind == "multiply":
        return MULTIPLY_TO_ADDRESS if address else 0
    return REVERSE_TO_EARLY if kind == "reverse" else 0


def block(code: Sequence[Placed], before: Sequence[Placed], jumped: bool) -> list[Charge]:
    """Cycles between the last issue of `before` and each one of `code`; the sum over a run telescopes."""
    if not code:
        return []
    pipe = _Pipe()
    loops = bool(before) and before[0].address == code[0].address and len(before) == len(code)
    for placed in [*before] * (ROUNDS if loops else 1):
        pipe.issue(placed)
    charges = []
    for index, placed in enumerate(code):
        reached = pipe.free
        pipe.issue(placed)
        spent = pipe.free - reached
        if spent:
            charges.append(Charge(index, "pairing" if pipe.waits == "pairing" else "issue", UNITS))
        if spent > 1:
            charges.append(Charge(index, "hazard" if pipe.waits in WORK else pipe.waits, (spent - 1) * UNITS))
        if more := unaligned(placed, younger=spent == 0):
            charges.append(Charge(index, "load_store", more))
    return charges


def unaligned(placed: Placed, *, younger: bool) -> int:
    """Units of loads that are not aligned to their size, and of an even number of stores not to 8 bytes, in the share
    of executions that were so."""
    i, samples = placed.instruction, placed.samples
    mask, cycles = 0, 0
    if i.kind == "load":
        mask, cycles = min(i.access, 4) - 1, UNALIGNED[younger]
    elif i.kind == "store_multiple" and i.transfers % 2 == 0:
        mask, cycles = 7, 1  # [J]
    return cycles * UNITS * sum(s & mask != 0 for s in samples) // len(samples) if samples else 0
