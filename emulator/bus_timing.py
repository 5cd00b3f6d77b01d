"""What a bus matrix adds to the accesses of a Cortex-M3 or M4, followed natively: blocks of SRAM that answer late.

An observer outside the machine, for boards with `refsim.board.Bank`s. The matrix keeps the processor's bus switched to
one block of memory. The first load of a burst from another block waits; further ones pipeline with it, each behind the
one before, and so do the words of one LDM. A store waits in its buffer, unseen, but is on the bus then: a load exactly
`ON_THE_BUS` instructions behind it finds the block switched. A load from flash and a store right behind it do not
overlap, as two loads or a load and a store of one memory do. Waits go to the stalls of `emulator.memory_timing`.

Sources: jnk0le/random, "pipeline cycle test", cortex_m3m4.md (only accesses to one block pipeline); mupq/pqm4, pull
request 193 and commit "Shrink RAM from 128 KiB to 112 KiB" (loads from other blocks than SRAM1 are slower); that it is
a cycle a burst, and `ON_THE_BUS`, from golden/measured/pqm.csv, by the cycles of one Keccak permutation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]
from unicorn import arm_const as arm, unicorn_const as uc

from emulator import hooks, native
from emulator.machine import Machine
from emulator.memory_timing import CAUSES, UNITS, MemoryTiming, _charge, _leave_it

ON_THE_BUS = 2  # instructions between a store and a load that finds the bus switched
NO_OVERLAP = 1  # cycles that a store takes right behind a load from another memory [J]

# Words of the state: where those of others lie, and of the last access its instruction, its run of a block, its bank.
COUNTER, STALLS, READ_REGISTER, PC, LAST, RUN, BANK, STORES, SEVERAL = range(9)
FIRST_BANK = 16
STATE, NUMBER, WAIT = range(3)  # words of a bank: the address of the state first
FIELDS = 4
REACH = 16  # bytes of code that ON_THE_BUS instructions and the store take at most
BUS = CAUSES.index("bus")


@native.njit
def _host(s: Any, address: int) -> Any:
    """What added to an address of code is its address on this host; 0 for none."""
    for r in range(s[hooks.REGIONS]):
        region = hooks.FIRST_REGION + 4 * r
        if s[region + hooks.BASE] <= address < s[region + hooks.END]:
            return s[region + hooks.HOST] - s[region + hooks.BASE]
    return 0


@native.njit
def _steps(s: Any, first: int, last: int) -> Any:
    """Instructions from one to another one of straight-line code; 0 when they are too far apart to matter."""
    host = _host(s, first)
    if host == 0 or not first < last <= first + REACH:
        return 0
    return hooks._length(host + first, last - first)


@native.njit
def _program_counter(t: Any, engine: Any, place: int) -> Any:
    t[PC] = 0
    native.access_register(t[READ_REGISTER], engine, np.int32(arm.UC_ARM_REG_PC), native.pointer(place + 8 * PC))
    return t[PC]


@native.njit
def _bursts(t: Any, s: Any, bank: int, pc: int) -> Any:
    """Whether a load at `pc` goes on with what the bus does for `bank`."""
    if t[RUN] != s[hooks.INSTRUCTIONS] or t[BANK] != bank:
        return False
    if pc == t[LAST]:
        return True
    steps = _steps(s, t[LAST], pc)
    return steps == ON_THE_BUS + 1 if t[STORES] else steps == 1 and not t[SEVERAL]


@native.cfunc(native.OnAccess)
def _on_access(engine: Any, kind: Any, place: Any, length: Any, value: Any, user: Any) -> None:
    """A load or a store of a bank."""
    b = carray(user, (FIELDS,), np.int64)
    t = carray(native.pointer(b[STATE]), (FIRST_BANK,), np.int64)
    s = carray(native.pointer(t[COUNTER]), (1 << 40,), np.int64)
    pc = _program_counter(t, engine, b[STATE])
    stalls = carray(native.pointer(t[STALLS]), (1 << 40,), np.int64)
    stores = kind == uc.UC_MEM_WRITE
    if not stores and not _bursts(t, s, b[NUMBER], pc):
        _charge(stalls, pc, BUS, b[WAIT])
    t[SEVERAL] = t[RUN] == s[hooks.INSTRUCTIONS] and pc == t[LAST]
    t[LAST], t[RUN], t[BANK], t[STORES] = pc, s[hooks.INSTRUCTIONS], b[NUMBER], stores
    _leave_it(stalls, t[STALLS:], engine)


@native.njit
def _is_store(first: int, second: int) -> Any:
    """Whether code begins with a store of one register, immediate offset [ARMv7-M ARM, A5.2.4, A5.3.10]."""
    narrow = first >> 11 in (0x0C, 0x0E, 0x10, 0x12)  # STR, STRB, STRH, STR from sp
    return narrow or (first & 0xFF10 == 0xF800 and (first & 0x80 != 0 or second & 0x800 != 0))


@native.cfunc(native.OnAccess)
def _on_flash(engine: Any, kind: Any, place: Any, length: Any, value: Any, user: Any) -> None:
    """A load from flash: what comes behind it goes elsewhere if it is a store."""
    b = carray(user, (FIELDS,), np.int64)
    t = carray(native.pointer(b[STATE]), (FIRST_BANK,), np.int64)
    s = carray(native.pointer(t[COUNTER]), (1 << 40,), np.int64)
    stalls = carray(native.pointer(t[STALLS]), (1 << 40,), np.int64)
    pc = _program_counter(t, engine, b[STATE])
    host = _host(s, pc)
    if host:
        behind = pc + (4 if native.halfword(host + pc) >= 0xE800 else 2)
        if _is_store(native.halfword(host + behind), native.halfword(host + behind + 2)):
            _charge(stalls, behind, BUS, b[WAIT])
    _leave_it(stalls, t[STALLS:], engine)


class BusTiming:
    """Follows the accesses of one machine to its board's banks and flash, from now on."""

    def __init__(self, machine: Machine, stalls: MemoryTiming) -> None:
        board = machine.board
        reads = uc.UC_HOOK_MEM_READ
        parts = [(b.base, b.end, b.wait, reads | uc.UC_HOOK_MEM_WRITE, _on_access) for b in board.banks]
        parts.append((board.flash.base, board.flash.end, NO_OVERLAP, reads, _on_flash))
        self._state = np.zeros(FIRST_BANK + FIELDS * len(parts), np.int64)
        self._state[[COUNTER, STALLS, BANK]] = machine.counter.state_address, stalls.state_address, -1
        self._state[READ_REGISTER] = native.READ_REGISTER
        for n, (base, end, wait, kind, callback) in enumerate(parts):
            first = FIRST_BANK + n * FIELDS
            self._state[first : first + 3] = self._state.ctypes.data, n, round(UNITS * wait)
            native.add(machine.engine, kind, callback, self._state[first:].ctypes.data, base, end - 1)
        machine.engine.ctl_flush_tb()
