"""The loads and stores of a machine that may wait, followed natively where blocks begin, for cores of one pipeline.

An observer outside the machine. Before a block runs for the first time, what it computes to form the addresses of its
accesses (`emulator.address_slices`) becomes a list of steps; each time the block begins, these are run on the registers
and the memory as they are then. Unicorn's own callback on memory costs many times as much, and slows every access of
the machine. What no slice follows is followed at its instruction (`emulator.accesses`), and all behind it in its block.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from emulator import address_values as program, cache_lines as lines, hooks, memory_timing as memory, native
from emulator.accesses import Accesses
from emulator.address_slices import Interest, slices
from emulator.loads_and_stores import form
from emulator.machine import Machine
from emulator.memory import PAGE
from emulator.memory_timing import MemoryTiming, serve
from emulator.placed import Placed, place, still_governed
from refsim.boards import Region

# Words of the header: where others' states and this one lie, the number of paths and of memories.
COUNTER, STALLS, READ_REGISTER, SELF, PATHS, MEMORIES = range(6)
FIRST_NUMBER = 8  # Unicorn's numbers of REGISTERS
FIRST_PATH = 32  # where the paths of data lie in the state of `emulator.memory_timing`
FIRST_MEMORY = FIRST_PATH + memory.MAX_PATHS
BASE, END, HOST = range(3)  # words of a memory
MAX_MEMORIES = 32
FIRST_VALUE = FIRST_MEMORY + 3 * MAX_MEMORIES  # of the steps that ran last; value 0 is 0
MAX_STEPS = 2048  # of a block
FIRST_PLACE = FIRST_VALUE + MAX_STEPS  # by block: where its steps begin; 0: none
FIRST_STEP = FIRST_PLACE + hooks.CAPACITY
FIELDS = len(program.Step._fields)
CODE, A, B, SHIFT, CONSTANT, NBYTES, SIGNED, ELEMENTS, WRITES, PC = range(FIELDS)
STEPS = 1 << 20  # of all blocks
DONE = -1  # the code behind a block's last step


@native.njit
def _load(a: Any, address: int, nbytes: int, signed: int) -> Any:
    """A value in memory as it is when the block begins; 0 where nothing is mapped."""
    for m in range(FIRST_MEMORY, FIRST_MEMORY + 3 * a[MEMORIES], 3):
        if a[m + BASE] <= address and address + nbytes <= a[m + END]:
            place = a[m + HOST] + address - a[m + BASE]
            if nbytes == 4:
                return native.word(place)
            value = native.byte(place) if nbytes == 1 else native.halfword(place)
            sign = 1 << 8 * nbytes - 1
            return (value ^ sign) - sign & 0xFFFF_FFFF if signed else value
    return 0


@native.njit
def _calculate(code: int, x: int, y: int) -> Any:
    if code == program.DIFFERENCE:
        return x - y
    if code == program.AND:
        return x & y
    if code == program.OR:
        return x | y
    if code == program.XOR:
        return x ^ y
    if code == program.CLEAR:
        return x & ~y
    if code == program.PRODUCT:
        return x * y
    if code == program.RIGHT:
        return x >> y
    return (x ^ 0x8000_0000) - 0x8000_0000 >> y


@native.njit
def _access(a: Any, step: int, address: int) -> None:
    t = native.words(a[STALLS])
    for n in range(a[PATHS]):
        path = a[FIRST_PATH + n]
        inside = t[path + lines.START] <= address < t[path + lines.STOP]
        if inside and t[path + lines.WRITES] == a[step + WRITES]:
            serve(t, path, a[step + PC], address, a[step + NBYTES], a[step + ELEMENTS])
            return


@native.cfunc(native.OnBlock)
def _on_block(engine: Any, start: Any, length: Any, user: Any) -> None:
    """Run the steps of the block."""
    a = carray(user, (1 << 40,), np.int64)
    s = native.words(a[COUNTER])
    step = a[FIRST_PLACE + s[hooks.LAST]]
    if step == 0:
        return
    value = FIRST_VALUE + 1
    while a[step + CODE] != DONE:
        code = a[step + CODE]
        if code == program.REGISTER:
            a[value] = 0
            number = np.int32(a[FIRST_NUMBER + a[step + CONSTANT]])
            native.access_register(a[READ_REGISTER], engine, number, native.pointer(a[SELF] + 8 * value))
        else:
            x = a[FIRST_VALUE + a[step + A]]
            y = a[FIRST_VALUE + a[step + B]] << a[step + SHIFT] & 0xFFFF_FFFF
            address = x + y + a[step + CONSTANT] & 0xFFFF_FFFF
            if code == program.ACCESS:
                _access(a, step, address)
            elif code == program.SUM:
                a[value] = address
            elif code == program.LOAD:
                a[value] = _load(a, address, a[step + NBYTES], a[step + SIGNED])
            else:
                a[value] = _calculate(code, x, y) & 0xFFFF_FFFF
        value += 1
        step += FIELDS


class BlockAccesses:
    """The loads and stores of one machine, from now on; what they wait is charged to `stalls`.

    A block that goes on inside an IT block is not shown: its accesses are followed one by one from the start.
    """

    def __init__(self, machine: Machine, stalls: MemoryTiming) -> None:
        board = machine.board
        paths = [(n, path) for n, path in enumerate(board.paths) if path.kind != "fetch"]
        places = [memory.FIRST_PATH + n * lines.PATH_FIELDS for n, _ in paths]
        self._ranges = [(path.base, path.end) for _, path in paths]
        writable = [region for region in board.memory if region.writable]
        stacks = any(base < r.end and r.base < end for base, end in self._ranges for r in writable)
        stores = any(path.kind == "write" for _, path in paths)
        self._interest = Interest(self._waits, stacks, stores, self._constant, self._is_mapped)
        a = self._state = np.zeros(FIRST_STEP + STEPS * FIELDS, np.int64)  # touched lazily
        a[[COUNTER, STALLS, SELF]] = machine.counter.state_address, stalls.state_address, a.ctypes.data
        a[READ_REGISTER], a[PATHS] = native.READ_REGISTER, len(places)
        a[FIRST_PATH : FIRST_PATH + len(places)] = places
        a[FIRST_NUMBER : FIRST_NUMBER + 16] = native.REGISTER_NUMBERS
        self._end = FIRST_STEP
        self._machine = machine
        self._others = Accesses(machine, stalls, everywhere=False)
        self._regions: tuple[Region, ...] = ()  # that `_load` knows
        self._room: dict[int, int] = {}  # steps, by block
        self._left: set[int] = set()  # addresses that `_others` follows
        self._slices: dict[int, tuple[program.Step, ...]] = {}  # by block
        self._blocks: defaultdict[int, set[int]] = defaultdict(set)  # whose slices have an access, by its address
        machine.observers.blocks(_on_block, a)
        machine.observers.ahead(self._look)

    def _look(self, block: int, start: int, size: int) -> None:
        """Take up a block that is about to run."""
        self._see_memories()
        code = self._machine.read(start, size)
        placed = place(start, code)
        steps, left = slices(placed, _forms(placed, code), self._interest)
        left = (*left, *self._behind(start + size, still_governed(placed, code)))
        if len(steps) >= MAX_STEPS or self._end + (len(steps) + 1) * FIELDS > self._state.size:
            steps, left = (), (*left, *_accessing(steps))
        self._slices[block] = steps
        for pc in _accessing(steps):
            self._blocks[pc].add(block)
        for other in self._leave(_in_order(steps, {*left, *(self._left & _accessing(steps))})) | {block}:
            self._write(other)

    def _behind(self, start: int, governed: int) -> tuple[int, ...]:
        """Accesses of the block at `start`, if it goes on inside an IT block: the machine does not show it."""
        if not governed:
            return ()
        region = self._machine.holding(start - 1, 1)
        assert region is not None
        code = self._machine.read(start, min(start // PAGE * PAGE + PAGE, region.end) - start)
        placed = place(start, code, governed)
        jump = next((n for n, p in enumerate(placed) if p.instruction.jumps and n >= governed), len(placed))
        found = zip(placed[: jump + 1], _forms(placed, code), strict=False)
        return tuple(p.address for p, accessed in found if accessed)

    def _leave(self, addresses: set[int]) -> set[int]:
        """Have these instructions followed by themselves, and what comes behind them in a block too, for its order.

        Returns the blocks whose slices lose something by it.
        """
        touched: set[int] = set()
        while fresh := addresses - self._left:
            self._left |= fresh
            for pc in sorted(fresh):
                self._others.follow(pc)
            blocks = {block for pc in fresh for block in self._blocks[pc]}
            known = (self._slices[block] for block in blocks)
            addresses = {pc for steps in known for pc in _in_order(steps, self._left & _accessing(steps))}
            touched |= blocks
        return touched

    def _see_memories(self) -> None:
        """All that is mapped; more may have been since the last block."""
        if self._machine.regions is self._regions:
            return
        self._regions = self._machine.regions
        memories = [(r.base, r.end, self._machine.host_address(r)) for r in self._regions]
        assert len(memories) <= MAX_MEMORIES
        self._state[MEMORIES] = len(memories)
        self._state[FIRST_MEMORY : FIRST_MEMORY + 3 * len(memories)] = np.array(memories, np.int64).ravel()

    def _write(self, block: int) -> None:
        """Put a block's steps where they are, or behind all others; what others follow still takes its place."""
        at = FIRST_PLACE + block
        steps = [s._replace(code=program.SUM) if s.pc in self._left else s for s in self._slices[block]]
        if not _accessing(steps):
            self._state[at] = self._room[block] = 0
            return
        begin = int(self._state[at]) if self._room.get(block) == len(steps) else self._end
        self._room[block] = len(steps)
        end = begin + len(steps) * FIELDS
        self._state[begin:end] = np.array(steps, np.int64).ravel()
        self._state[end + CODE] = DONE
        self._state[at] = begin
        self._end = max(self._end, end + FIELDS)

    def _is_mapped(self, address: int) -> bool:
        return self._machine.holding(address, 1) is not None

    def _constant(self, address: int, nbytes: int) -> int | None:
        region = self._machine.holding(address, nbytes)
        if region is None or region.writable:
            return None
        return int.from_bytes(self._machine.read(address, nbytes), "little")

    def _waits(self, address: int) -> bool:
        return any(base <= address < end for base, end in self._ranges)


def _forms(placed: Iterable[Placed], code: bytes) -> list[tuple[int, ...] | None]:
    """The records of the instructions that `code` encodes."""
    found, at = [], 0
    for p in placed:
        found.append(form(code[at : at + p.instruction.size]))
        at += p.instruction.size
    return found


def _accessing(steps: Iterable[program.Step]) -> set[int]:
    """Addresses of the instructions whose accesses are followed."""
    return {step.pc for step in steps if step.code == program.ACCESS}


def _in_order(steps: Iterable[program.Step], left: set[int]) -> set[int]:
    """`left`, of one block, and what comes behind the first of them; the code of a block lies in a row."""
    first = min(left, default=None)
    return left if first is None else left | {pc for pc in _accessing(steps) if pc > first}
