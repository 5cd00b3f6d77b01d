"""Cortex-M0+: two stages, no hazards. Costs at zero wait states.

Source: [T] Arm Cortex-M0+ technical reference manual DDI 0484, table 3-1. MULS takes 1: the chips of the catalogue have
the fast multiplier, not the small one that takes 32. Accesses to the single-cycle I/O port take 1
there and 2 here: no instruction says that it goes there, an access path of the board may (with a wait of -1).
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.instructions import Instruction
from emulator.placed import Placed
from emulator.timing import UNITS, Charge

ACCESS = 2  # LDR, STR [T]
REFILL = 1  # B taken 2, BX 2, MOV and ADD to the pc 2 [T]
LINK_REFILL = {"bl": 2, "blx": 1}  # BL 3, BLX 2 [T]
POP_PC = 2  # POP with pc: 3+N, and 1+N without [T]
SYSTEM = 3  # MRS, MSR, DMB, DSB, ISB [T]


def block(code: Sequence[Placed], before: Sequence[Placed], jumped: bool) -> list[Charge]:
    charges: list[Charge] = []
    if jumped and before:
        charges.append(Charge(-1, "branch", _refill(before[-1].instruction) * UNITS))
    for index, placed in enumerate(code):
        i = placed.instruction
        charges.append(Charge(index, "issue", _issue(i) * UNITS))
        if i.transfers:
            charges.append(Charge(index, "load_store", _access(i) * UNITS))
    return charges


def _issue(i: Instruction) -> int:
    return SYSTEM if i.size == 4 and i.name != "bl" else 1


def _access(i: Instruction) -> int:
    """Cycles beyond the issue: LDM, STM, PUSH, POP take 1+N [T]."""
    return i.transfers if i.kind.endswith("multiple") else ACCESS - 1


def _refill(i: Instruction) -> int:
    if i.kind == "load_multiple":
        return POP_PC
    return LINK_REFILL.get(i.name, REFILL)
