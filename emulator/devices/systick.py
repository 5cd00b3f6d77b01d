"""SysTick: a 24-bit counter that counts cycles down and pends an exception at each zero [ARMv7-M ARM, B3.3]."""

from __future__ import annotations

from collections.abc import Callable

ENABLE, INTERRUPT, PROCESSOR_CLOCK, COUNT_FLAG = 1, 2, 4, 1 << 16
CONTROL, RELOAD, VALUE = 0x10, 0x14, 0x18  # offsets in the system control space
MASK = 0xFF_FFFF
SLOW = 8  # cycles of the reference clock, where the processor's is not chosen: HCLK / 8 on STM32


class SysTick:
    """Times are cycles. `now` says them; a zero that lies behind is noticed by `advance`."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.control = 0
        self.reload = 0
        self._held = 0  # the counter's value while it stands
        self.next_zero = 0

    @property
    def ticks(self) -> bool:
        """Whether it raises exceptions."""
        return self.control & (ENABLE | INTERRUPT) == ENABLE | INTERRUPT and self.reload > 0

    @property
    def _unit(self) -> int:
        return 1 if self.control & PROCESSOR_CLOCK else SLOW

    @property
    def _period(self) -> int:
        return (self.reload + 1) * self._unit

    def advance(self, now: int) -> bool:
        """Whether a zero that raises an exception was passed since the last call."""
        if not self.control & ENABLE or not self.reload or now < self.next_zero:
            return False
        self.next_zero += ((now - self.next_zero) // self._period + 1) * self._period
        self.control |= COUNT_FLAG
        return bool(self.control & INTERRUPT)

    def value(self, now: int) -> int:
        """What the counter reads."""
        if not self.control & ENABLE:
            return self._held
        left = -(-(self.next_zero - now) // self._unit)
        return 0 if left > self.reload else max(left, 0)

    def read_control(self) -> int:
        """CSR; reading it clears COUNTFLAG."""
        found = self.control
        self.control &= ~COUNT_FLAG
        return found

    def write(self, offset: int, value: int) -> None:
        """A write to CSR, RVR or CVR."""
        now = self._now()
        if offset == RELOAD:
            self.reload = value & MASK
        elif offset == VALUE:
            self.control &= ~COUNT_FLAG
            self._start(now, 0)
        elif offset == CONTROL:
            held = self.value(now)
            started = value & ENABLE and not self.control & ENABLE
            self.control = (value & 7) | (self.control & COUNT_FLAG)
            if started or not value & ENABLE:
                self._start(now, held)

    def _start(self, now: int, held: int) -> None:
        """Go on from a value; from 0 it takes one more count, in which RVR is loaded."""
        self._held = held
        self.next_zero = now + (held * self._unit if held else self._period)
