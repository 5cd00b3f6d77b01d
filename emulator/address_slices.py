"""What straight-line code computes to form the addresses of its accesses: a program that is run where the code begins.

A backward slice [Weiser, Program slicing, 1981] of each access, over the registers and the memory at the code's begin.
A word that the code itself stored is forwarded to a load of the same address. What a load gives is not known where a
store before it may have changed it: one by other registers, but that the stack and other memory are apart. An access
that an IT instruction governs, or whose address is not known, is left to others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from emulator import loads_and_stores as forms
from emulator.address_values import ACCESS, LOAD, REGISTER, WORD, ZERO, Step, Value, Values, calculated
from emulator.instructions import Instruction, names
from emulator.native import REGISTERS
from emulator.placed import Placed

UNTRACKED = ""  # a floating-point register
STACKS = names("push pop vpush vpop")
DOWNWARDS = names("push vpush stmdb ldmdb vstmdb vldmdb")
TABLES = names("tbb tbh")  # they load an offset into the pc


class Slices(NamedTuple):
    """Steps in order, ACCESSes among them; and the addresses of instructions whose accesses they do not follow."""

    steps: tuple[Step, ...]
    left: tuple[int, ...]


class Interest(NamedTuple):
    """Accesses that matter: to addresses that `waits` is true of, by sp with `stacks` only; loads, and `stores` too.

    `constant` gives the value of some bytes at an address if nothing can change it; `mapped` whether memory is there.
    """

    waits: Callable[[int], bool]
    stacks: bool
    stores: bool
    constant: Callable[[int, int], int | None]
    mapped: Callable[[int], bool]


class _Stored(NamedTuple):
    """A store: where, of how many bytes, and what; None: not known."""

    at: Step | None
    nbytes: int
    value: Value


class _Block:
    """Registers and stored words at one place of straight-line code."""

    def __init__(self, interest: Interest) -> None:
        self.values = Values()
        self.left: list[int] = []
        self._registers: dict[str, Value] = {}
        self._stored: list[_Stored] = []
        self._stack = self._register("sp")
        self._interest = interest

    def follow(self, placed: Placed, form: Sequence[int] | None) -> None:
        """Go past one instruction; `form` is its record of `emulator.loads_and_stores`."""
        i, values = placed.instruction, self.values
        if i.kind == "unknown":
            self._registers = dict.fromkeys(REGISTERS)
        self._registers["pc"] = values.constant(placed.address + 4)
        if form is None:
            if i.stores:
                self._stored.append(_Stored(None, 0, None))
            value = self._calculated(i, placed.address) if len(i.writes) == 1 else None
            for name in i.writes:
                self._registers[name] = None if placed.skips else value
            return
        address = self._address(placed.address, form)
        writes_back = i.writeback or i.name in STACKS
        moved = self._moved(i, form) if writes_back else None
        self._access(placed, form, address)
        if i.name not in TABLES:
            self._transfer(placed, form, address)
        for name in i.address if writes_back else ():
            self._registers[name] = None if placed.skips else moved

    def _register(self, name: str) -> Value:
        if name not in self._registers:
            read = Step(REGISTER, constant=REGISTERS.index(name)) if name in REGISTERS else None
            self._registers[name] = self.values.numbered(read)
        return self._registers[name]

    def _operand(self, operand: str | int) -> Value:
        return self.values.constant(operand) if isinstance(operand, int) else self._register(operand)

    def _calculated(self, i: Instruction, address: int) -> Value:
        """What an instruction leaves in the one register that it writes."""
        aligned = self.values.constant(address + 4 & ~3)
        if i.name == "adr":
            return calculated(self.values, "add", [aligned, self.values.constant(i.constant)], i.shift)
        # ADD and SUB of the pc and a constant are ADR too, and add to a multiple of 4.
        relative = bool(i.operands) and isinstance(i.operands[-1], int)
        given = [aligned if relative and o == "pc" else self._operand(o) for o in i.operands]
        return calculated(self.values, i.name, given, i.shift)

    def _address(self, pc: int, form: Sequence[int]) -> Step | None:
        indexed = form[forms.INDEX] >= 0
        index = self._register(REGISTERS[form[forms.INDEX]]) if indexed else ZERO
        if form[forms.BASE] == forms.PC:
            base: Value = self.values.constant(pc + 4 & (~0 if indexed else ~3))
        else:
            base = self._register(REGISTERS[form[forms.BASE]])
        return self.values.sum(base, index, form[forms.SHIFT], form[forms.OFFSET])

    def _moved(self, i: Instruction, form: Sequence[int]) -> Value:
        """What writing back leaves in the base register."""
        if i.kind.endswith("_multiple"):
            by = (-4 if i.name in DOWNWARDS else 4) * form[forms.ELEMENTS]
        else:
            last = i.operands[-1]
            by = last if isinstance(last, int) else form[forms.OFFSET]
        values = self.values
        return values.numbered(values.sum(self._register(REGISTERS[form[forms.BASE]]), constant=by))

    def _access(self, placed: Placed, form: Sequence[int], address: Step | None) -> None:
        """The access itself, if it matters."""
        wanted, writes = self._interest, form[forms.WRITES]
        if (writes and not wanted.stores) or (self._is_stack(address) and not wanted.stacks):
            return
        if address and not address.a and not address.b and not wanted.waits(address.constant):
            return
        if address is None or placed.skips:
            self.left.append(placed.address)
            return
        size, elements = form[forms.BYTES], form[forms.ELEMENTS]
        step = address._replace(code=ACCESS, nbytes=size, elements=elements, writes=writes, pc=placed.address)
        self.values.steps.append(step)

    def _transfer(self, placed: Placed, form: Sequence[int], address: Step | None) -> None:
        """What a load leaves in its registers, what a store leaves in memory."""
        i, size = placed.instruction, form[forms.BYTES]
        listed = [o for o in i.operands if isinstance(o, str)]
        if i.name[0] == "v":
            listed = [UNTRACKED] * form[forms.ELEMENTS]
        elif i.kind.endswith("_multiple") and i.name not in STACKS:
            listed = listed[1:]
        base = self.values.numbered(address)
        for n, name in enumerate(listed):
            at = self.values.sum(base, constant=4 * n)
            if not form[forms.WRITES]:
                self._registers[name] = None if placed.skips else self._loaded(at, i, size)
            else:
                self._stored.append(_Stored(at, size, None if placed.skips else self._register(name)))

    def _loaded(self, at: Step | None, i: Instruction, size: int) -> Value:
        if at is None or i.name[0] == "v":
            return None
        for stored in reversed(self._stored):
            if self._may_meet(stored, at, size):
                return stored.value if (stored.at, stored.nbytes, size) == (at, 4, 4) else None
        signed = i.name.startswith("ldrs")
        if not at.a and not at.b:
            known = None if signed else self._interest.constant(at.constant, size)
            if known is not None:
                return self.values.constant(known)
            if not self._interest.mapped(at.constant):
                return None  # a device
        return self.values.number(at._replace(code=LOAD, nbytes=size, signed=int(signed)))

    def _is_stack(self, address: Step | None) -> bool:
        return address is not None and address.a == self._stack and not address.b

    def _may_meet(self, stored: _Stored, at: Step, nbytes: int) -> bool:
        """Whether a store and a load may have bytes in common."""
        if stored.at is None:
            return not self._is_stack(at)
        if stored.at._replace(constant=0) == at._replace(constant=0):
            ahead = at.constant - stored.at.constant & WORD
            return ahead < stored.nbytes or -ahead & WORD < nbytes
        return self._is_stack(stored.at) == self._is_stack(at)


def slices(code: Sequence[Placed], encoded: Sequence[Sequence[int] | None], interest: Interest) -> Slices:
    """The slices of straight-line code; `encoded` are the records of its instructions' loads and stores."""
    block = _Block(interest)
    for placed, form in zip(code, encoded, strict=True):
        block.follow(placed, form)
    return Slices(_needed(block.values.steps), tuple(block.left))


def _needed(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The ACCESSes and what they need, numbered anew."""
    wanted: set[int] = set()
    for n in range(len(steps), 0, -1):
        step = steps[n - 1]
        if step.code == ACCESS or n in wanted:
            wanted |= {n, step.a, step.b}
    fresh = {n: place for place, n in enumerate(sorted(wanted | {ZERO}))}
    kept = (steps[n - 1] for n in sorted(wanted - {ZERO}))
    return tuple(s._replace(a=fresh[s.a], b=fresh[s.b]) for s in kept)
