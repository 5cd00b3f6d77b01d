"""A memory plan in characters: layers to the right, addresses upwards, a block for what lies there most.

With colours every cell has two halves, one above the other, and tensors that are there at once differ in colour;
without, a cell has the letter of one of the largest tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_letters
from typing import TYPE_CHECKING

import numpy as np

from refsim.graph import Array
from refsim.memsim.occupancy import RING, SCRATCH, Occupancy
from refsim.printable import printable, size

if TYPE_CHECKING:
    from rich.style import Style
    from rich.text import Text

NARROWEST, WIDEST = 48, 112  # columns of a terminal: below there is no map; as wide as it gets
ROWS = 12
MARGIN = 10  # characters of the scale
NAMED = 8  # tensors in the legend
NOTHING = -1
COLOURS = (75, 215, 114, 176, 221, 80, 203, 147)  # of the 256, for the tensors in the legend
MUTED = (240, 244, 248, 242, 246)  # for the others
OTHER, OTHER_ASCII, EMPTY = "·", ".", " "


@dataclass(frozen=True, slots=True)
class Map:
    """`cells` [rows, columns]: the tenant that has most of a cell, NOTHING where most is free; the top row first."""

    cells: Array
    named: tuple[int, ...]  # tenants, the largest first


def sampled(occupancy: Occupancy, rows: int, columns: int) -> Map:
    """Who has most of each cell of a grid over bytes and layers."""
    held = np.zeros((len(occupancy.tenants) + 1, rows, columns))
    time, layers = occupancy.time, max(len(occupancy.layers), 1)
    for low, high, who, first, last in occupancy.runs.tolist():
        tall = _cover(low / occupancy.nbytes, high / occupancy.nbytes, rows)
        wide = _cover(float(time[first]) / layers, float(time[last + 1]) / layers, columns)
        held[who] += tall[:, None] * wide[None, :]
    held[-1] = 1 - held[:-1].sum(axis=0)
    cells = held.argmax(axis=0)
    cells[cells == len(occupancy.tenants)] = NOTHING
    area = held[:-1].sum(axis=(1, 2))
    sizes = [(-t.nbytes, -float(area[n]), n) for n, t in enumerate(occupancy.tenants) if t.kind != SCRATCH and area[n]]
    return Map(cells[::-1], tuple(n for _, _, n in sorted(sizes)))


def _cover(begin: float, end: float, count: int) -> Array:
    """The share of each of `count` equal cells of [0, 1) that [begin, end) covers."""
    edges = np.arange(count + 1) / count
    return np.asarray(np.clip((np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)) * count, 0, 1))


def map_lines(occupancy: Occupancy, width: int, colours: bool, unicode: bool = True) -> tuple[Text, ...]:
    """Title, map and legend; nothing where the terminal is too narrow or there is nothing to draw."""
    from rich.text import Text

    columns = min(width, WIDEST) - MARGIN
    if width < NARROWEST or not occupancy.calls or not len(occupancy.runs):
        return ()
    halves = colours and unicode
    found = sampled(occupancy, ROWS * (2 if halves else 1), columns)
    body = _halves(found) if halves else _letters(occupancy, found, unicode)
    scale = (_scale(occupancy, row) for row in range(ROWS))
    title = Text(f"arena of {occupancy.nbytes:,} bytes, layer by layer", style="bold")
    lines = [Text(mark, style="dim") + line for mark, line in zip(scale, body, strict=True)]
    axis = Text(" " * MARGIN + _axis(len(occupancy.layers), columns), style="dim")
    return (title, *lines, axis, *_legend(occupancy, found, halves, width))


def _scale(occupancy: Occupancy, row: int) -> str:
    """Every fourth row has the address of its upper end."""
    mark = size(occupancy.nbytes * (ROWS - row) / ROWS) if row % 4 == 0 else ""
    return f"{mark:>{MARGIN - 1}} "


def _axis(layers: int, columns: int) -> str:
    """Layer numbers under the places where they begin."""
    text = [" "] * columns
    free = 0
    for layer in range(layers):
        at, label = layer * columns // layers, str(layer)
        if at >= free and at + len(label) <= columns:
            text[at : at + len(label)] = label
            free = at + max(6, len(label) + 2)
    return "".join(text).rstrip()


def _colour(found: Map, who: int) -> str:
    named = found.named[:NAMED]
    return f"color({COLOURS[named.index(who)] if who in named else MUTED[who % len(MUTED)]})"


def _halves(found: Map) -> list[Text]:
    from rich.text import Text

    lines = []
    for above, below in zip(found.cells[::2].tolist(), found.cells[1::2].tolist(), strict=True):
        line = Text()
        for upper, lower in zip(above, below, strict=True):
            top, bottom = (None if who == NOTHING else _colour(found, who) for who in (upper, lower))
            line.append("▄" if top is None and bottom else "▀" if top else " ", _cell(top, bottom))
        lines.append(line)
    return lines


def _cell(top: str | None, bottom: str | None) -> Style:
    """Of half a block, the upper one unless that is free: where a half is free the terminal's own background shows."""
    from rich.style import Style

    return Style(color=top, bgcolor=bottom) if top else Style(color=bottom)


def _letters(occupancy: Occupancy, found: Map, unicode: bool) -> list[Text]:
    from rich.text import Text

    letters = dict(zip(found.named, ascii_letters, strict=False))
    other = OTHER if unicode else OTHER_ASCII
    return [
        Text("".join(EMPTY if who == NOTHING else letters.get(who, other) for who in row))
        for row in found.cells.tolist()
    ]


def _legend(occupancy: Occupancy, found: Map, halves: bool, width: int) -> list[Text]:
    """The largest tensors, as many to a line as there is room for."""
    from rich.text import Text

    entries = []
    for place, who in enumerate(found.named[:NAMED]):
        tenant = occupancy.tenants[who]
        mark = Text("██", style=_colour(found, who)) if halves else Text(ascii_letters[place])
        ring = " ring" if tenant.kind == RING else ""
        entries.append(mark + Text(f" {printable(tenant.name, min(30, width - 30))}{ring} {size(tenant.nbytes)}"))
    lines, line = [], Text(" " * MARGIN)
    for entry in entries:
        if len(line) + len(entry) + 3 > width and len(line) > MARGIN:
            lines.append(line)
            line = Text(" " * MARGIN)
        line = line + entry + Text("   ")
    return [*lines, line]
