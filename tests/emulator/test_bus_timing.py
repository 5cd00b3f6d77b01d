"""Blocks of SRAM behind the bus matrix: one wait a burst of loads, none for stores, none in the first block."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator.image import Image, Segment
from emulator.machine import Machine
from emulator.timing import CAUSES, UNITS, Timing
from refsim import boards

CODE = 0x0800_0100
FIRST, LATER = 0x2000_1000, 0x2008_0000  # SRAM1 and SRAM3 of the STM32L4R5
Assemble = Callable[..., bytes]


def waits(assemble: Assemble, *texts: str, data: int = LATER, calls: int = 1) -> float:
    """Cycles that the bus adds to `calls` calls of code whose r0, r1 and r2 point to `data`."""
    code = assemble(*texts, "bx lr")
    machine = Machine(boards.find("nucleo-l4r5zi-20mhz"), Image("snippet", (Segment(CODE, code, len(code), CODE),)))
    clock = Timing(machine)
    for _ in range(calls):
        machine.call(CODE, (data, data, data))
    return float(clock.cost(clock.now()).units[CAUSES.index("bus")] / UNITS)


@pytest.mark.parametrize(
    ("texts", "cycles"),
    [
        (("ldr r0, [r1]",), 1),
        (("ldr r0, [r1]", "ldr r2, [r1, #4]", "ldr r3, [r1, #8]"), 1),
        (("ldr r0, [r1]", "nop", "ldr r2, [r1, #4]"), 2),
        (("ldr.w r0, [r1]", "ldr.w r2, [r1, #4]", "ldr.w r2, [r1, #8]"), 1),
        (("ldrd r0, r1, [r2]",), 1),
        (("str r0, [r1]",), 0),
        (("str r0, [r1]", "ldr r2, [r1, #4]"), 1),
        (("str r0, [r1]", "nop", "ldr r2, [r1, #4]"), 1),
        (("str r0, [r1]", "nop", "nop", "ldr r2, [r1, #4]"), 0),
        (("str.w r0, [r1]", "sxtb16 r3, r4", "sxtb16 r3, r4", "ldr.w r2, [r1, #4]"), 0),
        (("str r0, [r1]", "nop", "nop", "nop", "ldr r2, [r1, #4]"), 1),
    ],
)
def test_first_load_of_a_burst_waits(assemble: Assemble, texts: tuple[str, ...], cycles: int) -> None:
    assert waits(assemble, *texts) == cycles
    assert waits(assemble, *texts, data=FIRST) == 0


def test_each_execution_is_a_burst_of_its_own(assemble: Assemble) -> None:
    assert waits(assemble, "ldr r0, [r1]", calls=5) == 5


def test_store_right_behind_a_load_from_flash_does_not_overlap(assemble: Assemble) -> None:
    assert waits(assemble, "ldr r0, [pc, #4]", "str r0, [r1]", data=FIRST) == 1
    assert waits(assemble, "ldr r0, [pc, #4]", "nop", "str r0, [r1]", data=FIRST) == 0
    assert waits(assemble, "ldr r0, [pc, #4]", "str r0, [r1, r2]", data=0x1000_0800) == 0  # takes two cycles anyway


def test_boards_without_banks_have_no_such_waits(assemble: Assemble) -> None:
    code = assemble("ldr r0, [r1]", "bx lr")
    machine = Machine(boards.find("generic-m4"), Image("snippet", (Segment(CODE, code, len(code), CODE),)))
    clock = Timing(machine)
    machine.call(CODE, (FIRST, FIRST))
    assert clock.cost(clock.now()).by_cause.get("bus", 0) == 0
