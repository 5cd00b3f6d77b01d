"""Firmware is booted, its function called, and its cycles told apart; images that cannot run say why."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from emulator import profiler
from emulator.image import Image, Segment, Symbol
from refsim import boards
from refsim.errors import Fault, ImageError, UsageError

Assemble = Callable[..., bytes]

FLASH = 0x0800_0000
BOARD = boards.find("nucleo-l4r5zi")
SIMPLE = boards.find("generic-m0plus")  # no wait states, and cycles that one can add up by its manual
STACK = 0x2000_8000
RESET, ENTRY, LEAF = 0x40, 0x80, 0xA0

# ldr r0, [pc, #12]; ldr r1, [pc, #16]; str r1, [r0]; adds r2, #1; b .-2
# with the words below it stores 42 at the start of SRAM, then works for ever.
BOOT = bytes.fromhex("0348044901600132fde7")
WORDS = struct.pack("<III", 0x2000_0000, 42, 0x4000_0000)


# [Arm DDI 0484, 3.3]: movs, lsls, ldr; 42 times subs and bne; bx. push, bl, pop.
LEAF_CYCLES, ENTRY_CYCLES = (1, 1, 2, 42 * 1 + 41 * 2 + 1, 2), (3, 3, 5)


def firmware(assemble: Assemble, *, sp: int = STACK, reset: int = FLASH + RESET + 1, boot: bytes = BOOT) -> bytes:
    """Vectors, a boot that never ends, an entry that calls a leaf, and the leaf: a loop over what the boot stored."""
    data = bytearray(0xC0)
    data[0:8] = struct.pack("<II", sp, reset)
    data[RESET : RESET + len(boot)] = boot
    data[RESET + 16 : RESET + 28] = WORDS
    # push {r4, lr}; bl leaf; pop {r4, pc}
    entry = bytes.fromhex("10b500f00df810bd")
    data[ENTRY : ENTRY + len(entry)] = entry
    # movs r0, #32; lsls r0, #24; ldr r0, [r0]; subs r0, #1; bne .-2; bx lr
    leaf = bytes.fromhex("202000060068") + assemble("subs r0, #1", "bne .-2", "bx lr")
    data[LEAF : LEAF + len(leaf)] = leaf
    return bytes(data)


def raw(data: bytes, base: int = FLASH) -> Image:
    return Image("fw.bin", (Segment(base, data, len(data), base),))


def named(data: bytes) -> Image:
    symbols = (Symbol("reset", FLASH + RESET, 0), Symbol("run", FLASH + ENTRY, 8), Symbol("leaf", FLASH + LEAF, 12))
    return Image("fw.elf", (Segment(FLASH, data, len(data), FLASH),), symbols)


def test_boot_initialises_memory_and_is_cut_where_it_never_ends(assemble: Assemble) -> None:
    found = profiler.profile(raw(firmware(assemble)), BOARD, FLASH + ENTRY | 1, boot_instructions=10_000)
    # push, bl; movs, lsls, ldr; 42 times subs and bne; bx; pop
    assert found.instructions == 2 + 3 + 2 * 42 + 1 + 1
    (note,) = found.notes
    assert note.startswith("boot cut after 10000 instructions, at pc 0x080000")


def test_cycles_are_those_of_the_call_alone(assemble: Assemble) -> None:
    short = profiler.profile(raw(firmware(assemble)), SIMPLE, FLASH + ENTRY, boot_instructions=1_000)
    long = profiler.profile(raw(firmware(assemble)), SIMPLE, FLASH + ENTRY, boot_instructions=100_000)
    assert short.cycles == long.cycles == sum(LEAF_CYCLES) + sum(ENTRY_CYCLES)


def test_functions_of_a_raw_image_are_found_by_their_calls(assemble: Assemble) -> None:
    found = profiler.profile(raw(firmware(assemble)), BOARD, FLASH + ENTRY, boot_instructions=1_000)
    assert [f.name for f in found.functions] == ["sub_080000a0", "sub_08000080"]
    assert sum(f.cycles for f in found.functions) == found.cycles == sum(found.by_cause.values())
    assert sum(f.instructions for f in found.functions) == found.instructions
    assert sum(f.share for f in found.functions) == pytest.approx(1)


def test_functions_of_an_elf_have_their_names(assemble: Assemble) -> None:
    found = profiler.profile(named(firmware(assemble)), SIMPLE, "run", boot_instructions=1_000)
    assert [(f.name, f.cycles) for f in found.functions] == [("leaf", sum(LEAF_CYCLES)), ("run", sum(ENTRY_CYCLES))]
    assert found.cycles_error_pct is None


def test_without_boot_the_function_runs_on_zeroed_memory(assemble: Assemble) -> None:
    with pytest.raises(Fault, match="more than 1000 instructions ran, the last in leaf"):
        profiler.profile(named(firmware(assemble)), BOARD, "run", boot_instructions=0, max_instructions=1000)


def test_boot_that_faults_is_a_note(assemble: Assemble) -> None:
    data = firmware(assemble, boot=bytes.fromhex("00de"))
    found = profiler.profile(named(data), BOARD, FLASH + LEAF + 10, boot_instructions=100)
    (note,) = found.notes
    assert note.startswith("boot ended by a fault: an undefined instruction in reset+0x0, at pc 0x08000040; r0=0 ")


@pytest.mark.parametrize(
    ("sp", "reset", "text"),
    [
        (0, FLASH + RESET + 1, "stack pointer 0x00000000, which is not in the SRAM of nucleo-l4r5zi"),
        (0x3000_0000, FLASH + RESET + 1, "stack pointer 0x30000000"),
        (STACK, FLASH + RESET, "reset vector 0x08000040, which is not Thumb code"),
        (STACK, FLASH + 0x1_0001, "reset vector 0x08010001, which is not Thumb code in the image"),
    ],
)
def test_vectors_that_make_no_sense(assemble: Assemble, sp: int, reset: int, text: str) -> None:
    with pytest.raises(ImageError, match=text):
        profiler.profile(raw(firmware(assemble, sp=sp, reset=reset)), BOARD, FLASH + ENTRY)


def test_wrong_base_is_noticed(assemble: Assemble) -> None:
    with pytest.raises(ImageError, match="check the base address"):
        profiler.profile(raw(firmware(assemble), FLASH + 0x4000), BOARD, FLASH + 0x4000 + ENTRY)
    with pytest.raises(ImageError, match="outside the memory of nucleo-l4r5zi"):
        profiler.profile(raw(firmware(assemble), 0x9000_0000), BOARD, 0x9000_0000 + ENTRY)
    with pytest.raises(ImageError, match="begins with stack pointer"):
        profiler.profile(raw(b"\x55" * 64), BOARD, FLASH)


def test_entry_outside_the_image(assemble: Assemble) -> None:
    with pytest.raises(UsageError, match="entry 0x08010000 is not in image"):
        profiler.profile(raw(firmware(assemble)), BOARD, FLASH + 0x1_0001)
    with pytest.raises(ImageError, match="has no symbol 'absent'"):
        profiler.profile(named(firmware(assemble)), BOARD, "absent")


def test_file_with_addresses_as_a_user_writes_them(assemble: Assemble, tmp_path: Path) -> None:
    path = tmp_path / "fw.bin"
    path.write_bytes(firmware(assemble))
    at_default = profiler.profile_file(str(path), BOARD, entry="0x08000081", boot_instructions=1_000)
    given = profiler.profile_file(
        str(path), BOARD, entry=str(FLASH + ENTRY), base="0x08000000", boot_instructions=1_000
    )
    assert at_default == given
    for bad in ("0x", "0x1_0000_0000_0", "-1"):
        with pytest.raises(UsageError, match="--base"):
            profiler.profile_file(str(path), BOARD, entry="0x80", base=bad)


def test_json_has_the_fields_of_the_contract(assemble: Assemble) -> None:
    found = profiler.as_json(profiler.profile(named(firmware(assemble)), BOARD, "run", boot_instructions=1_000))
    assert {"image", "board", "core", "cycles", "cycles_error_pct", "instructions", "by_cause", "functions"} <= set(
        found
    )
    assert (found["board"], found["core"]) == ("nucleo-l4r5zi", "cortex-m4")
    assert found["latency_ms"] == pytest.approx(found["cycles"] / 120e3)
    assert (found["ended"], found["fault"], found["output"]) == ("the function returned", None, "")
    assert set(found["functions"][0]) == {"name", "address", "cycles", "instructions", "share"}


def test_terminal_names_functions_and_says_uncalibrated(assemble: Assemble) -> None:
    out = io.StringIO()
    found = profiler.profile(named(firmware(assemble)), SIMPLE, "run", boot_instructions=1_000)
    profiler.print_profile(replace(found, image="[red]fw", output="[bold]said"), Console(file=out, width=120))
    text = out.getvalue()
    assert text.startswith("[bold]said\n[red]fw on generic-m0plus")
    cycles = sum(LEAF_CYCLES) + sum(ENTRY_CYCLES)
    assert "leaf" in text and f"{cycles} cycles (uncalibrated)" in text and "boot cut after" in text
