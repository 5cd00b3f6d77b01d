"""Collapsed stacks, a line for each chain of calls: `main;run;conv 1234`. Flame graph tools read them."""

from __future__ import annotations

from collections.abc import Mapping

from emulator.observed import Observed
from emulator.rounding import whole
from emulator.stacks import Path
from emulator.timing import UNITS
from refsim.printable import printable


def collapsed(observed: Observed) -> Mapping[tuple[str, ...], int]:
    """Cycles of each chain of calls, by the names of its functions; they sum to the cycles of the run."""
    assert observed.whole is not None
    stacks = observed.stacks()
    units = stacks.spent(observed.whole).units.tolist()
    found: dict[tuple[str, ...], int] = {}
    for path, cycles in zip(stacks.paths, whole(units, UNITS), strict=True):
        found[_names(path)] = found.get(_names(path), 0) + cycles
    return found


def _names(path: Path) -> tuple[str, ...]:
    """Names without what separates them in the file."""
    return tuple(printable(f.name).replace(";", ":").replace(" ", "_") for f in path)


def text(observed: Observed) -> str:
    """The file: chains that took no whole cycle are left out."""
    lines = (f"{';'.join(names)} {cycles}\n" for names, cycles in collapsed(observed).items() if cycles)
    return "".join(lines)
