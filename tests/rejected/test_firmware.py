"""Firmware that cannot run, and options that make no sense for it: one sentence, exit status 2, nothing on stdout."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from refsim import cli

BOARD = ("--board", "nucleo-l4r5zi")


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = cli.main(("profile", *words))
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    return err.removeprefix("error: ").rstrip("\n")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Vectors whose reset handler loops, and whose other vectors share a `b .` behind it."""
    path = tmp_path / "fw.bin"
    path.write_bytes(struct.pack("<16I", 0x2008_0000, 0x0800_0041, *[0x0800_0043] * 14) + b"\xfe\xe7\xfe\xe7")
    return path


def elf(machine: int = 40, *, flags: int = 0x0500_0000, size: int = 4) -> bytes:
    """A program of one segment, which ends at `size` bytes."""
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, 0x0800_0001, 52, 0, flags, 52, 32, 1, 40, 0, 0)
    program = struct.pack("<IIIIIIII", 1, 84, 0x0800_0000, 0x0800_0000, size, size, 5, 4)
    return header + program + b"\xfe\xe7\xfe\xe7"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (elf(size=4000), "is cut short: a segment needs 4084 of 88 bytes"),
        (elf()[:70], "is damaged"),
        (elf(machine=243), "is for EM_RISCV, 32 bit: expected 32-bit ARM"),
        (elf(), "has no vector table at 0x08000000"),
        (b"", "is empty: expected ELF, Intel HEX or a raw binary"),
        (b":0000000\n", "line 1 is damaged"),
        (b"\x55" * 64, "begins with stack pointer 0x55555555, which is not in the SRAM of nucleo-l4r5zi"),
    ],
)
def test_an_image_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "fw"
    path.write_bytes(data)
    assert sentence in refused(capsys, str(path), *BOARD)


def test_code_that_passes_floats_in_registers_needs_an_fpu(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "fw.elf"
    path.write_bytes(elf(flags=0x0500_0400))
    assert "floating-point registers: nucleo-g0b1re has a cortex-m0plus" in refused(
        capsys, str(path), "--board", "nucleo-g0b1re"
    )


@pytest.mark.parametrize("base", ["0x08001000", "0x08000020", "0x20000000", "0x90000000", "0x0800002"])
def test_a_wrong_base(capsys: pytest.CaptureFixture[str], raw: Path, base: str) -> None:
    text = refused(capsys, str(raw), *BOARD, "--base", base)
    assert "base address" in text


def test_a_wrong_board(capsys: pytest.CaptureFixture[str], raw: Path) -> None:
    assert "check the board and the base address" in refused(capsys, str(raw), "--board", "nucleo-g0b1re")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--base", "here"), "--base here is not an address: expected a number such as 0x08000000"),
        (("--entry", "0x0900zz"), "--entry 0x0900zz is not an address: expected a number such as 0x08000000"),
        (("--entry", "main"), "has no symbol 'main': give an address, or an ELF file that has it"),
        (("--call", "init"), "--call init has no --entry: expected the function to measure after it"),
        (("--call", "init", "--entry", "0x08000040"), "has no symbol 'init'"),
        (("--timeout", "soon"), "argument --timeout: 'soon' is not a number of seconds above 0"),
        (("--timeout", "0"), "argument --timeout: '0' is not a number of seconds above 0"),
        (("--timeout", "nan"), "argument --timeout: 'nan' is not a number of seconds above 0"),
    ],
)
def test_options_that_make_no_sense(
    capsys: pytest.CaptureFixture[str], raw: Path, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in refused(capsys, str(raw), *BOARD, *words)


@pytest.mark.parametrize(
    ("trace", "flame", "sentence"),
    [
        ("{0}/x", "{0}/x", "--flame {0}/x would replace --trace: expected a file of its own"),
        ("{0}/x", "{0}/../{1}/x", "--flame {0}/../{1}/x would replace --trace"),
        ("{0}/fw.bin", "{0}/x", "--trace {0}/fw.bin would replace what is profiled"),
        ("{0}/x", "{0}/fw.bin", "--flame {0}/fw.bin would replace what is profiled"),
    ],
)
def test_output_that_would_replace_another_file(
    capsys: pytest.CaptureFixture[str], raw: Path, trace: str, flame: str, sentence: str
) -> None:
    before = raw.read_bytes()
    names = raw.parent, raw.parent.name
    words = ("--trace", trace.format(*names), "--flame", flame.format(*names))
    assert sentence.format(*names) in refused(capsys, str(raw), *BOARD, *words)
    assert raw.read_bytes() == before
    assert list(raw.parent.iterdir()) == [raw]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (":10000000zz", "line 1 is damaged: it has other characters than hexadecimal digits"),
        (":0400000001020304F", "line 1 is damaged: it ends within a byte"),
        (":0400000001020304F3", "line 1 is damaged: its checksum is wrong"),
    ],
)
def test_a_damaged_line_of_intel_hex(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str, sentence: str
) -> None:
    path = tmp_path / "fw.hex"
    path.write_text(line + "\n:00000001FF\n")
    assert sentence in refused(capsys, str(path), *BOARD)


def test_calls_are_for_firmware(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--call is for firmware images" in refused(capsys, "zoo:ds-cnn", *BOARD, "--call", "init")
