"""Cortex-M0+: two stages, no hazards. Costs at zero wait states.

Source: [T] Arm Cortex-M0+ technical reference manual, instruction set summary, with the fast multiplier and without
the single-cycle I/O port. A plain table of these is 2.6 to 4.6 % low against STM32G0B1 silicon at 2 wait states.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.instructions import Instruction
from emulator.timing import UNITS, Charge, Placed

CALIBRATED: float | None = None

ACCESS = 2  # LDR, STR [T]
REFILL = 1  # B taken 2, BX 2, MOV and ADD to the pc 2 [T]
LINK_REFILL = {"bl": 2, "blx": 1}  # BL 3, BLX 2 [T]
POP_PC = 2  # POP with pc: 3+N, of which 1 is the refill [T]


def block(code: Sequence[Placed], before: Sequence[Placed], jumped: bool) -> list[Charge]:
    charges: list[Charge] = []
    if jumped and before:
        charges.append(Charge(-1, "branch", _refill(before[-1].instruction) * UNITS))
    for index, (_, i, _) in enumerate(code):
        charges.append(Charge(index, "issue", UNITS))
        if i.transfers:
            charges.append(Charge(index, "load_store", _access(i) * UNITS))
    return charges


def _access(i: Instruction) -> int:
    """Cycles beyond the issue: LDM, STM, PUSH, POP take 1+N [T]."""
    return i.transfers if i.kind.endswith("multiple") else ACCESS - 1


def _refill(i: Instruction) -> int:
    if i.kind == "load_multiple":
        return POP_PC
    return LINK_REFILL.get(i.name, REFILL)
