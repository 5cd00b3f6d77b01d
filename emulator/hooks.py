"""The native block callback, compiled by numba and handed to Unicorn by address: it counts, and stops the machine.

Python never runs per block. All state lies in one int64 array, whose address is the callback's user data:

    header (HEADER words, with code regions and observers) | block records | edge records | a hash table of edges |
    a map, halfword -> block id, for each code region

A block is known by its start address and size, an edge by the blocks that ran one after the other; ids are given in
the order of first execution. Block 0 stands for "no block": before the first one of a call, and after its last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]
from numpy.typing import NDArray
from unicorn import unicorn_const as uc

from emulator import native
from emulator.counts import Counts, Int64s

RUNNING, STOPPED, SLICED, LIMITED, CROWDED, FRESH = range(6)  # why the machine was stopped: header[REASON]

# Words of the header. INSTRUCTIONS counts those of all blocks entered, also those that an IT block skips; CURRENT is
# the edge by which the last block was entered, for the observers. AHEAD: whether the
# machine stops FRESH before a block that was not looked at yet; CUT: blocks that were taken from the slice.
(BLOCKS, INSTRUCTIONS, LIMIT, REASON, ADDRESS, RESUME, LAST, LAST_END, SLICE, STOP, ENGINE, REGIONS, EDGES,
 CURRENT, AHEAD, OBSERVERS, CUT) = range(17)  # fmt: skip
FIRST_REGION = 20
BASE, END, HOST, MAP = range(4)  # words of a code region
MAX_REGIONS = 12
FIRST_OBSERVER = FIRST_REGION + 4 * MAX_REGIONS
CALLBACK, USER, FROM, TO = range(4)  # words of an observer
MAX_OBSERVERS = 64
HEADER = FIRST_OBSERVER + 4 * MAX_OBSERVERS

# Words of a block: SIZE in bytes, LENGTH in instructions; the edge by which it was last left downwards, and by a jump;
# SEEN: it was looked at before it ran.
START, SIZE, LENGTH, COUNT, FLAG, DOWN, JUMP, SEEN = range(8)
FIELDS = 8
CAPACITY = 1 << 18

BEFORE, BLOCK, TIMES = range(3)  # words of an edge
EDGE_FIELDS = 3
EDGE_CAPACITY = 1 << 18
FIRST_EDGE = HEADER + CAPACITY * FIELDS
SLOTS = 1 << 19  # of the hash table
FIRST_SLOT = FIRST_EDGE + EDGE_CAPACITY * EDGE_FIELDS
FIRST_MAP = FIRST_SLOT + SLOTS


@native.njit
def _length(host: int, size: int) -> int:
    """Instructions in `size` bytes of Thumb code: a halfword 0b111xx with xx not 0 begins a 32-bit one."""
    count = 0
    offset = 0
    while offset < size:
        offset += 4 if native.halfword(host + offset) >= 0xE800 else 2
        count += 1
    return count


@native.njit
def region_of(s: Any, address: int) -> Any:
    """Where the words of the code region that holds an address begin; 0 where there is none."""
    for r in range(s[REGIONS]):
        region = FIRST_REGION + 4 * r
        if s[region + BASE] <= address < s[region + END]:
            return region
    return 0


@native.njit
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


@native.njit
def _find(s: Any, address: int, size: int) -> Any:
    """The id of a block, given on first sight. A stop address is known before its size is."""
    region = region_of(s, address)
    if region == 0:
        return 0
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


@native.njit
def _edge(s: Any, before: int, block: int, way: int) -> Any:
    """The id of an edge, given on first sight; the last one that left `before` this way is tried first."""
    recent = HEADER + before * FIELDS + way
    e = s[recent]
    if e and s[FIRST_EDGE + e * EDGE_FIELDS + BLOCK] == block:
        return e
    slot = (before * 0x9E3779B1 + block * 0x85EBCA77) % SLOTS
    while s[FIRST_SLOT + slot]:
        e = s[FIRST_SLOT + slot]
        edge = FIRST_EDGE + e * EDGE_FIELDS
        if s[edge + BEFORE] == before and s[edge + BLOCK] == block:
            s[recent] = e
            return e
        slot = (slot + 1) % SLOTS
    e = s[EDGES]
    s[EDGES] = e + 1
    s[FIRST_SLOT + slot] = e
    edge = FIRST_EDGE + e * EDGE_FIELDS
    s[edge + BEFORE] = before
    s[edge + BLOCK] = block
    s[recent] = e
    return e


@native.njit
def cut(s: Any) -> None:
    """End the running slice at the next jump."""
    s[CUT] += s[SLICE]
    s[SLICE] = 0


@native.njit
def _left_inside_it(s: Any) -> Any:
    """Whether the last block ends inside an IT block: the engine cannot stop there and go on."""
    block = HEADER + s[LAST] * FIELDS
    region = region_of(s, s[block + START])
    host = s[region + HOST] + s[block + START] - s[region + BASE]
    offset = 0
    governed = 0
    while region and offset < s[block + SIZE]:
        code = native.halfword(host + offset)
        governed -= 1
        if code >> 8 == 0xBF and code & 0xF:  # its mask ends in a one bit after the instructions that it governs
            governed = 4
            while not code & 1:
                code >>= 1
                governed -= 1
        offset += 4 if code >= 0xE800 else 2
    return governed > 0


@native.njit
def _halt(s: Any, reason: int, address: int) -> None:
    s[REASON] = reason
    s[ADDRESS] = address
    native.call(s[STOP], s[ENGINE])


@native.cfunc(native.OnBlock)
def _on_block(engine: Any, start: Any, length: Any, user: Any) -> None:
    """Stop before the block when there is a reason to, count it and tell the observers otherwise.

    They are not hooks of the engine's own: Unicorn calls one hook at a fraction of what several cost.
    """
    s = carray(user, (1 << 40,), np.int64)
    address: Any = np.int64(start)
    size: Any = np.int64(length)
    i = _find(s, address, size)
    block = HEADER + i * FIELDS
    if s[RESUME] == 0:
        if s[AHEAD] and s[block + SEEN] == 0 and i and not (address == s[LAST_END] and _left_inside_it(s)):
            return _halt(s, FRESH, i)
        if s[block + FLAG] != 0:
            return _halt(s, STOPPED, address)
        if s[INSTRUCTIONS] >= s[LIMIT]:
            return _halt(s, LIMITED, address)
        # Slices end at jumps only: a block that continues the last one may lie inside an IT block.
        if s[SLICE] <= 0 and address != s[LAST_END]:
            return _halt(s, SLICED, address)
        if i == 0 or s[EDGES] >= EDGE_CAPACITY - 1:
            return _halt(s, CROWDED, address)
    s[RESUME] = 0
    s[SLICE] -= 1
    s[INSTRUCTIONS] += s[block + LENGTH]
    s[block + COUNT] += 1
    e = _edge(s, s[LAST], i, DOWN if address == s[LAST_END] else JUMP)
    s[FIRST_EDGE + e * EDGE_FIELDS + TIMES] += 1
    s[CURRENT] = e
    s[LAST] = i
    s[LAST_END] = address + size
    for observer in range(FIRST_OBSERVER, FIRST_OBSERVER + 4 * s[OBSERVERS], 4):
        if s[observer + FROM] <= address <= s[observer + TO]:
            native.call_observer(s[observer + CALLBACK], engine, start, length, s[observer + USER])


class Counter:
    """The block callback of one engine, and its state. `regions` are (base, host bytes) of memory that can run."""

    def __init__(self, engine: Any, regions: Sequence[tuple[int, NDArray[np.uint8]]]) -> None:
        assert len(regions) <= MAX_REGIONS
        halfwords = sum(host.size // 2 for _, host in regions)
        self._state = np.zeros(FIRST_MAP + halfwords, np.int64)  # touched lazily
        self._engine = engine
        place = FIRST_MAP
        for r, (base, host) in enumerate(regions):
            first = FIRST_REGION + 4 * r
            self._state[first : first + 4] = base, base + host.size, host.ctypes.data, place
            place += host.size // 2
        self._state[[BLOCKS, EDGES, REGIONS, LAST_END]] = 1, 1, len(regions), -1
        self._state[STOP] = native.STOP
        self._state[ENGINE] = engine._uch.value
        native.add(engine, uc.UC_HOOK_BLOCK, _on_block, self.state_address)

    @property
    def state(self) -> Int64s:
        """All of it, for native observers: they read why the machine was stopped, the last block, the code regions."""
        return self._state

    @property
    def state_address(self) -> int:
        """Where the state lies."""
        return int(self._state.ctypes.data)

    def begin(self, max_instructions: int) -> None:
        """A call starts: no block came before it, and it may execute that many instructions."""
        s = self._state
        s[[LAST, LAST_END, LIMIT, RESUME]] = 0, -1, s[INSTRUCTIONS] + max_instructions, 0

    def end(self) -> None:
        """The call ended: its last block was left."""
        s = self._state
        s[FIRST_EDGE + _edge(s, s[LAST], 0, JUMP) * EDGE_FIELDS + TIMES] += 1
        s[[LAST, LAST_END]] = 0, -1

    def resume(self, blocks: int, *, over: bool) -> None:
        """Prepare to run at most about `blocks` blocks; `over` runs the first one even if it is a stop."""
        self._state[[SLICE, CUT, REASON, RESUME]] = blocks, 0, RUNNING, int(over)

    def observe(self, callback: Any, user: int, first: int, last: int) -> None:
        """Have a native callback told of blocks that begin in [first, last], with the address of its data."""
        s = self._state
        assert s[OBSERVERS] < MAX_OBSERVERS
        place = FIRST_OBSERVER + 4 * int(s[OBSERVERS])
        s[place : place + 4] = callback.address, user, first, last
        s[OBSERVERS] += 1

    def look_ahead(self) -> None:
        """Stop FRESH before each block that was not looked at, unless it goes on inside an IT block."""
        self._state[AHEAD] = 1

    def show_again(self) -> None:
        """All blocks count as not looked at."""
        self._blocks[:, SEEN] = 0

    def looked_at(self) -> tuple[int, int, int]:
        """Id, start and size of the block that the machine stopped before, which it runs when it goes on."""
        i = int(self._state[ADDRESS])
        self._blocks[i, SEEN] = 1
        self._state[REASON] = RUNNING
        return i, int(self._blocks[i, START]), int(self._blocks[i, SIZE])

    def cut(self) -> None:
        """End the running slice at the next jump; for callbacks from the engine, which must not stop it themselves."""
        cut(self._state)

    @property
    def blocks_left(self) -> int:
        """Blocks that the last slice did not run; less than 0: it ran more."""
        return int(self._state[SLICE] + self._state[CUT])

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

    @property
    def _edges(self) -> Int64s:
        return self._state[FIRST_EDGE : FIRST_EDGE + int(self._state[EDGES]) * EDGE_FIELDS].reshape(-1, EDGE_FIELDS)

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

    @property
    def times(self) -> Int64s:
        """How often each edge was passed so far, without copying: it changes as the machine runs."""
        return self._edges[:, TIMES]

    def snapshot(self) -> Counts:
        blocks, edges = self._blocks.T.copy(), self._edges.T.copy()
        return Counts(*(blocks[c] for c in (START, SIZE, LENGTH, COUNT)), *(edges[c] for c in (BEFORE, BLOCK, TIMES)))
