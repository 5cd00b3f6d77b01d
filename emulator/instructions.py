"""Thumb instructions decoded once (by capstone), as far as timing and the rules of a core need them.

Decoding depends on the code bytes alone, never on their address, so equal encodings share one record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import capstone
from capstone import arm

from refsim.boards import Core


def names(text: str) -> frozenset[str]:
    """A set of instruction names, written in one string."""
    return frozenset(text.split())


MULTIPLY = names(
    "mul mla mls smull umull smlal umlal umaal smmul smmulr smmla smmlar smmls smmlsr smulbb smulbt smultb smultt "
    "smlabb smlabt smlatb smlatt smulwb smulwt smlawb smlawt smlalbb smlalbt smlaltb smlaltt smuad smuadx smusd "
    "smusdx smlad smladx smlsd smlsdx smlald smlaldx smlsld smlsldx usad8 usada8"
)
LONG = names("smull umull smlal umlal umaal smlald smlaldx smlsld smlsldx smlalbb smlalbt smlaltb smlaltt")
LONG_ACCUMULATE = LONG - {"smull", "umull"}
DIVIDE = names("sdiv udiv")
BRANCHES = names("b bl bx blx cbz cbnz tbb tbh")
DOUBLES = {"ldrd": "load_double", "strd": "store_double"}
MULTIPLES = {
    **dict.fromkeys(("ldm", "ldmdb", "pop", "vldmia", "vldmdb", "vpop"), "load_multiple"),
    **dict.fromkeys(("stm", "stmdb", "push", "vstmia", "vstmdb", "vpush"), "store_multiple"),
}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One encoding. Kinds: alu, multiply, divide, load and store (_double, _multiple), branch, it, hint, fp."""

    name: str  # without suffixes and condition: "ldr"
    text: str
    size: int  # bytes
    kind: str
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    address: frozenset[str] = frozenset()  # those of `reads` that form an address
    transfers: int = 0  # registers that go to or from memory, in words
    access: int = 0  # bytes of one memory access
    accumulators: frozenset[str] = frozenset()  # those of `reads` that a multiplication, or SXTAB, adds to
    offset: int = 0  # bytes, constant part of the address
    indexed: bool = False  # the offset is a register
    writeback: bool = False
    literal: bool = False  # the address is relative to the pc
    shifted: bool = False  # an operand passes the shifter
    flags: bool = False  # sets the condition flags outside an IT block
    conditional: bool = False
    displacement: int | None = None  # of a direct branch: target minus its own address
    groups: frozenset[str] = frozenset()
    last: str = ""  # the last register operand outside an address
    constant: int = 0  # the last operand, where it is one
    operands: tuple[str | int, ...] = ()  # registers and constants outside an address, in order
    shift: tuple[int, int] = (0, 0)  # of the last register operand: how (capstone's ARM_SFT), and by how many bits

    @property
    def loads(self) -> bool:
        return self.kind.startswith("load")

    @property
    def stores(self) -> bool:
        return self.kind.startswith("store")

    @property
    def jumps(self) -> bool:
        """Ends a block: a branch, or anything that writes the pc."""
        return self.kind == "branch" or "pc" in self.writes


@cache
def _disassembler() -> capstone.Cs:
    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    engine.detail = True
    return engine


def is_wide(first: bytes) -> bool:
    """A halfword 0b111xx with xx not 0 begins a 32-bit instruction."""
    return first[1] >= 0xE8


def split(data: bytes) -> Iterator[tuple[int, Instruction]]:
    """(offset, instruction) of straight-line code."""
    offset = 0
    while offset + 2 <= len(data):
        size = 4 if is_wide(data[offset : offset + 2]) else 2
        yield offset, decode(data[offset : offset + size])
        offset += size


@lru_cache(maxsize=1 << 16)
def decode(code: bytes) -> Instruction:
    """The instruction that 2 or 4 bytes encode; what capstone does not know becomes kind "unknown"."""
    found = next(_disassembler().disasm(code, 0, 1), None)
    if found is None or found.size != len(code):
        return Instruction("unknown", ".inst " + code.hex(), len(code), "unknown")
    return _record(found)


def _record(i: Any) -> Instruction:
    name = i.insn_name()
    groups = frozenset(i.group_name(g) for g in i.groups)
    kind = _kind(name, i, groups)
    memory = next((p.mem for p in i.operands if p.type == arm.ARM_OP_MEM), None)
    reads, writes = _registers(i, name)
    address = _address(i, memory, kind, name)
    return Instruction(
        name=name,
        text=f"{i.mnemonic} {i.op_str}".strip(),
        size=i.size,
        kind=kind,
        reads=reads | address,
        writes=writes | (address if i.writeback else frozenset()),
        address=address,
        transfers=_transfers(i, kind),
        access=_access(name),
        accumulators=_accumulators(i, name),
        offset=0 if memory is None else int(memory.disp),
        indexed=memory is not None and memory.index != 0,
        writeback=bool(i.writeback),
        literal="pc" in address,
        shifted=memory is None and any(p.type == arm.ARM_OP_REG and p.shift.type for p in i.operands),
        flags=bool(i.update_flags),
        conditional=name in ("cbz", "cbnz") or (name == "b" and i.cc not in (arm.ARM_CC_AL, arm.ARM_CC_INVALID)),
        displacement=_displacement(i, name),
        groups=groups,
        last=next((i.reg_name(p.reg) for p in reversed(i.operands) if p.type == arm.ARM_OP_REG), ""),
        constant=i.operands[-1].imm & 0xFFFF_FFFF if i.operands and i.operands[-1].type == arm.ARM_OP_IMM else 0,
        operands=tuple(_operand(i, p) for p in i.operands if p.type in (arm.ARM_OP_REG, arm.ARM_OP_IMM)),
        shift=next(((p.shift.type, p.shift.value) for p in reversed(i.operands) if p.type == arm.ARM_OP_REG), (0, 0)),
    )


def _operand(i: Any, operand: Any) -> str | int:
    return str(i.reg_name(operand.reg)) if operand.type == arm.ARM_OP_REG else operand.imm & 0xFFFF_FFFF


def _kind(name: str, i: Any, groups: frozenset[str]) -> str:
    if name in MULTIPLES or name in DOUBLES:
        return MULTIPLES.get(name) or DOUBLES[name]
    for kind, known in (("branch", BRANCHES), ("multiply", MULTIPLY), ("divide", DIVIDE)):
        if name in known:
            return kind
    if name.startswith(("ldr", "vldr", "lda")):
        return "load"
    if name.startswith(("str", "vstr", "stl")):
        return "store"
    if name.startswith("v") or name == "fmstat":
        return "fp"
    fixed = {"it": "it", "hint": "hint", "nop": "hint", "pld": "hint"}
    return fixed.get(name, "alu")


def _registers(i: Any, name: str) -> tuple[frozenset[str], frozenset[str]]:
    """Register operands read and written. An access that capstone leaves out is a read."""
    reads, writes = set(), set()
    for p in i.operands:
        if p.type == arm.ARM_OP_REG:
            register = i.reg_name(p.reg)
            if p.access & capstone.CS_AC_WRITE:
                writes.add(register)
            if p.access & capstone.CS_AC_READ or not p.access:
                reads.add(register)
    if name in LONG_ACCUMULATE:
        reads |= writes
    if name in ("push", "pop", "vpush", "vpop"):
        reads.add("sp")
        writes.add("sp")
    if name.startswith(("vldm", "vpop")):  # capstone gives the list no access, or a wrong one
        listed = {r for r in reads | writes if r[0] in "sd" and r != "sp"}
        reads, writes = reads - listed, writes | listed
    if name == "bl":
        writes.add("lr")
    return frozenset(reads), frozenset(writes)


def _address(i: Any, memory: Any, kind: str, name: str) -> frozenset[str]:
    if memory is not None:
        return frozenset(i.reg_name(r) for r in (memory.base, memory.index) if r)
    if kind.endswith("multiple"):
        return frozenset(("sp",) if name.endswith(("push", "pop")) else (i.reg_name(i.operands[0].reg),))
    return frozenset()


def _displacement(i: Any, name: str) -> int | None:
    """Decoded at address 0, a target is a displacement modulo 2^32."""
    if name not in DIRECT:
        return None
    target = i.operands[-1].imm & 0xFFFF_FFFF
    return int(target - (1 << 32) if target >> 31 else target)


DIRECT = names("b bl cbz cbnz")
ACCUMULATE = names(
    "mla mls smmla smmlar smmls smmlsr smlabb smlabt smlatb smlatt smlawb smlawt smlad smladx smlsd smlsdx usada8"
)
EXTEND_ADD = names("sxtab uxtab sxtah uxtah sxtab16 uxtab16")


def _accumulators(i: Any, name: str) -> frozenset[str]:
    """What is added to: RdLo and RdHi of the long ones, the last operand of the others, the first of SXTAB's."""
    given = [i.reg_name(p.reg) for p in i.operands if p.type == arm.ARM_OP_REG]
    if name in LONG_ACCUMULATE:
        return frozenset(given[:2])
    if name in ACCUMULATE:
        return frozenset(given[-1:])
    return frozenset(given[1:2]) if name in EXTEND_ADD else frozenset()


def _transfers(i: Any, kind: str) -> int:
    """Words that go to or from memory."""
    if kind.endswith("double"):
        return 2
    if not kind.startswith(("load", "store")):
        return 0
    listed = [i.reg_name(p.reg) for p in i.operands if p.type == arm.ARM_OP_REG]
    if kind.endswith("multiple"):
        listed = listed if i.insn_name().endswith(("push", "pop")) else listed[1:]
        return sum(2 if n[0] == "d" else 1 for n in listed)
    return 2 if listed and listed[0][0] == "d" else 1


WIDTHS: Mapping[str, int] = {"b": 1, "h": 2}


def _access(name: str) -> int:
    if not name.startswith(("ldr", "str")):
        return 4
    rest = name[3:].removeprefix("s").removeprefix("ex")
    return WIDTHS.get(rest[:1], 4)


REPEATED = (0x0101_0101, 0x0001_0001, 0x0100_0100)  # times a byte: constants that are no rotated byte


def is_rotated(constant: int) -> bool:
    """Whether an operand that is encoded as a constant of 32 bits is a rotated byte [ARMv7-M ARM, A5.3.2]."""
    return constant > 0xFF and not any(constant % p == 0 and constant // p <= 0xFF for p in REPEATED)


@dataclass(frozen=True, slots=True)
class Missing:
    """An instruction that a core does not have."""

    address: int
    text: str
    why: str


# ARMv6-M has 32-bit encodings only for these (ARMv6-M ARM, A5.3).
BASELINE_WIDE = names("bl msr mrs dsb dmb isb udf")
BASELINE_LACKS = names("cbz cbnz it")
DSP_GROUPS = frozenset(("THUMB2DSP", "T2EXTRACTPACK"))


@lru_cache(maxsize=1 << 16)
def _why_missing(core: Core, code: bytes) -> str:
    """Why a core lacks an encoding; empty when it has it."""
    i = decode(code)
    floating = i.name.startswith("v") or i.name == "fmstat"
    if not core.thumb2 and (i.name in BASELINE_LACKS or (i.size == 4 and i.name not in BASELINE_WIDE)):
        return "it needs Thumb-2"
    if not core.dsp and i.groups & DSP_GROUPS:
        return "it needs the DSP extension"
    if core.fpu == "none" and floating:
        return "it needs a floating-point unit"
    if core.fpu == "sp" and "dpvfp" in i.groups:
        return "it needs double precision"
    return ""


def unknown(core: Core, address: int, data: bytes) -> Missing | None:
    """The first instruction of straight-line code that `core` does not have."""
    for offset, i in split(data):
        if why := _why_missing(core, data[offset : offset + i.size]):
            return Missing(address + offset, i.text, why)
    return None
