"""Blocks of SRAM behind the bus matrix: one wait a burst of loads, none for stores, none in the first block."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator import bus_timing
from emulator.image import Image, Segment
from emulator.machine import Machine
from emulator.placed import place
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


def test_an_instruction_that_goes_to_two_memories_costs_their_mean(assemble: Assemble) -> None:
    code = assemble("ldr r0, [r1]", "bx lr")
    machine = Machine(boards.find("nucleo-l4r5zi-20mhz"), Image("snippet", (Segment(CODE, code, len(code), CODE),)))
    clock = Timing(machine)
    for data in (LATER, FIRST, LATER, LATER):
        machine.call(CODE, (data, data))
    assert clock.cost(clock.now()).by_cause["bus"] == 3


def test_an_ldm_from_flash_keeps_a_store_waiting_once(assemble: Assemble) -> None:
    code = [p.instruction for p in place(CODE, assemble("ldmia r4!, {r0, r1, r2}", "str r0, [r1]"))]
    assert bus_timing.waits(code, (bus_timing.FLASH, 0), {}) == [0, UNITS]


@pytest.mark.parametrize("taken", [False, True])
def test_a_return_in_an_it_block_waits_only_where_it_is_taken(assemble: Assemble, taken: bool) -> None:
    """push; nop; cmp r0, #0; it eq; popeq; pop: one of the two goes to the stack."""
    code = assemble("push {r4, lr}", "nop", "cmp r0, #0", "it eq", "pop {r4, pc}", "pop {r4, pc}")
    machine = Machine(boards.find("nucleo-l4r5zi-20mhz"), Image("snippet", (Segment(CODE, code, len(code), CODE),)))
    clock = Timing(machine)
    machine.call(CODE, (int(not taken),), sp=LATER)
    costs = clock.cost(clock.now())
    assert costs.by_cause["bus"] == 1
    assert costs.by_cause["load_store"] == 2 + 2  # PUSH and one POP of two
    returned = CODE + (8 if taken else 10)
    spent = costs.at_instructions
    assert spent.units[CAUSES.index("bus"), spent.address.tolist().index(returned)] == UNITS


def test_boards_without_banks_have_no_such_waits(assemble: Assemble) -> None:
    code = assemble("ldr r0, [r1]", "bx lr")
    machine = Machine(boards.find("generic-m4"), Image("snippet", (Segment(CODE, code, len(code), CODE),)))
    clock = Timing(machine)
    machine.call(CODE, (FIRST, FIRST))
    assert clock.cost(clock.now()).by_cause.get("bus", 0) == 0


def test_only_boards_with_banks_are_followed(assemble: Assemble, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[str] = []
    monkeypatch.setattr(bus_timing, "Pointers", lambda machine, memories: followed.append(machine.board.name))
    for board in boards.BOARDS.values():
        Timing(Machine(board))
    assert set(followed) == {"nucleo-l4r5zi", "nucleo-l4r5zi-20mhz", "nucleo-f207zg-30mhz"}
