"""Firmware images: ELF, Intel HEX and raw binaries become segments and symbols. The input is not trusted."""

from __future__ import annotations

import bisect
import io
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from emulator.build_attributes import UNKNOWN, Target, target_of
from refsim.errors import ImageError

MAX_FILE = 256 << 20  # bytes; no Cortex-M has more flash
MAX_MEMORY = 64 << 20  # bytes that the segments may cover
ARM = 40  # e_machine


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes at `address` while running, at `load_address` as flashed. Where `size` exceeds the data: zeros."""

    address: int
    data: bytes
    size: int
    load_address: int

    @property
    def end(self) -> int:
        return self.address + self.size


@dataclass(frozen=True, slots=True)
class Symbol:
    """A named address, without the Thumb bit; `kind` is function, object, or label where the file does not say."""

    name: str
    address: int
    size: int
    kind: str = "function"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False)
class Image:
    """What a file puts into memory. Symbols are sorted by address; raw formats have none."""

    name: str
    segments: tuple[Segment, ...]
    symbols: tuple[Symbol, ...] = ()
    entry: int | None = None
    target: Target = UNKNOWN

    @cached_property
    def _by_name(self) -> Mapping[str, Symbol]:
        return {symbol.name: symbol for symbol in reversed(self.symbols)}

    @cached_property
    def functions(self) -> tuple[Symbol, ...]:
        return tuple(s for s in self.symbols if s.kind == "function")

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        return tuple(f.address for f in self.functions)

    def symbol(self, name: str) -> Symbol:
        """Raises ImageError when the image has no such symbol."""
        if name not in self._by_name:
            raise ImageError(f"image '{self.name}' has no symbol '{name}': give an address, or an ELF file that has it")
        return self._by_name[name]

    def has(self, name: str) -> bool:
        return name in self._by_name

    def address(self, name: str) -> int:
        """The address of a symbol, without the Thumb bit. Raises ImageError."""
        return self.symbol(name).address

    def function_at(self, address: int) -> Symbol | None:
        """The function that holds `address`; one of unknown size extends to the next."""
        i = bisect.bisect_right(self._starts, address) - 1
        if i < 0:
            return None
        found = self.functions[i]
        return found if found.size == 0 or address < found.address + found.size else None

    def read(self, address: int, size: int) -> bytes | None:
        """Bytes of one segment, by run or load address; None where the image has none."""
        for s in self.segments:
            for base in (s.address, s.load_address):
                if base <= address and address + size <= base + len(s.data):
                    return s.data[address - base : address - base + size]
        return None


def load(path: Path | str, base: int | None = None) -> Image:
    """The image in a file, by its content: ELF, Intel HEX (text that begins with ':'), else raw bytes at `base`.

    Raises ImageError for whatever makes it unusable, also for a raw image without a base.
    """
    name = str(path)
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise ImageError(f"image '{name}' is not a regular file: expected ELF, Intel HEX or a raw binary")
        size = Path(path).stat().st_size
        if size > MAX_FILE:
            raise ImageError(f"image '{name}' has {size} bytes: no Cortex-M firmware is larger than {MAX_FILE}")
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"image '{name}' cannot be read: {error.strerror or error}") from error
    return parse(data, name, base)


def parse(data: bytes, name: str, base: int | None = None) -> Image:
    """As `load`, from bytes."""
    if not data:
        raise ImageError(f"image '{name}' is empty: expected ELF, Intel HEX or a raw binary")
    if data[:4] == b"\x7fELF":
        return _elf(data, name)
    if data[:1] == b":" and _is_text(data[:64]):
        return _hex(data, name)
    if base is None:
        raise ImageError(f"image '{name}' is raw bytes: expected a base address to load it at")
    if not 0 <= base <= (1 << 32) - len(data):
        raise ImageError(f"image '{name}': {len(data)} bytes at {base:#x} do not lie in the 4 GiB address space")
    return Image(name, (Segment(base, data, len(data), base),))


def _is_text(data: bytes) -> bool:
    return all(32 <= b < 127 or b in b"\r\n\t" for b in data)


def _elf(data: bytes, name: str) -> Image:
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(io.BytesIO(data))
        _check_header(elf, name)
        segments = tuple(_segments(elf, data, name))
        symbols = tuple(sorted(_symbols(elf), key=lambda s: (s.address, s.name)))
        entry = int(elf.header["e_entry"])
        target = target_of(elf)
    except ImageError:
        raise
    except Exception as error:  # pyelftools raises dozens of kinds on damaged files
        raise ImageError(f"ELF file '{name}' is damaged: {error or type(error).__name__}") from error
    if not segments:
        raise ImageError(f"ELF file '{name}' loads nothing: expected a linked image, not an object file")
    return Image(name, segments, symbols, entry, target)


def _check_header(elf: Any, name: str) -> None:
    header = elf.header
    machine = header["e_machine"]
    if elf.elfclass != 32 or machine != "EM_ARM":
        raise ImageError(f"ELF file '{name}' is for {machine}, {elf.elfclass} bit: expected 32-bit ARM")
    if not elf.little_endian:
        raise ImageError(f"ELF file '{name}' is big-endian: expected little-endian ARM")


def _segments(elf: Any, data: bytes, name: str) -> Iterable[Segment]:
    total = 0
    for program in elf.iter_segments("PT_LOAD"):
        h = program.header
        offset, filled, size, address = h["p_offset"], h["p_filesz"], h["p_memsz"], h["p_vaddr"]
        total += size
        if offset + filled > len(data):
            raise ImageError(f"ELF file '{name}' is cut short: a segment needs {offset + filled} of {len(data)} bytes")
        if filled > size or address + size > 1 << 32 or h["p_paddr"] + size > 1 << 32 or total > MAX_MEMORY:
            raise ImageError(f"ELF file '{name}' has an impossible segment: {size} bytes at {address:#x}")
        if size:
            yield Segment(address, data[offset : offset + filled], size, h["p_paddr"])


KINDS: Mapping[str, str] = {"STT_FUNC": "function", "STT_OBJECT": "object", "STT_NOTYPE": "label"}


def _symbols(elf: Any) -> Iterable[Symbol]:
    """Defined symbols; mapping symbols ($t, $d) and absolute ones without a name are left out."""
    table = elf.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table else ():
        kind = KINDS.get(symbol["st_info"]["type"])
        if kind and symbol.name and symbol.name[0] != "$" and symbol["st_shndx"] != "SHN_UNDEF":
            address = symbol["st_value"]
            yield Symbol(symbol.name, address & ~1 if kind == "function" else address, symbol["st_size"], kind)


def _hex(data: bytes, name: str) -> Image:
    chunks: dict[int, bytes] = {}
    high = 0
    entry = None
    for number, line in enumerate(data.decode("ascii", "replace").split(), 1):
        kind, offset, payload = _record(line, f"Intel HEX file '{name}', line {number}")
        if kind == 0 and payload:
            if high + offset in chunks:
                raise ImageError(f"Intel HEX file '{name}' writes address {high + offset:#x} twice")
            chunks[high + offset] = payload
        elif kind == 1:
            break
        elif kind in SHIFTS:
            high = int.from_bytes(payload, "big") << SHIFTS[kind]
        elif kind == 5:
            entry = int.from_bytes(payload, "big")
    else:
        raise ImageError(f"Intel HEX file '{name}' is cut short: it has no end record")
    if not chunks:
        raise ImageError(f"Intel HEX file '{name}' contains no data")
    return Image(name, tuple(_joined(chunks, name)), entry=entry)


SHIFTS: Mapping[int, int] = {2: 4, 4: 16}  # extended segment and linear address records
LENGTHS: Mapping[int, int] = {1: 0, 2: 2, 3: 4, 4: 2, 5: 4}


def _record(line: str, where: str) -> tuple[int, int, bytes]:
    """(type, offset, payload) of one line. Raises ImageError when its syntax or checksum is wrong."""
    try:
        if line[0] != ":":
            raise ValueError("it does not begin with ':'")
        if not set(line[1:]) <= set(string.hexdigits):
            raise ValueError("it has other characters than hexadecimal digits")
        if len(line) % 2 == 0:
            raise ValueError("it ends within a byte")
        raw = bytes.fromhex(line[1:])
        if len(raw) < 5 or len(raw) != raw[0] + 5:
            raise ValueError("its length does not match its count")
        if sum(raw) & 0xFF:
            raise ValueError("its checksum is wrong")
        if raw[3] > 5 or LENGTHS.get(raw[3], raw[0]) != raw[0]:
            raise ValueError(f"record type {raw[3]} with {raw[0]} bytes is unknown")
    except ValueError as error:
        raise ImageError(f"{where} is damaged: {error}") from error
    return raw[3], int.from_bytes(raw[1:3], "big"), raw[4:-1]


def _joined(chunks: Mapping[int, bytes], name: str) -> Iterable[Segment]:
    """Adjacent records as one segment. Raises ImageError when records overlap."""
    start, parts, end = 0, bytearray(), 0
    for address in sorted(chunks):
        if parts and address < end:
            raise ImageError(f"Intel HEX file '{name}' writes address {address:#x} twice")
        if address != end and parts:
            yield Segment(start, bytes(parts), len(parts), start)
            parts = bytearray()
        start = start if parts else address
        parts += chunks[address]
        end = address + len(chunks[address])
    yield Segment(start, bytes(parts), len(parts), start)
