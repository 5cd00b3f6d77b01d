"""The tables in which people read an Analysis: layers with the SRAM in use, a map of it, runtimes, boards, remarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import compress
from typing import TYPE_CHECKING, Literal

from codegen.analysis import Analysis, Layer, Need
from refsim.boards import BOARDS, KIB, Board
from refsim.memsim.budget import Budget, Shortfall, sentences
from refsim.memsim.occupancy import of_program
from refsim.memsim.terminal_map import map_lines
from refsim.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

BARS = ((100, 24), (0, 10))  # characters of the longest bar, from a terminal width on

# Heading, alignment, and the terminal width from which on the column is shown.
_LAYER_COLUMNS: tuple[tuple[str, Literal["left", "right"], int], ...] = (
    ("#", "right", 100),
    ("layer", "left", 130),
    ("op", "left", 0),
    ("output", "left", 70),
    ("MACs", "right", 64),
    ("parameters", "right", 80),
    ("SRAM", "right", 0),
    ("", "left", 0),
)
_LONGEST_NAME = 28
_LONGEST_REMARK = 2000
_WIDE_BOARDS = 100  # from this width on the table of boards has figures, below marks


def print_analysis(found: Analysis, console: Console, shortfall: Shortfall | None = None) -> None:
    """Layers first, so that the answer stands where the eye is."""
    from rich.markup import escape

    console.print(_layers(found, console.width))
    _print_map(found, console)
    console.print(_runtimes(found))
    if found.board is None:
        console.print(_boards_table(found, console.width))
    for remark in (*_remarks(found), *(sentences(shortfall) if shortfall else ())):
        console.print(escape(printable(remark, _LONGEST_REMARK)), highlight=False, soft_wrap=True)


def _print_map(found: Analysis, console: Console) -> None:
    if found.program is None:
        return
    marks = console.encoding.lower().startswith("utf")
    colours = console.color_system in ("256", "truecolor")
    for line in map_lines(of_program(found.program), console.width, colours, marks):
        console.print(line, highlight=False, soft_wrap=True)
    console.print()


def _table(title: str) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    return Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _layers(found: Analysis, width: int) -> Table:
    table = _table(f"{printable(found.model)}: {found.macs:,} MACs, {found.parameters:,} parameters")
    shown = [width >= least for _, _, least in _LAYER_COLUMNS]
    for heading, justify, _ in compress(_LAYER_COLUMNS, shown):
        table.add_column(heading, justify=justify, no_wrap=True)
    peak = max((layer.sram or 0 for layer in found.layers), default=0)
    longest = next(length for least, length in BARS if width >= least)
    for n, layer in enumerate(found.layers):
        table.add_row(*compress(_cells(n, layer, peak, longest), shown))
    return table


def _cells(number: int, layer: Layer, peak: int, longest: int) -> tuple[str, ...]:
    from rich.markup import escape

    sram = layer.sram or 0
    bar = "█" * round(longest * sram / peak) or "▏" if peak else ""
    return (
        str(number),
        escape(_short(layer.name)),
        layer.op,
        layer.output,
        f"{layer.macs:,}" if layer.macs else "",
        f"{layer.parameters:,}" if layer.parameters else "",
        "" if layer.sram is None else f"{sram:,}",
        f"[bold red]{bar}[/]" if peak and sram == peak else bar,
    )


def _short(name: str) -> str:
    """The end of a layer's name says more than its beginning."""
    shown = printable(name, 4 * _LONGEST_NAME)
    return shown if len(shown) <= _LONGEST_NAME else "…" + shown[1 - _LONGEST_NAME :]


def _runtimes(found: Analysis) -> Table:
    from rich.markup import escape

    board, budget = found.board, found.budget
    title = "SRAM without stack, and flash, in bytes"
    table = _table(f"{title}, on {printable(board.name)} ({board.core.name})" if board else title)
    table.add_column("runtime", no_wrap=True)
    table.add_column("SRAM", justify="right", no_wrap=True)
    table.add_column("flash", justify="right", no_wrap=True)
    table.add_column("fits" if budget else "fits on", overflow="fold")
    for name, need in found.needs.items():
        verdict = escape(_verdict(need, budget))
        colour = {True: "[green]✓[/] ", False: "[red]✗[/] ", None: ""}[need.fits(budget) if budget else None]
        table.add_row(name, _bytes(need.sram), _bytes(need.flash), colour + verdict)
    return table


def _bytes(nbytes: int | None) -> str:
    return "?" if nbytes is None else f"{nbytes:,}"


def _verdict(need: Need, budget: Budget | None) -> str:
    if need.reason:
        return "cannot take this model"
    if budget is None:
        return _boards(need)
    return ", ".join(_room(kind, over) for kind, over in _known(need, budget))


def _boards(need: Need) -> str:
    if need.flash is None:
        return "flash not known"
    everywhere = [b.name for b in BOARDS.values() if not b.generic]
    names = list(need.boards_that_fit)
    return f"all {len(names)} boards" if names == everywhere else ", ".join(names) or "no known board"


def _known(need: Need, budget: Budget) -> Iterator[tuple[str, int]]:
    """Bytes too many of what is limited; of flash where it is known, or is too large even so."""
    sram, flash = need.over(budget)
    if budget.sram:
        yield "SRAM", sram
    if budget.flash and (need.flash is not None or flash > 0):
        yield "flash", flash


def _boards_table(found: Analysis, width: int) -> Table:
    """Every real board and every runtime: KiB free of SRAM and of flash, negative where they are missing."""
    table = _table(f"Which boards it fits{': KiB free of SRAM / of flash' if width >= _WIDE_BOARDS else ''}")
    table.add_column("board", no_wrap=True)
    for name in found.needs:
        table.add_column(name, justify="right" if width >= _WIDE_BOARDS else "center", no_wrap=True)
    for board in BOARDS.values():
        if not board.generic:
            rooms = (_room_on(need, board, width >= _WIDE_BOARDS) for need in found.needs.values())
            table.add_row(board.name, *rooms)
    return table


def _room_on(need: Need, board: Board, figures: bool) -> str:
    if need.reason:
        return "-"
    mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "?"}[need.fits(board)]
    return f"{room_text(need, board)} {mark}" if figures else mark


def room_text(need: Need, board: Board) -> str:
    """KiB free of SRAM / of flash, negative where they are missing; ? where the flash is not known."""
    sram, flash = (f"{-over / KIB:,.0f}" for over in need.over(board))
    return f"{sram} / {flash if need.flash is not None else '?'}"


def _room(kind: str, over: int) -> str:
    return f"{kind} {abs(over) / KIB:.1f} KiB {'too much' if over > 0 else 'free'}"


def _remarks(found: Analysis) -> Iterator[str]:
    for need in found.needs.values():
        yield from (f"{need.runtime}: {text}" for text in (_flash_parts(need), need.reason, *need.notes) if text)


def _flash_parts(need: Need) -> str:
    detail = need.detail or {}
    parts, shared = detail.get("flash"), detail.get("constants_shared")
    if not isinstance(parts, Mapping):
        return ""
    listed = ", ".join(f"{name.replace('_', ' ')} {nbytes:,}" for name, nbytes in parts.items() if nbytes)
    return f"flash: {listed}" + (f"; {shared:,} saved by storing equal constants once" if shared else "")
