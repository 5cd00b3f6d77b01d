"""The native block callback, compiled by numba and handed to Unicorn by address: it counts, and stops the machine.

Python never runs per block. All state lies in one int64 array, whose address is the callback's user data:

    header (HEADER words) | block records (CAPACITY x FIELDS) | a map, halfword -> block id, for each code region

A block is known by its start address and size; ids are given in the order of first execution, id 0 stands for
"no block". `FALL` of a block counts how often the next block began where this one ended: for a block that ends in a
conditional branch, the times it was not taken.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, types  # type: ignore[attr-defined]
from numba.extending import intrinsic
from numpy.typing import NDArray
from unicorn import unicorn_const as uc
from unicorn.unicorn_py3.unicorn import uclib

Int64s = NDArray[np.int64]

RUNNING, STOPPED, SLICED, LIMITED, CROWDED = range(5)  # why the machine was stopped: header[REASON]

# Words of the header. INSTRUCTIONS counts those of all blocks entered, also those that an IT block skips.
BLOCKS, INSTRUCTIONS, LIMIT, REASON, ADDRESS, RESUME, LAST, LAST_END, SLICE, STOP, ENGINE, REGIONS = range(12)
FIRST_REGION = 16
BASE, END, HOST, MAP = range(4)  # words of a code region
MAX_REGIONS = 12
HEADER = FIRST_REGION + 4 * MAX_REGIONS

START, SIZE, LENGTH, COUNT, FALL, FLAG = range(6)  # words of a block; SIZE in bytes, LENGTH in instructions
FIELDS = 8
CAPACITY = 1 << 18


def _can_cache() -> bool:
    """Whether numba may keep machine code, beside this file or at home; else every process compiles anew."""
    try:
        numba.njit(cache=True)(_can_cache)
    except RuntimeError:
        return False
    return True


CACHE = _can_cache()


def _call_code(typing: Any, function: Any, argument: Any) -> Any:
    """Call the C function at address `function` with one pointer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(64)])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [args[1]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


_call: Any = intrinsic(_call_code)


def _halfword_code(typing: Any, address: Any) -> Any:
    """The 16 bits at a host address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(16).as_pointer())
        return builder.zext(builder.load(pointer), ir.IntType(64))

    return types.int64(types.int64), generate


_halfword: Any = intrinsic(_halfword_code)


@numba.njit(cache=CACHE)
def _length(host: int, size: int) -> int:
    """Instructions in `size` bytes of Thumb code: a halfword 0b111xx with xx not 0 begins a 32-bit one."""
    count = 0
    offset = 0
    while offset < size:
        offset += 4 if _halfword(host + offset) >= 0xE800 else 2
        count += 1
    return count


@numba.njit(cache=CACHE)
def _register(s: Any, slot: int, address: int, size: int, host: int) -> Any:
    """A fresh id for the block; 0 when there is no room."""
    i = s[BLOCKS]
    if i >= CAPACITY:
        return 0
    s[BLOCKS] = i + 1
    s[slot] = i
    block = HEADER + i * FIELDS
    s[block + START] = address
    s[block + SIZE] = size
    s[block + LENGTH] = _length(host, size)
    return i


@numba.njit(cache=CACHE)
def _find(s: Any, address: int, size: int) -> Any:
    """The id of a block, given on first sight. A stop address is known before its size is."""
    for r in range(s[REGIONS]):
        region = FIRST_REGION + 4 * r
        if s[region + BASE] <= address < s[region + END]:
            slot = s[region + MAP] + (address - s[region + BASE]) // 2
            host = s[region + HOST] + address - s[region + BASE]
            i = s[slot]
            block = HEADER + i * FIELDS
            if i and (size == 0 or s[block + SIZE] == size):
                return i
            if i and s[block + SIZE] == 0:
                s[block + SIZE] = size
                s[block + LENGTH] = _length(host, size)
                return i
            flag = s[block + FLAG]
            i = _register(s, slot, address, size, host)
            s[HEADER + i * FIELDS + FLAG] = flag
            return i
    return 0


@numba.njit(cache=CACHE)
def _halt(s: Any, reason: int, address: int) -> None:
    s[REASON] = reason
    s[ADDRESS] = address
    _call(s[STOP], s[ENGINE])


@numba.cfunc(types.void(types.voidptr, types.uint64, types.uint32, types.voidptr), cache=CACHE)
def _on_block(engine: Any, start: Any, length: Any, user: Any) -> None:
    """Stop before the block when there is a reason to, count it otherwise."""
    s = carray(user, (1 << 40,), np.int64)
    address: Any = np.int64(start)
    size: Any = np.int64(length)
    i = _find(s, address, size)
    block = HEADER + i * FIELDS
    if s[RESUME] == 0:
        if s[block + FLAG] != 0:
            return _halt(s, STOPPED, address)
        if s[INSTRUCTIONS] >= s[LIMIT]:
            return _halt(s, LIMITED, address)
        # Slices end at jumps only: a block that continues the last one may lie inside an IT block.
        if s[SLICE] <= 0 and address != s[LAST_END]:
            return _halt(s, SLICED, address)
        if i == 0:
            return _halt(s, CROWDED, address)
    s[RESUME] = 0
    s[SLICE] -= 1
    s[INSTRUCTIONS] += s[block + LENGTH]
    s[block + COUNT] += 1
    if address == s[LAST_END]:
        s[HEADER + s[LAST] * FIELDS + FALL] += 1
    s[LAST] = i
    s[LAST_END] = address + size


@numba.cfunc(types.uint64(types.voidptr, types.uint64, types.uint32, types.voidptr), cache=CACHE)
def _read_zero(engine: Any, offset: Any, size: Any, user: Any) -> int:
    return 0


@numba.cfunc(types.void(types.voidptr, types.uint64, types.uint32, types.uint64, types.voidptr), cache=CACHE)
def _ignore_write(engine: Any, offset: Any, size: Any, value: Any, user: Any) -> None:
    pass


def map_zeros(engine: Any, base: int, size: int) -> None:
    """Let addresses read as zero and ignore writes, by native callbacks."""
    address, null = ctypes.c_uint64(base), ctypes.c_void_p(0)
    read = ctypes.c_void_p(_read_zero.address)
    write = ctypes.c_void_p(_ignore_write.address)
    status = uclib.uc_mmio_map(engine._uch, address, ctypes.c_size_t(size), read, null, write, null)
    assert status == uc.UC_ERR_OK, status


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Executions of each block so far, columns by block id. A later snapshot minus an earlier one: what ran between."""

    start: Int64s  # address
    size: Int64s  # bytes
    length: Int64s  # instructions
    count: Int64s  # times entered
    fall: Int64s  # times the block after it in memory came next

    def __sub__(self, earlier: Counts) -> Counts:
        n = len(earlier.count)
        count, fall = self.count.copy(), self.fall.copy()
        count[:n] -= earlier.count
        fall[:n] -= earlier.fall
        return Counts(self.start, self.size, self.length, count, fall)

    @property
    def instructions(self) -> int:
        """Instructions of all executions, those that an IT block skips included."""
        return int((self.count * self.length).sum())


class Counter:
    """The block callback of one engine, and its state. `regions` are (base, host bytes) of memory that can run."""

    def __init__(self, engine: Any, regions: Sequence[tuple[int, NDArray[np.uint8]]]) -> None:
        assert len(regions) <= MAX_REGIONS
        halfwords = sum(host.size // 2 for _, host in regions)
        self._state = np.zeros(HEADER + CAPACITY * FIELDS + halfwords, np.int64)  # touched lazily
        self._engine = engine
        place = HEADER + CAPACITY * FIELDS
        for r, (base, host) in enumerate(regions):
            first = FIRST_REGION + 4 * r
            self._state[first : first + 4] = base, base + host.size, host.ctypes.data, place
            place += host.size // 2
        self._state[[BLOCKS, REGIONS, LAST_END]] = 1, len(regions), -1
        self._state[STOP] = ctypes.cast(uclib.uc_emu_stop, ctypes.c_void_p).value or 0
        self._state[ENGINE] = engine._uch.value
        self._add(uc.UC_HOOK_BLOCK, _on_block)

    def _add(self, kind: int, callback: Any) -> None:
        """`uc_hook_add` with a native callback, for all addresses."""
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            self._engine._uch,
            ctypes.byref(handle),
            kind,
            ctypes.c_void_p(callback.address),
            ctypes.c_void_p(self._state.ctypes.data),
            ctypes.c_uint64(1),
            ctypes.c_uint64(0),
        )
        assert status == uc.UC_ERR_OK, status

    def begin(self, max_instructions: int) -> None:
        """A call starts: no block came before it, and it may execute that many instructions."""
        s = self._state
        s[[LAST, LAST_END, LIMIT, RESUME]] = 0, -1, s[INSTRUCTIONS] + max_instructions, 0

    def resume(self, blocks: int, *, over: bool) -> None:
        """Prepare to run at most about `blocks` blocks; `over` runs the first one even if it is a stop."""
        self._state[[SLICE, REASON, RESUME]] = blocks, RUNNING, int(over)

    @property
    def reason(self) -> tuple[int, int]:
        """Why the machine was stopped, and before the block at which address."""
        reason, address = self._state[[REASON, ADDRESS]].tolist()
        return reason, address

    @property
    def instructions(self) -> int:
        return int(self._state[INSTRUCTIONS])

    @property
    def last(self) -> int:
        """Start address of the block that was entered last."""
        return int(self._blocks[self._state[LAST], START])

    @property
    def _blocks(self) -> Int64s:
        return self._state[HEADER : HEADER + int(self._state[BLOCKS]) * FIELDS].reshape(-1, FIELDS)

    def flag(self, addresses: Iterable[int]) -> None:
        """Make exactly these addresses stops. A stop works at the first instruction of a block."""
        s = self._state
        self._blocks[:, FLAG] = 0
        for address in addresses:
            i = _find(s, address, 0)
            s[HEADER + i * FIELDS + FLAG] = 1

    def saw_code(self, address: int, size: int) -> bool:
        """Whether a block in these bytes has run."""
        start, length = self._blocks[:, START], self._blocks[:, SIZE]
        return bool(((start < address + size) & (start + length > address)).any())

    def snapshot(self) -> Counts:
        columns = self._blocks.T.copy()
        return Counts(columns[START], columns[SIZE], columns[LENGTH], columns[COUNT], columns[FALL])
