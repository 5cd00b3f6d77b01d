"""Pointers followed through a block: each way in which code moves one, by an instruction; memories by number."""

from __future__ import annotations

import pytest

from emulator.placed import place
from emulator.pointer_flow import Flow

FLASH, FIRST, LATER = 1, 2, 3
RANGES = {FLASH: (0, 0x1000), FIRST: (0x2000_0000, 0x2001_C000), LATER: (0x2001_C000, 0x2002_0000)}
ENCODINGS = {  # by arm-none-eabi-as 12.2
    "ldr r2, [r0]": "0268",
    "ldr r2, [r3]": "1a68",
    "ldr r2, [r3, r5]": "5a59",
    "ldr r2, [r7]": "3a68",
    "ldr r2, [r6]": "3268",
    "str r2, [r6]": "3260",
    "ldr r2, [r3, #8]!": "53f8082f",
    "ldr r2, [r2]": "1268",
    "ldr r3, [pc, #4]": "014b",
    "ldr r3, [r0, #4]": "4368",
    "add.w r3, r1, r4": "01eb0403",
    "add.w r2, r5, r0, lsl #2": "05eb8002",
    "mov r6, r0": "0646",
    "subs r6, #4": "043e",
    "movw r7, #0xc000": "4cf20007",
    "movt r7, #0x2001": "c2f20107",
    "push {r0, r1}": "03b4",
    "pop {r0, r1}": "03bc",
}
REGISTERS = {"r0": (FIRST, LATER), "r1": (LATER, LATER), "r4": (0, 0), "r5": (0, FIRST), "sp": (LATER, FIRST)}


def number(address: int) -> int:
    return next((n for n, (base, end) in RANGES.items() if base <= address < end), 0)


@pytest.mark.parametrize(
    ("texts", "memories"),
    [
        (("ldr r2, [r0]",), (FIRST, LATER)),
        (("mov r6, r0", "subs r6, #4", "str r2, [r6]"), (FIRST, LATER)),
        (("add.w r3, r1, r4", "ldr r2, [r3]"), (LATER, LATER)),
        (("ldr r2, [r3, r5]",), (0, FIRST)),  # the base is not known, or no address
        (("add.w r2, r5, r0, lsl #2", "ldr r2, [r2]"), (0, FIRST)),  # r0 is an index
        (("movw r7, #0xc000", "movt r7, #0x2001", "ldr r2, [r7]"), (LATER, LATER)),
        (("movt r7, #0x2001", "ldr r2, [r7]"), (FIRST, FIRST)),
        (("ldr r3, [pc, #4]",), (FLASH, FLASH)),
        (("ldr r3, [pc, #4]", "ldr r2, [r3, #8]!"), (FIRST, FIRST)),  # the literal is read
        (("ldr r3, [pc, #4]", "ldr r2, [r3, #8]!", "ldr r2, [r3]"), (FIRST, FIRST)),  # its base stays where it is
        (("ldr r3, [r0, #4]", "ldr r2, [r3]"), (0, 0)),  # a pointer from memory
        (("push {r0, r1}", "pop {r0, r1}"), (LATER, FIRST)),
        (("pop {r0, r1}", "ldr r2, [r0]"), (0, 0)),
    ],
)
def test_where_the_last_access_goes(texts: tuple[str, ...], memories: tuple[int, ...]) -> None:
    code = place(0x100, bytes.fromhex("".join(ENCODINGS[t] for t in texts)))
    assert Flow(REGISTERS, number, {0x108: 0x2000_0010}.__getitem__).follow(code)[-1] == memories
