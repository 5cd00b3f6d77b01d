"""Loads and stores of a machine, followed natively by instruction: where they go, and what their memory path answers.

An observer outside the machine: of all instructions on boards whose data mostly go through caches, of single ones for
`emulator.block_accesses`. A callback before each instruction
works out the address from the registers: that costs a fraction of Unicorn's own callback on memory, before which it
restores the exact state of the core. It is not called for what an IT block skips.

It also keeps the low bits of addresses, a few samples an instruction: whether two loads go to one bank of memory, and
whether an access is unaligned, hangs on pointers that no static table knows. Sampled are executions 1, 2, 4, 7, 11,
17, 26, 40...: always the same ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from emulator import cache_lines as lines, hooks, memory_timing as memory, native
from emulator.loads_and_stores import BASE, BYTES, ELEMENTS, INDEX, OFFSET, PC, SHIFT, WRITES, decode
from emulator.machine import Machine
from emulator.memory_timing import MemoryTiming, serve
from emulator.placed import Samples

LOW, MASK = 3, 7  # bits of an address that are kept
SAMPLES = 20  # of one instruction: they fill the bits of one word

# Words of the header: where others' states lie, a register's value, the number of records; LEFT: executions until it
# is asked whether single hooks are the faster way.
COUNTER, STALLS, READ_REGISTER, VALUE, SELF, RECORDS, EVERYWHERE, LEFT = range(8)
FROM, TO, HOST, MAP = range(8, 12)  # the code region that runs
FIRST_NUMBER = 16  # Unicorn's numbers of r0 to pc
FIRST_RECORD = 64
EXECUTIONS, NEXT, TAKEN, SAMPLED, PATH = range(8, 13)  # words of a record, after those of its encoding; PATH: the last
FIELDS = 14
CAPACITY = 1 << 17
FIRST_MAP = FIRST_RECORD + FIELDS * CAPACITY
ELSEWHERE = -1  # in the map: no access
MANY = 1 << 20  # hooks gone through: those of all single instructions, at each that runs


@native.njit
def _register(a: Any, engine: Any, number: int) -> Any:
    a[VALUE] = 0
    native.access_register(a[READ_REGISTER], engine, np.int32(number), native.pointer(a[SELF] + 8 * VALUE))
    return a[VALUE]


@native.njit
def _learn(a: Any, slot: int, host: int) -> Any:
    """What the map says of an instruction, decoded on first sight."""
    first, second = native.halfword(host), native.halfword(host + 2)
    a[slot] = ELSEWHERE
    if a[RECORDS] < CAPACITY:
        place = FIRST_RECORD + a[RECORDS] * FIELDS
        if decode(a[place : place + FIELDS], first, second):
            a[RECORDS] += 1
            a[slot] = place
    return a[slot]


@native.njit
def _enter(a: Any, s: Any, pc: int) -> Any:
    """Make the code region of `pc` the current one; whether there is one."""
    region = hooks.region_of(s, pc)
    if region == 0:
        return False
    a[FROM], a[TO] = s[region + hooks.BASE], s[region + hooks.END]
    a[HOST] = s[region + hooks.HOST]
    a[MAP] = FIRST_MAP + s[region + hooks.MAP] - hooks.FIRST_MAP
    return True


@native.njit
def _place(a: Any, s: Any, pc: int, learns: bool) -> Any:
    """What the map says of the instruction at `pc`, decoded if it `learns`."""
    if not a[FROM] <= pc < a[TO] and not _enter(a, s, pc):
        return ELSEWHERE
    slot = a[MAP] + (pc - a[FROM] >> 1)
    found = a[slot]
    return _learn(a, slot, a[HOST] + pc - a[FROM]) if learns and found == 0 else found


@native.njit
def _path(t: Any, r: Any, address: int) -> Any:
    """Where the words of the path of an access begin; 0 where it never waits. The last one is tried first."""
    first = r[PATH]
    if first and t[first + lines.START] <= address < t[first + lines.STOP]:
        return first
    for n in range(t[memory.PATHS]):
        first = memory.FIRST_PATH + n * lines.PATH_FIELDS
        inside = t[first + lines.START] <= address < t[first + lines.STOP]
        if inside and t[first + lines.DATA] and t[first + lines.WRITES] == r[WRITES]:
            r[PATH] = first
            return first
    return 0


@native.njit
def _follow(a: Any, r: Any, engine: Any, pc: int) -> None:
    """One access: its address, a sample of it, and what its memory answers."""
    if r[BASE] == PC:
        address = pc + 4 & (~3 if r[INDEX] < 0 else ~0)
        address += r[OFFSET]
    else:
        address = _register(a, engine, a[FIRST_NUMBER + r[BASE]]) + r[OFFSET]
    if r[INDEX] >= 0:
        address += _register(a, engine, a[FIRST_NUMBER + r[INDEX]]) << r[SHIFT]
    address &= 0xFFFF_FFFF
    a[LEFT] -= 1
    if a[LEFT] == 0:
        hooks.cut(native.words(a[COUNTER]))
    r[EXECUTIONS] += 1
    if r[EXECUTIONS] > r[NEXT] and r[TAKEN] < SAMPLES:
        r[NEXT] = r[EXECUTIONS] + r[EXECUTIONS] // 2
        r[SAMPLED] |= (address & MASK) << LOW * r[TAKEN]
        r[TAKEN] += 1
    t = native.words(a[STALLS])
    path = _path(t, r, address)
    if path:
        serve(t, path, pc, address, r[BYTES], r[ELEMENTS])


@native.cfunc(native.OnBlock)
def _on_instruction(engine: Any, start: Any, length: Any, user: Any) -> None:
    a = carray(user, (1 << 40,), np.int64)
    s = native.words(a[COUNTER])
    if s[hooks.REASON] != hooks.RUNNING:
        return
    pc: Any = np.int64(start)
    place = a[a[MAP] + (pc - a[FROM] >> 1)] if a[FROM] <= pc < a[TO] else 0
    if place == 0:
        place = _place(a, s, pc, a[EVERYWHERE] != 0)
    if place > 0:
        _follow(a, a[place : place + FIELDS], engine, pc)


class Accesses:
    """The loads and stores of one machine, from now on; what they wait is charged to `stalls`.

    `everywhere`: of all its instructions, else only of those that `follow` names.
    """

    def __init__(self, machine: Machine, stalls: MemoryTiming, *, everywhere: bool = True) -> None:
        halfwords = sum(region.size // 2 for region in machine.regions)
        a = self._state = np.zeros(FIRST_MAP + halfwords, np.int64)  # touched lazily
        a[[COUNTER, STALLS, SELF]] = machine.counter.state_address, stalls.state_address, a.ctypes.data
        a[READ_REGISTER] = native.READ_REGISTER
        a[FIRST_NUMBER : FIRST_NUMBER + 16] = native.REGISTER_NUMBERS
        self._machine, self._counter = machine, machine.counter
        a[EVERYWHERE] = everywhere
        self._hooks: list[int] | None = [] if not everywhere else None  # of single instructions; None: one for all
        if everywhere:
            machine.observers.instructions(_on_instruction, a)
        else:
            a[LEFT], self._since = MANY, 0
            machine.observers.pauses(self._reconsider)

    def follow(self, pc: int) -> None:
        """Follow the instruction at `pc` too."""
        _place(self._state, self._counter.state, pc, True)
        if self._hooks is not None:
            self._hooks.append(self._machine.observers.instructions(_on_instruction, self._state, pc))
            self._state[LEFT] = min(self._state[LEFT], MANY // len(self._hooks))

    def _reconsider(self) -> None:
        """Have one hook for all instructions where that is faster: it costs each of them as much as four hooks do."""
        if self._hooks is None or self._state[LEFT] > 0:
            return
        ran = self._counter.instructions - self._since
        self._since += ran
        self._state[LEFT] = MANY // len(self._hooks)
        if ran > MANY // 4:
            return
        self._machine.observers.ignore(self._hooks)
        self._hooks = None
        self._machine.observers.instructions(_on_instruction, self._state)

    @property
    def hooks(self) -> int:
        """Hooks that the engine has for it."""
        return 1 if self._hooks is None else len(self._hooks)

    def samples(self, pc: int) -> Samples:
        """Where the accesses of the instruction at `pc` began, modulo 8."""
        place = _place(self._state, self._counter.state, pc, True)
        if place <= 0:
            return ()
        record = self._state[place : place + FIELDS].tolist()
        return tuple(record[SAMPLED] >> LOW * n & MASK for n in range(record[TAKEN]))
