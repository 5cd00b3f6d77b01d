"""Images: what the formats say is what is loaded; whatever is damaged becomes one ImageError."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from emulator import image
from emulator.image import Image, Segment
from refsim.errors import ImageError


def elf(machine: int = 40, *, bits: int = 1, order: int = 1, filesz: int = 8, memsz: int = 12, cut: int = 0) -> bytes:
    """A minimal executable: 8 bytes at 0x20000000, loaded from 0x08000000, with symbols main and table."""
    code = b"\x01\x30\x70\x47\x2a\0\0\0"
    strings = b"\0main\0table\0$t\0"
    names = b"\0.symtab\0.strtab\0.shstrtab\0"
    symbols = b"".join(
        struct.pack("<IIIBBH", name, value, size, kind, 0, 1)
        for name, value, size, kind in [
            (0, 0, 0, 0),
            (1, 0x2000_0001, 4, 0x12),  # global function, Thumb bit set
            (6, 0x2000_0004, 4, 0x11),  # global object
            (12, 0x2000_0000, 0, 0x00),  # mapping symbol
        ]
    )
    at = 52 + 32
    places = [at, at + len(code), at + len(code) + len(symbols), at + len(code) + len(symbols) + len(strings)]
    table = places[3] + len(names)
    ident = b"\x7fELF" + bytes([bits, order, 1]) + bytes(9)
    header = ident + struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, 0x2000_0001, 52, table, 0, 52, 32, 1, 40, 4, 3)
    program = struct.pack("<IIIIIIII", 1, places[0], 0x2000_0000, 0x0800_0000, filesz, memsz, 5, 4)
    sections = bytes(40)
    for name, kind, offset, size, link, entry in [
        (1, 2, places[1], len(symbols), 2, 16),
        (9, 3, places[2], len(strings), 0, 0),
        (17, 3, places[3], len(names), 0, 0),
    ]:
        sections += struct.pack("<IIIIIIIIII", name, kind, 0, 0, offset, size, link, 1, 1, entry)
    data = header + program + code + symbols + strings + names + sections
    return data[:cut] if cut else data


def test_elf_segments_and_symbols() -> None:
    found = image.parse(elf(), "x.elf")
    assert found.segments == (Segment(0x2000_0000, b"\x01\x30\x70\x47\x2a\0\0\0", 12, 0x0800_0000),)
    assert found.entry == 0x2000_0001
    assert [(s.name, s.address, s.size, s.kind) for s in found.symbols] == [
        ("main", 0x2000_0000, 4, "function"),
        ("table", 0x2000_0004, 4, "object"),
    ]
    assert found.address("main") == 0x2000_0000
    assert found.read(0x2000_0004, 4) == found.read(0x0800_0004, 4) == b"\x2a\0\0\0"
    assert found.read(0x2000_0006, 4) is None


def test_function_at_uses_sizes_and_the_next_symbol() -> None:
    symbols = (image.Symbol("a", 0x100, 8), image.Symbol("b", 0x110, 0))
    found = Image("x", (), symbols)
    names = [f.name if (f := found.function_at(at)) else None for at in (0xFF, 0x100, 0x107, 0x108, 0x110, 0x999)]
    assert names == [None, "a", "a", None, "b", "b"]


def test_missing_symbol_says_what_to_give() -> None:
    with pytest.raises(ImageError, match="has no symbol 'run'"):
        image.parse(elf(), "x.elf").symbol("run")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (elf(machine=62), "is for EM_X86_64, 32 bit: expected 32-bit ARM"),
        (elf(order=2), "ELF file 'x'"),
        (elf(filesz=1 << 20), "is cut short"),
        (elf(filesz=8, memsz=4), "an impossible segment"),
        (elf(memsz=0xF000_0000), "an impossible segment"),
        (elf(cut=60), "ELF file 'x'"),
        (elf(cut=20), "ELF file 'x'"),
        (b"\x7fELF", "ELF file 'x'"),
        (b"", "is empty"),
        (b"\0\1\2\3", "is raw bytes: expected a base address"),
    ],
)
def test_unusable_file_is_an_image_error(data: bytes, text: str) -> None:
    with pytest.raises(ImageError, match=text):
        image.parse(data, "x")


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, len(elf()) - 1), value=st.integers(0, 255))
def test_one_damaged_byte_never_raises_anything_else(position: int, value: int) -> None:
    data = bytearray(elf())
    data[position] = value
    with contextlib.suppress(ImageError):
        image.parse(bytes(data), "x", 0x0800_0000)


def line(kind: int, offset: int, payload: bytes) -> str:
    raw = bytes([len(payload)]) + offset.to_bytes(2, "big") + bytes([kind]) + payload
    return ":" + (raw + bytes([-sum(raw) & 0xFF])).hex().upper()


END = line(1, 0, b"")


def intel(*lines: str) -> bytes:
    return "\r\n".join((*lines, "")).encode()


def test_intel_hex_joins_adjacent_records_and_keeps_gaps() -> None:
    text = intel(
        line(4, 0, b"\x08\x00"), line(0, 0x10, b"abcd"), line(0, 0x14, b"ef"), line(0, 0x40, b"gh"),
        line(4, 0, b"\x20\x00"), line(0, 0, b"ij"), line(5, 0, b"\x08\0\0\x11"), END,
    )  # fmt: skip
    found = image.parse(text, "x.hex")
    assert [(s.address, s.data) for s in found.segments] == [
        (0x0800_0010, b"abcdef"),
        (0x0800_0040, b"gh"),
        (0x2000_0000, b"ij"),
    ]
    assert found.entry == 0x0800_0011


def test_published_example_of_intel_hex_is_read() -> None:
    # The lines that Intel's specification and Wikipedia print.
    text = b":10010000214601360121470136007EFE09D2190140\n:100110002146017E17C20001FF5F16002148011928\n:00000001FF\n"
    (segment,) = image.parse(text, "x").segments
    assert (segment.address, segment.size) == (0x0100, 32)
    assert segment.data[:4] == b"\x21\x46\x01\x36"


def test_segment_records_shift_by_four_bits() -> None:
    assert image.parse(intel(line(2, 0, b"\x12\x00"), line(0, 4, b"a"), END), "x").segments[0].address == 0x12004


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (intel(line(0, 0, b"ab")[:-1] + "0", END), "line 1 is damaged: its checksum is wrong"),
        (intel(":00", END), "its length does not match"),
        (intel(":zz", END), "line 1 is damaged"),
        (intel(line(0, 0, b"ab"), "rubbish", END), "line 2 is damaged: it does not begin with ':'"),
        (intel(line(7, 0, b"ab"), END), "record type 7"),
        (intel(line(4, 0, b"abc"), END), "record type 4 with 3 bytes"),
        (intel(line(0, 0, b"ab")), "it has no end record"),
        (intel(END), "contains no data"),
        (intel(line(0, 0, b"abcd"), line(0, 2, b"cd"), END), "writes address 0x2 twice"),
        (intel(line(0, 0, b"ab"), line(0, 0, b"cd"), END), "writes address 0x0 twice"),
    ],
)
def test_damaged_intel_hex(text: bytes, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        image.parse(text, "x.hex")


def test_raw_binary_lies_at_its_base(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"\0\0\1\x20")
    assert image.load(path, 0x0800_0000).segments == (Segment(0x0800_0000, b"\0\0\1\x20", 4, 0x0800_0000),)
    with pytest.raises(ImageError, match="do not lie in the 4 GiB"):
        image.load(path, 0xFFFF_FFFF)


def test_missing_file_is_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        image.load(tmp_path / "absent.bin")
    with pytest.raises(ImageError, match="is not a regular file"):
        image.load(tmp_path)
