"""Whole firmware ends with a sentence or by itself; functions are called after boot as firmware expects."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codegen import toolchain
from emulator import firmware as firmwares, image, profiler
from emulator.firmware import FirmwareFault
from emulator.image import Image, Segment, Symbol
from emulator.vectors import vectors
from refsim import boards, cli
from refsim.boards import Board
from refsim.errors import Fault, ImageError, UsageError

Firmware = Callable[..., Path]
L4, G0, F7, U5 = (boards.find(n) for n in ("nucleo-l4r5zi", "nucleo-g0b1re", "disco-f746ng", "nucleo-u575zi"))
REGISTERS = re.compile(r"; r0=[0-9a-f]+ .* r12=[0-9a-f]+ sp=[0-9a-f]+ lr=[0-9a-f]+ pc=[0-9a-f]+ xpsr=[0-9a-f]+$")


def fault_of(path: Path, board: Board, **options: Any) -> str:
    """The sentence that a run from reset ends with."""
    found = profiler.profile(image.load(path), board, **options)
    assert found.outcome.fault is not None
    assert not found.outcome.holds
    assert REGISTERS.search(found.outcome.fault)
    assert sum(f.cycles for f in found.functions) == found.cycles == sum(found.by_cause.values())
    return found.outcome.fault


@pytest.mark.parametrize("board", [L4, G0], ids=lambda board: board.name)
@pytest.mark.parametrize(
    ("program", "begins"),
    [
        ("bad_address", "read of 4 bytes at 0x00f00000 in program+"),
        ("writes_flash", "write of 4 bytes at 0x08000000 in program+"),
        ("undefined", "an undefined instruction in program+"),
        ("overflow", "stack overflow: write of 4 bytes at 0x1fffff"),
        ("loops", "an endless loop in program+"),
        ("loops_with_ticks", "an endless loop in program+"),
        ("masks_and_loops", "an endless loop in program+"),
        ("sleeps_for_ever", "an endless loop in program+"),
    ],
)
def test_fault_is_one_sentence_with_place_and_registers(
    firmware: Firmware, board: Board, program: str, begins: str
) -> None:
    assert fault_of(firmware(board, program), board).startswith(begins)


def test_endless_work_ends_at_the_limit_or_at_the_time(firmware: Firmware) -> None:
    path = firmware(L4, "works_for_ever")
    text = fault_of(path, L4, max_instructions=10_000)
    assert text.startswith("more than 10000 instructions ran, the last in program+")
    began = time.monotonic()
    text = fault_of(path, L4, timeout=0.3)
    assert text.startswith("0.3 seconds passed, the last instruction in program+")
    assert time.monotonic() - began < 5


def test_endless_sleep_between_ticks_ends_at_the_limit(firmware: Firmware) -> None:
    text = fault_of(firmware(L4, "sleeps"), L4, max_instructions=1_000_000)
    assert text.startswith("more than 1000000 cycles went by idle")


def test_endless_loop_costs_no_cycles(firmware: Firmware) -> None:
    found = profiler.profile(image.load(firmware(L4, "loops_with_ticks")), L4)
    assert found.exceptions == {"SysTick": 1000}
    assert found.idle_cycles == pytest.approx(10_000_000, rel=0.01)
    assert found.cycles < 100_000


def test_small_stack_that_grows_into_data_is_an_overflow(firmware: Firmware) -> None:
    path = firmware(L4, "works_for_ever", stack=0x100)
    found = image.load(path)
    prepared = firmwares.prepare(found, L4)
    assert found.address("_ebss") == prepared.vectors.stack_limit == prepared.machine.stack_limit
    prepared.machine.stack_limit = L4.sram.base + 0x100
    text = prepared.run(1_000_000_000).fault
    assert text is not None and text.startswith("stack overflow: sp is ")


def test_functions_are_called_in_turn_after_boot(firmware: Firmware) -> None:
    path = firmware(L4, "delay")
    alone = profiler.profile(image.load(path), L4, "measured", args=(0,))
    after = profiler.profile(image.load(path), L4, "measured", args=(0,), calls=("prepares",))
    assert alone.notes[0] == after.notes[0] == "boot ended: semihosting exit with code 0"
    assert alone.cycles == pytest.approx(after.cycles, abs=30)  # caches are as the call before left them
    assert 300 <= after.cycles < 400
    assert alone.output == "ticks=5\n"
    assert {f.name for f in alone.functions} <= {"measured", "spin", "on_systick"}


def test_call_runs_on_the_firmware_s_own_stack(firmware: Firmware) -> None:
    prepared = firmwares.prepare(image.load(firmware(L4, "loops")), L4)
    assert prepared.boot(1_000_000)[0].startswith("boot ended in an endless loop in program+")
    sp = prepared.machine.register("sp")
    assert L4.sram.base < sp <= L4.sram.end
    prepared.call(prepared.machine.image.address("measured"), (5,), 1_000_000)
    assert prepared.machine.register("sp") == sp & ~7
    assert prepared.clock.cycles == prepared.clock.cost(prepared.clock.now()).cycles


def test_fault_of_a_called_function_keeps_what_was_printed(firmware: Firmware) -> None:
    with pytest.raises(FirmwareFault, match="read of 4 bytes") as raised:
        profiler.profile(image.load(firmware(L4, "delay")), L4, "bad_address")
    assert raised.value.output == "ticks=5\n"
    with pytest.raises(Fault, match="semihosting exit with code 3 before the function"):
        profiler.profile(image.load(firmware(L4, "fails")), L4, "reset")


@pytest.mark.parametrize(
    ("built_for", "runs_on", "text"),
    [
        (L4, G0, "is for ARMv7E-M: nucleo-g0b1re has a cortex-m0plus"),
        (U5, L4, "is for ARMv8-M Mainline: nucleo-l4r5zi has a cortex-m4"),
        (L4, boards.find("generic-m3"), "is for ARMv7E-M: generic-m3 has a cortex-m3"),
    ],
)
def test_elf_for_another_core_is_refused(firmware: Firmware, built_for: Board, runs_on: Board, text: str) -> None:
    with pytest.raises(ImageError, match=text):
        profiler.profile(image.load(firmware(built_for, "hello")), runs_on)


def test_code_for_an_older_core_runs(firmware: Firmware) -> None:
    for board in (L4, F7, U5):
        assert profiler.profile(image.load(firmware(G0, "delay")), board).outcome.code == 0


def _raw(path: Path) -> bytes:
    """The bytes of an ELF file as a programmer writes them."""
    found = image.load(path)
    first = min(s.load_address for s in found.segments)
    data = bytearray(max(s.load_address + len(s.data) for s in found.segments) - first)
    for s in found.segments:
        data[s.load_address - first : s.load_address - first + len(s.data)] = s.data
    return bytes(data)


def test_raw_code_for_another_core_is_refused_when_it_runs(firmware: Firmware) -> None:
    data = _raw(firmware(L4, "floats", stack=0x1_0000))
    raw = Image("raw.bin", (Segment(0x0800_0000, data, len(data), 0x0800_0000),))
    for board, why in ((G0, "it needs Thumb-2"), (boards.find("generic-m3"), "it needs a floating-point unit")):
        with pytest.raises(ImageError, match=f"is for another core than {board.core.name}: .*{why}"):
            profiler.profile(raw, board)


def test_raw_image_at_a_wrong_base_is_refused(firmware: Firmware) -> None:
    data = _raw(firmware(L4, "hello"))
    right = Image("raw.bin", (Segment(0x0800_0000, data, len(data), 0x0800_0000),))
    assert profiler.profile(right, L4).outcome.code == 0
    for base in (0x0800_0004, 0x0800_0020, 0x0800_4000, 0x2000_0000, 0x1000_0000):
        with pytest.raises(ImageError, match=r"check the base address|outside the memory"):
            profiler.profile(Image("raw.bin", (Segment(base, data, len(data), base),)), L4)


def test_table_is_found_by_its_symbol_and_behind_a_second_stage() -> None:
    board = boards.find("generic-m0plus")
    table = struct.pack("<II", 0x2000_1000, 0x0800_0201) + bytes(0x38)
    data = (b"\x55" * 0x100 + table).ljust(0x200, b"\0") + b"\xfe\xe7"
    found = vectors(Image("two stages", (Segment(0x0800_0000, data, len(data), 0x0800_0000),)), board)
    assert (found.table, found.sp, found.reset) == (0x0800_0100, 0x2000_1000, 0x0800_0200)


def _code(*halfwords: int) -> Image:
    """Vectors, and a reset handler of these halfwords."""
    data = struct.pack("<16I", 0x2000_8000, 0x0800_0041, *[0] * 14) + struct.pack(f"<{len(halfwords)}H", *halfwords)
    names = Symbol("table", 0x0800_0000, 64, "object"), Symbol("reset", 0x0800_0040, 2 * len(halfwords))
    return Image("code", (Segment(0x0800_0000, data, len(data), 0x0800_0000),), names)


@pytest.mark.parametrize(
    ("halfwords", "begins"),
    [
        # movs r0, #4; movs r1, #0; bkpt 0xab
        ((0x2004, 0x2100, 0xBEAB), "a semihosting request in reset+0x4, at pc 0x08000044: reading 1 bytes at 0x000000"),
        # mvns r0, r0; bx r0
        ((0x43C0, 0x4700), "a jump to 0xfffffffe, where no code can be, in reset+0x0, at pc 0x08000040"),
        # b into what was never written
        ((0xE07E,), "an undefined instruction at pc 0x08000140"),
    ],
)
def test_fault_of_a_few_instructions(halfwords: tuple[int, ...], begins: str) -> None:
    found = profiler.profile(_code(*halfwords), L4)
    assert found.outcome.fault is not None
    assert found.outcome.fault.startswith(begins)
    assert REGISTERS.search(found.outcome.fault)


def test_long_text_is_printed_in_a_moment() -> None:
    """A hundred times the same 60 KiB; byte by byte that took a minute."""
    text = bytes(97 + n % 26 for n in range(60 << 10))
    #         ldr r1, [pc, #12]; movs r4, #100; again: movs r0, #4; bkpt; subs r4, #1; bne again; b .; its address
    halfwords = 0x4903, 0x2464, 0x2004, 0xBEAB, 0x3C01, 0xD1FB, 0xE7FE, 0xBF00, 0x0054, 0x0800
    code = _code(*halfwords).segments[0].data + text + b"\0"
    started = time.monotonic()
    found = profiler.profile(Image("prints", (Segment(0x0800_0000, code, len(code), 0x0800_0000),)), L4)
    assert time.monotonic() - started < 10
    assert found.output == ((text * 100)[: 1 << 20]).decode()


def test_entry_must_name_one_function() -> None:
    code = _code(0xE7FE, 0x4770)
    with pytest.raises(UsageError, match="entry 'table' is data in image 'code': expected a function"):
        profiler.profile(code, L4, "table")
    two = replace(code, symbols=(*code.symbols, Symbol("reset", 0x0800_0042, 2)))
    with pytest.raises(UsageError, match="names 2 functions of image 'code': give one of 0x08000040, 0x08000042"):
        profiler.profile(two, L4, "reset")


def command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(("profile", *words))
    out, err = capsys.readouterr()
    return status, out, err


def test_command_prints_what_the_firmware_does_and_how_it_ended(
    firmware: Firmware, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = command(capsys, str(firmware(L4, "hello")), "--board", "nucleo-l4r5zi")
    assert (status, err) == (0, "")
    assert out.startswith("semihosting\ncwritten itm uart\\x1b\n")
    assert "ended: semihosting exit with code 0" in out and "not modelled" not in out
    status, out, err = command(capsys, str(firmware(L4, "polls")), "--board", "nucleo-l4r5zi")
    assert "not modelled: 0x40012000 (" in out.replace("\n", " ")


def test_command_reports_and_fails_where_firmware_does(firmware: Firmware, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = command(capsys, str(firmware(L4, "loops")), "--board", "nucleo-l4r5zi", "--json")
    found = json.loads(out)
    assert status == 1
    assert err == f"error: {found['fault']}\n"
    assert found["fault"].startswith("an endless loop in program+")
    assert (found["output"], found["entry"], found["exit_code"]) == ("working", None, 1)
    assert found["cycles"] == sum(f["cycles"] for f in found["functions"])
    assert command(capsys, str(firmware(L4, "fails")), "--board", "nucleo-l4r5zi")[0] == 1
    path, options = str(firmware(L4, "delay")), ("--board", "nucleo-l4r5zi", "--entry", "bad_address")
    status, out, err = command(capsys, path, *options, "--json")
    assert status == 1 and json.loads(out)["output"] == "ticks=5\n"
    status, out, err = command(capsys, path, *options)
    assert (status, out) == (1, "ticks=5\n") and err.startswith("error: read of 4 bytes")


def test_command_calls_and_reads_intel_hex(
    firmware: Firmware, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = str(firmware(L4, "delay"))
    words = ("--board", "nucleo-l4r5zi", "--call", "prepares", "--call", "0x08000001", "--entry", "measured")
    status, _, err = command(capsys, path, *words[:4], *words[6:], "--json")
    assert (status, err) == (0, "")
    if toolchain.gcc() is None:
        pytest.skip("objcopy makes the file")
    subprocess.run(["arm-none-eabi-objcopy", "-O", "ihex", path, tmp_path / "delay.hex"], check=True)
    whole = [json.loads(command(capsys, p, "--board", "nucleo-l4r5zi", "--json")[1]) for p in
             (path, str(tmp_path / "delay.hex"))]  # fmt: skip
    assert whole[0]["cycles"] == whole[1]["cycles"] and whole[0]["output"] == whole[1]["output"]


def test_base_that_a_file_contradicts(firmware: Firmware) -> None:
    path = str(firmware(L4, "hello"))
    assert profiler.load(path, L4, "0x08000000").functions
    with pytest.raises(UsageError, match="--base 0x08004000 is not where"):
        profiler.load(path, L4, "0x08004000")
