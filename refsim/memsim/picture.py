"""A memory plan as an SVG: time to the right, addresses upwards, one rectangle per buffer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from refsim.memsim.plan import LiveRange, Plan

WIDTH, HEIGHT = 960, 480  # of the drawing area, in SVG units
LEFT, TOP, BOTTOM = 84, 56, 48
GRID = 4
SCRATCH, TENSOR, LIVE = "#d9a441", "#4c78a8", "#b00020"


def plan_svg(plan: Plan, title: str) -> str:
    """The picture; hovering over a rectangle names the tensor, its bytes, offset and steps."""
    size = f'width="{LEFT + WIDTH + 24}" height="{TOP + HEIGHT + BOTTOM}"'
    box = f'viewBox="0 0 {LEFT + WIDTH + 24} {TOP + HEIGHT + BOTTOM}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} font-family="sans-serif" font-size="12">']
    lines.append('<rect width="100%" height="100%" fill="white"/>')
    heading = f"{title}: arena {plan.nbytes:,} bytes, lower bound {plan.lower_bound:,}"
    lines.append(f'<text x="{LEFT}" y="28" font-size="16">{escape(heading)}</text>')
    legend = f'<tspan fill="{SCRATCH}">scratch</tspan> <tspan fill="{LIVE}">bytes live</tspan>'
    lines.append(
        f'<text x="{LEFT + WIDTH}" y="28" text-anchor="end"><tspan fill="{TENSOR}">tensors</tspan> {legend}</text>'
    )
    lines += _axes(plan)
    lines += [_rectangle(plan, live, offset) for live, offset in zip(plan.ranges, plan.offsets, strict=True)]
    lines += _usage(plan.ranges, plan)
    return "\n".join([*lines, "</svg>", ""])


def _x(plan: Plan, step: float) -> float:
    return LEFT + WIDTH * step / max(len(plan.steps), 1)


def _y(plan: Plan, offset: float) -> float:
    return TOP + HEIGHT * (1 - offset / max(plan.nbytes, 1))


def _axes(plan: Plan) -> Iterator[str]:
    for part in range(GRID + 1):
        offset = plan.nbytes * part / GRID
        y = _y(plan, offset)
        yield f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{offset / 1024:.1f} KiB</text>'
    every = max(1, len(plan.steps) // 16)
    for step in range(0, len(plan.steps), every):
        middle = _x(plan, step + 0.5)
        yield f'<text x="{middle:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{step}</text>'
    yield f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">step</text>'


def _rectangle(plan: Plan, live: LiveRange, offset: int) -> str:
    x, y = _x(plan, live.first), _y(plan, offset + live.nbytes)
    width, height = _x(plan, live.last + 1) - x, _y(plan, offset) - y
    colour = SCRATCH if live.name.startswith("scratch of ") else TENSOR
    hover = f"{live.name}: {live.nbytes:,} bytes at {offset:,}, steps {live.first} to {live.last}"
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    style = f'fill="{colour}" fill-opacity="0.75" stroke="white"'
    label = ""
    if height >= 14 and width >= 40:
        kib = f"{live.nbytes / 1024:.1f}"
        label = (
            f'<text x="{x + width / 2:.1f}" y="{y + height / 2 + 4:.1f}" text-anchor="middle" fill="white">{kib}</text>'
        )
    return f"<g><title>{escape(hover)}</title><rect {shape} {style}/>{label}</g>"


def _usage(ranges: Sequence[LiveRange], plan: Plan) -> Iterator[str]:
    """Bytes live at each step, as a line over the rectangles."""
    points = []
    for step in plan.steps:
        y = _y(plan, sum(r.nbytes for r in ranges if r.first <= step <= r.last))
        points += [f"{_x(plan, step):.1f},{y:.1f}", f"{_x(plan, step + 1):.1f},{y:.1f}"]
    yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{LIVE}" stroke-width="1.5"/>'
