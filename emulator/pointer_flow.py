"""Where the loads and stores of a block go: memories of pointers, followed from the block's begin through its code.

A pointer that a constant or an index is added to stays in its memory; a literal and a constant are known by value. What
is loaded from elsewhere, or computed otherwise, is not known and counts as no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from emulator.instructions import Instruction, names
from emulator.placed import Placed
from emulator.pointers import Samples

SUMS = names("add addw sub subw")
STACKS = names("push pop vpush vpop")
AHEAD = 4  # bytes that the pc of an address is ahead of its instruction


class Flow:
    """The registers at one place of a block.

    `number` gives the memory that holds an address, 0 for none; `read` the word at an address.
    """

    def __init__(
        self, registers: Mapping[str, Samples], number: Callable[[int], int], read: Callable[[int], int]
    ) -> None:
        self._pointers, self._constants = dict(registers), dict[str, int]()
        self._size = len(next(iter(registers.values())))
        self._number, self._read = number, read

    def follow(self, code: Sequence[Placed]) -> list[Samples]:
        """The memory that each instruction of straight-line code accesses, by sample; 0: none, or not known."""
        found = []
        for placed in code:
            found.append(self._accessed(placed.instruction, placed.address))
            self._step(placed.instruction, placed.address)
        return found

    def _accessed(self, i: Instruction, address: int) -> Samples:
        if not i.transfers:
            return self._everywhere(0)
        return self._everywhere(self._number(_literal(i, address))) if i.literal else self._either(i.address)

    def _everywhere(self, number: int) -> Samples:
        return (number,) * self._size

    def _either(self, registers: Iterable[str]) -> Samples:
        """The memory of a sum: one of what is added is a pointer."""
        known = [self._pointers[r] for r in registers if r in self._pointers]
        return tuple(map(max, zip(self._everywhere(0), *known, strict=True))) if known else self._everywhere(0)

    def _step(self, i: Instruction, address: int) -> None:
        """What the instruction leaves in the registers that it writes."""
        value, pointer = self._value(i, address), self._sum(i)
        for register in i.writes - (i.address if i.writeback or i.name in STACKS else frozenset()):
            self._pointers.pop(register, None)
            self._constants.pop(register, None)
            if value is not None:
                self._constants[register] = value
                self._pointers[register] = self._everywhere(self._number(value))
            elif pointer is not None:
                self._pointers[register] = pointer

    def _value(self, i: Instruction, address: int) -> int | None:
        """The constant that an instruction leaves in its one register."""
        if i.name == "ldr" and i.literal and i.transfers == 1:
            return self._read(_literal(i, address))
        if i.name == "adr":
            return (address + AHEAD & ~3) + i.constant
        if i.name == "mov" and not i.reads:
            return i.constant
        if i.name == "movt":
            return self._constants.get(i.last, 0) & 0xFFFF | i.constant << 16
        return None

    def _sum(self, i: Instruction) -> Samples | None:
        """The memory of what an instruction copies or adds up."""
        if i.name == "mov" and len(i.reads) == 1:
            return self._either(i.reads)
        if i.name in SUMS:
            return self._either(i.reads - {i.last} if i.shifted else i.reads)
        return None


def _literal(i: Instruction, address: int) -> int:
    return (address + AHEAD & ~3) + i.offset
