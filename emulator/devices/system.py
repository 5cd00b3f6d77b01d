"""The system control space at 0xE000E000: SysTick, NVIC, SCB and debug registers [ARMv7-M ARM, B3.2].

What has no effect here (MPU, FPU and cache control) is stored and read back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emulator.devices import systick
from emulator.devices.dwt import CycleCounter
from emulator.devices.exceptions import FIRST_INTERRUPT, PEND_SV, SYSTICK, Exceptions
from emulator.devices.systick import SysTick
from emulator.machine import Machine

BASE = 0xE000_E000
SET_ENABLE, CLEAR_ENABLE, SET_PENDING, CLEAR_PENDING, ACTIVE = 0x100, 0x180, 0x200, 0x280, 0x300
PRIORITIES, SYSTEM_PRIORITIES = 0x400, 0xD18
CPU_ID, INTERRUPT_CONTROL, VECTORS, RESET, CONFIGURATION = 0xD00, 0xD04, 0xD08, 0xD0C, 0xD14
DEBUG_MONITOR, TRIGGER, FLOAT_CONTEXT = 0xDFC, 0xF00, 0xF34
TRACE_ENABLE = 1 << 24  # of DEMCR
KEY, RESET_REQUEST = 0x05FA, 4  # of AIRCR
SET_PEND_SV, CLEAR_PEND_SV, SET_SYSTICK, CLEAR_SYSTICK = 1 << 28, 1 << 27, 1 << 26, 1 << 25  # of ICSR

CPU_IDS: Mapping[str, int] = {  # the revisions of the boards' chips, by the cores' technical reference manuals
    "cortex-m0plus": 0x410C_C601,
    "cortex-m3": 0x412F_C231,
    "cortex-m4": 0x410F_C241,
    "cortex-m7": 0x411F_C271,
    "cortex-m33": 0x410F_D214,
}
WORD = 0xFFFF_FFFF


class SystemControl:
    """The registers of one page, as words of `_stored` where they are no more than that."""

    def __init__(
        self,
        machine: Machine,
        table: int,
        now: Callable[[], int],
        counter: Callable[[], CycleCounter | None],
        reset: Callable[[], None],
        urgent: Callable[[], None],
    ) -> None:
        core = machine.board.core
        self._machine, self._table, self._counter, self._reset, self._urgent = machine, table, counter, reset, urgent
        self._now = now
        self._stored = {CPU_ID: CPU_IDS[core.name], CONFIGURATION: 0x200, FLOAT_CONTEXT: 0xC000_0000}
        self._implemented = 0xC0C0_C0C0 if core.architecture == "armv6-m" else 0xF0F0_F0F0  # bits of priorities
        self._enabled = 0  # interrupts, a bit each
        self._raised = 0
        self.systick = SysTick(now)
        self.exceptions = Exceptions(machine, lambda: self.vectors, self.priority)

    @property
    def vectors(self) -> int:
        """Where the vector table lies: VTOR, or the image's own as long as nobody has written it."""
        return self._stored.get(VECTORS) or self._table

    @property
    def tracing(self) -> bool:
        return bool(self._stored.get(DEBUG_MONITOR, 0) & TRACE_ENABLE)

    def priority(self, number: int) -> int:
        """The configured priority of an exception."""
        at = SYSTEM_PRIORITIES + number - 4 if number < FIRST_INTERRUPT else PRIORITIES + number - FIRST_INTERRUPT
        return self._stored.get(at & ~3, 0) >> 8 * (at & 3) & 0xFF

    def load(self, offset: int, size: int) -> int:
        """A read of `size` bytes."""
        return self._word(offset & ~3) >> 8 * (offset & 3) & ((1 << 8 * size) - 1)

    def store(self, offset: int, size: int, value: int) -> None:
        """A write of `size` bytes."""
        at, shift = offset & ~3, 8 * (offset & 3)
        if size < 4:
            mask = ((1 << 8 * size) - 1) << shift
            value = (self._stored.get(at, 0) & ~mask) | (value << shift & mask)
        self._set(at, value & WORD)

    def _word(self, at: int) -> int:
        if at == systick.CONTROL:
            self._tick()
            return self.systick.read_control()
        if at == systick.RELOAD:
            return self.systick.reload
        if at == systick.VALUE:
            self._tick()
            return self.systick.value(self._now())
        if at == INTERRUPT_CONTROL:
            return self._interrupt_control()
        for first, bits in ((SET_ENABLE, self._enabled), (CLEAR_ENABLE, self._enabled),
                            (SET_PENDING, self._raised), (CLEAR_PENDING, self._raised)):  # fmt: skip
            if first <= at < first + 0x40:
                return bits >> 8 * (at - first) & WORD
        return self._stored.get(at, 0)

    def _tick(self) -> None:
        """Notice a zero of SysTick that no slice has ended at yet."""
        if self.systick.advance(self._now()):
            self.exceptions.pending.add(SYSTICK)
            self._urgent()

    def _interrupt_control(self) -> int:
        pending, active = self.exceptions.pending, self.exceptions.active
        found = active[-1] if active else 0
        found |= (min(pending) << 12) if pending else 0
        return found | (SET_PEND_SV if PEND_SV in pending else 0) | (SET_SYSTICK if SYSTICK in pending else 0)

    def _set(self, at: int, value: int) -> None:
        if at in (systick.CONTROL, systick.RELOAD, systick.VALUE):
            self._tick()
            self.systick.write(at, value)
            self._urgent()  # the running slice was measured for the counter as it was
        elif at == INTERRUPT_CONTROL:
            self._pend(value)
        elif at == RESET:
            self._stored[at] = value & 0xFFFF | 0xFA05_0000
            if value >> 16 == KEY and value & RESET_REQUEST:
                self._reset()
        elif at == TRIGGER:
            self._raise(1 << (value & 0x1FF))
        elif SET_ENABLE <= at < ACTIVE:
            self._interrupts(at, value)
        elif PRIORITIES <= at < PRIORITIES + 0x1F0 or SYSTEM_PRIORITIES <= at < SYSTEM_PRIORITIES + 12:
            self._stored[at] = value & self._implemented
        elif at != CPU_ID:
            self._store(at, value)

    def _store(self, at: int, value: int) -> None:
        counter = self._counter()
        if at == DEBUG_MONITOR and counter is not None:
            counter.gate(counter.counts)
        self._stored[at] = value

    def _pend(self, value: int) -> None:
        pending = self.exceptions.pending
        for bit, number in ((SET_PEND_SV, PEND_SV), (SET_SYSTICK, SYSTICK)):
            if value & bit:
                pending.add(number)
        for bit, number in ((CLEAR_PEND_SV, PEND_SV), (CLEAR_SYSTICK, SYSTICK)):
            if value & bit:
                pending.discard(number)
        self._urgent()

    def _interrupts(self, at: int, value: int) -> None:
        bits = value << 8 * (at & 0x3F)
        if at < CLEAR_ENABLE:
            self._enabled |= bits
        elif at < SET_PENDING:
            self._enabled &= ~bits
        elif at < CLEAR_PENDING:
            self._raised |= bits
        else:
            self._raised &= ~bits
        self._settle()

    def _raise(self, bits: int) -> None:
        self._raised |= bits
        self._settle()

    def _settle(self) -> None:
        """Pend what is both raised and enabled, and nothing else of the interrupts."""
        ready = self._raised & self._enabled
        kept = {number for number in self.exceptions.pending if number < FIRST_INTERRUPT}
        raised = {FIRST_INTERRUPT + n for n in range(ready.bit_length()) if ready >> n & 1}
        self.exceptions.pending = kept | raised
        self._urgent()

    def entered(self, number: int) -> None:
        """An exception was taken: an interrupt is no longer raised."""
        if number >= FIRST_INTERRUPT:
            self._raised &= ~(1 << number - FIRST_INTERRUPT)
