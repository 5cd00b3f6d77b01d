"""Which transformations of a Program are tried, by name and by what is to be saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from refsim.errors import UsageError

ORDER = "order"  # nodes in the order that needs least memory
INPLACE = "inplace"  # outputs in the bytes of inputs: elementwise, concatenation and slices without copies
OVERLAP = "overlap"  # row by row, an output follows its input through the same bytes
PATCH = "patch"  # the first layers patch by patch
STREAM = "stream"  # chains of layers row by row through rings
NAMES = (ORDER, INPLACE, OVERLAP, PATCH, STREAM)


class Effort(NamedTuple):
    """Transformations that may be used, and the share of instructions that they may add, as estimated."""

    transforms: frozenset[str]
    most_extra: float


OPTIMIZE: Mapping[str, Effort] = {
    "latency": Effort(frozenset((ORDER, INPLACE)), 0.0),
    "balanced": Effort(frozenset((ORDER, INPLACE, OVERLAP, STREAM)), 0.01),
    "sram": Effort(frozenset((ORDER, INPLACE, OVERLAP, STREAM)), 0.025),
}
CHOSEN = 1.0  # most_extra where somebody names the transformations: as many instructions again


def effort(optimize: str, transforms: str | None = None) -> Effort:
    """What `--optimize` allows, unless `--transforms` (none, or names with commas) overrides it. Raises UsageError."""
    if optimize not in OPTIMIZE:
        raise UsageError(f"--optimize '{optimize}' is not known: expected one of {', '.join(OPTIMIZE)}")
    if transforms is None:
        return OPTIMIZE[optimize]
    names = [] if transforms == "none" else transforms.split(",")
    if "none" in names:
        raise UsageError(f"--transforms '{transforms}': none goes with no other; leave it or the others out")
    if unknown := [name for name in names if name not in NAMES]:
        raise UsageError(f"--transforms '{unknown[0]}' is not known: expected none, or some of {','.join(NAMES)}")
    return Effort(frozenset(names), CHOSEN)
