"""Exceptions as the core takes and leaves them, for those that are pended here [ARMv7-M ARM, B1.5.6 to B1.5.8].

Faults are not taken: they end the run. The frame of a core with an FPU is the long one where the code has used it, and
is written at once (no lazy stacking).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from emulator.machine import Machine

SVC, PEND_SV, SYSTICK, FIRST_INTERRUPT = 11, 14, 15, 16
NAMES = {SVC: "SVCall", PEND_SV: "PendSV", SYSTICK: "SysTick"}
LOWEST = 256  # below every priority: what runs in thread mode

FRAME = ("r0", "r1", "r2", "r3", "r12", "lr")  # then the return address and xPSR
SINGLES = tuple(f"s{n}" for n in range(16))
SHORT_WORDS, LONG_WORDS = 8, 26
ALIGNED = 1 << 9  # of the stacked xPSR: a word was skipped to align the stack to 8 bytes
FPCA, SPSEL = 4, 2  # of CONTROL
NO_FLOAT, TO_THREAD, TO_PSP = 0x10, 0x08, 0x04  # of EXC_RETURN
RETURN_BITS = {"armv8-m.main": 0xFFFF_FFA0}  # without the Security extension; the others: 0xFFFFFFE1
THUMB = 1 << 24
NUMBER = 0x1FF  # of xPSR


class Exceptions:
    """The pending and the active exceptions of a machine.

    `vectors` says where the table lies, `priority` that of an exception number: 0 is the most urgent.
    """

    def __init__(self, machine: Machine, vectors: Callable[[], int], priority: Callable[[int], int]) -> None:
        self._machine, self._vectors, self._priority = machine, vectors, priority
        core = machine.board.core
        self._has_float = core.fpu != "none"
        self._masks = core.architecture != "armv6-m"
        self._returns = RETURN_BITS.get(core.architecture, 0xFFFF_FFE1)
        self.pending: set[int] = set()
        self.active: list[int] = []
        self.taken: dict[int, int] = {}  # number -> times

    def next(self) -> int | None:
        """The pending exception that would be taken now."""
        if not self.pending:
            return None
        first = min(self.pending, key=lambda number: (self._priority(number), number))
        return first if self._priority(first) < self._current() else None

    def masked(self, number: int) -> bool:
        """Whether an exception could not be taken now, if it were pending."""
        return self._priority(number) >= self._current()

    def _current(self) -> int:
        """The priority of what runs, PRIMASK, FAULTMASK and BASEPRI considered."""
        register = self._machine.register
        running = min((self._priority(number) for number in self.active), default=LOWEST)
        if register("primask") & 1:
            running = min(running, 0)
        if self._masks:
            base = register("basepri")
            running = min(running, base if base else LOWEST, -1 if register("faultmask") & 1 else LOWEST)
        return running

    def take(self, number: int, pc: int) -> int:
        """Stack the frame of what ran and go on at `pc`; returns where the handler begins."""
        m = self._machine
        control = m.register("control")
        long = self._has_float and control & FPCA
        leaves = self._returns | (0 if long else NO_FLOAT)
        if not self.active:
            leaves |= TO_THREAD | (TO_PSP if control & SPSEL else 0)
        self._stack(pc, LONG_WORDS if long else SHORT_WORDS)
        m.set_register("control", control & ~(FPCA | SPSEL))
        m.set_register("ipsr", number)
        m.set_register("lr", leaves)
        self.pending.discard(number)
        self.active.append(number)
        self.taken[number] = self.taken.get(number, 0) + 1
        if m.counter.last:
            m.counter.end()
        (handler,) = struct.unpack("<I", m.read(self._vectors() + 4 * number, 4))
        if not handler & 1:
            raise m.fault(f"the vector of {name(number)} is {handler:#010x}, no Thumb code, {m.where(pc)}")
        return int(handler) & ~1

    def _stack(self, pc: int, words: int) -> None:
        m = self._machine
        sp = m.register("sp")
        frame = (sp - 4 * words) & ~7
        skipped = ALIGNED if (sp - 4 * words) & 4 else 0
        values = [m.register(r) for r in FRAME] + [pc, m.register("xpsr") & ~ALIGNED | THUMB | skipped]
        if words == LONG_WORDS:
            values += [*(m.register(s) for s in SINGLES), m.register("fpscr"), 0]
        m.write(frame, struct.pack(f"<{words}I", *values))
        m.set_register("sp", frame)

    def leave(self, code: int) -> None:
        """Return from the latest exception by a branch to `code`, an EXC_RETURN value."""
        m = self._machine
        stack = "psp" if code & TO_PSP and code & TO_THREAD else "msp"
        frame = m.register(stack)
        words = SHORT_WORDS if code & NO_FLOAT or not self._has_float else LONG_WORDS
        values = struct.unpack(f"<{words}I", m.read(frame, 4 * words))
        pc, xpsr = values[6:8]
        m.set_register(stack, frame + 4 * words + (4 if xpsr & ALIGNED else 0))
        self._resume(code, xpsr, long=words == LONG_WORDS)
        for register, value in zip(FRAME, values[:6], strict=True):
            m.set_register(register, value)
        if words == LONG_WORDS:
            for register, value in zip(SINGLES, values[8:24], strict=True):
                m.set_register(register, value)
            m.set_register("fpscr", values[24])
        m.set_register("pc", pc | 1)
        m.counter.end()

    def _resume(self, code: int, xpsr: int, *, long: bool) -> None:
        """The mode and flags of what was interrupted."""
        m = self._machine
        self.active.pop()
        thread = bool(code & TO_THREAD)
        m.set_register("xpsr", xpsr & ~(ALIGNED | NUMBER) | (0 if thread else xpsr & NUMBER))
        m.set_register("ipsr", 0 if thread else xpsr & NUMBER)
        if thread:
            self.active.clear()
        if self._masks:
            m.set_register("faultmask", 0)
        control = m.register("control") & ~(FPCA | SPSEL)
        m.set_register("control", control | (FPCA if long else 0) | (SPSEL if thread and code & TO_PSP else 0))


def name(number: int) -> str:
    """An exception in words."""
    return NAMES.get(number, f"interrupt {number - FIRST_INTERRUPT}")
