"""What the Cortex-M7's scheduler knows of instructions: latencies, slots, and what does not issue together.

Sources: [J] jnk0le/random, "pipeline cycle test", cortex_m7.md, measured on STM32H743. [L] LLVM ARMScheduleM7.td and
ARMLatencyMutations.cpp. [Q] quinapalus.com/cm7cycles.html, measured on STM32H730. [S] slothy cortex_m7.py.
[T] Arm DDI 0489, Cortex-M7 TRM. [G] GCC cortex-m7.md. Where they disagree, measurement wins: [J], then [Q].

An instruction that issues in cycle c is in EX1 (address, early ALU, shifter) then, in EX2 (late ALU) in c + 1, in EX3
(multiply-accumulate) in c + 2, in EX4 (store data) in c + 3 [L]. A result can be used from a cycle on; an operand is
needed in the cycle of its stage. So the latency between two instructions is a difference of stages, but for the
exceptions that are named below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from emulator.instructions import Instruction, is_rotated, names

DIVIDE = 7  # stalls all; 7 [L], 4 [G], data dependent
TABLE_BRANCH = 2  # TBB, TBH, alone [L]
FLOAT_BLOCKING: Mapping[str, int] = {"vdiv": 16, "vsqrt": 14}  # [J]
UNALIGNED = (3, 4)  # cycles of an unaligned load in the older slot, and in the younger one [J]
STORE_TO_LOAD = 4  # a load of what was just stored [L: memoryRAWHazard]
WINDOW = 8  # bytes fetched in a cycle [T 1.2.3]
QUEUE = 4  # windows fetched ahead [T 1.2.3]
ROUNDS = QUEUE + 2  # of a loop of one block until its state repeats: what was fetched ahead is used up

EX1, EX2, EX3, EX4 = range(4)  # where an operand is needed
FROM_EX1, FROM_EX2, FROM_EX3 = 1, 2, 3  # cycles after issue from which a result can be used

# Cycles after issue, by kind of result.
READY: Mapping[str, int] = {
    "simple": FROM_EX2,  # FROM_EX1 where the early ALU takes it: ADD, SUB, MOV, shifts [J]
    "logic": FROM_EX2,  # the late ALU [J L]
    "bitfield": FROM_EX2,  # [J L]
    "reverse": FROM_EX1,  # REV, RBIT leave the early ALU [J L]
    "saturate": FROM_EX3,  # [L]
    "multiply": FROM_EX3,  # one more than the late ALU [J Q L]
    "load": FROM_EX2,  # a word [J L Q]
    "narrow": FROM_EX3,  # bytes and halves one more [J L]
    "float": 4,  # VADD, VMUL: 3 to another one, whose operands are needed in EX2 [J L]
    "fused": 6,  # VFMA: 5 likewise [J]
}
# Producers whose result some consumers get later than the stages say; cycles more.
WORD_LOAD_TO_EARLY = 1  # to what reads an operand in EX1, and to multiplicands: no bypass from fast load data [J L Q]
MULTIPLY_TO_ADDRESS = 1  # the first bypass is EX4 to EX1 [L]
REVERSE_TO_EARLY = 1  # [J L]
FUSED_CHAIN = 2  # less to the accumulator of the next one [J]
PREDICATED = 1  # what an IT block governs counts as produced in EX3 [L]

SHIFTS = names("lsl lsr asr ror")
ADDERS = names("add sub mov movt adr addw subw")  # these enter the early ALU from the older slot only [J]
SIMPLE = SHIFTS | ADDERS
SATURATE = names("ssat usat ssat16 usat16 qadd qsub qdadd qdsub qadd8 qadd16 qsub8 qsub16 qasx qsax uqadd8 uqadd16")
REVERSE = names("rev rev16 revsh rbit")
BITFIELD = names(
    "bfi bfc ubfx sbfx clz sel sxtb sxth uxtb uxth sxtb16 uxtb16 sxtab uxtab sxtah uxtah sxtab16 uxtab16 pkhbt pkhtb "
    "sadd8 sadd16 ssub8 ssub16 uadd8 uadd16 usub8 usub16 shadd8 shadd16 uhadd8 uhadd16 shsub8 shsub16 uhsub8 uhsub16 "
    "sasx ssax uasx usax shasx shsax uhasx uhsax"
)
READ_EARLY = names("ubfx sbfx rbit rev rev16 revsh ssat usat qdadd qdsub")  # all operands in EX1 [J L]
EXTRACT = names("bfi pkhbt pkhtb sxtab uxtab sxtah uxtah sxtab16 uxtab16")  # the last operand in EX1 [J L]
SHIFTER = names("bfi bfc ssat usat qdadd qdsub") | READ_EARLY | EXTRACT  # not with an inline shift [J]
FUSED = names("vmla vmls vnmla vnmls vfma vfms vfnma vfnms")
SETS_FLAGS = names("cmp cmn tst teq")
READS_FLAGS = names("adc sbc rrx")
SLOW = frozenset(("bitfield", "reverse", "saturate"))
LOADS = frozenset(("load", "narrow"))
ALONE = frozenset(("load_multiple", "store_multiple", "load_double", "store_double", "divide"))
FLAGS = "flags"


@dataclass(frozen=True, slots=True)
class Traits:
    """What the scheduler asks of an instruction. `needs`: (register, stage, kept from a word load's bypass)."""

    kind: str
    needs: tuple[tuple[str, int, bool], ...]
    results: tuple[str, ...]
    updates: tuple[str, ...]  # addresses that are written back
    ready: int
    occupancy: int
    alone: bool
    shifted: bool  # an inline shift, or a constant that the shifter makes
    shifter: bool
    floats: bool  # goes through the floating-point registers
    cause: str


def kind_of(i: Instruction) -> str:
    """The row of READY, or store, branch, none."""
    if i.kind == "load":
        return "narrow" if i.access < 4 else "load"
    if i.kind in ("load_multiple", "load_double"):
        return "load"
    if i.kind == "fp":
        return "fused" if i.name in FUSED else "float"
    if i.kind == "alu":
        return _alu(i)
    if i.kind in ("multiply", "branch"):
        return i.kind
    return "store" if i.stores else "logic" if i.kind == "divide" else "none"


def _alu(i: Instruction) -> str:
    for kind, known in (("bitfield", BITFIELD), ("reverse", REVERSE), ("saturate", SATURATE)):
        if i.name in known:
            return kind
    return "simple" if i.name in SIMPLE and not i.shifted and not made_by_shifting(i) else "logic"


@lru_cache(maxsize=1 << 16)
def traits(i: Instruction) -> Traits:
    kind = kind_of(i)
    shifted = kind == "logic" and (i.shifted or made_by_shifting(i))
    stages = {r: _stage(i, kind, r) for r in i.reads}
    guarded = EX1 in stages.values() and kind not in LOADS and kind != "store"
    needs = [(r, s, s == EX1 or guarded or (kind == "multiply" and s == EX2)) for r, s in stages.items()]
    if i.name in READS_FLAGS:
        needs.append((FLAGS, EX2, False))
    updates = i.address if i.writeback else frozenset()
    if i.name in ("push", "pop", "vpush", "vpop"):
        updates = frozenset(("sp",))
    results = (i.writes - updates) | ({FLAGS} if i.flags or i.name in SETS_FLAGS else set())
    return Traits(
        kind, tuple(needs), tuple(sorted(results)), tuple(sorted(updates)), READY.get(kind, FROM_EX2), occupancy(i),
        alone(i), shifted, i.name in SHIFTER, i.name[0] == "v", _cause(i),
    )  # fmt: skip


def made_by_shifting(i: Instruction) -> bool:
    """Whether the last operand is a constant of eight bits that the shifter moves: none of the repeated patterns."""
    if i.size == 2 or i.text.startswith(("movw", "movt", "addw", "subw", "adr")) or i.name in SHIFTS:
        return False
    return is_rotated(i.constant)


def _stage(i: Instruction, kind: str, register: str) -> int:
    """Where an instruction needs a register."""
    if register in i.address:
        return EX1
    if i.stores:
        return EX4
    if register in i.accumulators and kind == "multiply":
        return EX3
    if (i.shifted and kind == "logic") or i.name in EXTRACT:
        return EX1 if register == i.last else EX2
    return EX1 if i.name in READ_EARLY else EX2


def alone(i: Instruction) -> bool:
    """Issues with nothing beside it [J L]."""
    return i.kind in ALONE or i.name in ("tbb", "tbh", *FLOAT_BLOCKING)


def occupancy(i: Instruction) -> int:
    """Cycles until the next instruction can issue, for those that stand alone."""
    if i.kind.endswith("multiple"):
        return max((i.transfers + 1) // 2, 1)  # [J L]
    if i.kind == "divide":
        return DIVIDE
    return TABLE_BRANCH if i.name in ("tbb", "tbh") else FLOAT_BLOCKING.get(i.name, 1)


def _cause(i: Instruction) -> str:
    if i.kind in ("load_multiple", "store_multiple"):
        return "load_store"
    return {"divide": "divide", "fp": "float", "branch": "branch"}.get(i.kind, "hazard")
