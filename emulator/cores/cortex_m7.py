"""Cortex-M7: two instructions a cycle, in order. A scheduler of one block; memory answers at once.

Sources: [J] jnk0le/random, "pipeline cycle test", cortex_m7.md, measured on STM32H743. [L] LLVM ARMScheduleM7.td and
ARMLatencyMutations.cpp. [G] GCC cortex-m7.md. [Q] quinapalus.com/cm7cycles.html. Where they disagree: [J].

Each result has a latency for each way of using it; 0 lets both issue in one cycle. A loop that jumps to its own start
is costed in its steady state. A block whose last cycle has a free slot shares it with the block that follows [J].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from emulator.instructions import Instruction, names
from emulator.timing import UNITS, Charge, Placed

CALIBRATED: float | None = None

MISPREDICT = 8  # 6 when the flags were set 3 or more cycles earlier [J L]; charged where a loop ends
DIVIDE = 7  # stalls all; 7 [L], 4 [G], data dependent
TABLE_BRANCH = 2  # TBB, TBH, alone [L]
FLOAT_BLOCKING: Mapping[str, int] = {"vdiv": 16, "vsqrt": 14}  # [J]


class Latency(NamedTuple):
    """Cycles until a result can be used, by the way of using it."""

    late: int  # as an ordinary operand
    early: int  # by the shifter, or as the source of a bitfield instruction
    address: int
    factor: int  # of a multiplication
    addend: int  # what a multiplication adds to
    store: int  # as the data


LATENCIES: Mapping[str, Latency] = {
    "simple": Latency(1, 1, 1, 1, 1, 0),  # ADD, SUB, MOV, shifts: the early ALU [J]
    "logic": Latency(1, 2, 2, 1, 1, 0),  # other ALU operations: the late ALU, EX2 [J L]
    "bitfield": Latency(1, 2, 2, 1, 1, 0),  # not as an address the next cycle [J L]
    "saturate": Latency(2, 3, 3, 2, 1, 0),  # [L]
    "multiply": Latency(2, 3, 3, 2, 1, 0),  # one cycle more than the ALU, addends chain [J Q L]
    "load": Latency(1, 2, 3, 2, 1, 0),  # words; load to address chain 3 [J L Q]
    "narrow": Latency(2, 3, 4, 3, 1, 0),  # bytes and halves one more [J L]
    "float": Latency(3, 3, 3, 3, 3, 1),  # VADD, VMUL [J]
    "fused": Latency(5, 5, 5, 5, 3, 3),  # VFMA [J]
}

SIMPLE = names("add sub mov movt lsl lsr asr ror adr addw subw")
SATURATE = names("ssat usat ssat16 usat16 qadd qsub qdadd qdsub qadd8 qadd16 qsub8 qsub16 qasx qsax")
BITFIELD = names(
    "bfi bfc ubfx sbfx rev rev16 revsh rbit clz sel sxtb sxth uxtb uxth sxtb16 uxtb16 sxtab uxtab sxtah uxtah sxtab16 "
    "uxtab16 pkhbt pkhtb sadd8 sadd16 ssub8 ssub16 uadd8 uadd16 usub8 usub16 shadd8 shadd16 uhadd8 uhadd16"
)
EARLY = names("bfi ubfx sbfx rbit rev rev16 revsh pkhbt pkhtb sxtab uxtab sxtah uxtah sxtab16 uxtab16")  # [J]
FUSED = names("vmla vmls vnmla vnmls vfma vfms vfnma vfnms")
LOADS = frozenset(("load", "narrow"))


def kind_of(i: Instruction) -> str:
    """The row of LATENCIES, or store, branch, none."""
    if i.kind == "load":
        return "narrow" if i.access < 4 else "load"
    if i.kind in ("load_multiple", "load_double"):
        return "load"
    if i.kind == "fp":
        return "fused" if i.name in FUSED else "float"
    if i.kind == "alu":
        return _alu(i)
    return i.kind if i.kind == "multiply" else "store" if i.stores else "branch" if i.kind == "branch" else "none"


def _alu(i: Instruction) -> str:
    for kind, known in (("bitfield", BITFIELD), ("saturate", SATURATE)):
        if i.name in known:
            return kind
    return "simple" if i.name in SIMPLE and not i.shifted else "logic"


def use_of(i: Instruction, register: str) -> str:
    """How an instruction uses a register: a field of Latency."""
    if register in i.address:
        return "address"
    if i.stores:
        return "store"
    if register in i.accumulators:
        return "addend"
    if i.kind == "multiply":
        return "factor"
    return "early" if i.shifted or i.name in EARLY else "late"


def alone(i: Instruction) -> bool:
    """Issues with nothing beside it [J L]."""
    return i.kind in ("load_multiple", "store_multiple", "load_double", "store_double", "divide") or i.name in (
        "tbb",
        "tbh",
        *FLOAT_BLOCKING,
    )


def occupancy(i: Instruction) -> int:
    """Cycles until the next instruction can issue, for those that stand alone."""
    if i.kind.endswith("multiple"):
        return (i.transfers + 1) // 2  # [J L]
    if i.kind == "divide":
        return DIVIDE
    return TABLE_BRANCH if i.name in ("tbb", "tbh") else FLOAT_BLOCKING.get(i.name, 1)


def pairs(older: Instruction, younger: Instruction) -> bool:
    """Whether two instructions may issue in one cycle, their operands apart."""
    if alone(older) or alone(younger):
        return False
    a, b = kind_of(older), kind_of(younger)
    slow = ("bitfield", "saturate")
    if b in slow or (a in slow and younger.shifted) or (older.shifted and younger.shifted):
        return False  # the older slot only; one shifter [J L]
    if {a, b} in ({"multiply"}, {"multiply", "store"}, {"store"}) or {a, b} <= {"float", "fused"}:
        return False  # [J L Q]
    if a in LOADS and b in LOADS:
        return _banks_differ(older, younger)
    return True


def _banks_differ(older: Instruction, younger: Instruction) -> bool:
    """Two loads pair on different banks, even and odd words [J L]. Unknown addresses count as different."""
    return older.address != younger.address or (older.offset ^ younger.offset) & 4 != 0


def _one_constant(older: Instruction, younger: Instruction) -> bool:
    """MOVW and MOVT of one register issue together [J Q]."""
    return older.name == "mov" and younger.name == "movt" and older.writes == younger.writes


@dataclass
class _Pipe:
    """The state of issue: the cycle reached, what issued in it, and when each register can be used how."""

    cycle: int = -1
    occupants: list[Instruction] = field(default_factory=list)
    free: int = 0  # the first cycle in which something else can issue
    ready: dict[str, tuple[int, Latency]] = field(default_factory=dict)

    def issue(self, i: Instruction) -> None:
        operands = max((self._usable(i, r) for r in i.reads), default=0)
        together = len(self.occupants) == 1 and (
            (operands <= self.cycle and pairs(self.occupants[0], i)) or _one_constant(self.occupants[0], i)
        )
        if together:
            self.occupants.append(i)
        else:
            self.cycle = max(self.cycle + 1, self.free, operands)
            self.occupants = [i]
        self.free = self.cycle + occupancy(i)
        latency = LATENCIES.get(kind_of(i), LATENCIES["simple"])
        for register in i.writes:
            written = LATENCIES["simple"] if register in i.address and not i.kind.endswith("multiple") else latency
            self.ready[register] = (self.cycle, written)

    def _usable(self, i: Instruction, register: str) -> int:
        if register not in self.ready:
            return 0
        cycle, latency = self.ready[register]
        return cycle + int(getattr(latency, use_of(i, register)))

    @property
    def half_cycles(self) -> int:
        """Time taken so far; a slot left open counts half, as the next block can use it."""
        open_slot = len(self.occupants) == 1 and not alone(self.occupants[0])
        return 2 * max(self.free, self.cycle + 1) - open_slot


def block(code: Sequence[Placed], before: Sequence[Placed], jumped: bool) -> list[Charge]:
    pipe = _Pipe()
    last = before[-1].instruction if before else None
    penalty = []
    if last is not None and last.conditional and last.displacement is not None and last.displacement < 0 and not jumped:
        penalty = [Charge(-1, "branch", MISPREDICT * UNITS)]
    if code and before and before[0].address == code[0].address:
        _run(pipe, code)
    return penalty + _run(pipe, code)


def _run(pipe: _Pipe, code: Sequence[Placed]) -> list[Charge]:
    """Charges of the block's instructions; what goes beyond half a cycle each waits for an operand or a unit."""
    charges = []
    reached = pipe.half_cycles if pipe.occupants else 0
    for index, placed in enumerate(code):
        pipe.issue(placed.instruction)
        spent, reached = pipe.half_cycles - reached, pipe.half_cycles
        charges.append(Charge(index, "issue", UNITS // 2))
        if spent != 1:
            charges.append(Charge(index, _cause(placed.instruction), (spent - 1) * UNITS // 2))
    return charges


def _cause(i: Instruction) -> str:
    if i.kind in ("load", "store", "load_multiple", "store_multiple", "load_double", "store_double"):
        return "load_store"
    return {"divide": "divide", "fp": "float", "branch": "branch"}.get(i.kind, "hazard")
