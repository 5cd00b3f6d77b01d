"""Cortex-M4: single issue, three stages. Costs at zero wait states.

Sources: [T] Arm Cortex-M4 technical reference manual, instruction set summary. [J] jnk0le/random, "pipeline cycle
test", cortex_m3m4.md, measured on STM32F407. [G] GCC cortex-m4.md. [L] LLVM ARMScheduleM4.td. [C] compendium.i-0.nl,
measured. Where they disagree, measurement wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emulator.instructions import Instruction
from emulator.timing import UNITS, Charge, Placed

CALIBRATED: float | None = None

REFILL = 2  # P, cycles that a taken branch adds [T: 1 to 3; C: 2]
UNALIGNED_TARGET = 1  # more where the target is a 32-bit instruction off a word boundary [T C]
STARVING = 3  # so many 32-bit instructions in a row off word boundaries: +1 for the group [C]
TABLE_BRANCH = 5  # TBB, TBH: at least 6 with their own cycle [T]
LOAD_PC = 1  # LDR PC: at least 5, a load of 2, the refill and this [T]
DIVIDE = 7  # 2 to 12 by operand size, function unknown [T]: the middle
FLOAT: Mapping[str, int] = {  # [L C]; others 1
    "vmla": 3, "vmls": 3, "vnmla": 3, "vnmls": 3, "vfma": 3, "vfms": 3, "vfnma": 3, "vfnms": 3,
    "vdiv": 14, "vsqrt": 14,
}  # fmt: skip


def block(code: Sequence[Placed], before: Sequence[Placed], jumped: bool) -> list[Charge]:
    charges = _entry(code, before) if jumped else []
    previous = None if jumped else before[-1].instruction
    unaligned = 0
    for index, placed in enumerate(code):
        costs = _cost(placed.instruction, previous)
        charges += [Charge(index, cause, cycles * UNITS) for cause, cycles in costs if cycles]
        previous = placed.instruction
        unaligned = unaligned + 1 if placed.unaligned_wide else 0
        if unaligned == STARVING:
            charges.append(Charge(index, "fetch", UNITS))
    return charges


def _entry(code: Sequence[Placed], before: Sequence[Placed]) -> list[Charge]:
    """What a jump costs: the refill, and more where it goes."""
    charges = [Charge(-1, "branch", _refill(before[-1].instruction) * UNITS)] if before else []
    if code and code[0].unaligned_wide:
        charges.append(Charge(0, "fetch", UNALIGNED_TARGET * UNITS))
    return charges


def _cost(i: Instruction, previous: Instruction | None) -> list[tuple[str, int]]:
    """(cause, cycles) of an instruction after another one that fell through to it."""
    if i.kind == "it":
        return [("issue", 0 if previous is not None and previous.size == 2 else 1)]  # folds into a 16-bit one [T]
    if i.kind in ("load", "store"):
        return [("issue", 1), ("load_store", _access(i, previous)), ("hazard", _address_hazard(i, previous))]
    if i.transfers:  # LDM, STM, PUSH, POP: 1+N [T G]; LDRD, STRD: 3 [T G]
        return [("issue", 1), ("load_store", i.transfers), ("hazard", _address_hazard(i, previous))]
    if i.kind == "divide":
        return [("issue", 1), ("divide", DIVIDE - 1)]
    if i.kind == "fp":
        return [("issue", 1), ("float", FLOAT.get(i.name, 1) - 1)]
    if i.kind == "hint" and previous is not None and _leaves_a_bubble(previous):
        return []  # a nop hides under the second cycle [J]
    return [("issue", 1)]


def _leaves_a_bubble(previous: Instruction) -> bool:
    return previous.kind == "load" or (previous.kind == "store" and previous.indexed)


def _access(i: Instruction, previous: Instruction | None) -> int:
    """Cycles of a single load or store beyond its issue. Each looks back, so that a pair's saving is the second's."""
    if i.kind == "store":
        if i.indexed:
            return 1  # register offset: 2 [T J G]
        # Immediate offset 1; right after a load it removes the load's second cycle: 2 for the pair [T J].
        return -1 if previous is not None and previous.kind == "load" else 0
    if previous is not None and previous.kind == "store" and not previous.indexed:
        return 2  # a store does not overlap a following load: +1 [J]
    return 0 if previous is not None and pipelines(previous, i) else 1


def pipelines(first: Instruction, second: Instruction) -> bool:
    """Whether the second of two loads takes one cycle: k in a row take k+1 [T G J]."""
    if first.kind != "load" or second.name == "vldr" or first.name == "vldr":
        return False
    same_memory = first.literal == second.literal  # [J]; literals lie in flash
    return same_memory and not first.writes & second.address  # neither loaded nor indexed by the first [T J]


def _address_hazard(i: Instruction, previous: Instruction | None) -> int:
    """An address computed by the instruction before is late by one cycle [T G J]."""
    if previous is None or previous.transfers:
        return 0
    return int(bool(previous.writes & i.address))


def _refill(i: Instruction) -> int:
    if i.name in ("tbb", "tbh"):
        return TABLE_BRANCH
    return REFILL + (LOAD_PC if i.kind == "load" else 0)
