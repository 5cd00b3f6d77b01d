"""What the pictures are made of: escaped text, frames with scales, axes, and one style sheet for light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate

from refsim.memsim.occupancy import Layer
from refsim.printable import KIB, printable

NARROWEST_LABEL = 9.0  # SVG units of a column from which on every layer is named
LABELS = 132  # units below a frame for the names of layers
TICKS = 6

# Pale fills carry dark text in both modes. Tones of one kind alternate, so that neighbours can be told apart.
STYLE = """<style>
.rs-back{fill:#ffffff}.rs-ink{fill:#1c2630}.rs-dim{fill:#5d6b78}.rs-on{fill:#12202e}
.rs-grid{stroke:#dfe5ea}.rs-axis{stroke:#8a97a3}.rs-band{fill:#eef2f6}.rs-alarm{stroke:#c62828}.rs-warn{fill:#c62828}
.rs-edge{stroke:#1c2630;stroke-opacity:.45}.rs-peak{stroke:#c62828;stroke-dasharray:4 3}
.rs-input{fill:#6fcab6}.rs-output{fill:#f1947e}.rs-scratch{fill:#f3c95f}
.rs-activation-0{fill:#86b3df}.rs-activation-1{fill:#b4d0ec}.rs-activation-2{fill:#6899cf}
.rs-ring-0{fill:#b093dd}.rs-ring-1{fill:#cbb6ec}.rs-ring-2{fill:#977bcb}
.rs-flag{fill:#c62828}.rs-halo{fill:#1c2630}.rs-behind{fill:none;stroke:#ffffff;stroke-width:3px;stroke-opacity:.75}
.rs-line-0{stroke:#2166ac}.rs-line-1{stroke:#d95f02}.rs-line-2{stroke:#1b9e77}.rs-line-3{stroke:#7b3fa0}
.rs-line-4{stroke:#8c6d1f}.rs-fill-0{fill:#2166ac}
@media (prefers-color-scheme:dark){
.rs-back{fill:#12171c}.rs-ink{fill:#e6ebf0}.rs-dim{fill:#9aa7b4}.rs-grid{stroke:#2a333c}.rs-axis{stroke:#6b7886}
.rs-band{fill:#1b232b}.rs-edge{stroke:#e6ebf0}.rs-alarm{stroke:#ff6b6b}.rs-peak{stroke:#ff6b6b}.rs-warn{fill:#ff6b6b}
.rs-flag{fill:#ff6b6b}.rs-halo{fill:#e6ebf0}.rs-behind{stroke:#12171c}
.rs-line-0{stroke:#6db3f2}.rs-line-1{stroke:#ff9d4d}.rs-line-2{stroke:#4fd1a5}.rs-line-3{stroke:#c69cf0}
.rs-line-4{stroke:#d8bd6a}.rs-fill-0{fill:#6db3f2}}
</style>"""
HALOED = ("halo", "flag")  # styles of text that stands on anything
HATCH = (
    '<defs><pattern id="rs-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line y2="6" stroke="#c62828" stroke-width="2.5"/></pattern></defs>'
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A plot's rectangle in SVG units; `nbytes` from the bottom up, and layers from left to right, where layer n takes
    the share edges[n] to edges[n + 1] of the width."""

    x: float
    y: float
    width: float
    height: float
    nbytes: float
    edges: tuple[float, ...]

    def at(self, layers: float) -> float:
        """Where a moment between layers is."""
        n = min(int(layers), len(self.edges) - 2)
        return self.x + self.width * (self.edges[n] + (layers - n) * (self.edges[n + 1] - self.edges[n]))

    def up(self, nbytes: float) -> float:
        return self.y + self.height * (1 - nbytes / max(self.nbytes, 1e-9))

    @property
    def bottom(self) -> float:
        return self.y + self.height


def shares(weights: Sequence[float]) -> tuple[float, ...]:
    """`Frame.edges` of layers whose widths are as these."""
    sums = tuple(accumulate(weights or (1.0,), initial=0.0))
    return tuple(at / sums[-1] for at in sums)


def number(value: float) -> str:
    """A coordinate, to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, content: str, style: str = "", *, anchor: str = "start", more: str = "") -> str:
    """A line of text; `style` is a class of STYLE without its prefix."""
    place = f'x="{number(x)}" y="{number(y)}"' + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    rest = f"{' ' + more if more else ''}>{safe(content)}</text>"
    behind = f'<text {place} class="rs-behind"{rest}' if style in HALOED else ""  # not every viewer has paint-order
    return f'{behind}<text {place} class="rs-{style or "ink"}"{rest}'


def safe(content: str, longest: int = 400) -> str:
    """Anybody's text inside an element or an attribute."""
    return escape(printable(content, longest))


def line(x1: float, y1: float, x2: float, y2: float, style: str, width: float = 1) -> str:
    ends = f'x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"'
    return f'<line {ends} class="rs-{style}" stroke-width="{width:g}"/>'


def box(x: float, y: float, width: float, height: float, style: str, more: str = "") -> str:
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f'<rect {place} class="{style}"{" " + more if more else ""}/>'


def hover(title: str, content: Iterable[str]) -> str:
    """Elements that show `title` under the pointer."""
    return f"<g><title>{safe(title)}</title>{''.join(content)}</g>"


def document(width: float, height: float, label: str, content: Iterable[str]) -> str:
    """A whole SVG file, which can stand in HTML as it is. It scales with its container."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{number(width)}" height="{number(height)}" '
        f'viewBox="0 0 {number(width)} {number(height)}" role="img" aria-label="{safe(label)}" '
        'font-family="system-ui, Helvetica, Arial, sans-serif" font-size="12">'
    )
    return "\n".join([head, STYLE, HATCH, box(0, 0, width, height, "rs-back"), *content, "</svg>", ""])


def steps_of(nbytes: float) -> tuple[int, int]:
    """(bytes between marks of an axis, unit): a power of two, or 1, 2 or 5 times one of ten below a KiB."""
    if nbytes < 2 * KIB:
        sizes = (1, 2, 5, 10, 20, 50, 100, 200, 500)
        return next((s for s in sizes if nbytes / s <= TICKS), sizes[-1]), 1
    step = 256
    while nbytes / step > TICKS:
        step *= 2
    return step, KIB if step < 512 * KIB else KIB * KIB


def bytes_axis(frame: Frame) -> Iterator[str]:
    """Lines across, with the bytes on the left."""
    step, unit = steps_of(frame.nbytes)
    name = {1: "B", KIB: "KiB"}.get(unit, "MiB")
    for mark in range(0, int(frame.nbytes) + 1, step):
        y = frame.up(mark)
        yield line(frame.x, y, frame.x + frame.width, y, "grid" if mark else "axis")
        yield text(frame.x - 8, y + 4, f"{mark / unit:g} {name}", "dim", anchor="end", more='font-size="11"')


def layer_axis(frame: Frame, layers: Sequence[Layer]) -> Iterator[str]:
    """Below the frame each layer's number and operator, upright; where there are too many, some of the numbers."""
    column = min((frame.at(n + 1) - frame.at(n) for n in range(len(layers))), default=0.0)
    free = frame.x
    for n, layer in enumerate(layers):
        middle = frame.at(n + 0.5)
        if column >= NARROWEST_LABEL:
            label = f"{n} {printable(layer.op, 20)}".rstrip()
            yield _upright(middle + 3.5, frame.bottom + 8, label, min(11.0, column + 1))
        elif middle >= free:
            free = middle + 20
            yield _upright(middle + 3.5, frame.bottom + 8, str(n), 10)


def _upright(x: float, y: float, label: str, font: float) -> str:
    more = f'font-size="{number(font)}" transform="rotate(-90 {number(x)} {number(y)})"'
    return text(x, y, label, "dim", anchor="end", more=more)


def layer_bands(frame: Frame, layers: Sequence[Layer]) -> Iterator[str]:
    """What shows a layer's full name under the pointer, over the whole height."""
    for n, layer in enumerate(layers):
        x = frame.at(n)
        known = " ".join(part for part in (layer.op, layer.output) if part and part != layer.name)
        shape = box(x, frame.y, frame.at(n + 1) - x, frame.height, "", 'fill="transparent"')
        yield hover(f"layer {n}: {layer.name}{f' ({known})' if known else ''}", [shape])
