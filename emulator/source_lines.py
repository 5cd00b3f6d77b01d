"""Which source line an instruction was compiled from: an ELF file's DWARF line tables, and the text of those lines."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

SUFFIXES = (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".inc", ".s", ".S", ".asm", ".rs", ".zig", ".ino")
LARGEST = 4 << 20  # bytes of a source file


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a source file, numbered from 1."""

    file: str
    number: int


@dataclass(frozen=True)
class Sources:
    """Texts of source files: those at hand by path, others from disk, as the compiler named them."""

    known: Mapping[str, bytes]

    @cached_property
    def _read(self) -> dict[str, list[str]]:
        return {}

    def text(self, line: Line) -> str | None:
        """The line without its indentation; None where there is no such file."""
        if line.file not in self._read:
            data = self.known.get(posixpath.normpath(line.file)) or _from_disk(line.file)
            self._read[line.file] = data.decode("utf-8", "replace").splitlines()
        lines = self._read[line.file]
        return lines[line.number - 1].strip() if 0 < line.number <= len(lines) else None


def _from_disk(name: str) -> bytes:
    """A file that looks like a source; nothing where it cannot be read. Its name comes from the image."""
    path = Path(name)
    try:
        usable = path.suffix in SUFFIXES and path.is_file() and path.stat().st_size <= LARGEST
        return path.read_bytes() if usable else b""
    except (OSError, ValueError):
        return b""


def lines_of(path: str, addresses: Sequence[int]) -> dict[int, Line]:
    """The line of each of these addresses that the ELF file knows; none for other files and damaged tables."""
    try:
        from elftools.elf.elffile import ELFFile

        data = Path(path).read_bytes()
        if data[:4] != b"\x7fELF" or not addresses:
            return {}
        elf = ELFFile(io.BytesIO(data))
        return _lines(elf.get_dwarf_info(), sorted(addresses)) if elf.has_dwarf_info() else {}
    except Exception:  # pyelftools raises dozens of kinds on damaged tables, and code is readable without lines
        return {}


def _lines(dwarf: Any, addresses: Sequence[int]) -> dict[int, Line]:
    found: dict[int, Line] = {}
    for unit in _units(dwarf, addresses):
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        names = _Names(program, unit)
        for begin, end, file, number in _rows(program):
            for address in addresses[_first(addresses, begin) : _first(addresses, end)]:
                found[address] = Line(names.of(file), number)
    return found


def _first(addresses: Sequence[int], least: int) -> int:
    import bisect

    return bisect.bisect_left(addresses, least)


def _units(dwarf: Any, addresses: Sequence[int]) -> Iterator[Any]:
    """The compilation units that hold the addresses, by the index where there is one; else all."""
    index = dwarf.get_aranges()
    offsets = {index.cu_offset_at_addr(a) for a in addresses} if index is not None else {None}
    if None in offsets:
        yield from dwarf.iter_CUs()
    else:
        yield from map(dwarf.get_CU_at, offsets)


def _rows(program: Any) -> Iterator[tuple[int, int, int, int]]:
    """(first address, end, file, line) of each row of a line table."""
    before = None
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if before is not None and state.address > before.address:
            yield before.address, state.address, before.file, before.line
        before = None if state.end_sequence else state


class _Names:
    """Paths of a line program's files."""

    def __init__(self, program: Any, unit: Any) -> None:
        header = program.header
        self.files, self.folders = header["file_entry"], header["include_directory"]
        self.first = 0 if header["version"] >= 5 else 1  # files and folders are numbered from 0 since DWARF 5
        where = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
        self.base = where.value.decode("utf-8", "replace") if where else ""

    def of(self, number: int) -> str:
        entry = self.files[number - self.first]
        index = entry.dir_index - self.first
        folder = self.folders[index].decode("utf-8", "replace") if index >= 0 else ""
        return posixpath.normpath(posixpath.join(self.base, folder, entry.name.decode("utf-8", "replace")))
