"""What a machine asks between blocks of its code."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Supervisor(Protocol):
    """What acts on a machine between blocks of its code: exceptions, sleep, semihosting. It may raise Fault."""

    @property
    def stops(self) -> Collection[int]:
        """Addresses of blocks before which `stopped` is asked."""

    def before(self, pc: int) -> tuple[int, int]:
        """Where to go on instead of `pc` (as where an exception is taken), and for about how many blocks."""

    def stopped(self, pc: int) -> int:
        """Where to go on, at one of `stops`; the same address runs it."""

    def trap(self, number: int) -> bool:
        """Whether it handled QEMU's exception `number`; the machine goes on at its pc then."""

    def slept(self, pc: int) -> None:
        """A WFI or WFE ran; `pc` is after it."""
