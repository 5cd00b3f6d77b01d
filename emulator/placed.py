"""Instructions where they lie, with what their neighbours say of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from emulator import instructions
from emulator.instructions import Instruction

Samples = tuple[int, ...]  # the low bits of an address, a sample each; empty where none was seen


class Placed(NamedTuple):
    """An instruction at its address; `skips`: it is governed by an IT instruction."""

    address: int
    instruction: Instruction
    skips: bool
    samples: Samples = ()  # where its accesses began, modulo 8; empty where it is not known

    @property
    def may_stay(self) -> bool:
        """A jump that an IT instruction governs: what it costs beyond a cycle falls to the edge of the jump."""
        return self.skips and self.instruction.jumps


def place(start: int, data: bytes, governed: int = 0) -> list[Placed]:
    """The instructions of straight-line code at `start`; the first `governed` are by an IT instruction before it."""
    placed = []
    for offset, i in instructions.split(data):
        placed.append(Placed(start + offset, i, governed > 0))
        governed = _governed(data[offset]) if i.kind == "it" else max(governed - 1, 0)
    return placed


def still_governed(placed: Sequence[Placed], data: bytes) -> int:
    """Instructions behind these that an IT instruction among them governs; `data` encodes them."""
    for n, p in enumerate(reversed(placed[-4:])):
        if p.instruction.kind == "it":
            return max(_governed(data[p.address - placed[0].address]) - n, 0)
    return 0


def _governed(encoding: int) -> int:
    """Instructions that an IT instruction governs: its mask ends in a one bit after them."""
    mask = encoding & 0xF
    return 4 - ((mask & -mask).bit_length() - 1)
