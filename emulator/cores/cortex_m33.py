"""Cortex-M33: in order, one instruction a cycle, with a limited dual issue of 16-bit encodings. At zero wait states.

Sources: [J] jnk0le/random, "pipeline cycle test", cortex_m33.md, measured on RP2350 r1p0. [K] Arm KA001260. What they
do not say follows the Cortex-M4: [4].

A result is ready some cycles after its instruction issues. The second of them is an accumulate stage, whose results
an accumulator or a store takes a cycle earlier than other readers do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from emulator.cores.cortex_m4 import DIVIDE, TABLE_BRANCH
from emulator.instructions import DSP_GROUPS, EXTEND_ADD, MULTIPLY, Instruction, is_rotated, names
from emulator.placed import Placed
from emulator.timing import UNITS, Charge
from refsim.fitted import Fitted

LATENCY = 2  # of loads, multiplications, shifted operands, SXTAB, DSP instructions, FP arithmetic, vmov from FP [J]
LOADED_BASE = 2  # latency of the base that a load writes back: fitted
FUSED_TO_ACCUMULATOR, FUSED = 3, 4  # latency of VFMA and VMLA [J]
FUSED_BLOCKS = 2  # cycles after one in which no other FP instruction issues [J]
TAKEN = 1  # cycles of a taken branch beyond its own; 1 in all after a 16-bit instruction that sets no flags [J]
POP_PC = 2  # POP with pc beyond POP with lr [J: 1 to 2 more than POP with lr and a branch that pairs]
TWO_STAGE_FLAGS = 1  # 16-bit MULS and flag-setting shifted constants take 2 [J K]
ROOT = 14  # VDIV, VSQRT [4]

FITTED = (
    Fitted(
        "LOADED_BASE", 1, 2, 1, "cycles", "latency of the base register that a load writes back",
        networks=("ic", "kws", "vww"),
    ),
)  # fmt: skip

FUSED_NAMES = names("vmla vmls vnmla vnmls vfma vfms vfnma vfnms")
CONSTANT_OPERAND = names("and bic orr orn eor add sub adc sbc rsb tst teq cmp cmn")  # those with a rotated constant

# Who takes a result a cycle early, by the kind of instruction that produces it [J].
MAC = frozenset(MULTIPLY)
TO_ACCUMULATORS: Mapping[str, frozenset[str]] = {
    "load": MAC, "multiply": MAC | EXTEND_ADD, "extend": MAC | EXTEND_ADD, "shift": MAC | EXTEND_ADD,
}  # fmt: skip


def block(code: Sequence[Placed], before: Sequence[Placed], jumped: bool) -> list[Charge]:
    """Charges between the last issue of `before` and each one of `code`; a jump leaves nothing of `before` pending."""
    pipe = _Pipe()
    for placed in before:
        pipe.issue(_as_governed(placed))
    charges: list[Charge] = []
    if jumped:
        if before:
            charges.append(Charge(-1, "branch", _taken(before[-1].instruction, pipe) * UNITS))
            if before[-1].may_stay and before[-1].instruction.transfers:
                cause, more = _more(before[-1].instruction)
                charges.append(Charge(-1, cause, more * UNITS))
        pipe = _Pipe()
    for index, placed in enumerate(code):
        costs = pipe.issue(_as_governed(placed))
        charges += [Charge(index, cause, cycles * UNITS) for cause, cycles in costs if cycles]
    return charges


def _as_governed(placed: Placed) -> Instruction:
    """An instruction as an IT leaves it. One of 16 bits sets no flags, though its encoding looks as if it did; CMP and
    TST do. A load of the pc takes its cycle here, the rest where it jumps.
    """
    i = placed.instruction
    if placed.may_stay and i.transfers:
        nothing = frozenset[str]()
        return replace(i, kind="alu", transfers=0, reads=nothing, writes=nothing)
    return replace(i, flags=False) if placed.skips and i.flags and i.size == 2 and i.writes else i


class _Pipe:
    """Issue in program order: the cycle, when registers are ready, and what the last cycle holds."""

    def __init__(self) -> None:
        self.cycle = 0  # the next one free
        self.ready: dict[str, tuple[int, str]] = {}  # register -> cycle, kind of its producer
        self.flags = 0
        self.float_free = 0
        self.first: Instruction | None = None  # what the last cycle issued, while it can still pair
        self.partner: Instruction | None = None  # what the last instruction was paired with

    def issue(self, i: Instruction) -> list[tuple[str, int]]:
        """(cause, cycles) from the last instruction to this one."""
        self.partner = self.first if self._pairs(i) else None
        if self.partner is not None:
            self.first = None
            return []
        wait = max(0, *(self._ready(i, register) - self.cycle for register in i.reads), self._other(i) - self.cycle)
        start = self.cycle + wait
        cause, more = _more(i)
        self.cycle = start + 1 + more
        self._write(i, start, self.cycle)
        self.first = i if i.size == 2 and i.kind not in ("hint", "it", "branch") else None
        return [("issue", 1), ("hazard", wait), (cause, more)]

    def _pairs(self, i: Instruction) -> bool:
        """Whether `i` runs in the cycle of the 16-bit instruction before it: IT, nop, or a branch, of 16 bits [J]."""
        first = self.first
        if first is None or i.size != 2 or i.kind not in ("it", "hint", "branch"):
            return False
        return not i.reads & first.writes and self._other(i) <= self.cycle

    def _ready(self, i: Instruction, register: str) -> int:
        """The cycle from which `i` can take the register."""
        cycle, kind = self.ready.get(register, (0, ""))
        if kind == "fused":
            return cycle - (register in i.writes and i.name in FUSED_NAMES) * (FUSED - FUSED_TO_ACCUMULATOR)
        accumulates = register in i.accumulators and i.name in TO_ACCUMULATORS.get(kind, ())
        stored = i.kind == "store" and register not in i.address and kind in TO_ACCUMULATORS
        return cycle - (accumulates or stored) * (LATENCY - 1)

    def _other(self, i: Instruction) -> int:
        """The cycle from which the flags, or the FP unit, are there for `i`."""
        if i.kind == "it" or (i.conditional and i.name == "b"):
            return self.flags
        return self.float_free if _is_float(i) else 0

    def _write(self, i: Instruction, start: int, end: int) -> None:
        kind = _producer(i)
        latency = {"": 1, "fused": FUSED}.get(kind, LATENCY)
        for register in i.writes:
            late = LOADED_BASE if kind == "load" and register in i.address else latency
            self.ready[register] = (max(start + late, end), kind)
        if i.kind in ("load_multiple", "load_double"):
            self.ready[i.last] = (end - 1 + LATENCY, "load")  # the others were loaded before
        if i.flags:
            self.flags = end + (i.shifted and LATENCY - 1)  # a cycle later [J]
        if kind == "fused":
            self.float_free = start + 1 + FUSED_BLOCKS


def _more(i: Instruction) -> tuple[str, int]:
    """The cause of what an instruction takes beyond one cycle, and how many."""
    if i.kind.endswith(("multiple", "double")):
        return "load_store", max(i.transfers - 1, 0)  # exactly N, LDRD and STRD 2 [J]
    if i.kind == "divide":
        return "divide", DIVIDE - 1  # unknown [4]
    if i.kind == "fp":
        pair_of_cores = i.name == "vmov" and sum(r[0] == "r" for r in i.writes) == 2  # 2 [J]
        return "float", ROOT - 1 if i.name in ("vdiv", "vsqrt") else int(pair_of_cores)
    return "issue", TWO_STAGE_FLAGS if _two_stage_flags(i) else 0


def _two_stage_flags(i: Instruction) -> bool:
    return i.flags and ((i.name == "mul" and i.size == 2) or _shifted_constant(i))


def _shifted_constant(i: Instruction) -> bool:
    """Whether the last operand is a rotated byte, which passes the shifter as a shifted register does [J]."""
    if i.size == 2 or i.name not in CONSTANT_OPERAND or i.text.startswith(("addw", "subw")):
        return False
    return is_rotated(i.constant)


def _producer(i: Instruction) -> str:
    """Which late result an instruction has; empty: none, it is ready for the next one."""
    if i.kind == "load":
        return "" if i.name == "vldr" else "load"  # VLDR has a latency of 1 [J]
    if i.kind == "multiply":
        return "multiply"
    if i.kind == "fp":
        return _float_producer(i)
    if i.name in EXTEND_ADD:
        return "extend"
    if i.shifted or _shifted_constant(i):
        return "shift"
    return "simd" if i.groups & DSP_GROUPS else ""


def _float_producer(i: Instruction) -> str:
    if i.name in FUSED_NAMES:
        return "fused"
    from_one_core_register = i.name == "vmov" and sum(r[0] == "r" for r in i.reads) == 1
    to_two_core_registers = i.name == "vmov" and sum(r[0] == "r" for r in i.writes) == 2
    return "" if from_one_core_register or to_two_core_registers else "float"  # latency 1; all others 2 [J]


def _is_float(i: Instruction) -> bool:
    return i.kind == "fp" or (i.kind.startswith(("load", "store")) and i.name[0] == "v")


def _taken(i: Instruction, pipe: _Pipe) -> int:
    """Cycles that a jump adds to what its instruction was charged: 1 in all when paired, 2 after a flag setter [J]."""
    if i.name in ("tbb", "tbh"):
        return TABLE_BRANCH
    if i.kind == "load_multiple":
        return POP_PC
    return TAKEN + (pipe.partner is not None and pipe.partner.flags)
