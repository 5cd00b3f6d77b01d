"""Firmware from its reset vector: a board with devices, booted or run to its end.

firmware = prepare(image, board)
notes = firmware.boot(5_000_000)             # then firmware.call(address), as often as wanted
outcome = firmware.run(2_000_000_000)        # or the whole: what ended it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulator import instructions
from emulator.devices.board import Devices
from emulator.devices.scheduler import PATIENCE, Ended, Scheduler, TimedOut
from emulator.faults import EndlessLoop, LimitReached
from emulator.image import Image
from emulator.machine import Machine
from emulator.timing import Timing
from emulator.vectors import Vectors, begins_with_vectors, vectors, without
from refsim.boards import Board
from refsim.errors import Fault, ImageError

BOOT_PATIENCE = 10  # ticks of SysTick that may find an endless loop before boot is taken to be over


@dataclass(frozen=True, slots=True)
class Outcome:
    """What ended a run: `fault` for one that did not end by itself; `code` is 0 where it was a success."""

    ended: str
    fault: str | None = None
    code: int = 0

    @property
    def holds(self) -> bool:
        return self.fault is None and self.code == 0


class FirmwareFault(Fault):
    """A Fault, with what the firmware had printed before."""

    def __init__(self, text: str, output: str) -> None:
        super().__init__(text)
        self.output = output


@dataclass(frozen=True, slots=True, eq=False)
class Firmware:
    """An image on its board, at reset."""

    machine: Machine
    clock: Timing
    devices: Devices
    scheduler: Scheduler
    vectors: Vectors

    def run(self, max_instructions: int) -> Outcome:
        """From reset to the end. Raises ImageError for code that the board's core lacks."""
        try:
            self.machine.boot(self.vectors.sp, self.vectors.reset, max_instructions)
        except Ended as end:
            return Outcome(end.how, code=end.code)
        except Fault as fault:
            check_core(self.machine)
            return Outcome("a fault", str(fault), 1)
        return Outcome("the reset handler returned")

    def boot(self, max_instructions: int) -> tuple[str, ...]:
        """Run the reset handler for at most so many instructions. Returns notes. Raises TimedOut, ImageError."""
        self.scheduler.patience = BOOT_PATIENCE
        try:
            self.machine.boot(self.vectors.sp, self.vectors.reset, max_instructions)
        except Ended as end:
            return (f"boot ended: {end.how}",)
        except EndlessLoop:
            where = self.machine.where(self.machine.register("pc"))
            return (f"boot ended in an endless loop {where}: it waits for an interrupt, or is where main ends",)
        except TimedOut:
            raise
        except LimitReached:
            where = self.machine.where(self.machine.register("pc"))
            return (f"boot cut after {max_instructions} instructions, {where}: it waits, or runs its main loop",)
        except Fault as fault:
            check_core(self.machine)
            return (f"boot ended by a fault: {fault}",)
        return ()

    def call(self, address: int, args: Sequence[int], max_instructions: int) -> int:
        """Call a function in thread mode, on the firmware's own stack; returns r0. Raises Fault."""
        self.scheduler.patience = PATIENCE
        self.scheduler.resume()
        sp = self.machine.register("sp")
        if not any(r.writable and r.base < sp <= r.end for r in self.machine.board.memory):
            sp = self.vectors.sp
        try:
            return self.machine.call(address, args, max_instructions=max_instructions, sp=sp)
        except Ended as end:
            raise Fault(f"{end.how} before the function at {address:#010x} had returned") from None


def prepare(
    image: Image, board: Board, *, boots: bool = True, max_idle: int = 1 << 62, timeout: float | None = None
) -> Firmware:
    """All memory of the board, the image in it, and its devices. Raises ImageError.

    `boots`: a vector table is needed; without one, the stack is at the end of SRAM. `max_idle`: cycles that may pass
    asleep; `timeout`: seconds of host time for all that runs.
    """
    if why := image.target.why_not(board.core):
        raise ImageError(f"image '{image.name}' {why}: {board.name} has a {board.core.name}; choose another board")
    machine = Machine(board, image, memory=board.memory)
    found = vectors(image, board) if boots or begins_with_vectors(image, board) else without(board)
    machine.stack_limit = found.stack_limit
    clock = Timing(machine)
    devices = Devices(machine, found.table, lambda: clock.cycles)
    return Firmware(machine, clock, devices, Scheduler(machine, devices, max_idle=max_idle, timeout=timeout), found)


def check_core(machine: Machine) -> None:
    """Raise ImageError when what ran, or stopped the run, is an instruction that only other cores have."""
    core, pc = machine.board.core, machine.register("pc")
    ran = machine.executed()
    if any(r.base <= pc and pc + 4 <= r.end for r in machine.regions):
        first = machine.read(pc, 2)
        ran.append((pc, machine.read(pc, 4 if instructions.is_wide(first) else 2)))
    for address, data in ran:
        if missing := instructions.unknown(core, address, data):
            raise ImageError(
                f"image '{machine.image.name}' is for another core than {core.name}: '{missing.text}' "
                f"{machine.where(missing.address)}: {missing.why}; choose another board"
            )
