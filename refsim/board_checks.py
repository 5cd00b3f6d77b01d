"""What a board of somebody's own must fulfil, so that a machine can be built from it and timed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator

from refsim.board import CAUSES, KIB, KINDS, AccessPath, Bank, Board, Cache, Core, Region

SPACE = 1 << 32  # bytes that can be addressed
MAX_REGIONS = 10  # of memory: the emulator adds two, the stack and where calls return to
MAX_PATHS = 16  # that the emulator follows
MAX_CACHE = 1 << 20  # bytes; no Cortex-M has more
MAX_WAIT = 10_000  # cycles; a serial flash at a slow clock takes some hundred
FPUS = ("none", "sp", "dp")
PRIVATE = ((0x4000_0000, 0x6000_0000, "peripherals"), (0xE000_0000, 0xE010_0000, "the private peripheral bus"))

Complaints = Iterator[str]


def complaint(board: Board, cores: Collection[str]) -> str | None:
    """The first thing that is wrong, in words without a subject; `cores` are the names of those there are."""
    return next(_complaints(board, cores), None)


def _complaints(board: Board, cores: Collection[str]) -> Complaints:
    if not isinstance(board.name, str) or not board.name.isprintable() or not board.name:
        yield f"name is {board.name!r}: expected a printable text"
    yield from _kinds(board)
    yield from _core(board.core, cores)
    yield from _memory(board)
    yield from _optional("clock_hz", board.clock_hz, "a positive number, or None for no latency")
    yield from _optional("nj_per_cycle", board.nj_per_cycle, "a positive number, or None for no energy")
    yield from _optional("cycles_error_pct", board.cycles_error_pct, "a positive number, or None for uncalibrated")
    yield from _caches(board.caches)
    yield from _paths(board)
    yield from _banks(board.banks)


def _kinds(board: Board) -> Complaints:
    if not isinstance(board.core, Core):
        yield f"core is {board.core!r}: expected a refsim.boards.Core"
    for name, value in (("flash", board.flash), ("sram", board.sram)):
        if not isinstance(value, Region):
            yield f"{name} is {value!r}: expected a refsim.boards.Region"
    yield from _all("regions", board.regions, Region)
    yield from _all("caches", board.caches, Cache)
    yield from _all("paths", board.paths, AccessPath)
    yield from _all("banks", board.banks, Bank)


def _all(name: str, values: object, kind: type) -> Complaints:
    if not isinstance(values, tuple) or not all(isinstance(value, kind) for value in values):
        yield f"{name} is not a tuple of refsim.board.{kind.__name__}"


def _core(core: Core, cores: Collection[str]) -> Complaints:
    if core.name not in cores:
        yield f"core '{core.name}' is not one that refsim emulates"
    if core.fpu not in FPUS:
        yield f"core has fpu '{core.fpu}': expected one of {', '.join(FPUS)}"
    if not _whole(core.mispredict) or not 0 <= core.mispredict <= MAX_WAIT:
        yield f"core has mispredict {core.mispredict}: expected cycles from 0 up"


def _memory(board: Board) -> Complaints:
    regions = board.memory
    for r in regions:
        whole = _whole(r.base) and _whole(r.size)
        if not whole or r.base % KIB or r.size % KIB or r.size <= 0 or not 0 <= r.base <= r.end <= SPACE:
            yield f"region '{r.name}' is not a multiple of 1 KiB inside 4 GiB"
        for base, end, what in PRIVATE:
            if r.base < end and base < r.end:
                yield f"region '{r.name}' overlaps {what} ({base:#010x} to {end:#010x})"
    for a, b in itertools.pairwise(sorted(regions, key=lambda r: r.base)):
        if a.end > b.base:
            yield f"regions '{a.name}' and '{b.name}' overlap"
    if not board.sram.writable:
        yield f"sram '{board.sram.name}' is not writable"
    if len(regions) > MAX_REGIONS:
        yield f"there are {len(regions)} regions of memory: expected at most {MAX_REGIONS}"


def _caches(caches: tuple[Cache, ...]) -> Complaints:
    for c in caches:
        if not _power(c.line) or not 2 <= c.line <= MAX_CACHE:
            yield f"cache '{c.name}' has lines of {c.line} bytes: expected a power of two from 2 up"
        elif not _whole(c.ways) or c.ways < 1:
            yield f"cache '{c.name}' has {c.ways} ways: expected 1 or more"
        elif not _whole(c.size) or not 0 < c.size <= MAX_CACHE or c.size % (c.line * c.ways) or not _power(c.sets):
            yield (
                f"cache '{c.name}' of {c.size} bytes is not a power of two of sets of {c.ways} lines of {c.line} bytes"
            )
    names = [c.name for c in caches]
    for name in names:
        if not isinstance(name, str) or not name or names.count(name) > 1:
            yield f"cache name {name!r} is empty or used twice"


def _paths(board: Board) -> Complaints:
    known = {"": 0} | {c.name: c.line for c in board.caches}
    for n, p in enumerate(board.paths):
        where = f"path {n}"
        yield from _one_of(f"{where}: kind", p.kind, KINDS)
        yield from _one_of(f"{where}: cause", p.cause, CAUSES)
        yield from _one_of(f"{where}: cache", p.cache, tuple(known))
        yield from _range(where, p.base, p.end)
        if not _power(p.width) or not 2 <= p.width <= MAX_CACHE:
            yield f"{where} is {p.width} bytes wide: expected a power of two from 2 up"
        for name in ("wait", "next_wait", "prefetch"):
            value = getattr(p, name)
            if not _cycles(value) and (value is not None or name == "wait"):
                yield f"{where}: {name} is {value}: expected cycles from 0 to {MAX_WAIT}"
    for (n, a), (m, b) in itertools.combinations(enumerate(board.paths), 2):
        if a.kind == b.kind and a.base < b.end and b.base < a.end:
            yield f"paths {n} and {m}, both of {a.kind}, overlap"
    if len(board.paths) > MAX_PATHS:
        yield f"there are {len(board.paths)} paths: expected at most {MAX_PATHS}"


def _banks(banks: tuple[Bank, ...]) -> Complaints:
    for n, bank in enumerate(banks):
        yield from _range(f"bank {n}", bank.base, bank.end)
        if not _cycles(bank.wait):
            yield f"bank {n}: wait is {bank.wait}: expected cycles from 0 to {MAX_WAIT}"
    for (n, a), (m, b) in itertools.combinations(enumerate(banks), 2):
        if a.base < b.end and b.base < a.end:
            yield f"banks {n} and {m} overlap"


def _range(where: str, base: int, end: int) -> Complaints:
    if not _whole(base) or not _whole(end) or not 0 <= base < end <= SPACE:
        yield f"{where}: [{base}, {end}) is no range of addresses: expected base below end, inside 4 GiB"


def _one_of(what: str, value: str, known: Collection[str]) -> Complaints:
    if value not in known:
        told = ", ".join(name or "''" for name in known)
        yield f"{what} is {value!r}: expected one of {told}"


def _optional(name: str, value: float | None, expected: str) -> Complaints:
    if value is not None and (not _number(value) or not value > 0):
        yield f"{name} is {value}: expected {expected}"


def _cycles(value: object) -> bool:
    return _number(value) and 0 <= float(value) <= MAX_WAIT  # type: ignore[arg-type]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _power(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0 and value.bit_count() == 1
