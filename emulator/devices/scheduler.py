"""Lets the devices of a machine act between blocks of its code: exceptions, sleep, semihosting, the end of the run.

Time that passes asleep, or in an endless loop that only interrupts leave, is not executed: it moves to the next tick.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator

from emulator.devices import semihosting
from emulator.devices.board import Devices
from emulator.devices.exceptions import SVC, SYSTICK
from emulator.devices.semihosting import Semihosting
from emulator.faults import EndlessLoop, LimitReached
from emulator.machine import EXCEPTION_RETURN, PROCESS_STACK, SLICE, Machine
from refsim.errors import Fault

SUPERVISOR_CALL, BREAKPOINT = 2, 7  # QEMU's EXCP_SWI, EXCP_BKPT
ENDLESS = re.compile(rb"\xfe\xe7|\xff\xf7\xfe\xbf")  # b . in 16 and 32 bits
SHORTEST = 16  # blocks of a slice before a tick
CAUTION = 0.85  # of the blocks to the next tick are run in one slice, as the rate of the next ones may differ...
NEAR = 0.1  # ...and all, when less than this of the time between two ticks is left
SLOWEST = 100.0  # cycles a block, before any were measured
MASKED = 64  # blocks of the first slice in which a pending exception is held up
PATIENCE = 1000  # ticks of SysTick alone in one endless loop, after which nothing else is expected to come
IDLE_SLEEPS = 1000  # of one WFI that nothing can end


class Ended(Exception):
    """The firmware ended its run: `code` 0 says success."""

    def __init__(self, how: str, code: int) -> None:
        super().__init__(how)
        self.how, self.code = how, code


class TimedOut(LimitReached):
    """The seconds of host time ran out."""


class Scheduler:
    """The supervisor of a machine. `max_idle`: cycles that may pass idle; `timeout`: seconds of host time."""

    def __init__(
        self, machine: Machine, devices: Devices, *, max_idle: int = 1 << 62, timeout: float | None = None
    ) -> None:
        self._machine, self._devices = machine, devices
        self._max_idle, self._timeout = max_idle, timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._ended: Ended | None = None
        self._granted, self._then = 0, 0  # blocks of the last slice; time before it
        self._rate = SLOWEST  # cycles a block
        self._masked = MASKED
        self.patience = PATIENCE
        self._idle_at, self._idle_ticks = -1, 0
        self._sleeps: dict[int, int] = {}
        self._systick, self._exceptions = devices.system.systick, devices.system.exceptions
        self._semihosting = Semihosting(machine, devices.console, devices.now, self._exit)
        self.stops: Collection[int] = frozenset(_endless_loops(machine))
        devices.watch = self._watch
        machine.supervisor = self

    def before(self, pc: int) -> tuple[int, int]:
        """The exception that is due, or `pc`; and the blocks until somebody has to look again."""
        self._check(pc)
        if not self._systick.ticks and not self._exceptions.pending:
            self._granted = 0
            return pc, SLICE
        now = self._devices.now()
        self._notice(now)
        return self._take(pc), self._slice(now)

    def _check(self, pc: int) -> None:
        """Raise what ends the run."""
        devices, machine = self._devices, self._machine
        if devices.failure is not None:
            raise devices.failure
        if devices.wants_reset:
            raise Ended("the firmware asked for a reset", 0)
        if self._ended is not None:
            raise self._ended
        if self._late():
            where = machine.where(pc)
            raise TimedOut(f"{self._timeout:g} seconds passed, the last instruction {where}; {machine.registers}")
        self._check_stack(pc)

    def _check_stack(self, pc: int) -> None:
        machine = self._machine
        sp, limit = machine.register("sp"), machine.stack_limit
        main = sp < limit and not machine.register("control") & PROCESS_STACK
        if main and any(sp in r and limit in r for r in machine.regions):
            raise machine.fault(f"it has grown into data, {machine.where(pc)}")

    def _late(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    def _watch(self) -> None:
        if self._late():
            self._machine.counter.cut()

    def _notice(self, now: int) -> None:
        if self._systick.advance(now):
            self._exceptions.pending.add(SYSTICK)

    def _take(self, pc: int) -> int:
        """Where the most urgent exception begins, or `pc`."""
        number = self._exceptions.next()
        if number is None:
            return pc
        if number != SYSTICK:
            self._idle_ticks = 0
        entry = self._exceptions.take(number, pc)
        self._devices.system.entered(number)
        return entry

    def _slice(self, now: int) -> int:
        """Blocks to run: to the next tick at the rate of the last slice, fewer while an exception is held up."""
        ran = self._granted - self._machine.counter.blocks_left
        if ran > 0 and now > self._then:
            self._rate = (now - self._then) / ran
        self._then, self._granted = now, SLICE
        if self._systick.ticks:
            left = self._systick.next_zero - now
            near = left < self._systick.reload * NEAR
            self._granted = min(SLICE, int(left / self._rate * (1 if near else CAUTION)) + SHORTEST)
        if not self._exceptions.pending:
            self._masked = MASKED
            return self._granted
        if self._machine.counter.blocks_left <= 0:  # it was held up for all of the slice
            self._masked = min(2 * self._masked, SLICE)
        self._granted = min(self._granted, self._masked)
        return self._granted

    def stopped(self, pc: int) -> int:
        """At an endless loop: to the next tick, or to the end of the run."""
        self._check(pc)
        if pc != self._idle_at:
            self._idle_at, self._idle_ticks = pc, 0
        self._notice(self._devices.now())
        if self._exceptions.next() is None:
            self._idle_ticks += 1
            wakes = self._systick.ticks and not self._exceptions.masked(SYSTICK)
            if not wakes or self._idle_ticks > self.patience:
                raise self._machine.fault(f"an endless loop {self._machine.where(pc)}", EndlessLoop)
            self._devices.spun += self._to_tick(pc)
        return self._take(pc)

    def slept(self, pc: int) -> None:
        """WFI or WFE: until something is pending, even if PRIMASK holds it up."""
        self._notice(self._devices.now())
        if self._exceptions.pending:
            return
        if self._systick.ticks:
            self._devices.asleep += self._to_tick(pc - 2)
            return
        self._sleeps[pc] = self._sleeps.get(pc, 0) + 1
        if self._sleeps[pc] > IDLE_SLEEPS:
            where = self._machine.where(pc - 2)
            told = f"an endless loop {where}: it sleeps, and no interrupt is enabled to wake it"
            raise self._machine.fault(told, EndlessLoop)

    def _to_tick(self, pc: int) -> int:
        """Let time pass to SysTick's next zero; returns the cycles until then."""
        waited = max(self._systick.next_zero - self._devices.now(), 0)
        if self._devices.idle + waited > self._max_idle:
            machine = self._machine
            raise LimitReached(
                f"more than {self._max_idle} cycles went by idle, the last {machine.where(pc)}: "
                f"an endless loop, or raise the limit; {machine.registers}"
            )
        self._exceptions.pending.add(SYSTICK)
        self._systick.advance(self._systick.next_zero)
        return waited

    def trap(self, number: int) -> bool:
        """Semihosting, supervisor calls, and returns from exceptions."""
        m = self._machine
        pc = m.register("pc")
        if number == EXCEPTION_RETURN and self._exceptions.active:
            self._exceptions.leave(pc)
        elif number == SUPERVISOR_CALL and not self._exceptions.masked(SVC):
            m.set_register("pc", self._exceptions.take(SVC, pc) | 1)
        elif number == BREAKPOINT and m.read(pc, 2) == semihosting.BREAKPOINT:
            self._idle_ticks = 0
            m.set_register("r0", self._answer(pc))
            m.set_register("pc", pc + 2 | 1)
        else:
            return False
        return True

    def _answer(self, pc: int) -> int:
        """What r0 becomes by the semihosting request at `pc`."""
        m = self._machine
        try:
            return self._semihosting.request(m.register("r0"), m.register("r1"))
        except Fault as fault:
            raise m.fault(f"a semihosting request {m.where(pc)}: {fault}") from None

    def _exit(self, code: int) -> None:
        self._ended = Ended(f"semihosting exit with code {code}", code)

    def resume(self) -> None:
        """Thread mode, nothing masked, no exception under way: for a call after a run that ended anywhere."""
        self._ended, self._devices.failure, self._devices.wants_reset = None, None, False
        self._exceptions.active.clear()
        for register in ("ipsr", "primask", *(("basepri", "faultmask") if self._machine.board.core.thumb2 else ())):
            self._machine.set_register(register, 0)


def _endless_loops(machine: Machine) -> Iterator[int]:
    """Where the image has a branch to itself. Data that looks like one does no harm."""
    for segment in machine.image.segments:
        for found in ENDLESS.finditer(segment.data):
            if (segment.address + found.start()) % 2 == 0:
                yield segment.address + found.start()
