"""Ranges of device registers, answered natively: each keeps what is written to it, and polls of it end.

A word that was never written reads as its reset value, or 0. Three rules make firmware go on:

- ready bits: a `Ready` says which bits of one register follow those of another, or are always set;
- a register that one block of code reads more than POLLS times, with little executed in between, answers all ones,
  then 0, in turn, unless the range is `steady`;
- what a Python function must know of (a character to print), it is told when it is written.

All state of a range lies in one int64 array:  header | rules | registers | polls  (the last two are hash tables).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import carray, types  # type: ignore[attr-defined]
from unicorn import unicorn_const as uc
from unicorn.unicorn_py3.unicorn import uclib

from emulator import hooks, native
from emulator.machine import Machine

POLLS = 1000  # reads by one place after which a register is taken for one that hardware would change
NEARBY = 1000  # instructions between two reads of one poll, at most

# Words of the header. COUNTER is the address of the state of the machine's counter of blocks.
BASE, COUNTER, RULES, STEADY, USED = range(5)
HEADER = 8

TARGET, SOURCE, MASK, SHIFT, ALWAYS = range(5)  # words of a rule
RULE = 5
MAX_RULES = 48
FIRST_REGISTER = HEADER + RULE * MAX_RULES

KEY, VALUE, READS, WRITES = range(4)  # words of a register; KEY: its offset + 1, 0 where there is none
REGISTER = 4
CAPACITY = 1 << 13  # registers of a range; what comes after reads as 0
FIRST_POLL = FIRST_REGISTER + REGISTER * CAPACITY

PLACE, LAST, COUNT = range(3)  # words of a poll; PLACE: register and block, LAST: the instructions when it read last
POLL = 3
POLL_CAPACITY = 1 << 12
SIZE = FIRST_POLL + POLL * POLL_CAPACITY

ONES = 0xFFFF_FFFF

Read = types.uint64(types.voidptr, types.uint64, types.uint32, types.voidptr)
Write = types.void(types.voidptr, types.uint64, types.uint32, types.uint64, types.voidptr)
C_READ = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_void_p)
C_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_uint64, ctypes.c_void_p)

Store = Callable[[int, int, int], None]  # (offset, bytes, value)
Load = Callable[[int, int], int]  # (offset, bytes)


@dataclass(frozen=True, slots=True)
class Ready:
    """Bits of the register at `target` that answer: those of `mask` in `source`, `shift` bits higher; `always` set."""

    target: int
    source: int = 0
    mask: int = 0
    shift: int = 0
    always: int = 0


@dataclass(frozen=True, slots=True)
class Access:
    """How often the word at `address` was read and written."""

    address: int
    reads: int
    writes: int


@native.njit
def _place(t: Any, offset: int) -> Any:
    """Where the register at a word offset lies, given on first sight; 0 when there is no room."""
    slot = (offset >> 2) * 0x9E3779B1 % CAPACITY
    while True:
        at: Any = FIRST_REGISTER + slot * REGISTER
        if t[at + KEY] == offset + 1:
            return at
        if t[at + KEY] == 0:
            if t[USED] >= CAPACITY // 2:
                return 0
            t[USED] += 1
            t[at + KEY] = offset + 1
            return at
        slot = (slot + 1) % CAPACITY


@native.njit
def _value(t: Any, offset: int) -> Any:
    """What is stored in a register, without the rules."""
    at = _place(t, offset)
    return t[at + VALUE] if at else 0


@native.njit
def _ruled(t: Any, offset: int, value: Any) -> Any:
    """The value with the ready bits that follow from other registers."""
    for r in range(t[RULES]):
        rule = HEADER + r * RULE
        if t[rule + TARGET] == offset:
            mask, shift = t[rule + MASK], t[rule + SHIFT]
            bits = _value(t, t[rule + SOURCE]) & mask
            bits = bits << shift if shift >= 0 else bits >> -shift
            moved = mask << shift if shift >= 0 else mask >> -shift
            value = (value & ~moved) | bits | t[rule + ALWAYS]
    return value


@native.njit
def _polls(t: Any, offset: int) -> Any:
    """How often the running block has read this register, without pauses; a full table forgets."""
    s = native.words(t[COUNTER])
    place = (offset << 24) + s[hooks.LAST] + 1
    executed = s[hooks.INSTRUCTIONS]
    at: Any = FIRST_POLL + (place * 0x9E3779B1 >> 7) % POLL_CAPACITY * POLL
    if t[at + PLACE] != place or executed - t[at + LAST] > NEARBY:
        t[at + PLACE] = place
        t[at + COUNT] = 0
    t[at + LAST] = executed
    t[at + COUNT] += 1
    return t[at + COUNT]


@native.njit
def _load(t: Any, offset: int) -> Any:
    at = _place(t, offset)
    if at:
        t[at + READS] += 1
    value = _ruled(t, offset, t[at + VALUE] if at else 0)
    polls = 0 if t[STEADY] else _polls(t, offset)
    if polls > POLLS:
        return ONES if (polls - POLLS) % 2 else 0
    return value


@native.njit
def _store(t: Any, offset: Any, size: Any, value: Any) -> None:
    """Put 1, 2 or 4 bytes at a byte offset."""
    at = _place(t, offset & ~3)
    if at:
        shift = 8 * (offset & 3)
        mask = ((1 << 8 * size) - 1) << shift
        t[at + WRITES] += 1
        t[at + VALUE] = (t[at + VALUE] & ~mask) | (value << shift & mask)


@native.cfunc(Read)
def _on_read(engine: Any, place: Any, size: Any, user: Any) -> Any:
    t = carray(user, (SIZE,), np.int64)
    offset: Any = np.int64(place)
    return np.uint64(_load(t, offset & ~3) >> (8 * (offset & 3)))


@native.cfunc(Write)
def _on_write(engine: Any, place: Any, size: Any, value: Any, user: Any) -> None:
    _store(carray(user, (SIZE,), np.int64), np.int64(place), np.int64(size), np.int64(value))


class Registers:
    """The registers in [base, base + size) of a machine.

    `rules` and `reset` (address -> value) may name addresses outside the range; they are ignored. `stored` is called
    after each write, `load` instead of each read; they must not raise.
    """

    def __init__(
        self,
        machine: Machine,
        base: int,
        size: int,
        *,
        rules: Iterable[Ready] = (),
        reset: Mapping[int, int] | None = None,
        steady: bool = False,
        load: Load | None = None,
        stored: Store | None = None,
    ) -> None:
        self.base, self.size = base, size
        self._state = np.zeros(SIZE, np.int64)  # touched lazily
        self._state[[BASE, COUNTER, STEADY]] = base, machine.counter.state_address, int(steady)
        self._rule([r for r in rules if base <= r.target < base + size])
        for address, value in (reset or {}).items():
            if base <= address < base + size:
                self[address - base] = value
        self._read, self._write = self._callbacks(load, stored)
        machine.observers.attached.append(self)
        _map(machine.engine, base, size, self._read, self._write, self._state.ctypes.data)

    def _rule(self, rules: Sequence[Ready]) -> None:
        assert len(rules) <= MAX_RULES
        self._state[RULES] = len(rules)
        for n, r in enumerate(rules):
            at = HEADER + n * RULE
            source = (r.source or r.target) - self.base
            self._state[at : at + RULE] = r.target - self.base, source, r.mask, r.shift, r.always

    def _callbacks(self, load: Load | None, stored: Store | None) -> tuple[Any, Any]:
        """The C functions for reads and writes; they live as long as this."""

        def read(engine: Any, offset: int, size: int, user: Any) -> int:
            assert load is not None
            return load(offset, size)

        def write(engine: Any, offset: int, size: int, value: int, user: Any) -> None:
            assert stored is not None
            _store(self._state, offset, size, value)
            stored(offset, size, value)

        return _on_read.ctypes if load is None else C_READ(read), _on_write.ctypes if stored is None else C_WRITE(write)

    def __getitem__(self, offset: int) -> int:
        """The word stored at an offset."""
        return int(_value(self._state, offset))

    def __setitem__(self, offset: int, value: int) -> None:
        at = _place(self._state, offset)
        if at:
            self._state[at + VALUE] = value

    def accesses(self) -> list[Access]:
        """Every word that was read or written, by address."""
        rows = self._state[FIRST_REGISTER:FIRST_POLL].reshape(-1, REGISTER)
        used = rows[(rows[:, KEY] > 0) & (rows[:, READS] + rows[:, WRITES] > 0)]
        found = [Access(self.base + key - 1, reads, writes) for key, _, reads, writes in used.tolist()]
        return sorted(found, key=lambda access: access.address)


def _map(engine: Any, base: int, size: int, read: Any, write: Any, user: int) -> None:
    functions = [ctypes.cast(function, ctypes.c_void_p) for function in (read, write)]
    data = ctypes.c_void_p(user)
    place = ctypes.c_uint64(base), ctypes.c_size_t(size)
    status = uclib.uc_mmio_map(engine._uch, *place, functions[0], data, functions[1], data)
    assert status == uc.UC_ERR_OK, status
