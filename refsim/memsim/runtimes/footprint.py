"""What a runtime takes for a network, and the plan behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from refsim.graph import Graph
from refsim.memsim.plan import Plan


@dataclass(frozen=True, eq=False)
class Footprint:
    """Bytes of SRAM and flash. `detail` says by name what `sram` and `flash` consist of; `plan` can be drawn.

    `sram` is activations, scratch and state, for interpreters the arena used. `static` is .data and .bss of the runtime
    itself, known where somebody measured it: figures printed for whole firmware hold both.
    `notes` are sentences for the user: what the model of the runtime does not know, and what it found.
    """

    runtime: str
    sram: int
    flash: int
    detail: Mapping[str, int]
    plan: Plan
    static: int = 0
    notes: tuple[str, ...] = ()


Runtime = Callable[[Graph], Footprint]
KIB = 1024


def rounded_up(nbytes: int, multiple: int) -> int:
    return -(-nbytes // multiple) * multiple
