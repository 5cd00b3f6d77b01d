"""The tables in which people read an Analysis: runtimes, layers with the SRAM in use, and remarks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from typing import TYPE_CHECKING, Literal

from codegen.analysis import Analysis, Layer, Need
from refsim.boards import BOARDS, KIB, Board

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


def print_analysis(found: Analysis, console: Console) -> None:
    """Layers first, so that the answer stands where the eye is."""
    from rich.markup import escape

    console.print(_layers(found, console.width))
    console.print(_runtimes(found))
    for remark in _remarks(found):
        console.print(escape(remark), highlight=False, soft_wrap=True)


def _table(title: str) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    return Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _layers(found: Analysis, width: int) -> Table:
    table = _table(f"{found.model}: {found.macs:,} MACs, {found.parameters:,} parameters")
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
        escape(layer.name if len(layer.name) <= _LONGEST_NAME else "…" + layer.name[1 - _LONGEST_NAME :]),
        layer.op,
        layer.output,
        f"{layer.macs:,}" if layer.macs else "",
        f"{layer.parameters:,}" if layer.parameters else "",
        "" if layer.sram is None else f"{sram:,}",
        f"[bold red]{bar}[/]" if peak and sram == peak else bar,
    )


def _runtimes(found: Analysis) -> Table:
    from rich.markup import escape

    board = found.board
    title = "SRAM without stack, and flash, in bytes"
    table = _table(f"{title}, on {board.name} ({board.core.name})" if board else title)
    table.add_column("runtime", no_wrap=True)
    table.add_column("SRAM", justify="right", no_wrap=True)
    table.add_column("flash", justify="right", no_wrap=True)
    table.add_column("fits" if board else "fits on", overflow="fold")
    for name, need in found.needs.items():
        verdict = escape(_verdict(need, board))
        colour = {True: "[green]✓[/] ", False: "[red]✗[/] ", None: ""}[need.fits(board) if board else None]
        table.add_row(name, _bytes(need.sram), _bytes(need.flash), colour + verdict)
    return table


def _bytes(nbytes: int | None) -> str:
    return "?" if nbytes is None else f"{nbytes:,}"


def _verdict(need: Need, board: Board | None) -> str:
    if need.reason:
        return "cannot take this model"
    if board is None:
        return _boards(need)
    return ", ".join(_room(kind, over) for kind, over in zip(("SRAM", "flash"), _known(need, board), strict=False))


def _boards(need: Need) -> str:
    if need.flash is None:
        return "flash not known"
    everywhere = [b.name for b in BOARDS.values() if not b.generic]
    names = list(need.boards_that_fit)
    return f"all {len(names)} boards" if names == everywhere else ", ".join(names) or "no known board"


def _known(need: Need, board: Board) -> tuple[int, ...]:
    """Bytes of SRAM and flash too many; the flash's where it is known, or is too large even so."""
    sram, flash = need.over(board)
    return (sram, flash) if need.flash is not None or flash > 0 else (sram,)


def _room(kind: str, over: int) -> str:
    return f"{kind} {abs(over) / KIB:.1f} KiB {'too much' if over > 0 else 'free'}"


def _remarks(found: Analysis) -> Iterator[str]:
    for need in found.needs.values():
        yield from (f"{need.runtime}: {text}" for text in (need.reason, *need.notes) if text)
