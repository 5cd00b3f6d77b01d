"""What a linked image takes of flash, symbol by symbol: constants by what they hold, code by kernel.

The parts sum to the bytes loaded. What no symbol names is a part of its own: bytes between symbols for their
alignment, and constants of the compiler's own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from codegen.emit import Sources
from refsim.boards import Region

FIRST = ("weights", "biases", "multipliers")  # of the constants, in reports
MEMORY = re.compile(r"mem(cpy|move|set|cmp|clr)|__aeabi_mem")  # what compilers call on their own


class Symbol(Protocol):
    """A named place of an image; a function's address is without the Thumb bit."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> int: ...
    @property
    def size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class FlashParts:
    """Bytes. `constants`: weights, biases, multipliers (with their shifts), and other tables by their name.

    `code`: the layers' functions by operator; `entry`, which calls them; `memory`, the likes of memcpy; `shared`, what
    several layers call, with its tables. `unnamed`: alignment, and what has no symbol.
    """

    constants: Mapping[str, int]
    code: Mapping[str, int]
    unnamed: int

    @property
    def total(self) -> int:
        return self.constant_bytes + sum(self.code.values()) + self.unnamed

    @property
    def constant_bytes(self) -> int:
        return sum(self.constants.values())

    @property
    def by_name(self) -> Mapping[str, int]:
        """All parts, constants first."""
        code = {f"code_{name}": nbytes for name, nbytes in self.code.items()}
        return {**self.constants, **code, "unnamed": self.unnamed}


@dataclass(frozen=True, slots=True)
class Linked:
    """An ELF file's flash, and its .data and .bss in bytes."""

    flash: FlashParts
    static: int


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    address: int
    size: int


def measured(path: Path, sources: Sources, sram: Region) -> Linked:
    """The sizes of a linked ELF of `sources`."""
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    with path.open("rb") as file:
        elf = ELFFile(file)
        segments = [s.header for s in elf.iter_segments("PT_LOAD")]
        tables = [table for table in elf.iter_sections() if isinstance(table, SymbolTableSection)]
        named = [_named(symbol) for table in tables for symbol in table.iter_symbols()]
    spans = [(int(h["p_vaddr"]), int(h["p_filesz"])) for h in segments]
    static = sum(int(h["p_memsz"]) for h in segments if h["p_vaddr"] in sram)
    return Linked(flash_parts(named, spans, sources), static)


def _named(symbol: Any) -> _Named:
    """A symbol of pyelftools; bit 0 of a function's address says Thumb."""
    thumb = int(symbol["st_info"]["type"] == "STT_FUNC")
    return _Named(symbol.name, symbol["st_value"] & ~thumb, symbol["st_size"])


def flash_parts(symbols: Iterable[Symbol], spans: Sequence[tuple[int, int]], sources: Sources) -> FlashParts:
    """Sort an image's symbols into parts. `spans`: (address, bytes loaded) of each segment.

    Of several symbols at one address the largest counts, so that an alias adds nothing.
    """
    constants: Counter[str] = Counter()
    code: Counter[str] = Counter()
    for symbol in _largest(s for s in symbols if _loaded(s, spans)):
        parts = sources.constant_parts.get(symbol.name)
        if parts is None:
            code[_kind(symbol.name, sources)] += symbol.size
        else:
            constants.update(parts)
    total = sum(nbytes for _, nbytes in spans)
    unnamed = total - sum(constants.values()) - sum(code.values())
    held = {name: constants[name] for name in FIRST if name in constants} | dict(sorted(constants.items()))
    return FlashParts(held, dict(sorted(code.items())), unnamed)


def _loaded(symbol: Symbol, spans: Sequence[tuple[int, int]]) -> bool:
    return symbol.size > 0 and any(start <= symbol.address < start + nbytes for start, nbytes in spans)


def _largest(symbols: Iterable[Symbol]) -> Iterable[Symbol]:
    found: dict[int, Symbol] = {}
    for symbol in symbols:
        if symbol.address not in found or symbol.size > found[symbol.address].size:
            found[symbol.address] = symbol
    return found.values()


def _kind(name: str, sources: Sources) -> str:
    """Compilers give parts and clones of a function its name and a suffix behind a dot."""
    layer = re.match(rf"{sources.prefix}_layer_\d+_(\w+)", name)
    if layer:
        return layer[1]
    if name.startswith(sources.entry):
        return "entry"
    return "memory" if MEMORY.match(name) else "shared"
