"""Which memories the registers point into, sampled natively where blocks begin.

An observer outside the machine, for boards where the price of a load or a store hangs on the memory that it goes to.
An instruction goes to the same one nearly always, so samples do: each of a block's first executions, later ones ever
more rarely. A sample stands for the executions since the one before; equal ones are counted together. The same run
takes the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from emulator import hooks, native
from emulator.machine import Machine

Samples = tuple[int, ...]  # one number a sample: of a memory, 0 for none

REGISTERS = native.REGISTERS[:-1]  # the pc is known

# Words of the header: where others' states lie, a register's value.
COUNTER, READ_REGISTER, SELF, VALUE, MEMORIES = range(5)
FIRST_NUMBER = 8  # Unicorn's numbers of REGISTERS
FIRST_MEMORY = 32
BASE, END = range(2)  # words of a memory; they are numbered from 1
BITS = 4  # of a memory's number, for each register in the word of a sample
MAX_MEMORIES = (1 << BITS) - 1

FIRST_BLOCK = 64
NEXT, LAST, TAKEN, FIRST_SAMPLE = range(4)  # words of a block: executions that are, and were sampled; distinct samples
SAMPLES = 14  # distinct ones of a block; what comes beyond counts as the last of them
WORD, TIMES = range(2)  # words of a sample
FIELDS = FIRST_SAMPLE + 2 * SAMPLES
RARITY = 32  # of n executions, the next one after at most n / RARITY is sampled


@native.njit
def _sample(t: Any, engine: Any) -> Any:
    """The memory of each register, `BITS` each."""
    found = 0
    place = native.pointer(t[SELF] + 8 * VALUE)
    for n in range(len(REGISTERS)):
        t[VALUE] = 0
        native.access_register(t[READ_REGISTER], engine, np.int32(t[FIRST_NUMBER + n]), place)
        value = t[VALUE]
        for m in range(t[MEMORIES]):
            if t[FIRST_MEMORY + 2 * m + BASE] <= value < t[FIRST_MEMORY + 2 * m + END]:
                found |= m + 1 << BITS * n
                break
    return found


@native.cfunc(native.OnBlock)
def _on_block(engine: Any, start: Any, length: Any, user: Any) -> None:
    """Sample this execution if it is its turn."""
    t = carray(user, (1 << 40,), np.int64)
    s = native.words(t[COUNTER])
    i = s[hooks.LAST]
    execution = s[hooks.HEADER + i * hooks.FIELDS + hooks.COUNT]
    block = FIRST_BLOCK + i * FIELDS
    if execution < t[block + NEXT]:
        return
    gap = (execution * 0x9E37_79B1 >> 16) % (1 + execution // RARITY)  # Knuth's hash: a loop's period is not met
    t[block + NEXT] = execution + 1 + gap
    word, sample, end = _sample(t, engine), block + FIRST_SAMPLE, block + FIRST_SAMPLE + 2 * t[block + TAKEN]
    while sample < end and t[sample + WORD] != word:
        sample += 2
    if sample == end and t[block + TAKEN] < SAMPLES:
        t[block + TAKEN] += 1
        t[sample + WORD] = word
    elif sample == end:
        sample -= 2
    t[sample + TIMES] += execution - t[block + LAST]
    t[block + LAST] = execution


class Pointers:
    """The registers of one machine, from now on. `memories` are (base, end), numbered from 1; the first that fits."""

    def __init__(self, machine: Machine, memories: Sequence[tuple[int, int]]) -> None:
        assert len(memories) <= MAX_MEMORIES
        t = self._state = np.zeros(FIRST_BLOCK + FIELDS * hooks.CAPACITY, np.int64)  # touched lazily
        t[[COUNTER, SELF, MEMORIES]] = machine.counter.state_address, t.ctypes.data, len(memories)
        t[READ_REGISTER] = native.READ_REGISTER
        t[FIRST_NUMBER : FIRST_NUMBER + len(REGISTERS)] = native.REGISTER_NUMBERS[: len(REGISTERS)]
        t[FIRST_MEMORY : FIRST_MEMORY + 2 * len(memories)] = np.array(memories, np.int64).ravel()
        machine.observers.blocks(_on_block, t)

    def samples(self, block: int) -> tuple[Mapping[str, Samples], Samples]:
        """What each register pointed into where the block of this id began, and how many executions each stands for."""
        first = FIRST_BLOCK + block * FIELDS
        taken = self._state[first + FIRST_SAMPLE :][: 2 * self._state[first + TAKEN]].reshape(-1, 2).T.tolist()
        words, times = taken
        return {r: tuple(w >> BITS * n & MAX_MEMORIES for w in words) for n, r in enumerate(REGISTERS)}, tuple(times)
