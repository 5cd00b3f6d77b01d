"""One function, instruction by instruction: how often each ran, what it cost, and what it waited for."""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator.causes import WORK, words
from emulator.counts import Int64s
from emulator.image import Symbol
from emulator.instructions import Instruction
from emulator.observed import Observed
from emulator.placed import Placed, place
from emulator.source_lines import Sources, lines_of
from emulator.timing import CAUSES, UNITS
from refsim.errors import UsageError
from refsim.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

NEAR = 4  # names that an unknown one is answered with
HOTTEST = 10  # instructions at most that are marked


@dataclass(frozen=True, slots=True)
class Row:
    """An instruction. Cycles are exact, multiples of 1/256; `hot`: one of the few that take half of them."""

    address: int
    encoding: str  # halfwords, as a disassembler prints them
    text: str
    executed: int
    cycles: float
    by_cause: Mapping[str, float]
    source: str  # "file.c:12", empty where unknown
    source_text: str
    hot: bool = False

    @property
    def stalls(self) -> dict[str, float]:
        """Cycles beyond one for each execution, by cause, most first."""
        return dict(sorted(((c, n) for c, n in self.by_cause.items() if c != WORK), key=lambda item: -item[1]))


@dataclass(frozen=True, slots=True)
class Annotation:
    """A function that ran. The cycles of its rows, and those of its causes, each sum to `cycles`."""

    function: str
    address: int
    cycles: float
    share: float  # of all cycles, 0 to 1
    instructions: int
    by_cause: Mapping[str, float]
    rows: tuple[Row, ...]


def annotate(observed: Observed, name: str, sources: Mapping[str, bytes] | None = None) -> Annotation:
    """The function called `name`, or that at an address; `sources` are texts by path, besides those on disk.

    Raises UsageError where there is no such function, or where it did not run.
    """
    function, end = _find(observed.functions, name)
    executed = _executed(observed, function.address, end)
    if not executed:
        raise UsageError(f"function '{printable(name)}' did not run: expected one that did, as {_hottest(observed)}")
    units = _spent(observed, function.address, end, sorted(executed))
    lines, text = lines_of(observed.machine.image.name, list(executed)), Sources(sources or {})
    rows = []
    for address, (placed, times) in sorted(executed.items()):
        found = {c: u / UNITS for c, u in zip(CAUSES, units[address].tolist(), strict=True) if u}
        line = lines.get(address)
        where, said = (f"{line.file}:{line.number}", text.text(line) or "") if line and line.number else ("", "")
        encoding = _halfwords(observed.machine.read(address, placed.instruction.size))
        cycles = sum(found.values())
        rows.append(Row(address, encoding, shown(placed), times, cycles, found, where, said))
    total = sum(row.cycles for row in rows)
    causes = {c: sum(row.by_cause.get(c, 0.0) for row in rows) for c in CAUSES}
    every = int(observed.costs.units.sum()) / UNITS
    ran = sum(row.executed for row in rows)
    by_cause = {c: n for c, n in causes.items() if n}
    marked = _marked(rows, total)
    return Annotation(function.name, function.address, total, total / every if every else 0.0, ran, by_cause, marked)


def _find(functions: Sequence[Symbol], name: str) -> tuple[Symbol, int]:
    """The function of that name, or that holds that address, and where the next one begins. Raises UsageError."""
    starts = [f.address for f in functions]
    if name[:2].lower() == "0x" and (at := _address(name)) is not None:
        index = bisect.bisect_right(starts, at) - 1
    else:
        index = next((n for n, f in enumerate(functions) if f.name == name), -1)
        if len(places := sorted({f.address for f in functions if f.name == name})) > 1:
            told = ", ".join(f"{place:#010x}" for place in places)
            raise UsageError(f"'{printable(name)}' names {len(places)} functions: give one of {told}")
    if index < 0:
        raise UsageError(f"there is no function '{printable(name)}': {_near(functions, name)}")
    later = (a for a in starts[index + 1 :] if a > starts[index])
    return functions[index], next(later, 1 << 32)


def _address(text: str) -> int | None:
    try:
        return int(text, 16) & ~1
    except ValueError:
        return None


def _near(functions: Sequence[Symbol], name: str) -> str:
    names = list(dict.fromkeys(f.name for f in functions))
    holding = [n for n in names if name and name.lower() in n.lower()]
    close = list(dict.fromkeys([*holding, *difflib.get_close_matches(name, names, NEAR, 0.5)]))[:NEAR]
    if close:
        return "did you mean " + " or ".join(f"'{printable(n)}'" for n in close) + "?"
    return "expected the name of a function that the profile lists, or an address such as 0x08000100"


def _hottest(observed: Observed) -> str:
    from emulator.profiler import by_function

    return f"'{printable(by_function(observed.costs, observed.functions)[0].name)}'"


def _executed(observed: Observed, begin: int, end: int) -> dict[int, tuple[Placed, int]]:
    """Instructions in [begin, end) that ran, and how often."""
    counts, found = observed.span.counts, dict[int, tuple[Placed, int]]()
    inside = (counts.count > 0) & (counts.start < end) & (counts.start + counts.size > begin)
    for block in np.flatnonzero(inside):
        start = int(counts.start[block])
        for placed in place(start, observed.machine.read(start, int(counts.size[block]))):
            if begin <= placed.address < end:
                _, before = found.get(placed.address, (placed, 0))
                found[placed.address] = placed, before + int(counts.count[block])
    return found


def _spent(observed: Observed, begin: int, end: int, instructions: Sequence[int]) -> dict[int, Int64s]:
    """Units by cause of instructions in [begin, end). What was charged in the midst of one, where a line begins, is
    its own."""
    spent = observed.costs.at_instructions
    found = {address: np.zeros(len(CAUSES), np.int64) for address in instructions}
    for n in np.flatnonzero((spent.address >= begin) & (spent.address < end)):
        holds = max(bisect.bisect_right(instructions, int(spent.address[n])) - 1, 0)
        found[instructions[holds]] += spent.units[:, n]
    return found


def _halfwords(code: bytes) -> str:
    return " ".join(f"{code[n + 1]:02x}{code[n]:02x}" for n in range(0, len(code), 2))


def shown(placed: Placed) -> str:
    """The instruction's text, where it is relative with the address that it means."""
    i: Instruction = placed.instruction
    if i.displacement is not None:
        return f"{i.text.rpartition('#')[0]}0x{placed.address + i.displacement & 0xFFFF_FFFF:08x}"
    if i.literal and not i.indexed:
        return f"{i.text}  ; 0x{(placed.address + 4 & ~3) + i.offset:08x}"
    return i.text


def _marked(rows: Sequence[Row], total: float) -> tuple[Row, ...]:
    """With the hottest rows marked: as many as it takes for half of the cycles."""
    hot, taken = set[int](), 0.0
    for row in sorted(rows, key=lambda r: -r.cycles)[:HOTTEST]:
        if taken < total / 2:
            hot.add(row.address)
            taken += row.cycles
    return tuple(
        Row(r.address, r.encoding, r.text, r.executed, r.cycles, r.by_cause, r.source, r.source_text, r.address in hot)
        for r in rows
    )


def as_json(found: Annotation) -> dict[str, Any]:
    """The annotation as an object; cycles are exact."""
    return asdict(found)


def print_annotation(found: Annotation, console: Console) -> None:
    """A listing by address, with the source lines above their instructions; narrow terminals see fewer columns."""
    from rich.text import Text

    def line(text: str, style: str = "") -> None:
        console.print(Text(text, style), soft_wrap=True)

    shown = [column for column in COLUMNS if console.width >= column.least]
    line(f"{printable(found.function)}: {_numbers(found)}", "bold")
    line(_told(found))
    line("".join(column.pad(column.heading) for column in shown), "underline")
    most = max((row.cycles for row in found.rows), default=0.0)
    source = ""
    for before, row in pairwise((None, *found.rows)):
        assert row is not None
        if before is not None and (gap := row.address - _end(before)) > 0:
            line(f"{INDENT}… {gap} bytes that did not run", "dim")
        if row.source and row.source != source:
            source = row.source
            line(f"{INDENT}{printable(row.source)}  {printable(row.source_text, 160)}".rstrip(), "cyan")
        line("".join(c.pad(c.of(row, most)) for c in shown).rstrip(), "bold red" if row.hot else "")
    line(_hot(found))


def _end(row: Row) -> int:
    return row.address + 2 * len(row.encoding.split())


def _hot(found: Annotation) -> str:
    hot = [row.cycles for row in found.rows if row.hot]
    return f"▶ the {len(hot)} hottest instructions take {sum(hot) / (found.cycles or 1):.0%} of the function's cycles"


def _numbers(found: Annotation) -> str:
    return f"{found.cycles:,.0f} cycles, {found.share:.1%} of all, {found.instructions:,} instructions"


def _told(found: Annotation) -> str:
    causes = sorted(found.by_cause.items(), key=lambda item: -item[1])
    return ", ".join(f"{n / found.cycles:.0%} {words(c)}" for c, n in causes if n >= LEAST * found.cycles)


def _waits(row: Row, most: float) -> str:
    each = ((n / row.executed, words(cause)) for cause, n in row.stalls.items())
    return ", ".join(f"{cycles:.2f} {cause}" for cycles, cause in each if cycles >= LEAST)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the listing: positive widths stand to the right; `least` is the narrowest terminal that has it."""

    heading: str
    width: int
    of: Callable[[Row, float], str]  # of a row and the most cycles of any
    least: int = 0

    def pad(self, text: str) -> str:
        return (text.rjust(self.width) if self.width > 0 else text.ljust(-self.width)) + "  "


LEAST = 0.005  # cycles, or a share, below which nothing is told
BAR = 10
COLUMNS = (
    Column("", -1, lambda row, most: "▶" if row.hot else ""),
    Column("", -BAR, lambda row, most: "█" * round(BAR * row.cycles / most) if most else "", 110),
    Column("cycles", 12, lambda row, most: f"{row.cycles:,.0f}"),
    Column("executed", 11, lambda row, most: f"{row.executed:,}"),
    Column("each", 6, lambda row, most: f"{row.cycles / row.executed:.2f}"),
    Column("address", -8, lambda row, most: f"{row.address:08x}"),
    Column("encoding", -9, lambda row, most: row.encoding, 130),
    Column("instruction", -32, lambda row, most: row.text),
    Column("cycles of each beyond the first, for", 0, _waits),
)
INDENT = 40 * " "
