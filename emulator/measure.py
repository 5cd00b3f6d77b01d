"""Firmware run and counted: one function after boot, or the whole from reset. What a profile is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulator import firmware as firmwares
from emulator.call_tree import CallTree, Contexts
from emulator.firmware import Firmware, FirmwareFault, Outcome
from emulator.timing import Snapshot
from refsim.errors import Fault

RETURNED = Outcome("the function returned")


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A run that is over. `span`: what was counted of the part that is reported; `entry` None: the whole."""

    firmware: Firmware
    entry: int | None
    span: Snapshot
    idle_cycles: int
    outcome: Outcome
    notes: tuple[str, ...]
    contexts: Contexts | None = None  # where calls were followed


def whole(firmware: Firmware, max_instructions: int, *, follow_calls: bool = False) -> Measured:
    """From reset to the end. Raises ImageError."""
    tree = CallTree(firmware.machine) if follow_calls else None
    outcome = firmware.run(max_instructions)
    firmwares.check_core(firmware.machine)
    contexts = None if tree is None else tree.now()
    span = firmware.clock.now()
    return Measured(firmware, None, span, firmware.devices.idle, outcome, _notes(firmware), contexts)


def one_call(
    firmware: Firmware,
    addresses: Sequence[int],
    args: Sequence[int],
    boot_instructions: int,
    max_instructions: int,
    *,
    follow_calls: bool = False,
) -> Measured:
    """Boot, then call functions in turn; the last one, which gets `args`, is reported. Raises Fault, ImageError."""
    clock, devices = firmware.clock, firmware.devices
    *before, entry = addresses
    try:
        notes = firmware.boot(boot_instructions) if boot_instructions else ("not booted",)
        for address in before:
            firmware.call(address, (), max_instructions)
        tree = CallTree(firmware.machine) if follow_calls else None
        start, idle = clock.now(), devices.idle
        firmware.call(entry, args, max_instructions)
    except Fault as fault:
        firmwares.check_core(firmware.machine)
        raise FirmwareFault(str(fault), devices.console.text) from fault
    span, contexts = clock.now() - start, None if tree is None else tree.now()
    firmwares.check_core(firmware.machine)
    return Measured(firmware, entry, span, devices.idle - idle, RETURNED, (*notes, *_notes(firmware)), contexts)


def _notes(firmware: Firmware) -> tuple[str, ...]:
    """What the estimate leaves out."""
    taken = firmware.devices.exceptions
    if not taken:
        return ()
    told = ", ".join(f"{name} {times:,} times" for name, times in taken.items())
    return (f"exceptions taken: {told}; entry and return are not in the cycles, about 24 each time",)
