"""What a runtime takes for a network, and the plan behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from refsim.graph import Graph
from refsim.memsim.plan import Plan


@dataclass(frozen=True, eq=False)
class Footprint:
    """Bytes of SRAM and flash. `flash_parts` sum to the flash, `detail` has what else is known by name; `plan` can be
    drawn.

    `sram` is activations, scratch and state, for interpreters the arena used. `static` is .data and .bss of the runtime
    itself, known where somebody measured it: figures printed for whole firmware hold both.
    `computes` says of each step of the plan which tensor it computes, -1 for none; empty where nobody knows the steps.
    `notes` are sentences for the user: what the model of the runtime does not know, and what it found.
    """

    runtime: str
    sram: int
    flash_parts: Mapping[str, int]
    detail: Mapping[str, int]
    plan: Plan
    static: int = 0
    notes: tuple[str, ...] = ()
    computes: tuple[int, ...] = ()

    @property
    def flash(self) -> int:
        return sum(self.flash_parts.values())


Runtime = Callable[[Graph], Footprint]
KIB = 1024


def rounded_up(nbytes: int, multiple: int) -> int:
    return -(-nbytes // multiple) * multiple
