"""Firmware finds the devices that it expects: C programs on emulated boards say what they saw."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from emulator import image, profiler
from emulator.devices.console import LONGEST, Console
from emulator.devices.registers import POLLS, Ready, Registers
from emulator.devices.systick import CONTROL, RELOAD, VALUE, SysTick
from emulator.image import Image, Segment
from emulator.machine import Machine
from emulator.profiler import Profile
from refsim import boards
from refsim.boards import Board

Firmware = Callable[..., Path]

L4, G0, F7, U5 = (boards.find(n) for n in ("nucleo-l4r5zi", "nucleo-g0b1re", "disco-f746ng", "nucleo-u575zi"))
F4, M3 = boards.find("stm32f412"), boards.find("generic-m3")
MAINLINE = (L4, F7, U5, M3)


def named(board: Board) -> str:
    return board.name


@pytest.fixture
def run(firmware: Firmware) -> Callable[..., Profile]:
    """The profile of a program, from reset."""

    def profiled(board: Board, program: str) -> Profile:
        found = profiler.profile(image.load(firmware(board, program)), board, max_instructions=50_000_000)
        assert found.outcome.fault is None, found.outcome.fault
        return found

    return profiled


def said(found: Profile) -> dict[str, int]:
    """What a program printed with show()."""
    return {name: int(value, 16) for name, _, value in (line.partition("=") for line in found.output.split())}


@pytest.mark.parametrize("board", [L4, G0, F7, U5, F4], ids=named)
def test_semihosting_itm_and_uart_print_in_order(run: Callable[..., Profile], board: Board) -> None:
    found = run(board, "hello")
    assert found.output == "semihosting\ncwritten itm uart\\x1b\n"
    assert (found.outcome.ended, found.outcome.code) == ("semihosting exit with code 0", 0)
    assert found.peripherals == ()


def test_exit_code_of_the_firmware_is_kept(run: Callable[..., Profile]) -> None:
    found = run(L4, "fails")
    assert (found.outcome.code, found.outcome.holds) == (3, False)


@pytest.mark.parametrize("board", [L4, G0, F7, U5, M3], ids=named)
def test_delay_by_ticks_lasts_as_long_as_its_ticks(run: Callable[..., Profile], board: Board) -> None:
    found = run(board, "delay")
    assert said(found) == {"ticks": 5}
    assert found.exceptions == {"SysTick": 5}
    assert 50_000 <= found.cycles < 51_500  # 5 ticks of 10,000, what comes before and after, a late last one
    assert any("exceptions taken: SysTick 5 times" in note for note in found.notes)


@pytest.mark.parametrize("board", MAINLINE, ids=named)
def test_cycle_counter_reads_our_estimate(run: Callable[..., Profile], board: Board) -> None:
    seen = said(run(board, "timing"))
    (loop,) = {F7.name: (1,)}.get(board.name, (3,))  # cycles of subs and bne
    assert seen["standing"] == seen["still"] == 0
    assert seen["first"] == pytest.approx(1000 * loop, abs=60)
    assert seen["second"] == pytest.approx(2000 * loop, abs=60)
    assert seen["written"] - 0xFFFF_FFF0 < 16


@pytest.mark.parametrize("board", [L4, G0, U5, M3], ids=named)
def test_systick_counts_cycles_down_and_flags_zeros(run: Callable[..., Profile], board: Board) -> None:
    seen = said(run(board, "systick_counts"))
    assert seen["down"] == pytest.approx(3000, abs=80)
    assert seen["zeros"] == 3


def test_polls_of_a_register_that_nothing_models_end(run: Callable[..., Profile]) -> None:
    found = run(L4, "polls")
    assert said(found) == {"kept": 0x5634}
    (unknown,) = found.peripherals
    assert (unknown.name, unknown.address, unknown.writes) == ("0x40012000", 0x4001_2000, 3)
    assert 2 * POLLS < unknown.reads < 5 * POLLS
    assert found.instructions < 20_000


@pytest.mark.parametrize("board", [L4, G0, F7, U5], ids=named)
def test_sleep_passes_without_being_executed(run: Callable[..., Profile], board: Board) -> None:
    found = run(board, "sleeps")
    seen = said(found)
    assert seen["ticks"] == 50
    assert found.cycles < 3000
    assert found.cycles + found.idle_cycles == pytest.approx(5_000_000, abs=1000)
    if board is not G0:
        assert seen["awake"] < found.cycles


@pytest.mark.parametrize("board", [L4, G0, F7, U5, M3], ids=named)
def test_exceptions_are_taken_when_they_may_be(run: Callable[..., Profile], board: Board) -> None:
    found = run(board, "exceptions")
    expected = {"calls": 2, "switches": 1, "masked": 1, "unmasked": 2, "disabled": 0, "enabled": 1}
    assert said(found) == expected
    assert found.exceptions == {"SVCall": 2, "PendSV": 2, "interrupt 0": 1}


@pytest.mark.parametrize("board", [L4, F7, U5], ids=named)
def test_handler_that_uses_the_fpu_disturbs_nobody(run: Callable[..., Profile], board: Board) -> None:
    assert said(run(board, "floats")) == {"sum": 99 * 100, "switches": 10}  # 4 * 0.5 * (0 + 1 + ... + 99)


@pytest.mark.parametrize("board", MAINLINE, ids=named)
def test_exception_of_code_on_the_process_stack_returns_to_it(run: Callable[..., Profile], board: Board) -> None:
    assert said(run(board, "process_stack")) == {"moved": 0, "inside": 1, "calls": 1}


def test_core_says_which_it_is(run: Callable[..., Profile]) -> None:
    parts = {L4: 0xC24, G0: 0xC60, F7: 0xC27, U5: 0xD21}
    for board, part in parts.items():
        seen = said(run(board, "identifies"))
        assert (seen["cpuid"] >> 4 & 0xFFF, seen["vtor"]) == (part, 0x0800_0000)


def test_reset_request_ends_the_run(run: Callable[..., Profile]) -> None:
    found = run(L4, "resets")
    assert (found.output, found.outcome.ended) == ("once", "the firmware asked for a reset")


@pytest.mark.parametrize("program", ["delay", "polls", "sleeps", "exceptions"])
def test_same_run_twice_is_the_same_to_the_cycle(run: Callable[..., Profile], program: str) -> None:
    assert run(U5, program) == run(U5, program)


def test_gcc_builds_run_too(firmware: Firmware) -> None:
    found = profiler.profile(image.load(firmware(L4, "exceptions", "gcc")), L4)
    assert said(found)["unmasked"] == 2


def halfwords(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}H", *values)


def machine(*values: int) -> Machine:
    data = halfwords(*values)
    return Machine(F4, Image("snippet", (Segment(0x0800_0100, data, len(data), 0x0800_0100),)))


LOAD, STORE, STORE_BYTE = (0x6800, 0x4770), (0x6001, 0x4770), (0x7001, 0x4770)  # ldr r0, [r0]; str(b) r1, [r0]; bx lr


def test_registers_keep_words_and_bytes_and_count() -> None:
    m = machine(*LOAD, *STORE, *STORE_BYTE)
    registers = Registers(m, 0x4000_0000, 0x1000, reset={0x4000_0010: 7})
    m.call(0x0800_0104, (0x4000_0020, 0x11223344))
    m.call(0x0800_0108, (0x4000_0022, 0xAA))
    assert m.call(0x0800_0100, (0x4000_0020,)) == 0x11AA3344
    assert m.call(0x0800_0100, (0x4000_0010,)) == 7
    assert [(a.address, a.reads, a.writes) for a in registers.accesses()] == [
        (0x4000_0010, 1, 0),
        (0x4000_0020, 1, 2),
    ]


def test_ready_bits_follow_what_was_switched_on() -> None:
    m = machine(*LOAD, *STORE)
    rules = [
        Ready(0x4000_0000, mask=0b01, shift=1),
        Ready(0x4000_0004, 0x4000_0000, mask=0b100, shift=-2, always=0x80),
    ]
    Registers(m, 0x4000_0000, 0x1000, rules=rules)
    values = []
    for written in (0, 1, 4):
        m.call(0x0800_0104, (0x4000_0000, written))
        values.append([m.call(0x0800_0100, (at,)) for at in (0x4000_0000, 0x4000_0004)])
    assert values == [[0, 0x80], [3, 0x80], [4, 0x81]]


POLL_SET = (0x6802, 0x420A, 0xD0FC, 0x4610, 0x4770)  # ldr r2, [r0]; tst r2, r1; beq .-4; mov r0, r2; bx lr
POLL_CLEAR = (0x6802, 0x420A, 0xD1FC, 0x4610, 0x4770)


def test_poll_of_one_place_ends_after_a_thousand_reads_either_way() -> None:
    m = machine(*POLL_SET, *POLL_CLEAR, *STORE)
    registers = Registers(m, 0x4000_0000, 0x1000)
    assert m.call(0x0800_0100, (0x4000_0000, 4)) == 0xFFFF_FFFF
    assert registers.accesses()[0].reads == POLLS + 1
    m.call(0x0800_0114, (0x4000_0010, 4))
    assert m.call(0x0800_010A, (0x4000_0010, 4)) == 0


def test_register_that_is_read_now_and_then_is_not_polled() -> None:
    # push {r4, lr}; movs r4, #250; lsls r4, #4; outer: ldr r2, [r0]; cmp r2, #0; bne fail; movs r3, #255; lsls r3, #3
    # inner: subs r3, #1; bne inner; subs r4, #1; bne outer; fail: mov r0, r4; pop {r4, pc}
    m = machine(
        0xB510, 0x24FA, 0x0124, 0x6802, 0x2A00, 0xD105, 0x23FF, 0x00DB, 0x3B01, 0xD1FD, 0x3C01, 0xD1F6, 0x4620, 0xBD10
    )  # fmt: skip
    Registers(m, 0x4000_0000, 0x1000)
    assert m.call(0x0800_0100, (0x4000_0000,)) == 0


def test_steady_registers_are_polled_for_ever() -> None:
    m = machine(*POLL_SET)
    Registers(m, 0x4000_0000, 0x1000, steady=True)
    with pytest.raises(Exception, match="more than 100000 instructions"):
        m.call(0x0800_0100, (0x4000_0000, 4), max_instructions=100_000)


def test_systick_by_the_rules_of_the_manual() -> None:
    now = [0]
    timer = SysTick(lambda: now[0])
    timer.write(RELOAD, 99)
    timer.write(VALUE, 5)
    timer.write(CONTROL, 7)
    assert timer.value(0) == 0  # it loads with the first count
    assert [timer.value(t) for t in (1, 50, 99, 100)] == [99, 50, 1, 0]
    assert not timer.advance(99)
    assert timer.advance(100)
    assert timer.value(101) == 99
    assert not timer.advance(199) and timer.advance(450)
    assert timer.next_zero == 500
    assert timer.read_control() == 0x1_0007 and timer.read_control() == 7
    now[0] = 460
    timer.write(CONTROL, 0)
    assert timer.value(10**6) == 40
    timer.write(CONTROL, 3)  # the reference clock is eight times slower
    assert timer.next_zero == 460 + 40 * 8


def test_console_is_harmless_and_bounded() -> None:
    console = Console()
    console.write(b"a\r\nb\x1b[31mc\x00\xff \xc3\xa4\n")
    assert console.text == "a\nb\\x1b[31mc\\x00\ufffd ä\n"
    for _ in range(3):
        console.write(b"x" * (LONGEST // 2))
    assert console.total > LONGEST
    assert len(console.text) < LONGEST + 20


def test_devices_of_an_unknown_board_are_those_of_the_core(firmware: Firmware) -> None:
    own = replace(L4, name="mine")
    found = profiler.profile(image.load(firmware(L4, "hello")), own)
    assert found.output == "semihosting\ncwritten itm"
    assert [p.address for p in found.peripherals] == [0x4000_4400]
