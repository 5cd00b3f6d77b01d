"""Semihosting: requests to a debugger by BKPT 0xAB, the operation in r0, its arguments in r1 [Arm, semihosting 2.0].

There is a console, a clock and an end; there are no files but ":tt", and nothing is ever read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from emulator.devices.console import Console
from emulator.machine import Machine

BREAKPOINT = b"\xab\xbe"
OPEN, CLOSE, WRITE_CHARACTER, WRITE_TEXT, WRITE, READ, READ_CHARACTER, IS_ERROR, IS_CONSOLE, SEEK, LENGTH = (
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0C,
)  # fmt: skip
CLOCK, TIME, ERROR_NUMBER, COMMAND_LINE, HEAP, EXIT, EXIT_EXTENDED, ELAPSED, TICK_RATE = (
    0x10, 0x11, 0x13, 0x15, 0x16, 0x18, 0x20, 0x30, 0x31,
)  # fmt: skip
APPLICATION_EXIT = 0x2_0026
FAILED = 0xFFFF_FFFF
CONSOLE_NAME = b":tt"
HANDLE = 1  # of the console
LONGEST = 1 << 16  # bytes of one string
DEFAULT_HZ = 100_000_000  # where the board has no clock


class Semihosting:
    """Answers requests. `now` says cycles; `leave` ends the run with an exit code."""

    def __init__(
        self, machine: Machine, console: Console, now: Callable[[], int], leave: Callable[[int], None]
    ) -> None:
        self._machine, self._console, self._now, self._leave = machine, console, now, leave
        self._hz = machine.board.clock_hz or DEFAULT_HZ

    def request(self, operation: int, argument: int) -> int:
        """What r0 becomes. Raises Fault when an argument points nowhere."""
        found = ANSWERS.get(operation)
        return FAILED if found is None else found(self, argument)

    def _words(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}I", self._machine.read(address, 4 * count))

    def write_character(self, argument: int) -> int:
        self._console.write(self._machine.read(argument, 1))
        return argument

    def write_text(self, argument: int) -> int:
        text, ended = b"", b""
        while len(text) < LONGEST and not ended:
            start = argument + len(text)
            end = next((r.end for r in self._machine.regions if start in r), start + 1)
            part, ended, _ = self._machine.read(start, min(end - start, LONGEST - len(text))).partition(b"\0")
            text += part
        self._console.write(text)
        return argument

    def write(self, argument: int) -> int:
        """Bytes that were not written."""
        _, address, count = self._words(argument, 3)
        self._console.write(self._machine.read(address, count))
        return 0

    def read(self, argument: int) -> int:
        """Bytes that were not read: all."""
        return self._words(argument, 3)[2]

    def open(self, argument: int) -> int:
        address, _, count = self._words(argument, 3)
        return HANDLE if self._machine.read(address, min(count, LONGEST)) == CONSOLE_NAME else FAILED

    def is_error(self, argument: int) -> int:
        return self._words(argument, 1)[0] >> 31

    def command_line(self, argument: int) -> int:
        """An empty one."""
        address, _ = self._words(argument, 2)
        self._machine.write(address, b"\0")
        self._machine.write(argument + 4, bytes(4))
        return 0

    def heap(self, argument: int) -> int:
        """Zeros: the firmware is to use its own."""
        self._machine.write(self._words(argument, 1)[0], bytes(16))
        return argument

    def centiseconds(self, argument: int) -> int:
        return self._now() * 100 // self._hz

    def seconds(self, argument: int) -> int:
        """Since reset: no date enters a run, so that it can be repeated."""
        return self._now() // self._hz

    def elapsed(self, argument: int) -> int:
        self._machine.write(argument, struct.pack("<Q", self._now()))
        return 0

    def tick_rate(self, argument: int) -> int:
        return self._hz

    def exit(self, argument: int) -> int:
        self._leave(0 if argument == APPLICATION_EXIT else 1)
        return 0

    def exit_extended(self, argument: int) -> int:
        reason, code = self._words(argument, 2)
        self._leave(code if reason == APPLICATION_EXIT else 1)
        return 0


ANSWERS: Mapping[int, Callable[[Semihosting, int], int]] = {
    OPEN: Semihosting.open,
    CLOSE: lambda self, argument: 0,
    WRITE_CHARACTER: Semihosting.write_character,
    WRITE_TEXT: Semihosting.write_text,
    WRITE: Semihosting.write,
    READ: Semihosting.read,
    READ_CHARACTER: lambda self, argument: FAILED,
    IS_ERROR: Semihosting.is_error,
    IS_CONSOLE: lambda self, argument: 1,
    SEEK: lambda self, argument: FAILED,
    LENGTH: lambda self, argument: 0,
    CLOCK: Semihosting.centiseconds,
    TIME: Semihosting.seconds,
    ERROR_NUMBER: lambda self, argument: 0,
    COMMAND_LINE: Semihosting.command_line,
    HEAP: Semihosting.heap,
    EXIT: Semihosting.exit,
    EXIT_EXTENDED: Semihosting.exit_extended,
    ELAPSED: Semihosting.elapsed,
    TICK_RATE: Semihosting.tick_rate,
}
