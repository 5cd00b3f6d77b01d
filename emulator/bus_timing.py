"""What a bus matrix adds to the accesses of a Cortex-M3 or M4: blocks of SRAM that answer late.

For boards with `refsim.board.Bank`s. The matrix keeps the processor's bus switched to one block of memory. The first
load of a burst from another block waits; further ones pipeline with it, each behind the one before, and so do the words
of one LDM. A store waits in its buffer, unseen, but is on the bus then: a load exactly `ON_THE_BUS` instructions behind
it finds the block switched. A load from flash and a store right behind it do not overlap, as two loads or a load and a
store of one memory do. Where an access goes is told by `emulator.pointers` and `emulator.pointer_flow`.

Sources: jnk0le/random, "pipeline cycle test", cortex_m3m4.md (only accesses to one block pipeline); mupq/pqm4, pull
request 193 and commit "Shrink RAM from 128 KiB to 112 KiB" (loads from other blocks than SRAM1 are slower); that it is
a cycle a burst, and `ON_THE_BUS`, from golden/measured/pqm.csv, by the cycles of one Keccak permutation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from emulator.cache_lines import UNITS
from emulator.instructions import Instruction
from emulator.machine import Machine
from emulator.placed import Placed
from emulator.pointer_flow import Flow
from emulator.pointers import Pointers

ON_THE_BUS = 2  # instructions between a store and a load that finds the bus switched
NO_OVERLAP = UNITS  # that a store takes right behind a load from another memory [J]
FLASH, FIRST_BANK = 1, 2  # numbers of memories; the others follow the banks


class _Access(NamedTuple):
    at: int  # number of its instruction
    bank: int
    instruction: Instruction


def waits(code: Sequence[Instruction], memory: Sequence[int], banks: Mapping[int, int]) -> list[int]:
    """Units that each instruction of a block waits for the bus. `banks`: those of a burst's first load."""
    found = [0] * len(code)
    last: _Access | None = None
    for n, (i, at) in enumerate(zip(code, memory, strict=True)):
        if not i.transfers:
            continue
        if at == FLASH and i.loads and n + 1 < len(code) and _is_buffered(code[n + 1]):
            found[n + 1] += NO_OVERLAP
        if at in banks:
            access = _Access(n, at, i)
            if i.loads and not (last and _goes_on(last, access)):
                found[n] += banks[at]
            last = access
    return found


def _is_buffered(i: Instruction) -> bool:
    """A store of one register, immediate offset: those that overlap a load before them."""
    return i.kind == "store" and not i.indexed and i.name[0] != "v"


def _goes_on(last: _Access, load: _Access) -> bool:
    """Whether a load goes on with what the bus does."""
    steps = load.at - last.at
    if last.bank != load.bank:
        return False
    return steps == ON_THE_BUS + 1 if last.instruction.stores else steps == 1 and last.instruction.transfers == 1


class BusTiming:
    """Follows the pointers of one machine into its board's memories, from now on."""

    def __init__(self, machine: Machine) -> None:
        board = machine.board
        regions = [(region.base, region.end) for region in (board.sram, *board.regions)]
        banks = [(bank.base, bank.end) for bank in board.banks]
        self._ranges = [(board.flash.base, board.flash.end), *banks, *regions]
        self._banks = {FIRST_BANK + n: round(UNITS * bank.wait) for n, bank in enumerate(board.banks)}
        self._machine = machine
        self._pointers = Pointers(machine, self._ranges)

    def waits(self, block: int, placed: Sequence[Placed]) -> list[int]:
        """Units that each instruction of the block with this id waits in one execution: the mean so far."""
        registers, times = self._pointers.samples(block)
        code = [p.instruction for p in placed]
        columns = Flow(registers, self._number, self._read).follow(placed)
        found = [0] * len(code)
        for memory, executions in zip(zip(*columns, strict=True), times, strict=True):
            for n, units in enumerate(waits(code, memory, self._banks)):
                found[n] += executions * units
        return [units // max(sum(times), 1) for units in found]

    def _number(self, address: int) -> int:
        return next((n for n, (base, end) in enumerate(self._ranges, 1) if base <= address < end), 0)

    def _read(self, address: int) -> int:
        return int.from_bytes(self._machine.read(address, 4), "little")
