"""What timing and core checks need of an instruction, as the architecture defines it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from emulator import instructions
from emulator.instructions import Instruction, decode
from refsim import boards

Assemble = Callable[..., bytes]


@pytest.fixture
def one(assemble: Assemble) -> Callable[[str], Instruction]:
    return lambda text: decode(assemble(text))


@pytest.mark.parametrize(
    ("text", "kind", "reads", "writes"),
    [
        ("adds r0, r1, r2", "alu", "r1 r2", "r0"),
        ("sxtab16 r3, r4, r5", "alu", "r4 r5", "r3"),
        ("ssat r3, #8, r4", "alu", "r4", "r3"),
        ("movt r0, #1234", "alu", "r0", "r0"),
        ("smlad r3, r4, r5, r3", "multiply", "r3 r4 r5", "r3"),
        ("smlal r3, r4, r5, r6", "multiply", "r3 r4 r5 r6", "r3 r4"),
        ("smull r3, r4, r5, r6", "multiply", "r5 r6", "r3 r4"),
        ("sdiv r3, r4, r5", "divide", "r4 r5", "r3"),
        ("ldr r0, [r1]", "load", "r1", "r0"),
        ("ldr r0, [r1], #4", "load", "r1", "r0 r1"),
        ("ldr.w r0, [r1, r2]", "load", "r1 r2", "r0"),
        ("str r0, [r1], #4", "store", "r0 r1", "r1"),
        ("strd r0, r1, [r2]", "store_double", "r0 r1 r2", ""),
        ("ldmia r4!, {r0, r1, r2}", "load_multiple", "r4", "r0 r1 r2 r4"),
        ("push {r4, r5, lr}", "store_multiple", "r4 r5 lr sp", "sp"),
        ("pop {r4, pc}", "load_multiple", "sp", "r4 pc sp"),
        ("vldmia r1, {s0, s1, s2}", "load_multiple", "r1", "s0 s1 s2"),
        ("bl .+4", "branch", "", "lr"),
    ],
)
def test_kind_and_registers(one: Callable[[str], Instruction], text: str, kind: str, reads: str, writes: str) -> None:
    i = one(text)
    assert (i.kind, i.reads, i.writes) == (kind, frozenset(reads.split()), frozenset(writes.split()))


def test_accumulators(one: Callable[[str], Instruction]) -> None:
    assert one("smlad r2, r0, r1, r3").accumulators == {"r3"}
    assert one("smlal r3, r4, r5, r6").accumulators == {"r3", "r4"}
    assert one("sxtab16 r3, r4, r5").accumulators == {"r4"}
    assert one("mul r3, r4, r5").accumulators == frozenset()


def test_addresses(one: Callable[[str], Instruction]) -> None:
    assert one("ldr.w r0, [r1, r2]").indexed and one("ldr.w r0, [r1, r2]").address == {"r1", "r2"}
    assert one("ldr r0, [pc, #4]").literal
    assert one("ldr r0, [r1], #4").writeback and not one("ldr r0, [r1]").writeback
    assert one("ldr.w r2, [r1, #8]").offset == 8
    assert [one(t).access for t in ("ldr r0, [r1]", "ldrb r0, [r1]")] == [4, 1]


def test_jumps(one: Callable[[str], Instruction]) -> None:
    jumping = ("bx lr", "b .+4", "bne .-2", "pop {r4, pc}", "ldr.w pc, [r0]", "tbb [pc, r0]")
    assert all(one(text).jumps for text in jumping)
    assert not any(one(text).jumps for text in ("pop {r4, r5}", "adds r0, r1, r2", "push {r4, lr}"))
    assert one("bne .-2").conditional and one("cbz r0, .+4").conditional and not one("b .+4").conditional
    assert (one("bne .-2").displacement, one("bl .+4").displacement, one("bx lr").displacement) == (-2, 4, None)


def test_halfword_decides_the_length_of_every_encoding() -> None:
    lengths = {hw: instructions.is_wide(hw.to_bytes(2, "little")) for hw in range(0, 1 << 16, 0x800)}
    assert [hex(hw) for hw, wide in lengths.items() if wide] == ["0xe800", "0xf000", "0xf800"]


def test_bytes_that_are_no_instruction_are_unknown() -> None:
    assert decode(bytes.fromhex("ffffffff")).kind == "unknown"


def test_missing_instruction_is_found_by_the_features_of_the_core(assemble: Assemble) -> None:
    m4 = boards.find("generic-m4").core
    code = assemble("adds r0, r1, r2", "smlad r3, r4, r5, r3")
    assert instructions.unknown(m4, 0x100, code) is None
    missing = instructions.unknown(replace(m4, dsp=False), 0x100, code)
    assert missing is not None
    assert (missing.address, missing.text) == (0x102, "smlad r3, r4, r5, r3")
    assert instructions.unknown(boards.find("generic-m0plus").core, 0, assemble("adds r0, r1, r2", "bl .+4")) is None
