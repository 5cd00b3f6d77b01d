"""The Cortex-M33's rows of timing facts, each by a loop on the emulated machine whose cycles the row predicts."""

from __future__ import annotations

import pytest

from emulator.cores import cortex_m33
from emulator.placed import Placed, place
from emulator.timing import UNITS
from tests.emulator.timed_loops import CODE, timed

# By arm-none-eabi-as 12.2 (-mcpu=cortex-m33), bytes in memory order. r5 points to zeros, r7 counts down, r8 keeps lr.
ENCODINGS = {
    "nop": "00bf", "mov r0, r1": "0846", "adds r0, r1, r2": "8818", "adds r2, r0, #1": "421c", "adds r3, #1": "0133",
    "add r3, r0": "0344", "cmp r0, #0": "0028", "cmp r5, r6": "b542", "it eq": "08bf", "addeq r0, r3": "c018",
    "add.w r0, r1, r2": "01eb0200", "add.w r3, r0, r4": "00eb0403", "add.w r0, r1, r2, lsl #3": "01ebc200",
    "adds.w r0, r1, r2, lsl #3": "11ebc200", "add.w r0, r1, #0x1fc0": "01f5fe50", "adds.w r0, r1, #0x1fc0": "11f5fe50",
    "eor.w r0, r1, #0x1b1b1b1b": "81f01b30", "addw r0, r1, #0xff9": "01f6f970", "bfi r0, r1, #1, #2": "61f34200",
    "uadd8 r0, r1, r2": "81fa42f0", "sxtb16 r0, r1": "2ffa81f0", "sxtab r0, r1, r2": "41fa82f0",
    "sxtab16 r3, r0, r2": "20fa82f3", "mul r0, r1, r2": "01fb02f0", "muls r0, r1, r0": "4843",
    "smlad r0, r1, r2, r0": "21fb0200", "smlad r3, r1, r2, r3": "21fb0233", "smlad r3, r0, r2, r3": "20fb0233",
    "smlad r3, r1, r2, r0": "21fb0203", "smlal r0, r3, r1, r2": "c1fb0203", "ldr r0, [r5]": "2868",
    "ldr.w r0, [r5]": "d5f80000", "ldr r1, [r5, #4]": "6968", "ldrb.w r4, [r5], #1": "15f8014b", "str r0, [r5]": "2860",
    "ldrd r0, r1, [r5]": "d5e90001", "strd r0, r1, [r5]": "c5e90001",
    "ldmia.w r5, {r0-r3}": "95e80f00", "stmia r5!, {r0-r3}": "0fc5", "push {r3}": "08b4", "pop {pc}": "00bd",
    "vadd.f32 s0, s1, s2": "30ee810a", "vadd.f32 s3, s0, s4": "70ee021a", "vadd.f32 s5, s6, s7": "73ee232a",
    "vmul.f32 s0, s1, s2": "20ee810a", "vfma.f32 s0, s1, s2": "a0ee810a", "vfma.f32 s0, s3, s4": "a1ee820a",
    "vfma.f32 s3, s0, s4": "e0ee021a", "vfma.f32 s8, s9, s10": "a4ee854a", "vldr s0, [r5]": "95ed000a",
    "vldmia r5, {s0-s3}": "95ec040a", "vmov r0, s0": "10ee100a", "vmov s0, r0": "00ee100a",
    "vmov r0, r1, s0, s1": "51ec100a", "vmov s0, s1, r0, r1": "41ec100a", "b .+4": "00e0", "beq .+4": "00d0",
    "bne .+4": "00d1", "cbz r0, .+4": "00b1", "b.w .+6": "00f001b8", "bl .+6": "00f001f8", "bx r3": "1847",
}  # fmt: skip
LOOP = 3  # cycles of `subs r7, #1; bne`: 1 and 2, because the flags are set right before

cycles_of = timed("generic-m33", ENCODINGS, LOOP)


@pytest.mark.parametrize(
    ("texts", "cycles"),
    [
        (("adds r0, r1, r2", "nop"), 1), (("ldr r0, [r5]", "nop"), 1), (("nop", "adds r0, r1, r2"), 2),
        (("add.w r0, r1, r2", "nop"), 2), (("adds r0, r1, r2", "adds r3, #1"), 2), (("ldr r0, [r5]", "adds r3, #1"), 2),
        (("adds r0, r1, r2", "ldr r1, [r5, #4]"), 2), (("ldr r0, [r5]", "ldr r1, [r5, #4]"), 2),
        (("adds r0, r1, r2", "nop", "nop"), 2), (("adds r3, #1", "it eq", "addeq r0, r3"), 2),
        (("add.w r0, r1, r2", "it eq", "addeq r0, r3"), 3),
    ],
)  # fmt: skip
def test_what_pairs_are_16_bits_of_nop_or_it_after_another_instruction(texts: tuple[str, ...], cycles: int) -> None:
    assert cycles_of(*texts) == cycles


@pytest.mark.parametrize(
    ("texts", "cycles"),
    [
        (("cmp r5, r6", "beq .+4", "nop"), 1 + 0 + 1),  # not taken, paired
        (("cmp r5, r6", "bne .+4", "nop"), 1 + 2),  # taken right after a flag setter
        (("mov r0, r1", "b .+4", "nop"), 1 + 1),  # taken after a 16-bit instruction that sets no flags
        (("cmp r5, r6", "mov r0, r1", "bne .+4", "nop"), 1 + 1 + 1),
        (("stmia r5!, {r0-r3}", "b .+4", "nop"), 4 + 1),
        (("add.w r0, r1, r2", "b .+4", "nop"), 1 + 2),  # nothing to pair with
        (("cmp r5, r6", "add.w r0, r1, r2", "beq .+4", "nop"), 1 + 1 + 1 + 1),
        (("mov r0, r1", "b.w .+6", "nop"), 1 + 2), (("mov r0, r1", "bl .+6", "nop"), 1 + 2),
        (("mov r0, r1", "bx r3", "nop"), 1 + 1),
        (("push {r3}", "pop {pc}", "nop"), 1 + 1 + 2),
        (("cmp r5, r6", "it eq", "addeq r0, r3", "b .+4", "nop"), 1 + 0 + 1 + 1),  # an ADDEQ sets no flags
        (("adds.w r0, r1, r2, lsl #3", "bne .+4", "nop"), 1 + 1 + 1 + 1),  # its flags come a cycle later
    ],
)  # fmt: skip
def test_branches(texts: tuple[str, ...], cycles: int) -> None:
    assert cycles_of(*texts) == cycles


@pytest.mark.parametrize(
    ("first", "second", "cycles"),
    [
        ("ldr r0, [r5]", "adds r2, r0, #1", 3), ("ldr r0, [r5]", "str r0, [r5]", 2),
        ("ldr r0, [r5]", "smlad r3, r1, r2, r0", 2), ("ldr r0, [r5]", "smlad r3, r0, r2, r3", 3),
        ("ldr r0, [r5]", "sxtab16 r3, r0, r2", 3), ("ldrb.w r4, [r5], #1", "cmp r5, r6", 3),
        ("mul r0, r1, r2", "adds r2, r0, #1", 3), ("mul r0, r1, r2", "smlad r3, r1, r2, r0", 2),
        ("mul r0, r1, r2", "str r0, [r5]", 2), ("smlad r3, r1, r2, r3", "smlad r3, r1, r2, r3", 2),
        ("smlal r0, r3, r1, r2", "smlal r0, r3, r1, r2", 2), ("smlad r0, r1, r2, r0", "smlad r3, r0, r2, r3", 3),
        ("add.w r0, r1, r2, lsl #3", "adds r2, r0, #1", 3), ("add.w r0, r1, r2, lsl #3", "smlad r3, r1, r2, r0", 2),
        ("add.w r0, r1, #0x1fc0", "adds r2, r0, #1", 3), ("eor.w r0, r1, #0x1b1b1b1b", "adds r2, r0, #1", 2),
        ("addw r0, r1, #0xff9", "adds r2, r0, #1", 2), ("bfi r0, r1, #1, #2", "adds r2, r0, #1", 2),
        ("uadd8 r0, r1, r2", "adds r2, r0, #1", 3), ("uadd8 r0, r1, r2", "smlad r3, r1, r2, r0", 3),
        ("sxtb16 r0, r1", "smlad r3, r0, r2, r3", 3), ("sxtab r0, r1, r2", "adds r2, r0, #1", 3),
        ("sxtab r0, r1, r2", "sxtab16 r3, r0, r2", 2), ("sxtab r0, r1, r2", "smlad r3, r1, r2, r0", 2),
        ("add.w r0, r1, r2", "add.w r3, r0, r4", 2),
    ],
)  # fmt: skip
def test_results_take_two_cycles_but_to_accumulators_and_stores(first: str, second: str, cycles: int) -> None:
    assert cycles_of(first, second) == cycles


def test_a_branch_does_not_pair_with_the_load_that_it_waits_for() -> None:
    assert cycles_of("ldr r0, [r5]", "cbz r0, .+4", "nop") == 1 + 1 + 2
    assert cycles_of("ldr r1, [r5, #4]", "cbz r0, .+4", "nop") == 1 + 1


def test_an_instruction_between_hides_a_latency_and_a_paired_one_does_not() -> None:
    assert cycles_of("mul r0, r1, r2", "adds r3, #1", "add.w r3, r0, r4") == 3
    assert cycles_of("ldr r0, [r5]", "nop", "adds r2, r0, #1") == 3  # the nop takes no cycle


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("muls r0, r1, r0", 2), ("adds.w r0, r1, #0x1fc0", 2), ("adds.w r0, r1, r2, lsl #3", 1), ("mul r0, r1, r2", 1),
        ("ldrd r0, r1, [r5]", 2), ("strd r0, r1, [r5]", 2), ("ldmia.w r5, {r0-r3}", 4), ("stmia r5!, {r0-r3}", 4),
        ("vldmia r5, {s0-s3}", 4), ("vmov r0, r1, s0, s1", 2), ("vmov s0, s1, r0, r1", 1),
    ],
)  # fmt: skip
def test_what_takes_more_than_one_cycle(text: str, cycles: int) -> None:
    assert cycles_of(text) == cycles


def test_the_last_of_several_loaded_registers_is_the_late_one() -> None:
    assert cycles_of("ldrd r0, r1, [r5]", "adds r2, r0, #1") == 3
    assert cycles_of("ldrd r0, r1, [r5]", "mov r0, r1") == 4


@pytest.mark.parametrize(
    ("texts", "cycles"),
    [
        (("vadd.f32 s0, s1, s2", "vadd.f32 s5, s6, s7"), 2), (("vadd.f32 s0, s1, s2", "vadd.f32 s3, s0, s4"), 3),
        (("vmul.f32 s0, s1, s2", "vadd.f32 s3, s0, s4"), 3),
        (("vfma.f32 s0, s1, s2", "vfma.f32 s0, s3, s4"), 1 + 2 + 1),  # accumulator: 3
        (("vfma.f32 s0, s1, s2", "vfma.f32 s3, s0, s4"), 1 + 3 + 1),  # multiplicand: 4
        (("vfma.f32 s0, s1, s2", "vadd.f32 s5, s6, s7"), 1 + 2 + 1),  # blocks the FP unit for 2
        (("vfma.f32 s0, s1, s2", "mov r0, r1", "mov r0, r1", "vfma.f32 s8, s9, s10"), 4),  # but not the integer side
        (("vldr s0, [r5]", "vadd.f32 s3, s0, s4"), 2), (("vmov s0, r0", "vadd.f32 s3, s0, s4"), 2),
        (("vmov r0, s0", "adds r2, r0, #1"), 3), (("vmov s0, s1, r0, r1", "vadd.f32 s3, s0, s4"), 3),
    ],
)  # fmt: skip
def test_floating_point(texts: tuple[str, ...], cycles: int) -> None:
    assert cycles_of(*texts) == cycles


def test_a_block_that_continues_another_keeps_its_hazards() -> None:
    code = place(CODE, bytes.fromhex(ENCODINGS["mul r0, r1, r2"] + ENCODINGS["adds r2, r0, #1"]))
    together = sum(charge.units for charge in cortex_m33.block(code, (), True))
    first = sum(charge.units for charge in cortex_m33.block(code[:1], (), True))
    second = sum(charge.units for charge in cortex_m33.block(code[1:], code[:1], False))
    assert first + second == together == 3 * 256


def test_a_return_that_an_it_block_skips_takes_a_cycle_and_one_that_it_takes_costs_its_loads() -> None:
    guarded, plain = (place(CODE, bytes.fromhex(code)) for code in ("08bf" + "30bd", "30bd"))  # it eq; pop {r4, r5, pc}

    def units(code: list[Placed], *, taken: bool) -> int:
        left = cortex_m33.block((), code, True) if taken else []
        return sum(charge.units for charge in [*cortex_m33.block(code, (), True), *left])

    assert units(guarded, taken=False) == 2 * UNITS
    assert units(guarded, taken=True) == UNITS + units(plain, taken=True)
