"""The Cortex-M0+'s table, each row by a loop on the emulated machine whose cycles it predicts."""

from __future__ import annotations

import pytest

from emulator.image import Image, Segment
from emulator.machine import Machine
from emulator.timing import Timing
from refsim import boards

CODE, DATA = 0x0800_0100, 0x2000_0000

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
BEFORE = "0546" + "0f46" + "f046"  # mov r5, r0; mov r7, r1; mov r8, lr
LOOP = 3  # cycles of `subs r7, #1; bne`: 1 and 2


def cycles_of(*texts: str) -> int:
    """Cycles of one passage through these instructions, by two loops of different length. r3: behind the third."""
    code = bytes.fromhex("".join(ENCODINGS[text] for text in texts))
    back = -(len(code) + 2 + 4) // 2 & 0xFF
    whole = bytes.fromhex(BEFORE) + code + bytes.fromhex("013f") + bytes([back, 0xD1]) + bytes.fromhex("4047")
    machine = Machine(boards.find("generic-m0plus"), Image("loop", (Segment(CODE, whole, len(whole), CODE),)))
    clock = Timing(machine)
    target = CODE + len(BEFORE) // 2 + sum(len(ENCODINGS[t]) // 2 for t in texts[:3])

    def call(times: int) -> int:
        before = clock.now()
        machine.call(CODE, (DATA, times, 0, target | 1))
        return clock.cost(clock.now() - before).cycles

    call(2)
    slope, rest = divmod(call(150) - call(50), 100)
    assert rest == 0
    return slope - LOOP


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
