"""Limits of memory, and what to say when a Program exceeds them: by how much, who is alive then, what would help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import Any

from refsim.boards import Board
from refsim.graph import Graph
from refsim.memsim.occupancy import Occupancy, of_program
from refsim.memsim.program import Program
from refsim.printable import printable

SHOWN = 6  # tensors named in a sentence
GRAIN = 8  # resolutions suggested are multiples of it
SMALLEST_INPUT = 16  # rows and columns of an input that counts as an image


@dataclass(frozen=True, slots=True)
class Limit:
    """Bytes that somebody has; `name` is the board's, or "the budget"."""

    name: str
    nbytes: int

    def __str__(self) -> str:
        return f"{self.name} of {self.nbytes:,} bytes" if self.name == GIVEN else self.name


GIVEN = "the budget"


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of SRAM and flash, None where there is none."""

    sram: Limit | None = None
    flash: Limit | None = None

    def over(self, sram: int, flash: int) -> tuple[int, int]:
        """Bytes of SRAM and of flash beyond the limits, negative where there is room; 0 without a limit."""
        pairs = ((sram, self.sram), (flash, self.flash))
        over_sram, over_flash = (need - limit.nbytes if limit else 0 for need, limit in pairs)
        return over_sram, over_flash


def budget_of(board: Board | None, sram: int | None = None, flash: int | None = None) -> Budget | None:
    """What a board has, or what was given where that is less; None without either."""
    if board is None and sram is None and flash is None:
        return None
    sizes = (board.sram.size, board.flash.size) if board else (None, None)
    name = board.name if board else ""
    return Budget(*(_least(name, size, given) for size, given in zip(sizes, (sram, flash), strict=True)))


def _least(name: str, size: int | None, given: int | None) -> Limit | None:
    if given is not None and (size is None or given <= size):
        return Limit(GIVEN, given)
    return None if size is None else Limit(name, size)


def limited(board: Board, budget: Budget | None) -> Board:
    """The board with no more memory than the budget has."""
    if budget is None:
        return board
    sizes = ((board.sram, budget.sram), (board.flash, budget.flash))
    sram, flash = (replace(r, size=min(r.size, limit.nbytes)) if limit else r for r, limit in sizes)
    return replace(board, sram=sram, flash=flash)


@dataclass(frozen=True, slots=True)
class Holder:
    """Bytes that a tensor or scratch has in use."""

    tensor: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class Peak:
    """When most of an arena is in use: `layer` says where, `holders` who has it, the most first."""

    layer: str
    in_use: int
    arena: int
    holders: tuple[Holder, ...]


@dataclass(frozen=True, slots=True)
class Help:
    """Something to do, and the SRAM that it would take. Sizes that nobody computed are `estimated`."""

    what: str
    sram: int
    fits: bool
    estimated: bool = False

    def __str__(self) -> str:
        about = "about " if self.estimated else ""
        verdict = "fits" if self.fits else "is still too much"
        return f"{self.what} needs {about}{self.sram:,} bytes and {verdict}{' (estimated)' if self.estimated else ''}"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A budget that is exceeded. `sram` and `flash` are needed; `largest` are the constants of layers."""

    budget: Budget
    sram: int
    flash: int
    peak: Peak
    largest: tuple[Holder, ...]
    helps: tuple[Help, ...]
    boards: tuple[str, ...]

    @property
    def over_sram(self) -> int:
        return max(0, self.budget.over(self.sram, self.flash)[0])

    @property
    def over_flash(self) -> int:
        return max(0, self.budget.over(self.sram, self.flash)[1])


def peak_of(program: Program) -> Peak:
    """Who is alive when a Program has most in use."""
    return _peak(of_program(program))


def _peak(occupancy: Occupancy) -> Peak:
    held = occupancy.alive(occupancy.peak)
    holders = tuple(Holder(tenant.name, nbytes) for tenant, nbytes in held)
    return Peak(_where(occupancy), occupancy.most, occupancy.nbytes, holders)


def _where(occupancy: Occupancy) -> str:
    if not occupancy.calls:
        return "no layer"
    first, column = occupancy.column_at(occupancy.peak)
    if len(column.layers) > 1:
        return f"layers {first} to {first + len(column.layers) - 1}, which run row by row"
    (layer,) = column.layers
    return f"layer {first} ({layer.op}{f' {layer.name}' if layer.name != layer.op else ''})"


def smaller_input(graph: Graph, model: str, arena: int, rest: int, limit: int) -> Help | None:
    """The largest input that would fit if the arena's `arena` bytes grow with its area; None where none would.

    `rest` is SRAM besides the arena. Only inputs that look like images are scaled.
    """
    shape = graph.tensors[graph.inputs[0]].shape if len(graph.inputs) == 1 else ()
    if len(shape) != 4 or min(shape[1:3]) < SMALLEST_INPUT or limit <= rest or arena <= 0:
        return None
    height, width = (isqrt(n * n * (limit - rest) // arena) // GRAIN * GRAIN for n in shape[1:3])
    if not (SMALLEST_INPUT <= height < shape[1] and SMALLEST_INPUT <= width < shape[2]):
        return None
    needs = arena * height * width // (shape[1] * shape[2]) + rest
    return Help(f"{_named(model, height, width)} instead of {shape[1]}x{shape[2]}", needs, needs <= limit, True)


def _named(model: str, height: int, width: int) -> str:
    if model.startswith("zoo:") and height == width:
        return f"a smaller input, {model.partition('@')[0]}@{height}"
    return f"a smaller input, {height}x{width}"


def largest_constants(graph: Graph) -> tuple[Holder, ...]:
    """The layers whose constants take most, the most first."""
    found = []
    for n, node in enumerate(graph.nodes):
        nbytes = sum(t.nbytes for t in graph.call(node).inputs if t is not None and t.data is not None)
        found.append(Holder(f"layer {n} ({node.operator.name})", nbytes))
    return tuple(sorted((h for h in found if h.nbytes), key=lambda holder: -holder.nbytes))


def sentences(found: Shortfall) -> Iterator[str]:
    """What to tell a person, a thing a line; names are printable."""
    if found.over_sram:
        yield f"SRAM: {found.sram:,} bytes are {found.over_sram:,} too many for {found.budget.sram}"
        peak = found.peak
        gaps = f", {peak.in_use:,} of the arena's {peak.arena:,} bytes" if peak.in_use < peak.arena else ""
        yield f"alive at the peak, in {printable(peak.layer)}{gaps}: {_listed(peak.holders, quoted=True)}"
    if found.over_flash:
        yield f"flash: {found.flash:,} bytes are {found.over_flash:,} too many for {found.budget.flash}"
        yield f"constants take most in {_listed(found.largest)}"
    if found.helps:
        yield f"what would help most: {'; '.join(printable(str(each), 200) for each in found.helps)}"
    yield f"boards that fit: {', '.join(found.boards) or 'none that is known'}"


def _listed(holders: Sequence[Holder], quoted: bool = False) -> str:
    mark = "'" if quoted else ""
    shown = ", ".join(f"{mark}{printable(h.tensor, 40)}{mark} {h.nbytes:,} B" for h in holders[:SHOWN])
    left = holders[SHOWN:]
    return shown + (f" and {len(left)} more with {sum(h.nbytes for h in left):,} B" if left else "")


def as_json(found: Shortfall) -> dict[str, Any]:
    """The object `budget` of `--json`."""
    peak = found.peak
    return {
        "over_sram": found.over_sram,
        "over_flash": found.over_flash,
        "sram": found.budget.sram.nbytes if found.budget.sram else None,
        "flash": found.budget.flash.nbytes if found.budget.flash else None,
        "peak_layer": peak.layer,
        "alive_at_peak": [{"tensor": h.tensor, "bytes": h.nbytes} for h in peak.holders],
        "largest_constants": [{"layer": h.tensor, "bytes": h.nbytes} for h in found.largest[:SHOWN]],
        "helps": [
            {"what": each.what, "sram": each.sram, "fits": each.fits, "estimated": each.estimated}
            for each in found.helps
        ],
        "boards_that_fit": list(found.boards),
    }
