"""The cycle counter of the DWT unit, which reads our estimate [ARMv7-M ARM, C1.8]."""

from __future__ import annotations

from collections.abc import Callable

BASE = 0xE000_1000
CONTROL, COUNT = 0x0, 0x4
COUNTS = 1  # CYCCNTENA
COMPARATORS = 0x4000_0000  # NUMCOMP: what the implementations of ARMv7-M have
MASK = 0xFFFF_FFFF


class CycleCounter:
    """CYCCNT counts while DEMCR.TRCENA and DWT_CTRL.CYCCNTENA are set. `now` says cycles, without those asleep."""

    def __init__(self, now: Callable[[], int], tracing: Callable[[], bool]) -> None:
        self._now, self._tracing = now, tracing
        self.control = COMPARATORS
        self._value = 0  # at the cycle `_since`
        self._since = 0

    def gate(self, counts: bool) -> None:
        """Keep the value, from which it goes on if it counts from now on."""
        now = self._now()
        self._value, self._since = self.value(now, counts), now

    def value(self, now: int, counts: bool) -> int:
        return (self._value + (now - self._since if counts else 0)) & MASK

    @property
    def counts(self) -> bool:
        return self._tracing() and bool(self.control & COUNTS)

    def load(self, offset: int, size: int) -> int:
        return self.value(self._now(), self.counts) if offset == COUNT else self.control

    def store(self, offset: int, size: int, value: int) -> None:
        self.gate(self.counts)
        if offset == COUNT:
            self._value = value & MASK
        elif offset == CONTROL:
            self.control = COMPARATORS | value & 0x0FFF_FFFF
