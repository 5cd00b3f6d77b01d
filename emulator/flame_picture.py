"""A flame graph as an SVG (B. Gregg, "The Flame Graph", 2016): who calls is below, width is cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from emulator.flame import collapsed
from emulator.observed import Observed
from refsim.memsim.svg import box, document, hover, text
from refsim.printable import printable

LEFT, TOP, WIDTH, ROW = 20, 52, 1000, 20
LETTER = 6.4  # units of a letter's width
NARROWEST = 0.4  # units of a box that is drawn
FILLS = ("rs-activation-0", "rs-activation-1", "rs-activation-2")

Chain = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """A function in a chain of calls, from cycle `begin` on, with all that it called."""

    chain: Chain
    begin: int
    cycles: int


def boxes(spent: Mapping[Chain, int]) -> list[Box]:
    """A box for each beginning of a chain, callers first; those of one caller stand in the order of `spent`."""
    total: dict[Chain, int] = {}
    for chain, cycles in spent.items():
        for length in range(1, len(chain) + 1):
            total[chain[:length]] = total.get(chain[:length], 0) + cycles
    found: list[Box] = []
    free: dict[Chain, int] = {(): 0}  # where the next box above a chain begins
    for chain, cycles in total.items():
        begin = free[chain[:-1]]
        free[chain[:-1]] = begin + cycles
        free[chain] = begin
        found.append(Box(chain, begin, cycles))
    return found


def picture(observed: Observed) -> str:
    """The flame graph of a run whose calls were followed."""
    spent = collapsed(observed)
    total = sum(spent.values())
    found = boxes(spent)
    deepest = max((len(b.chain) for b in found), default=0)
    height = TOP + ROW * deepest + 16
    title = f"{observed.name} on {observed.board.name}: {total:,} cycles"
    head = text(LEFT, 28, printable(title, 120), more='font-size="17" font-weight="600"')
    drawn = [head, *_drawn(found, total, TOP + ROW * (deepest - 1))]
    return document(LEFT + WIDTH + LEFT, height, f"flame graph of {title}", drawn)


def _drawn(found: list[Box], total: int, ground: float) -> Iterator[str]:
    scale = WIDTH / max(total, 1)
    for n, b in enumerate(found):
        width = b.cycles * scale
        if width < NARROWEST:
            continue
        x, y = LEFT + b.begin * scale, ground - ROW * (len(b.chain) - 1)
        letters = int((width - 8) / LETTER)
        content = [box(x, y, width, ROW, FILLS[n % len(FILLS)], 'stroke="#ffffff" stroke-width=".6"')]
        if letters >= 3:
            content.append(text(x + 4, y + 14, printable(b.chain[-1], letters), "on", more='font-size="11"'))
        yield hover(f"{b.chain[-1]}: {b.cycles:,} cycles, {b.cycles / max(total, 1):.1%}", content)
