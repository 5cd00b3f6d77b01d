"""SRAM over time as an SVG: bytes in use layer by layer, for one plan or several, with the board's limit as a line.

Every line is on the layers of the first plan. A runtime that runs nodes which this one has not is drawn where the next
node stands that both have, with the most bytes of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from refsim.graph import Graph
from refsim.memsim.budget import Limit
from refsim.memsim.occupancy import Occupancy
from refsim.memsim.picture import LEFT, RIGHT, layer_shares, row_bands
from refsim.memsim.svg import (
    LABELS,
    Frame,
    bytes_axis,
    document,
    hover,
    layer_axis,
    layer_bands,
    line,
    number,
    text,
)
from refsim.printable import printable, size

WIDTH, HEIGHT = 1040, 260
TOP, ENTRY = 50, 18  # above the plot; a line of the legend
HIGHEST = 1.7  # times the highest line: a limit above that would press the picture flat, and is told in words
LINES = 5  # colours
DASHES = ("", "7 3", "3 3", "9 3 2 3", "1 3")


@dataclass(frozen=True, slots=True)
class Series:
    """Bytes in use from edges[n] to edges[n + 1], in layers of the chart; `reserved` bytes are taken all the time."""

    name: str
    edges: tuple[float, ...]
    nbytes: tuple[int, ...]
    reserved: int

    @property
    def most(self) -> int:
        return max(self.nbytes, default=0)


def series(name: str, own: Occupancy, base: int = 0) -> Series:
    """A plan on its own layers; `base` bytes are in use throughout, besides what the plan has."""
    used = tuple(int(nbytes) + base for nbytes in own.used)
    return Series(name, tuple(map(float, own.time)), used, own.nbytes + base)


def series_beside(name: str, other: Occupancy, base: int, graph: Graph, axis: Occupancy) -> Series:
    """Another plan of `graph` on the layers of `axis`."""
    if [layer.tensor for layer in other.layers] == [layer.tensor for layer in axis.layers]:
        return series(name, other, base)
    if not axis.layers:  # every layer of ours is eliminated: the legend alone tells it
        return Series(name, (), (other.most + base,), other.nbytes + base)
    places = _places(graph, axis)
    most = [0] * len(axis.layers)
    for column in other.columns:
        used = int(other.used[column.first : column.end].max(initial=0)) + base
        for layer in column.layers:
            at = places.get(layer.tensor, 0)
            most[at] = max(most[at], used)
    for n, nbytes in enumerate(most):  # layers that the other does not run as such keep what was there before
        most[n] = nbytes or (most[n - 1] if n else base)
    return Series(name, tuple(map(float, range(len(most) + 1))), tuple(most), other.nbytes + base)


def _places(graph: Graph, axis: Occupancy) -> Mapping[int, int]:
    """Tensor -> number of the layer that computes it, or of the next one that there is."""
    known = {layer.tensor: n for n, layer in enumerate(axis.layers)}
    places, following = {}, max(len(known) - 1, 0)
    for node in reversed(graph.nodes):
        for tensor in node.outputs:
            following = known.get(tensor, following)
            places[tensor] = following
    return places | known


def usage_svg(lines: Sequence[Series], axis: Occupancy, limit: Limit | None = None) -> str:
    """The chart alone."""
    content, width, height = usage_at(lines, axis, 0, limit)
    return document(width, height, "SRAM in use by layer: " + ", ".join(each.name for each in lines), content)


def usage_at(
    lines: Sequence[Series], axis: Occupancy, top: float, limit: Limit | None = None, width: float = WIDTH
) -> tuple[list[str], float, float]:
    """Elements from `top` on, and the width and height to which they go."""
    highest = max((max(each.most, each.reserved) for each in lines), default=1)
    shown = limit if limit and limit.nbytes <= HIGHEST * highest else None
    most = max(highest, shown.nbytes if shown else 0, 1) * 1.04
    frame = Frame(LEFT, top + TOP, width, HEIGHT, most, layer_shares(axis))
    content = [text(LEFT, top + 24, "SRAM in use, layer by layer", more='font-size="17" font-weight="600"')]
    content += row_bands(axis, frame, whole=True)
    content += bytes_axis(frame)
    content += layer_axis(frame, axis.layers)
    content += layer_bands(frame, axis.layers)
    for n, each in reversed(list(enumerate(lines))):
        content += _line(each, n, frame)
    if shown:
        content += _limit(shown, frame)
    bottom = frame.bottom + LABELS
    content += _legend(lines, bottom + 20, limit if limit and not shown else None)
    entries = len(lines) + bool(limit and not shown)
    return content, LEFT + width + RIGHT, bottom + ENTRY * entries + 24


def _line(each: Series, n: int, frame: Frame) -> Iterator[str]:
    points = []
    for begin, end, nbytes in zip(each.edges, each.edges[1:], each.nbytes, strict=False):
        points += [(frame.at(begin), frame.up(nbytes)), (frame.at(end), frame.up(nbytes))]
    if not points:
        return
    path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
    colour = f"rs-line-{n % LINES}"
    dashes = f' stroke-dasharray="{DASHES[n % LINES]}"' if n else ""
    told = [f'<path d="{path}" class="{colour}" fill="none" stroke-width="2"{dashes}/>']
    if not n:
        down = f"{path}V{number(frame.bottom)}H{number(points[0][0])}z"
        told.insert(0, f'<path d="{down}" class="rs-fill-0" fill-opacity=".13"/>')
    y = number(frame.up(each.reserved))
    ends = f'x1="{number(frame.x)}" x2="{number(frame.x + frame.width)}" y1="{y}" y2="{y}"'
    told.append(f'<line {ends} class="{colour}" stroke-width="1" stroke-opacity=".6" stroke-dasharray="2 3"/>')
    yield hover(_described(each), told)


def _described(each: Series) -> str:
    return f"{printable(each.name)}: {each.reserved:,} bytes ({size(each.reserved)}), at most {each.most:,} in use"


def _limit(limit: Limit, frame: Frame) -> Iterator[str]:
    y = frame.up(limit.nbytes)
    words = f"{printable(limit.name)}: {limit.nbytes:,} bytes"
    told = [line(frame.x, y, frame.x + frame.width, y, "alarm", 2)]
    yield hover(words, told)
    yield text(frame.x + frame.width, y - 5, words, "flag", anchor="end", more='font-size="11" font-weight="600"')


def _legend(lines: Sequence[Series], y: float, unseen: Limit | None) -> Iterator[str]:
    for n, each in enumerate(lines):
        at = y + ENTRY * n
        dashes = f'stroke-dasharray="{DASHES[n % LINES]}"' if n else ""
        ends = f'x1="{LEFT}" x2="{LEFT + 26}" y1="{number(at - 4)}" y2="{number(at - 4)}"'
        yield f'<line {ends} class="rs-line-{n % LINES}" stroke-width="2.5" {dashes}/>'
        yield text(LEFT + 34, at, _described(each), "dim")
    if unseen:
        words = f"{printable(unseen.name)} has {unseen.nbytes:,} bytes ({size(unseen.nbytes)}), above this picture"
        yield text(LEFT + 34, y + ENTRY * len(lines), words, "dim")
