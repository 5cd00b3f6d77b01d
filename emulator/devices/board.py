"""All devices of one board: which there are, where, and what they share. The `Scheduler` lets them act."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from emulator.devices import chips, dwt, system, uart
from emulator.devices.console import Console
from emulator.devices.dwt import CycleCounter
from emulator.devices.exceptions import name
from emulator.devices.registers import Registers
from emulator.devices.system import SystemControl
from emulator.machine import Machine

# (base, bytes): peripherals, the private bus, and STM32's system memory, which ends well below SRAM: there, stacks
# overflow.
PERIPHERALS = ((0x4000_0000, 0x2000_0000), (0xE000_0000, 0x10_0000), (0x1FFF_0000, 0x8000))
PRIVATE = 0xE000_0000  # the private peripheral bus: its debug units are not listed as unmodelled


@dataclass(frozen=True, slots=True)
class Peripheral:
    """A peripheral that nothing models, with how often it was read and written."""

    name: str
    address: int
    reads: int
    writes: int


class Devices:
    """Devices of a machine's board. `table`: where the image's vector table lies. `cycles`: executed so far.

    Time is those cycles, and what the core spent asleep or in endless loops: `asleep` and `spun`, in cycles too.
    """

    def __init__(self, machine: Machine, table: int, cycles: Callable[[], int]) -> None:
        self._machine, self._cycles = machine, cycles
        self.console = Console()
        self.spun = self.asleep = 0
        self.wants_reset = False
        self.failure: BaseException | None = None  # what a device raised, for the scheduler
        self.watch: Callable[[], None] = lambda: None  # called at each access that Python answers
        self.system = SystemControl(machine, table, self.now, self._cycle_counter, self._reset, machine.counter.cut)
        self._counter: CycleCounter | None = None
        self._family = chips.family(machine.board.name)
        modelled = list(self._modelled())
        taken = [(r.base, r.base + r.size) for r in modelled] + [(r.base, r.end) for r in machine.regions]
        self._modelled_registers = modelled
        self._rest = [
            Registers(machine, base, end - base, rules=self._family.ready, reset=self._family.reset)
            for first, size in (*PERIPHERALS, *self._family.extra)
            for base, end in _gaps(first, first + size, taken)
        ]

    def _modelled(self) -> Iterator[Registers]:
        m = self._machine
        yield self._answered(system.BASE, self.system.load, self.system.store)
        if m.board.core.architecture != "armv6-m":  # ARMv6-M has neither a cycle counter nor an ITM
            self._counter = counter = CycleCounter(lambda: self._cycles() + self.spun, lambda: self.system.tracing)
            yield self._answered(dwt.BASE, counter.load, counter.store)
            yield uart.add_itm(m, self.console)
        for base in self._family.uarts:
            yield uart.add_uart(m, self.console, base, self._family.uart)

    def _answered(
        self, base: int, load: Callable[[int, int], int], store: Callable[[int, int, int], None]
    ) -> Registers:
        """A page of registers that Python answers."""
        guarded = self._guarded(load), self._guarded(store)
        return Registers(self._machine, base, 0x1000, steady=True, load=guarded[0], stored=guarded[1])

    def _guarded(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        """ctypes would print what a callback raises and go on, KeyboardInterrupt included: keep it, end the slice."""

        def guarded(*given: int) -> int:
            try:
                self.watch()
                return answer(*given) or 0
            except BaseException as error:
                self.failure = self.failure or error
                self._machine.counter.cut()
                return 0

        return guarded

    def _cycle_counter(self) -> CycleCounter | None:
        return self._counter

    def _reset(self) -> None:
        self.wants_reset = True
        self._machine.counter.cut()

    def now(self) -> int:
        """Cycles since reset, idle ones included."""
        return self._cycles() + self.idle

    @property
    def idle(self) -> int:
        return self.spun + self.asleep

    @property
    def exceptions(self) -> dict[str, int]:
        """How often each exception was taken, by name."""
        return {name(number): times for number, times in sorted(self.system.exceptions.taken.items())}

    def unmodelled(self) -> tuple[Peripheral, ...]:
        """Peripherals that were accessed and are not modelled, by address."""
        page, names = self._family.page, self._family.names
        modelled = {rule.target & -page for rule in self._family.ready}
        found: dict[int, tuple[int, int]] = {}
        for access in (a for registers in self._rest if registers.base < PRIVATE for a in registers.accesses()):
            base = access.address & -page
            if base not in modelled:
                reads, writes = found.get(base, (0, 0))
                found[base] = reads + access.reads, writes + access.writes
        return tuple(Peripheral(names.get(at, f"{at:#010x}"), at, *times) for at, times in sorted(found.items()))


def _gaps(first: int, end: int, taken: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What of [first, end) lies in none of the ranges `taken`."""
    for base, stop in sorted(taken):
        if base < end and stop > first:
            if first < base:
                yield first, base
            first = max(first, stop)
    if first < end:
        yield first, end
