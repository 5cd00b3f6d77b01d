"""The Cortex-M0+'s table, each row by a loop on the emulated machine whose cycles it predicts."""

from __future__ import annotations

import pytest

from tests.emulator.timed_loops import timed

# By arm-none-eabi-as 12.2 (-mcpu=cortex-m0plus), in memory order. r5 points to zeros, r7 counts down, r8 keeps lr.
ENCODINGS = {
    "nop": "c046", "adds r0, r1, r2": "8818", "muls r0, r1, r0": "4843", "ldr r0, [r5]": "2868", "adds r0, #1": "0130",
    "str r0, [r5]": "2860", "ldrb r0, [r5]": "2878", "strh r0, [r5]": "2880", "ldr r0, [r5, r6]": "a859",
    "ldmia r5!, {r0, r1, r2}": "07cd", "stmia r5!, {r0, r1, r2}": "07c5", "push {r0, r1, r2}": "07b4",
    "pop {r0, r1, r2}": "07bc", "push {r3}": "08b4", "pop {pc}": "00bd", "b .+4": "00e0", "bne .+4": "00d1",
    "beq .+4": "00d0", "bl .+6": "00f001f8", "bx r3": "1847", "blx r3": "9847", "mov pc, r3": "9f46",
    "cmp r0, r0": "8042", "sxtb r0, r1": "48b2", "rev r0, r1": "08ba", "lsls r0, r1, #3": "c800",
    "dmb sy": "bff35f8f", "mrs r0, primask": "eff31080",
}  # fmt: skip
LOOP = 3  # cycles of `subs r7, #1; bne`: 1 and 2

cycles_of = timed("generic-m0plus", ENCODINGS, LOOP)


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("adds r0, r1, r2", 1), ("muls r0, r1, r0", 1), ("sxtb r0, r1", 1), ("rev r0, r1", 1), ("lsls r0, r1, #3", 1),
        ("nop", 1), ("ldr r0, [r5]", 2), ("ldrb r0, [r5]", 2), ("ldr r0, [r5, r6]", 2), ("str r0, [r5]", 2),
        ("strh r0, [r5]", 2), ("ldmia r5!, {r0, r1, r2}", 1 + 3), ("stmia r5!, {r0, r1, r2}", 1 + 3), ("dmb sy", 3),
        ("mrs r0, primask", 3),
    ],
)  # fmt: skip
def test_data_and_accesses(text: str, cycles: int) -> None:
    assert cycles_of(text) == cycles


@pytest.mark.parametrize(
    ("texts", "cycles"),
    [
        (("b .+4", "nop"), 2), (("cmp r0, r0", "bne .+4", "nop"), 1 + 1 + 1), (("cmp r0, r0", "beq .+4", "nop"), 1 + 2),
        (("bl .+6", "nop"), 3), (("nop", "bx r3", "nop"), 1 + 2), (("nop", "blx r3", "nop"), 1 + 2),
        (("nop", "mov pc, r3", "nop"), 1 + 2), (("push {r3}", "pop {pc}", "nop"), 2 + 4),
        (("push {r0, r1, r2}", "pop {r0, r1, r2}"), 4 + 4),
    ],
)  # fmt: skip
def test_branches(texts: tuple[str, ...], cycles: int) -> None:
    assert cycles_of(*texts) == cycles


def test_there_are_no_hazards() -> None:
    assert (
        cycles_of("adds r0, #1", "str r0, [r5]", "ldr r0, [r5]", "adds r0, #1", "muls r0, r1, r0") == 1 + 2 + 2 + 1 + 1
    )
