"""What memory adds to a machine's cycles: caches, flash wait states and prefetch, followed natively access by access.

An observer outside the machine. The paths of the board (`refsim.board.AccessPath`) say which accesses go where; only those
ranges are hooked. Stalls are kept by the address of the instruction that waits and by cause, in units of 1/256 cycle.

All state lies in one int64 array:

    header | paths | stall records | a map, halfword -> record, for each code region | tags of the caches

Tags of a set are ordered by use, the latest first; a tag is 2 * (line + 1) + dirty, 0 where the way is empty.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, types  # type: ignore[attr-defined]
from numba.extending import intrinsic
from unicorn import arm_const as arm, unicorn_const as uc
from unicorn.unicorn_py3.unicorn import uclib

from emulator import hooks
from emulator.hooks import CACHE, Int64s
from emulator.machine import Machine
from refsim.board import AccessPath, Board, Cache

CAUSES = ("flash_fetch", "flash_read", "instruction_cache", "data_cache", "store")

# Words of the header.
COUNTER, READ_REGISTER, PC, RECORDS, REGIONS = range(5)
FIRST_REGION = 16
BASE, END, MAP = range(3)  # words of a code region
MAX_REGIONS = 12
FIRST_PATH = FIRST_REGION + 3 * MAX_REGIONS

# Words of a path. STATE is the address of the whole array; LAST the line that was reached last.
STATE, START, STOP, SHIFT, SETS, WAYS, TAGS, MISS, NEXT, LAST, CAUSE, WRITES, DIRTY, ALLOCATE, BUFFER = range(15)
PATH_FIELDS = 16
MAX_PATHS = 16
FIRST_RECORD = FIRST_PATH + PATH_FIELDS * MAX_PATHS

FIELDS = 1 + len(CAUSES)  # words of a record: the address of an instruction, and its stalls
CAPACITY = 1 << 18
FIRST_MAP = FIRST_RECORD + FIELDS * CAPACITY

UNITS = 256  # of a cycle


def _pointer_code(typing: Any, address: Any) -> Any:
    """An integer as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


_pointer: Any = intrinsic(_pointer_code)


def _read_register_code(typing: Any, function: Any, engine: Any, register: Any, place: Any) -> Any:
    """Call `uc_reg_read` at address `function`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.IntType(32), [byte, ir.IntType(32), byte])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.voidptr, types.int32, types.voidptr), generate


_read_register: Any = intrinsic(_read_register_code)


@numba.njit(cache=CACHE)
def _charge(t: Any, address: int, cause: int, units: int) -> None:
    """Add to the record of the instruction at `address`; the first record takes what lies in no code region."""
    record = 0
    for r in range(t[REGIONS]):
        region = FIRST_REGION + 3 * r
        if t[region + BASE] <= address < t[region + END]:
            slot = t[region + MAP] + (address - t[region + BASE]) // 2
            record = t[slot]
            if record == 0 and t[RECORDS] < CAPACITY:
                record = t[RECORDS]
                t[RECORDS] = record + 1
                t[slot] = record
                t[FIRST_RECORD + record * FIELDS] = address
            break
    t[FIRST_RECORD + record * FIELDS + 1 + cause] += units


@numba.njit(cache=CACHE)
def _reach(t: Any, p: Any, line: int, writes: bool) -> Any:
    """Units that an access to a line waits; the line is in the cache afterwards."""
    if line == p[LAST] and p[BUFFER]:
        return 0
    follows = line == p[LAST] + 1
    miss = p[NEXT] if follows else p[MISS]
    if not writes or p[ALLOCATE]:
        p[LAST] = line
    if p[WAYS] == 0:
        return miss
    tag = 2 * (line + 1)
    first = p[TAGS] + (line % p[SETS]) * p[WAYS]
    held = t[first]
    if held >> 1 == tag >> 1:
        t[first] = held | writes
        return 0
    before = held
    for way in range(1, p[WAYS]):
        held = t[first + way]
        t[first + way] = before
        if held >> 1 == tag >> 1:
            t[first] = held | writes
            return 0
        before = held
    if writes and not p[ALLOCATE]:  # the line stays out: what was pushed down moves back
        for way in range(p[WAYS] - 1):
            t[first + way] = t[first + way + 1]
        t[first + p[WAYS] - 1] = before
        return miss
    t[first] = tag | writes
    return miss + (p[DIRTY] if before & 1 else 0)


@numba.cfunc(types.void(types.voidptr, types.uint64, types.uint32, types.voidptr), cache=CACHE)
def _on_block(engine: Any, start: Any, length: Any, user: Any) -> None:
    """The fetch of a block's lines."""
    p = carray(user, (PATH_FIELDS,), np.int64)
    t = carray(_pointer(p[STATE]), (1 << 40,), np.int64)
    s = carray(_pointer(t[COUNTER]), (hooks.HEADER,), np.int64)
    if s[hooks.REASON] != hooks.RUNNING:
        return
    address: Any = np.int64(start)
    line = address >> p[SHIFT]
    last = (address + np.int64(length) - 1) >> p[SHIFT]
    while line <= last:
        units = _reach(t, p, line, False)
        if units:
            _charge(t, max(address, line << p[SHIFT]), p[CAUSE], units)
        line += 1


@numba.cfunc(
    types.void(types.voidptr, types.int32, types.uint64, types.int32, types.int64, types.voidptr), cache=CACHE
)
def _on_access(engine: Any, kind: Any, place: Any, length: Any, value: Any, user: Any) -> None:
    """A load or a store."""
    p = carray(user, (PATH_FIELDS,), np.int64)
    t = carray(_pointer(p[STATE]), (1 << 40,), np.int64)
    address: Any = np.int64(place)
    writes = p[WRITES] != 0
    units = _reach(t, p, address >> p[SHIFT], writes)
    end = (address + np.int64(length) - 1) >> p[SHIFT]
    if end != address >> p[SHIFT]:
        units += _reach(t, p, end, writes)
    if units:
        t[PC] = 0
        _read_register(t[READ_REGISTER], engine, np.int32(arm.UC_ARM_REG_PC), _pointer(p[STATE] + 8 * PC))
        _charge(t, t[PC], p[CAUSE], units)


@dataclass(frozen=True, slots=True, eq=False)
class Stalls:
    """Units so far by instruction address, records x CAUSES."""

    address: Int64s
    units: Int64s

    def __sub__(self, earlier: Stalls) -> Stalls:
        units = self.units.copy()
        units[: len(earlier.units)] -= earlier.units
        return replace(self, units=units)


class MemoryTiming:
    """Follows the accesses of one machine along its board's paths, from now on."""

    def __init__(self, machine: Machine) -> None:
        board = machine.board
        assert len(board.paths) <= MAX_PATHS and len(machine.regions) <= MAX_REGIONS
        caches = {cache.name: cache for cache in board.caches}
        maps, tags = _layout(machine, caches.values())
        self._state = np.zeros(tags["end"], np.int64)
        self._fill_header(machine, maps)
        for n, path in enumerate(board.paths):
            first = FIRST_PATH + n * PATH_FIELDS
            words = _words(board, path, caches.get(path.cache), tags.get(path.cache, 0))
            self._state[first : first + PATH_FIELDS] = [self._state.ctypes.data, *words]
            kind, callback = KINDS[path.kind]
            hooks.add(machine.engine, kind, callback, self._state[first:].ctypes.data, path.base, path.end - 1)
        if board.paths:
            machine.engine.ctl_flush_tb()

    def _fill_header(self, machine: Machine, maps: Sequence[tuple[int, int, int]]) -> None:
        self._state[[COUNTER, RECORDS, REGIONS]] = machine.counter.state_address, 1, len(maps)
        self._state[READ_REGISTER] = ctypes.cast(uclib.uc_reg_read, ctypes.c_void_p).value or 0
        for n, words in enumerate(maps):
            self._state[FIRST_REGION + 3 * n : FIRST_REGION + 3 * n + 3] = words

    def stalls(self) -> Stalls:
        """Units so far."""
        end = FIRST_RECORD + int(self._state[RECORDS]) * FIELDS
        columns = self._state[FIRST_RECORD:end].reshape(-1, FIELDS).T.copy()
        return Stalls(columns[0], columns[1:].T)


KINDS = {
    "fetch": (uc.UC_HOOK_BLOCK, _on_block),
    "read": (uc.UC_HOOK_MEM_READ, _on_access),
    "write": (uc.UC_HOOK_MEM_WRITE, _on_access),
}


def _layout(machine: Machine, caches: Any) -> tuple[list[tuple[int, int, int]], dict[str, int]]:
    """(base, end, map) of each region, and where the tags of each cache begin; "end" is that of the whole."""
    place, maps, tags = FIRST_MAP, [], {}
    for region in machine.regions:
        maps.append((region.base, region.end, place))
        place += region.size // 2
    for cache in caches:
        tags[cache.name] = place
        place += cache.sets * cache.ways
    return maps, {**tags, "end": place}


def _words(board: Board, path: AccessPath, cache: Cache | None, tags: int) -> list[int]:
    line = path.width if cache is None else cache.line
    ways = 0 if cache is None else cache.ways
    sets = 1 if cache is None else cache.sets
    miss, following = (round(UNITS * n) for n in (path.wait, path.wait if path.next_wait is None else path.next_wait))
    dirty = 0 if cache is None else round(UNITS * cache.write_back)
    last = -2  # no line, and not the one before the first
    return [
        path.base, path.end, line.bit_length() - 1, sets, ways, tags, miss, following, last, CAUSES.index(path.cause),
        int(path.kind == "write"), dirty, int(path.allocate), int(path.buffered), 0,
    ]  # fmt: skip
