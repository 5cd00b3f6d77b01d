"""Branches that a machine's core predicts wrongly, followed natively: two-bit counters, and the last target of a jump.

An observer outside the machine. Every end of a block counts as a branch, told from the way it goes: down to where the
block ends in memory, or anywhere else. Its counter predicts the way and its entry the target, as the Cortex-M7's branch
target address cache and predictor state do [Arm DDI 0489, 1.2.3]; the number of entries is not limited. The first
execution of a branch trains them and costs nothing: what lies next in memory, calls, and loops that go backwards are
known to a static predictor. A wrong prediction is charged to the branch, among the stalls of `emulator.memory_timing`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from emulator import hooks, native
from emulator.cache_lines import UNITS
from emulator.machine import Machine
from emulator.memory_timing import CAUSES, MemoryTiming, charge

COUNTER, STALLS, PRICE = range(3)  # words of the header: where the states of others lie, units of a wrong prediction
FIRST_BLOCK = 8
STATE, TARGET, ADDRESS = range(3)  # words of a block: of the branch that ends it
FIELDS = 4

UNSEEN, STRONGLY_DOWN, DOWN, TAKEN, STRONGLY_TAKEN = range(5)  # STATE
MISPREDICT = CAUSES.index("mispredict")


@native.njit
def _last(s: Any, address: int, size: int) -> Any:
    """Where the last instruction of a block is."""
    region = hooks.region_of(s, address)
    if region == 0:
        return address
    return address + native.last_instruction(s[region + hooks.HOST] + address - s[region + hooks.BASE], size)


@native.njit
def _goes_wrong(t: Any, branch: int, target: int, down: bool) -> Any:
    """Whether a branch is predicted wrongly; its state is trained afterwards."""
    state = t[branch + STATE]
    if down:
        t[branch + STATE] = DOWN if state == UNSEEN else max(state - 1, STRONGLY_DOWN)
        return state >= TAKEN
    expected = state == UNSEEN or (state >= TAKEN and t[branch + TARGET] == target)
    t[branch + STATE] = TAKEN if state == UNSEEN else min(state + 1, STRONGLY_TAKEN)
    t[branch + TARGET] = target
    return not expected


@native.cfunc(native.OnBlock)
def _on_block(engine: Any, start: Any, length: Any, user: Any) -> None:
    """Compare the way to this block with the prediction of the branch that led here."""
    t = carray(user, (1 << 40,), np.int64)
    s = native.words(t[COUNTER])
    before = s[hooks.FIRST_EDGE + s[hooks.CURRENT] * hooks.EDGE_FIELDS + hooks.BEFORE]
    if before == 0:
        return
    block = hooks.HEADER + before * hooks.FIELDS
    branch = FIRST_BLOCK + before * FIELDS
    target: Any = np.int64(start)
    if _goes_wrong(t, branch, target, target == s[block + hooks.START] + s[block + hooks.SIZE]):
        if t[branch + ADDRESS] == 0:
            t[branch + ADDRESS] = _last(s, s[block + hooks.START], s[block + hooks.SIZE])
        charge(native.words(t[STALLS]), t[branch + ADDRESS], MISPREDICT, t[PRICE])


class BranchPrediction:
    """The predictor of one machine, from now on; a wrong prediction costs `cycles`."""

    def __init__(self, machine: Machine, stalls: MemoryTiming, cycles: int) -> None:
        self._state = np.zeros(FIRST_BLOCK + hooks.CAPACITY * FIELDS, np.int64)  # touched lazily
        self._state[[COUNTER, STALLS, PRICE]] = machine.counter.state_address, stalls.state_address, UNITS * cycles
        machine.observers.blocks(_on_block, self._state)
