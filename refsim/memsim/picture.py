"""A memory plan as an SVG: layers to the right, addresses upwards, every tensor where and when it lies.

Full colour are bytes that somebody still reads; pale are bytes set aside for a buffer that hold nothing of use, which
others may take. So a ring is seen to turn, and one tensor to follow another through the same bytes. Red hatching is
where a runtime's plan puts two tensors into the same bytes at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from refsim.memsim.occupancy import (
    ACTIVATION,
    INPUT,
    KINDS,
    OUTPUT,
    RING,
    SCRATCH,
    Occupancy,
    Tenant,
    of_plan,
    of_program,
)
from refsim.memsim.plan import Plan
from refsim.memsim.program import Program
from refsim.memsim.svg import (
    LABELS,
    Frame,
    box,
    bytes_axis,
    document,
    hover,
    layer_axis,
    layer_bands,
    line,
    number,
    shares,
    text,
)
from refsim.printable import printable, size

WIDTH, HEIGHT = 1040, 400  # of a lone plot, in SVG units
BESIDE = 680  # width of plots that stand side by side
LEFT, RIGHT, TOP, BELOW = 76, 24, 70, 34
CALLS, WIDEST = 5.0, 3.0  # calls of a layer in the width of another that has one; times the width at most
LETTER = 6.2  # units of a character of 11
WORDS = {INPUT: "input", OUTPUT: "output", ACTIVATION: "tensor", RING: "ring of rows", SCRATCH: "scratch"}
LABEL = 'font-size="11" pointer-events="none"'
TONES = 3
Box = tuple[float, float, float, float]  # left, top, right, bottom in SVG units


@dataclass(frozen=True, eq=False)
class Scene:
    """A plan to draw, and what to call it."""

    title: str
    occupancy: Occupancy


def plan_svg(plan: Plan, title: str) -> str:
    """The picture of a plan alone; hovering names the tensor, its bytes, offset and steps."""
    return scenes_svg([Scene(title, of_plan(plan, ()))])


def program_svg(program: Program, title: str) -> str:
    """The picture of what a Program's calls do with its arena."""
    return scenes_svg([Scene(title, of_program(program))])


def scenes_svg(scenes: Sequence[Scene]) -> str:
    """Plans side by side, two in a row, on one scale of bytes."""
    content, width, height = scenes_at(scenes, 0)
    return document(width, height, "; ".join(scene.title for scene in scenes), content)


def scenes_at(scenes: Sequence[Scene], top: float) -> tuple[list[str], float, float]:
    """Elements from `top` on, and the width and height to which they go."""
    plot = WIDTH if len(scenes) == 1 else BESIDE
    most = max((scene.occupancy.nbytes for scene in scenes), default=0)
    content: list[str] = []
    for n, scene in enumerate(scenes):
        x, y = (n % 2) * (LEFT + plot + RIGHT), top + n // 2 * (TOP + HEIGHT + LABELS)
        frame = Frame(x + LEFT, y + TOP, plot, HEIGHT, max(most, 1), layer_shares(scene.occupancy))
        content += _scene(scene, frame)
    wide, rows = min(len(scenes), 2), -(-len(scenes) // 2)
    bottom = top + rows * (TOP + HEIGHT + LABELS)
    content += _legend([scene.occupancy for scene in scenes], LEFT, bottom + 12)
    return content, wide * (LEFT + plot + RIGHT), bottom + BELOW


def layer_shares(occupancy: Occupancy) -> tuple[float, ...]:
    """Shares of a plot's width for layers: those that run row by row get more, so that their rows can be seen."""
    return shares(tuple(_weights(occupancy)))


def _weights(occupancy: Occupancy) -> Iterator[float]:
    for column in occupancy.columns:
        calls = (column.end - column.first) / len(column.layers)
        yield from (min(max(1.0, calls / CALLS), WIDEST) for _ in column.layers)


def _scene(scene: Scene, frame: Frame) -> Iterator[str]:
    occupancy = scene.occupancy
    yield text(
        frame.x, frame.y - 42, printable(scene.title, int(frame.width / 9)), more='font-size="17" font-weight="600"'
    )
    yield text(frame.x, frame.y - 22, caption(occupancy), "dim", more='font-size="12.5"')
    yield from row_bands(occupancy, frame)
    yield from bytes_axis(frame)
    yield from layer_axis(frame, occupancy.layers)
    yield from layer_bands(frame, occupancy.layers)
    yield from _arena(occupancy, frame)
    yield from _tenants(occupancy, frame)
    yield from _collisions(occupancy, frame)
    yield from _peak(occupancy, frame)


def caption(occupancy: Occupancy) -> str:
    """Arena and peak in words."""
    arena = f"arena {occupancy.nbytes:,} bytes"
    if not occupancy.calls:
        return arena
    first, column = occupancy.column_at(occupancy.peak)
    last = first + len(column.layers) - 1
    where = f"layers {first} to {last}, row by row" if last > first else f"layer {first}"
    return f"{arena} ({size(occupancy.nbytes)}); at most {occupancy.most:,} in use at once, in {where}"


def row_bands(occupancy: Occupancy, frame: Frame, whole: bool = False) -> Iterator[str]:
    """A tint behind layers that run row by row, as high as the arena or the `whole` frame."""
    at, top = 0, frame.y if whole else frame.up(occupancy.nbytes)
    for column in occupancy.columns:
        if column.end - column.first > 1:
            x = frame.at(at)
            yield box(x, top, frame.at(at + len(column.layers)) - x, frame.bottom - top, "rs-band")
        at += len(column.layers)


def _arena(occupancy: Occupancy, frame: Frame) -> Iterator[str]:
    """The arena's end, where another plan's is higher."""
    if occupancy.nbytes < frame.nbytes:
        y = frame.up(occupancy.nbytes)
        yield line(frame.x, y, frame.x + frame.width, y, "axis", 1.5)


def _tenants(occupancy: Occupancy, frame: Frame) -> Iterator[str]:
    """What is set aside, over it what is in use, over it the names."""
    shapes: dict[int, list[Box]] = defaultdict(list)
    time = [frame.at(float(at)) for at in occupancy.time]
    for low, high, who, first, last in occupancy.runs.tolist():
        shapes[who].append((time[first], frame.up(high), time[last + 1], frame.up(low)))
    tones, edges = _tones(occupancy), []
    for tenant, style in zip(occupancy.tenants, tones, strict=True):
        x, y = time[tenant.first], frame.up(tenant.offset + tenant.nbytes)
        size = (time[tenant.end] - x, frame.up(tenant.offset) - y)
        yield hover(described(occupancy, tenant), [box(x, y, *size, style, 'fill-opacity=".25"')])
        edges.append(box(x, y, *size, "rs-edge", 'fill="none" stroke-width=".7" pointer-events="none"'))
    for who, (tenant, style) in enumerate(zip(occupancy.tenants, tones, strict=True)):
        shapes[who] = list(_joined(shapes[who]))
        path = "".join(map(_outline, shapes[who]))
        yield hover(described(occupancy, tenant), [f'<path d="{path}" class="{style}"/>'])
    yield from edges
    yield from _labels(occupancy, shapes, frame)


def _outline(shape: Box) -> str:
    left, top, right, bottom = map(number, shape)
    return f"M{left} {top}H{right}V{bottom}H{left}z"


def _tones(occupancy: Occupancy) -> list[str]:
    """A class for each tenant; tensors that are there at once get different tones while there are enough."""
    toned = {who: t for who, t in enumerate(occupancy.tenants) if t.kind in (ACTIVATION, RING)}
    tones: dict[int, int] = {}
    for who in sorted(toned, key=lambda who: toned[who].first):
        others = ((tones[k], k) for k in tones if _meet(toned[k], toned[who]))
        latest = dict(sorted(others, key=lambda pair: toned[pair[1]].first))  # tone -> the last of it to begin
        tones[who] = min(range(TONES), key=lambda tone: toned[latest[tone]].first if tone in latest else -1)
    return [f"rs-{t.kind}" + (f"-{tones[who]}" if who in tones else "") for who, t in enumerate(occupancy.tenants)]


def _meet(a: Tenant, b: Tenant) -> bool:
    """True when both are there at once, or one follows the other."""
    return a.kind == b.kind and a.first <= b.end and b.first <= a.end


def described(occupancy: Occupancy, tenant: Tenant) -> str:
    """What hovering says."""
    layers = occupancy.layers
    first, last = (int(occupancy.time[at] + past) for at, past in ((tenant.first, 1e-6), (tenant.end, -1e-6)))
    names = " to ".join(f"{n} ({layers[n].name})" for n in dict.fromkeys((first, max(first, last))) if n < len(layers))
    note = f", {tenant.note}" if tenant.note else ""
    place = f"{tenant.nbytes:,} bytes at offset {tenant.offset:,}"
    return f"{printable(tenant.name)}: {WORDS[tenant.kind]}{note}, {place}, layers {names}"


def _joined(shapes: list[Box]) -> Iterator[Box]:
    """The same area in fewer rectangles: those that stand on each other become one."""
    found: dict[tuple[float, float], list[tuple[float, float]]] = defaultdict(list)
    for left, top, right, bottom in shapes:
        found[left, right].append((top, bottom))
    for (left, right), spans in found.items():
        spans.sort()
        top, bottom = spans[0]
        for low, high in spans[1:]:
            if low > bottom + 0.05:
                yield left, top, right, bottom
                top, bottom = low, high
            bottom = max(bottom, high)
        yield left, top, right, bottom


def _labels(occupancy: Occupancy, shapes: Mapping[int, list[Box]], frame: Frame) -> Iterator[str]:
    """Names where they have room: in the largest rectangle, across or upright, or in what is set aside."""
    time = [frame.at(float(at)) for at in occupancy.time]
    taken: list[Box] = []
    for who in sorted(shapes, key=lambda who: -max(map(_area, shapes[who]), default=0)):
        tenant = occupancy.tenants[who]
        aside = (time[tenant.first], frame.up(tenant.offset + tenant.nbytes), time[tenant.end], frame.up(tenant.offset))
        largest = max(shapes[who], key=_area, default=aside)
        found = next((place for place in _places(tenant, largest, aside) if not _hides(place[0], taken)), None)
        if found:
            taken.append(found[0])
            yield found[1]


def _places(tenant: Tenant, largest: Box, aside: Box) -> Iterator[tuple[Box, str]]:
    """Where the name, or less of it, has room, and the element."""
    name, nbytes = printable(tenant.name, 40), size(tenant.nbytes)
    for words in (f"{name} {nbytes}", name, nbytes):
        half = len(words) * LETTER / 2 + 3
        for (left, top, right, bottom), style in ((largest, "on"), (aside, "halo")):
            x, y = (left + right) / 2, (top + bottom) / 2
            if style == "halo" and tenant.kind == SCRATCH:
                continue
            if 2 * half <= right - left and bottom - top >= 14:
                yield (x - half, y - 7, x + half, y + 7), text(x, y + 4, words, style, anchor="middle", more=LABEL)
            if 2 * half <= bottom - top and right - left >= 13:
                more = f'{LABEL} transform="rotate(-90 {number(x + 4)} {number(y)})"'
                yield (x - 7, y - half, x + 7, y + half), text(x + 4, y, words, style, anchor="middle", more=more)


def _area(shape: Box) -> float:
    left, top, right, bottom = shape
    return (right - left) * (bottom - top)


def _hides(label: Box, taken: Sequence[Box]) -> bool:
    left, top, right, bottom = label
    return any(left < x2 and x1 < right and top < y2 and y1 < bottom for x1, y1, x2, y2 in taken)


def _collisions(occupancy: Occupancy, frame: Frame) -> Iterator[str]:
    """Where two tenants hold the same bytes in one call. Only other runtimes' plans can, which have few runs."""
    runs = occupancy.runs.tolist() if len(occupancy.runs) <= len(occupancy.tenants) else ()
    for a, b in combinations(runs, 2):
        low, high = max(a[0], b[0]), min(a[1], b[1])
        first, last = max(a[3], b[3]), min(a[4], b[4])
        if low < high and first <= last:
            left, right = (frame.at(float(occupancy.time[at])) for at in (first, last + 1))
            shape = (left, frame.up(high), right - left, frame.up(low) - frame.up(high))
            names = " and ".join(f"'{printable(occupancy.tenants[who].name)}'" for who in (a[2], b[2]))
            hatched = box(*shape, "", 'fill="url(#rs-hatch)" fill-opacity=".8"')
            yield hover(f"{names} in the same {high - low:,} bytes at once", [hatched])


def _peak(occupancy: Occupancy, frame: Frame) -> Iterator[str]:
    if occupancy.calls:
        begin, end = (frame.at(float(occupancy.time[occupancy.peak + k])) for k in (0, 1))
        x = (begin + end) / 2
        top = frame.up(occupancy.nbytes)
        yield line(x, top - 4, x, frame.bottom, "peak", 1.2)
        anchor = "end" if x > frame.x + frame.width - 60 else "start"
        shift = -4 if anchor == "end" else 4
        yield text(x + shift, top - 3, "peak", "warn", anchor=anchor, more='font-size="10.5"')


def _legend(drawn: Sequence[Occupancy], x: float, y: float) -> Iterator[str]:
    present = {tenant.kind for occupancy in drawn for tenant in occupancy.tenants}
    for kind in KINDS:
        if kind in present:
            style = f"rs-{kind}" + ("-0" if kind in (ACTIVATION, RING) else "")
            yield box(x, y - 10, 14, 12, style)
            yield text(x + 20, y, WORDS[kind], "dim")
            x += 34 + LETTER * 1.1 * len(WORDS[kind])
    for style, more, words in _extras(drawn):
        yield box(x, y - 10, 14, 12, style, more)
        yield text(x + 20, y, words, "dim")
        x += 34 + LETTER * 1.1 * len(words)


def _extras(drawn: Sequence[Occupancy]) -> Iterator[tuple[str, str, str]]:
    if any(column.end - column.first > 1 for occupancy in drawn for column in occupancy.columns):
        yield "rs-activation-0", 'fill-opacity=".22"', "set aside, holds nothing of use"
        yield "rs-band", 'stroke="#8a97a3" stroke-width=".5"', "layers that run row by row, drawn wider"
