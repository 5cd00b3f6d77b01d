"""Cortex-M33: single issue with a limited dual issue of 16-bit encodings. Costs at zero wait states.

Sources: [J] jnk0le/random, "pipeline cycle test", cortex_m33.md, measured on RP2350 r1p0. [K] Arm KA001260. What they
do not say follows the Cortex-M4: [4].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emulator.cores.cortex_m4 import DIVIDE, FLOAT, TABLE_BRANCH
from emulator.instructions import DSP_GROUPS, EXTEND_ADD, Instruction
from emulator.timing import UNITS, Charge, Placed

CALIBRATED: float | None = None

LATENCY = 2  # of loads, multiplications, shifted operands, SXTAB and the like [J]
TAKEN = 1  # beyond the branch's own cycle; 1 in all after a 16-bit instruction that sets no flags [J]
POP_PC = 2  # POP with pc is 1 to 2 slower than with lr [J]
TWO_STAGE_FLAGS = 1  # 16-bit MULS and flag-setting shifted constants take 2 [J K]


def block(code: Sequence[Placed], before: Sequence[Placed], jumped: bool) -> list[Charge]:
    charges: list[Charge] = []
    if jumped and before:
        second = before[-2].instruction if len(before) > 1 else None
        charges.append(Charge(-1, "branch", _taken(before[-1].instruction, second) * UNITS))
    previous = None if jumped else before[-1].instruction
    for index, placed in enumerate(code):
        costs = _cost(placed.instruction, previous)
        charges += [Charge(index, cause, cycles * UNITS) for cause, cycles in costs if cycles]
        previous = placed.instruction
    return charges


def _cost(i: Instruction, previous: Instruction | None) -> list[tuple[str, int]]:
    if _pairs(i, previous):
        return []
    if i.kind.endswith("multiple"):
        return [("issue", 1), ("load_store", max(i.transfers - 1, 0))]  # exactly N [J]
    if i.kind.endswith("double"):
        return [("issue", 1), ("load_store", 1)]  # 2 [J]
    if i.kind == "divide":
        return [("issue", 1), ("divide", DIVIDE - 1)]  # unknown [4]
    if i.kind == "fp":
        return [("issue", 1), ("float", FLOATS.get(i.name, FLOAT.get(i.name, 1)) - 1)]
    two_stage = TWO_STAGE_FLAGS if i.name == "mul" and i.size == 2 and i.flags else 0
    return [("issue", 1 + two_stage), ("hazard", _wait(i, previous))]


FLOATS: Mapping[str, int] = {"vmla": 3, "vmls": 3, "vfma": 3, "vfms": 3, "vadd": 1, "vsub": 1, "vmul": 1}  # [J]


def _pairs(i: Instruction, previous: Instruction | None) -> bool:
    """Whether `i` runs in the cycle of the instruction before it: IT, or a 16-bit nop or branch after 16 bits [J]."""
    if previous is None or previous.kind in ("hint", "it", "branch"):
        return False
    if i.kind == "it":
        return True
    return i.size == 2 and previous.size == 2 and (i.kind == "hint" or i.conditional or i.name == "b")


def _taken(i: Instruction, previous: Instruction | None) -> int:
    """Cycles that the jump adds to what `_cost` charged: a paired one takes 1, right after a flag setter 2 [J]."""
    if i.name in ("tbb", "tbh"):
        return TABLE_BRANCH
    if i.kind == "load_multiple":
        return POP_PC
    if not _pairs(i, previous):
        return TAKEN
    assert previous is not None
    return 2 if previous.flags else 1


def _wait(i: Instruction, previous: Instruction | None) -> int:
    """One cycle when the instruction before delivers in two what this one needs at once."""
    if previous is None or not _is_late(previous):
        return 0
    needed = previous.writes & i.reads
    if previous.kind == "load":
        needed -= _stored(i) | (i.accumulators if i.kind == "multiply" else frozenset())  # both 1 [J]
    elif i.accumulators:
        needed -= i.accumulators  # chains of them take 1 [J]
    elif i.kind == "store":
        needed -= _stored(i)  # the accumulate stage's result is stored in 1 [J]
    return LATENCY - 1 if needed else 0


def _is_late(i: Instruction) -> bool:
    return i.kind in ("load", "multiply") or i.shifted or i.name in EXTEND_ADD or bool(i.groups & DSP_GROUPS)


def _stored(i: Instruction) -> frozenset[str]:
    return i.reads - i.address if i.kind == "store" else frozenset()
