"""Cortex-M3: the Cortex-M4's pipeline with slower multiplications and less chaining. Costs at zero wait states.

Sources: [T] Arm Cortex-M3 technical reference manual, instruction set summary. [J] jnk0le/random, "pipeline cycle
test", cortex_m3m4.md, measured on STM32F103.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emulator.cores import cortex_m4
from emulator.instructions import Instruction
from emulator.timing import UNITS, Charge, Placed

CALIBRATED: float | None = None

MULTIPLY: Mapping[str, int] = {  # cycles beyond the first; ranges by operand size: the middle
    "mla": 1, "mls": 1,  # 2 [T]
    "smull": 3, "umull": 3,  # 3 to 5 [T]
    "smlal": 4, "umlal": 4,  # 4 to 7 [T]
}  # fmt: skip


def block(code: Sequence[Placed], before: Sequence[Placed], jumped: bool) -> list[Charge]:
    charges = cortex_m4.block(code, before, jumped)
    previous = None if jumped else before[-1].instruction
    for index, placed in enumerate(code):
        i = placed.instruction
        if i.name in MULTIPLY:
            charges.append(Charge(index, "issue", MULTIPLY[i.name] * UNITS))
        if previous is not None and _does_not_chain(previous, i):
            charges.append(Charge(index, "load_store", UNITS))
        previous = i
    return charges


def _does_not_chain(first: Instruction, second: Instruction) -> bool:
    """Where the Cortex-M4 overlaps two accesses and the Cortex-M3 does not.

    Pre- and post-indexed loads follow no load without a gap, and such stores take 1 only when not after a load [J].
    """
    if first.kind != "load" or not second.writeback:
        return False
    return second.kind == "store" or (second.kind == "load" and cortex_m4.pipelines(first, second))
