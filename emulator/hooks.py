"""Native callbacks, compiled by numba and handed to Unicorn by address: they count blocks, and stop the machine.

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
import unicorn
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Int64s = NDArray[np.int64]

RUNNING, STOPPED, SLICED, LIMITED, CROWDED, MISALIGNED = range(6)  # why the machine was stopped: header[REASON]

# Words of the header. INSTRUCTIONS counts those of all blocks entered, also those that an IT block skips.
BLOCKS, INSTRUCTIONS, LIMIT, REASON, ADDRESS, WIDTH, RESUME, LAST, LAST_END, SLICE, STOP, ENGINE, REGIONS = range(13)
FIRST_REGION = 16
BASE, END, HOST, MAP = range(4)  # words of a code region
MAX_REGIONS = 12
HEADER = FIRST_REGION + 4 * MAX_REGIONS

START, SIZE, LENGTH, COUNT, FALL, FLAG = range(6)  # words of a block; SIZE in bytes, LENGTH in instructions
FIELDS = 8
CAPACITY = 1 << 18


@intrinsic  # type: ignore[untyped-decorator]
def _call(typing: Any, function: Any, argument: Any) -> Any:
    """Call the C function at address `function` with one pointer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(64)])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [args[1]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _halfword(typing: Any, address: Any) -> Any:
    """The 16 bits at a host address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(16).as_pointer())
        return builder.zext(builder.load(pointer), ir.IntType(64))

    return types.int64(types.int64), generate


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _length(host: int, size: int) -> int:
    """Instructions in `size` bytes of Thumb code: a halfword 0b111xx with xx not 0 begins a 32-bit one."""
    count = 0
    offset = 0
    while offset < size:
        offset += 4 if _halfword(host + offset) >= 0xE800 else 2
        count += 1
    return count


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _register(s: Any, slot: int, address: int, size: int, host: int) -> int:
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
    return i  # type: ignore[no-any-return]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _find(s: Any, address: int, size: int) -> int:
    """The id of a block, given on first sight. A stop address is known before its size is."""
    for r in range(s[REGIONS]):
        region = FIRST_REGION + 4 * r
        if s[region + BASE] <= address < s[region + END]:
            slot = s[region + MAP] + (address - s[region + BASE]) // 2
            host = s[region + HOST] + address - s[region + BASE]
            i = s[slot]
            block = HEADER + i * FIELDS
            if i and s[block + SIZE] == size:
                return i  # type: ignore[no-any-return]
            if i and s[block + SIZE] == 0:
                s[block + SIZE] = size
                s[block + LENGTH] = _length(host, size)
                return i  # type: ignore[no-any-return]
            flag = s[block + FLAG]
            i = _register(s, slot, address, size, host)
            s[HEADER + i * FIELDS + FLAG] = flag
            return i  # type: ignore[no-any-return]
    return 0


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _halt(s: Any, reason: int, address: int) -> None:
    s[REASON] = reason
    s[ADDRESS] = address
    _call(s[STOP], s[ENGINE])


@numba.cfunc(types.void(types.voidptr, types.uint64, types.uint32, types.voidptr), cache=True)  # type: ignore[untyped-decorator]
def _on_block(engine: Any, start: Any, length: Any, user: Any) -> None:
    """Stop before the block when there is a reason to, count it otherwise."""
    s = numba.carray(user, (1 << 40,), np.int64)
    address = np.int64(start)
    size = np.int64(length)
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


@numba.cfunc(  # type: ignore[untyped-decorator]
    types.boolean(types.voidptr, types.int32, types.uint64, types.int32, types.int64, types.voidptr), cache=True
)
def _on_access(engine: Any, kind: Any, at: Any, width: Any, value: Any, user: Any) -> bool:
    """Stop at an access that is not aligned to its own width."""
    s = numba.carray(user, (1 << 40,), np.int64)
    address = np.int64(at)
    if address & (np.int64(width) - 1) and s[REASON] == RUNNING:
        s[WIDTH] = width
        _halt(s, MISALIGNED, address)
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Executions of each block so far, columns by block id: a later snapshot minus an earlier one is what ran between."""

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

    def __init__(self, engine: unicorn.Uc, regions: Sequence[tuple[int, NDArray[np.uint8]]]) -> None:
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
        self._state[STOP] = ctypes.cast(unicorn.unicorn_py3.unicorn.uclib.uc_emu_stop, ctypes.c_void_p).value
        self._state[ENGINE] = engine._uch.value
        self._add(unicorn.UC_HOOK_BLOCK, _on_block)

    def _add(self, kind: int, callback: Any) -> None:
        """`uc_hook_add` with a native callback, for all addresses."""
        handle = ctypes.c_size_t()
        status = unicorn.unicorn_py3.unicorn.uclib.uc_hook_add(
            self._engine._uch,
            ctypes.byref(handle),
            kind,
            ctypes.cast(callback.address, ctypes.c_void_p),
            ctypes.c_void_p(self._state.ctypes.data),
            ctypes.c_uint64(1),
            ctypes.c_uint64(0),
        )
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)

    def watch_alignment(self) -> None:
        """Stop at unaligned accesses from here on; about ten times slower."""
        self._add(unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE, _on_access)

    def begin(self, max_instructions: int) -> None:
        """A call starts: no block came before it, and it may execute that many instructions."""
        s = self._state
        s[[LAST, LAST_END, LIMIT, RESUME]] = 0, -1, s[INSTRUCTIONS] + max_instructions, 0

    def resume(self, blocks: int, *, over: bool) -> None:
        """Prepare to run at most about `blocks` blocks; `over` runs the first one even if it is a stop."""
        self._state[[SLICE, REASON, RESUME]] = blocks, RUNNING, int(over)

    @property
    def reason(self) -> tuple[int, int, int]:
        """Why the machine was stopped, at which address, and the width of a misaligned access."""
        reason, address, width = self._state[[REASON, ADDRESS, WIDTH]].tolist()
        return reason, address, width

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

    def snapshot(self) -> Counts:
        columns = self._blocks.T.copy()
        return Counts(columns[START], columns[SIZE], columns[LENGTH], columns[COUNT], columns[FALL])
