"""The machine runs calls as the AAPCS says and names every fault; snippets are Thumb encodings by hand."""

from __future__ import annotations

import gc
import os
import signal
import struct
import threading
import time

import pytest

from emulator.image import Image, Segment, Symbol, parse
from emulator.machine import Machine
from emulator.memory import PAGE
from refsim import boards
from refsim.boards import Region
from refsim.errors import Fault, ImageError

CODE = 0x0800_0100
BX_LR = 0x4770
M4 = boards.find("nucleo-l4r5zi")


def halfwords(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}H", *values)


def image(*values: int, at: int = CODE) -> Image:
    data = halfwords(*values)
    return Image("snippet", (Segment(at, data, len(data), at),), (Symbol("snippet", at, len(data)),))


def machine(*values: int, board: boards.Board = M4) -> Machine:
    return Machine(board, image(*values))


def fault(*values: int, args: tuple[int, ...] = (), board: boards.Board = M4) -> str:
    with pytest.raises(Fault) as raised:
        machine(*values, board=board).call(CODE, args, max_instructions=100_000)
    return str(raised.value)


def test_call_passes_four_arguments_in_registers_and_returns_r0() -> None:
    # adds r0, r0, r1; adds r0, r0, r2; adds r0, r0, r3; bx lr
    assert machine(0x1840, 0x1880, 0x18C0, BX_LR).call(CODE, (1, 20, 300, 4000)) == 4321


def test_call_puts_the_fifth_and_sixth_argument_on_an_aligned_stack() -> None:
    # mov r2, sp; ldr r0, [sp]; ldr r1, [sp, #4]; subs r0, r0, r1; lsls r2, r2, #29; orrs r0, r2; bx lr
    assert machine(0x466A, 0x9800, 0x9901, 0x1A40, 0x0752, 0x4310, BX_LR).call(CODE, (0, 0, 0, 0, 50, 8)) == 42


def test_registers_that_a_call_spoils_are_named() -> None:
    m = machine(0x2401, 0x46A3, BX_LR)  # movs r4, #1; mov r11, r4; bx lr
    m.call(CODE)
    assert m.spoiled == ("r4", "r11")
    saved = machine(0xB410, 0x2401, 0xBC10, BX_LR)  # push {r4}; movs r4, #1; pop {r4}; bx lr
    saved.call(CODE)
    assert saved.spoiled == ()
    unbalanced = machine(0xB401, BX_LR)  # push {r0}; bx lr
    unbalanced.call(CODE)
    assert unbalanced.spoiled == ("sp",)


def test_thumb_bit_of_the_function_address_is_tolerated() -> None:
    assert machine(BX_LR).call(CODE | 1, (7,)) == 7


def test_memory_written_by_code_is_read_back_and_the_image_is_in_flash() -> None:
    m = machine(0x6001, BX_LR)  # str r1, [r0]
    m.call(CODE, (0x2000_0010, 0xDEADBEEF))
    assert m.read(0x2000_0010, 4) == b"\xef\xbe\xad\xde"
    assert m.read(CODE, 2) == halfwords(0x6001)


def test_stops_come_before_the_instruction_and_in_order() -> None:
    # push {lr}; bl f; bl f; pop {pc}; f: adds r0, #1; bx lr
    m = machine(0xB500, 0xF000, 0xF803, 0xF000, 0xF801, 0xBD00, 0x3001, BX_LR)
    first, second = CODE + 6, CODE + 10
    seen = []

    def record(address: int) -> None:
        seen.append((address, m.instructions))

    assert m.call(CODE, (5,), stops=(first, second), on_stop=record) == 7
    assert seen == [(first, 4), (second, 7)]
    assert m.instructions == 8


def test_memory_changed_at_a_stop_is_seen_by_the_code_after_it() -> None:
    # push {r4, lr}; mov r4, r0; bl f; ldr r0, [r4]; pop {r4, pc}; f: bx lr
    m = machine(0xB510, 0x4604, 0xF000, 0xF802, 0x6820, 0xBD10, BX_LR)
    data = 0x2000_0100
    assert m.call(CODE, (data,), stops=(CODE + 8,), on_stop=lambda _: m.write(data, b"\x2a\0\0\0")) == 42


def test_stops_of_one_call_do_not_linger_in_the_next() -> None:
    m = machine(0x3001, BX_LR)
    seen: list[int] = []
    m.call(CODE, stops=(CODE,), on_stop=seen.append)
    m.call(CODE)
    assert seen == [CODE]


def test_function_can_be_its_own_stop_on_every_entry() -> None:
    # loop: subs r0, #1; bne loop; bx lr
    m = machine(0x3801, 0xD1FD, BX_LR)
    seen: list[int] = []
    m.call(CODE, (3,), stops=(CODE,), on_stop=seen.append)
    assert seen == [CODE] * 3


def test_slices_do_not_change_what_is_counted() -> None:
    loop = (0x3801, 0xD1FD, BX_LR)
    m = machine(*loop)
    m.call(CODE, (3_000_000,))  # a dozen slices
    assert m.instructions == 2 * 3_000_000 + 1


def test_read_outside_memory_names_access_place_and_region() -> None:
    text = fault(0x3101, 0x6802, BX_LR, args=(0x100,))  # adds r1, #1; ldr r2, [r0]
    assert text.startswith("read of 4 bytes at 0x00000100 in snippet+0x2, at pc 0x08000102: it lies ")
    assert "before flash" in text


def test_write_past_sram_says_how_far() -> None:
    end = M4.sram.end
    text = fault(0x7001, BX_LR, args=(end + 3,))  # strb r1, [r0]
    assert f"write of 1 bytes at {end + 3:#010x}" in text
    assert "4 bytes after sram" in text


def test_write_to_flash_is_a_fault() -> None:
    assert "flash cannot be written" in fault(0x6001, BX_LR, args=(0x0800_0000,))


def test_jump_outside_memory_names_the_function_that_jumped() -> None:
    text = fault(0x4700, args=(0x6000_0001,))  # bx r0
    assert "instruction fetch of 2 bytes at 0x60000000 in snippet+0x0" in text


def test_jump_without_the_thumb_bit() -> None:
    assert "without the Thumb bit, in snippet" in fault(0x4700, args=(CODE,))


def test_undefined_instruction() -> None:
    text = fault(0x3101, 0xDE00)
    assert text.startswith("an undefined instruction in snippet+0x2, at pc 0x08000102; r0=0 r1=1 r2=0 ")
    assert " pc=8000102 xpsr=" in text and " sp=" in text and " lr=" in text


def test_supervisor_call_and_breakpoint() -> None:
    assert "supervisor call" in fault(0xDF00, BX_LR)
    assert "breakpoint" in fault(0xBE00, BX_LR)


@pytest.mark.parametrize("hint", [0xBF10, 0xBF20, 0xBF30, 0xBF40], ids=["yield", "wfe", "wfi", "sev"])
def test_hints_do_nothing(hint: int) -> None:
    assert machine(0x3001, hint, 0x3001, BX_LR).call(CODE, (1,)) == 3


def test_undefined_instruction_after_a_hint_is_not_taken_for_the_hint() -> None:
    assert fault(0xBF20, 0xDE00).startswith("an undefined instruction in snippet+0x2, at pc 0x08000102;")
    assert "read of 4 bytes" in fault(0xBF20, 0x6802, BX_LR, args=(0x100,))


def test_loop_around_a_hint_ends_at_the_limit() -> None:
    for hint in (0xBF20, 0xBF30):
        with pytest.raises(Fault, match="an endless loop"):
            machine(hint, 0xE7FD).call(CODE, max_instructions=1000)  # b to the hint


def test_endless_loop_ends_at_the_limit() -> None:
    text = fault(0xE7FE)  # b .
    assert "more than 100000 instructions ran, the last in snippet+0x0" in text


def test_endless_recursion_is_a_stack_overflow() -> None:
    text = fault(0xB510, 0xF7FF, 0xFFFD)  # push {r4, lr}; bl snippet
    assert text.startswith("stack overflow: write of 4 bytes at")
    assert "below the stack of 65536 bytes" in text


def test_stack_used_is_the_high_water_mark() -> None:
    # sub sp, #64; str r0, [sp]; add sp, #64; bx lr
    m = machine(0xB090, 0x9000, 0xB010, BX_LR)
    m.call(CODE)
    assert m.stack_used == 64
    m2 = machine(BX_LR)
    m2.call(CODE)
    assert m2.stack_used == 0


def test_caller_chooses_the_stack() -> None:
    m = machine(0xB580, 0xBD80)  # push {r7, lr}; pop {r7, pc}
    m.use_stack(M4.sram.end - 2048, 2048)
    m.call(CODE)
    assert m.stack_used == 8
    tight = machine(0xB090, 0x9000, 0xB010, BX_LR)
    tight.use_stack(0x3000_0000, PAGE)
    tight.call(CODE)
    assert tight.stack_used == 64


def test_extra_regions_are_data_only_and_may_not_overlap() -> None:
    m = machine(0x6801, 0x4700)  # ldr r1, [r0]; bx r0
    m.map(Region("arena", 0x6000_0000, PAGE, True, ""))
    m.write(0x6000_0000, b"\1\0\0\0")
    with pytest.raises(Fault, match="instruction fetch"):
        m.call(CODE, (0x6000_0001,))
    with pytest.raises(ValueError, match="overlaps 'arena'"):
        m.map(Region("again", 0x6000_0000, PAGE, True, ""))


def test_image_outside_the_board_is_refused() -> None:
    with pytest.raises(ImageError, match="outside the memory of nucleo-l4r5zi"):
        Machine(M4, image(BX_LR, at=0x0900_0000))


def test_python_access_outside_memory_is_a_fault() -> None:
    m = machine(BX_LR)
    with pytest.raises(Fault, match="reading 4 bytes"):
        m.read(0x4000_0000, 4)
    with pytest.raises(Fault, match="writing 4 bytes"):
        m.write(0x4000_0000, b"1234")


DSP = (0xFB20, 0x0001, BX_LR)  # smlad's neighbour smuad r0, r0, r1 without accumulator
FLOAT = (0xEE30, 0x0A20, BX_LR)  # vadd.f32 s0, s0, s1
DOUBLE = (0xEE30, 0x0B01, BX_LR)  # vadd.f64 d0, d0, d1
CBZ = (0xB100, 0x3001, BX_LR)


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [
        ("generic-m3", DSP, "it needs the DSP extension"),
        ("generic-m0plus", CBZ, "it needs Thumb-2"),
        ("disco-f746ng", DOUBLE, "it needs double precision"),
        ("generic-m3", FLOAT, "which this core lacks"),
    ],
)
def test_instruction_that_the_core_lacks_is_a_fault(name: str, code: tuple[int, ...], why: str) -> None:
    m = machine(*code, board=boards.find(name))
    with pytest.raises(Fault, match=why) as raised:
        m.call(CODE)
        m.check_instructions()
    assert "in snippet" in str(raised.value)


@pytest.mark.parametrize(("name", "code"), [("generic-m4", DSP), ("generic-m33", DSP), ("generic-m7", DOUBLE)])
def test_instruction_that_the_core_has_passes(name: str, code: tuple[int, ...]) -> None:
    m = machine(*code, board=boards.find(name))
    m.call(CODE)
    m.check_instructions()


@pytest.mark.parametrize("load", [0x6801, 0x8801], ids=["ldr", "ldrh"])
def test_unaligned_access_is_a_fault_on_cortex_m0plus_only(load: int) -> None:
    machine(load, BX_LR).call(CODE, (0x2000_0001,))
    text = fault(load, BX_LR, args=(0x2000_0001,), board=boards.find("generic-m0plus"))
    assert text.startswith("an unaligned access, which this core traps, in snippet+0x0")


def test_interrupt_comes_out_of_a_running_call() -> None:
    m = machine(0xE7FE)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    gc.disable()  # Python drops an interrupt that comes in a callback of the collector, as hypothesis has one
    try:
        began = time.monotonic()
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            m.call(CODE)
        assert time.monotonic() - began < 2
    finally:
        gc.enable()


def test_it_block_across_a_page_is_executed_right() -> None:
    # Unicorn splits blocks at 1 KiB: cmp r0, #0; ite eq; moveq r0, #1 | movne r0, #2; bx lr
    at = 0x0800_0400 - 6
    for value, expected in ((0, 1), (9, 2)):
        assert Machine(M4, image(0x2800, 0xBF0C, 0x2001, 0x2002, BX_LR, at=at)).call(at, (value,)) == expected


@pytest.mark.parametrize("board", ["generic-m0plus", "generic-m4"])
def test_a_jump_to_the_end_of_the_address_space_ends(board: str) -> None:
    """`bx lr` from a reset handler whose LR is all ones; Unicorn's `until` is near there."""
    where = boards.find(board)
    base = where.flash.base
    code = bytes.fromhex("ff20c043 0021 c943 0847".replace(" ", ""))  # movs r0; mvns; movs r1, #0; mvns r1; bx r1
    machine = Machine(where, parse(code, "jump", base))
    with pytest.raises(Fault):
        machine.call(base, max_instructions=1000)


def test_access_below_the_region_of_the_stack_is_an_overflow() -> None:
    # mov sp, r0; push {r1}; bx lr
    with pytest.raises(Fault) as raised:
        machine(0x4685, 0xB402, BX_LR).call(CODE, (M4.sram.base,))
    text = str(raised.value)
    assert text.startswith("stack overflow: write of 4 bytes at 0x1ffffffc in snippet+0x2")
    assert "4 bytes below sram" in text


def test_fault_below_the_limit_of_the_stack_says_so() -> None:
    m = machine(0x4685, 0xDE00)  # mov sp, r0; udf
    m.stack_limit = M4.sram.base + 0x100
    with pytest.raises(Fault, match="stack overflow: sp is 16 bytes below the stack's limit; an undefined instruction"):
        m.call(CODE, (M4.sram.base + 0xF0,))


def test_call_may_use_a_stack_of_the_firmware() -> None:
    # push {lr}; mov r0, sp; pop {pc}
    m = machine(0xB500, 0x4668, 0xBD00)
    m.write(M4.sram.base + 0x400, b"kept")
    assert m.call(CODE, sp=M4.sram.base + 0x403) == M4.sram.base + 0x3FC
    assert m.read(M4.sram.base + 0x400, 4) == b"kept"
