"""How near estimates come to measured silicon, as a picture: cycles against cycles, and the error of every row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from refsim.memsim.svg import document, hover, line, number, text

if TYPE_CHECKING:
    from emulator.calibrate import Result

SIDE, TOP, LEFT = 330, 64, 66  # of the square where cycles stand against cycles
ERRORS, ROW = 620, 17  # left edge of the errors; height of a row
WIDTH, SPAN = 1040, 300  # of the picture; of the errors
GAP = 12  # between cores
FEWEST = 10.0  # percent that the errors' axis has at least on both sides


def chart(rows: Sequence[Result]) -> str:
    """The picture; rows of one core stand together, in one colour."""
    cores = list(dict.fromkeys(row.core for row in rows))
    below = TOP + ROW * len(rows) + GAP * max(len(cores) - 1, 0)
    height = max(TOP + SIDE + 96, below + 50)
    label = "estimated against measured cycles, and the error of each row in percent"
    return document(WIDTH, height, label, [*_against(rows, cores), *_errors(rows, cores, below)])


def _dot(x: float, y: float, core: int, title: str, *, hollow: bool = False) -> str:
    """A filled or an open circle; filled ones are drawn by their stroke, which has the colour."""
    radius, width = (4.2, 1.6) if hollow else (2.2, 4.4)
    place = f'cx="{number(x)}" cy="{number(y)}" r="{radius}" stroke-width="{width}"'
    return hover(title, [f'<circle {place} class="rs-line-{core % 5}" fill="none"/>'])


def _decades(rows: Sequence[Result]) -> tuple[float, float]:
    every = [cycles for row in rows for cycles in (row.measured, row.estimated) if cycles > 0] or [1, 10]
    return math.floor(math.log10(min(every)) * 2) / 2, math.ceil(math.log10(max(every)) * 2) / 2 or 1.0


def _against(rows: Sequence[Result], cores: Sequence[str]) -> Iterator[str]:
    """Estimated over measured cycles, both in powers of ten: a right estimate is on the diagonal."""
    low, high = _decades(rows)
    scale = SIDE / max(high - low, 0.5)

    def at(cycles: int) -> float:
        return (math.log10(max(cycles, 1)) - low) * scale

    bottom = TOP + SIDE
    yield text(LEFT, 24, "Estimated against measured cycles", more='font-size="17" font-weight="600"')
    for power in range(math.ceil(low), math.floor(high) + 1):
        offset = (power - low) * scale
        yield line(LEFT, bottom - offset, LEFT + SIDE, bottom - offset, "grid")
        yield line(LEFT + offset, TOP, LEFT + offset, bottom, "grid")
        yield text(LEFT - 8, bottom - offset + 4, _power(power), "dim", anchor="end")
        yield text(LEFT + offset, bottom + 18, _power(power), "dim", anchor="middle")
    yield line(LEFT, bottom, LEFT + SIDE, bottom, "axis")
    yield line(LEFT, TOP, LEFT, bottom, "axis")
    yield line(LEFT, bottom, LEFT + SIDE, TOP, "axis")
    yield text(LEFT + SIDE / 2, bottom + 38, "measured cycles", "dim", anchor="middle")
    yield text(LEFT, TOP - 12, "estimated cycles", "dim")
    for row in rows:
        yield _dot(LEFT + at(row.measured), bottom - at(row.estimated), cores.index(row.core), _title(row))
    x = float(LEFT)
    for n, core in enumerate(cores):
        yield _dot(x + 5, bottom + 62, n, core)
        yield text(x + 14, bottom + 66, core.removeprefix("cortex-").upper().replace("PLUS", "+"), "dim")
        x += 66


def _power(power: int) -> str:
    """Cycles for people: 100 k, 1 M, 10 M."""
    value = 10.0**power
    return f"{value / 1e6:g} M" if power >= 6 else f"{value / 1e3:g} k"


def _title(row: Result) -> str:
    without = "" if row.left_out_pct is None else f", fitted without it {row.left_out_pct:+.2f} %"
    cycles = f"measured {row.measured:,}, estimated {row.estimated:,}"
    return f"{row.board} {row.network}: {cycles}, {row.error_pct:+.2f} %{without}"


def _errors(rows: Sequence[Result], cores: Sequence[str], below: float) -> Iterator[str]:
    """A line for each row, its error as a filled circle, and as an open one where it was fitted without it."""
    known = [abs(e) for row in rows for e in (row.error_pct, row.left_out_pct) if e is not None]
    most = max(FEWEST, 5 * math.ceil(max(known, default=0) / 5))
    middle = ERRORS + SPAN / 2
    yield text(ERRORS - 160, 24, "Error of each network", more='font-size="17" font-weight="600"')
    yield text(ERRORS - 160, 42, "filled: the estimate; open: with parameters fitted to the other networks only", "dim")
    for percent in range(-int(most), int(most) + 1, 5):
        x = middle + percent * SPAN / 2 / most
        yield line(x, TOP - 6, x, below, "grid" if percent else "axis")
        yield text(x, below + 18, f"{percent:+d} %" if percent else "0", "dim", anchor="middle")
    y, before = TOP + ROW / 2, ""
    for row in rows:
        y += GAP if before not in ("", row.core) else 0
        before = row.core
        core, title = cores.index(row.core), _title(row)
        yield text(ERRORS - 12, y + 4, f"{row.board} {row.network}", "dim", anchor="end", more='font-size="11"')
        if row.left_out_pct is not None:
            yield _dot(middle + row.left_out_pct * SPAN / 2 / most, y, core, title, hollow=True)
        yield _dot(middle + row.error_pct * SPAN / 2 / most, y, core, title)
        told = _percent(row.error_pct) + ("" if row.left_out_pct is None else f" ({_percent(row.left_out_pct)})")
        yield text(ERRORS + SPAN + 14, y + 4, told, "dim", more='font-size="11"')
        y += ROW


def _percent(error: float) -> str:
    return f"{round(error, 1) + 0.0:+.1f} %"  # no -0.0
