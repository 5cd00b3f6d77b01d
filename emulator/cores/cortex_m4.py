"""Cortex-M4: single issue, three stages. Costs at zero wait states.

Sources: [T] Arm Cortex-M4 technical reference manual, instruction set summary. [J] jnk0le/random, "pipeline cycle
test", cortex_m3m4.md, measured on STM32F407. [C] compendium.i-0.nl, "Branch timing", "Alignment rules", measured.
[Y] J. Yiu of Arm, community.arm.com, forum thread 8414. [P] pqm4's benchmarks.csv, measured on an STM32L4R5 at zero
wait states (golden/measured/pqm.csv). [G] GCC cortex-m4.md. [L] LLVM ARMScheduleM4.td. [R] rsaxvc.net, measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from emulator.cores import fetch_queue
from emulator.instructions import Instruction
from emulator.placed import Placed
from emulator.timing import UNITS, Charge

REFILL = 1  # P, cycles that a taken branch adds: its target is fetched while it is decoded [Y; C: two in all; P]
LATE_REFILL = 2  # where the target is known in the execute stage only: BX, BLX of other registers than LR, POP [T]
LOAD_PC = 3  # LDR PC: at least 5, a load of 2 and this [T]
TABLE_BRANCH = 5  # TBB, TBH: at least 6 with their own cycle [T]
DIVIDE = 7  # 2 to 12 by operand size, function unknown [T]: the middle
FLOAT: Mapping[str, int] = {  # [L C]; others 1
    "vmla": 3, "vmls": 3, "vnmla": 3, "vnmls": 3, "vfma": 3, "vfms": 3, "vfnma": 3, "vfnms": 3,
    "vdiv": 14, "vsqrt": 14,
}  # fmt: skip

Costs = list[tuple[str, int]]  # (cause, cycles)


@dataclass(frozen=True)
class Variant:
    """Where the Cortex-M3 differs: multiplications beyond their first cycle, and whether indexed accesses chain."""

    multiply: Mapping[str, int] = field(default_factory=dict)
    chains_indexed: bool = True


def block(code: Sequence[Placed], before: Sequence[Placed], jumped: bool, variant: Variant = Variant()) -> list[Charge]:
    """Charges by `emulator.timing.Model`."""
    charges = _leaving(before, variant) if jumped and before else []
    above = () if jumped else before
    costs = _costs((*above, *code), variant)
    for index, placed in enumerate(code):
        charges += [Charge(index, cause, cycles * UNITS) for cause, cycles in costs[len(above) + index] if cycles]
        if extra := _unaligned(placed):
            charges.append(Charge(index, "load_store", extra))
    whole = (*above, *code)
    late = fetch_queue.waits(whole, _lengths(whole, costs), full=not jumped)[len(above) :]
    return charges + [Charge(index, "fetch", cycles * UNITS) for index, cycles in enumerate(late) if cycles]


def _leaving(before: Sequence[Placed], variant: Variant) -> list[Charge]:
    """What the jump at the end of a block costs where it is taken."""
    last = before[-1]
    charges = [Charge(-1, "branch", _refill(last.instruction) * UNITS)]
    if last.may_stay:
        previous = before[-2].instruction if len(before) > 1 else None
        found = _cost(last.instruction, previous, variant)
        charges += [Charge(-1, cause, cycles * UNITS) for cause, cycles in found if cycles and cause != "issue"]
    return charges


def _costs(code: Sequence[Placed], variant: Variant) -> list[Costs]:
    """Costs of each instruction behind the one before it; a jump's accesses only where it is surely executed."""
    previous: Instruction | None = None
    found: list[Costs] = []
    for placed in code:
        found.append([("issue", 1)] if placed.may_stay else _cost(placed.instruction, previous, variant))
        previous = placed.instruction
    return found


def _lengths(code: Sequence[Placed], costs: Sequence[Costs]) -> list[int]:
    """Cycles from one instruction to the next: a load's second cycle lies behind the accesses that pipeline with it."""
    found = [sum(cycles for _, cycles in cost) for cost in costs]
    for n in range(1, len(found)):
        kinds = code[n - 1].instruction.kind, code[n].instruction.kind
        if kinds in (("load", "load"), ("load", "store")) and found[n] < 2 and found[n - 1] > 1:
            found[n - 1] -= 1
            found[n] += 1
    return found


def _cost(i: Instruction, previous: Instruction | None, variant: Variant) -> Costs:
    """(cause, cycles) of an instruction behind another one that fell through to it."""
    if i.kind == "it":
        return [("issue", 0 if previous is not None and previous.size == 2 else 1)]  # folds into a 16-bit one [T]
    if i.transfers:
        return [
            ("issue", 1), ("load_store", _access(i, previous, variant)), ("hazard", _address_hazard(i, previous)),
        ]  # fmt: skip
    if i.kind == "divide":
        return [("issue", 1), ("divide", DIVIDE - 1)]
    if i.kind == "fp":
        return [("issue", 1), ("float", FLOAT.get(i.name, 1) - 1)]
    if i.kind == "hint" and previous is not None and _leaves_a_bubble(previous):
        return []  # a nop hides under the second cycle [J]
    return [("issue", 1 + variant.multiply.get(i.name, 0))]


def _leaves_a_bubble(previous: Instruction) -> bool:
    return previous.kind == "load" or (previous.kind == "store" and previous.indexed)


def _access(i: Instruction, previous: Instruction | None, variant: Variant) -> int:
    """Cycles of an access beyond its issue. Each looks back, so that a pair's saving is the second's."""
    if i.kind == "store":
        return _store(i, previous, variant)
    # A store does not overlap a load, or several, behind it: +1 [J].
    waits = int(i.loads and previous is not None and previous.kind == "store" and not previous.indexed)
    if i.kind == "load" and previous is not None and pipelines(previous, i, variant):
        return i.transfers - 1  # k in a row take k+1 [T G J]
    return i.transfers + waits  # LDR 2; LDM, STM, PUSH, POP 1+N; LDRD, STRD 3 [T G]


def _store(i: Instruction, previous: Instruction | None, variant: Variant) -> int:
    if i.indexed:
        return 1  # register offset: 2 [T J G]
    after_load = previous is not None and previous.kind == "load"
    if after_load and (variant.chains_indexed or not i.writeback):
        return -1  # immediate offset 1; it removes the load's second cycle: 2 for the pair [T J]
    return i.transfers - 1


def pipelines(first: Instruction, second: Instruction, variant: Variant) -> bool:
    """Whether the second of two loads takes one cycle [T G J]."""
    if first.kind != "load" or "vldr" in (first.name, second.name):
        return False
    if second.writeback and not variant.chains_indexed:
        return False
    same_memory = first.literal == second.literal  # [J]; literals lie in flash
    return same_memory and not first.writes & second.address  # neither loaded nor indexed by the first [T J]


def _address_hazard(i: Instruction, previous: Instruction | None) -> int:
    """An address computed by the instruction before is late by one cycle [T G J]."""
    if previous is None or not previous.writes & i.address:
        return 0
    # What was just loaded is there after the load's two cycles; a store's writeback is late for a store [J].
    return int(not previous.transfers or (previous.stores and i.stores and previous.writeback))


def _refill(i: Instruction) -> int:
    if i.name in ("tbb", "tbh"):
        return TABLE_BRANCH
    if i.kind == "load":
        return LOAD_PC
    by_register = i.name in ("bx", "blx") and i.displacement is None and "lr" not in i.reads
    return LATE_REFILL if by_register or i.transfers else REFILL


def _unaligned(placed: Placed) -> int:
    """Units that a load off its boundary costs: +1 at a halfword's, +2 at an odd one [R], the mean of the samples."""
    i = placed.instruction
    if i.kind != "load" or not placed.samples or i.access == 1:
        return 0
    late = [2 if s % 2 and i.access == 4 else int(s % i.access != 0) for s in placed.samples]
    return UNITS * sum(late) // len(late)
