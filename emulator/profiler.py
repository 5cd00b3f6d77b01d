"""Cycles of a firmware image, by function and by cause: of one function after boot, or of the whole from reset.

found = profile(image, board, "run")    # boot, then this function
found = profile(image, board)           # from reset to the end; found.ended and found.fault say what that was
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator import causes, firmware as firmwares, image as images, measure
from emulator.counts import Counts
from emulator.devices.board import Peripheral
from emulator.firmware import Outcome
from emulator.image import Image, Symbol
from emulator.machine import Machine
from emulator.measure import RETURNED, Measured
from emulator.observed import Observed
from emulator.placed import place
from emulator.rounding import whole
from emulator.stacks import Moment
from emulator.timing import UNITS, Costs
from refsim.boards import Board
from refsim.errors import UsageError
from refsim.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

BOOT_INSTRUCTIONS = 5_000_000
MAX_INSTRUCTIONS = 20_000_000_000


@dataclass(frozen=True, slots=True)
class FunctionProfile:
    """What was spent in one function, without those it called; `share` is of all cycles, 0 to 1."""

    name: str
    address: int
    cycles: int
    instructions: int
    share: float


@dataclass(frozen=True, slots=True)
class Profile:
    """One call of `entry`, or with None the whole from reset. `cycles_error_pct` None: this core is not calibrated.

    `cycles` are executed ones; `idle_cycles` went by asleep, or in an endless loop between two interrupts.
    """

    image: str
    board: Board
    entry: int | None
    cycles: int
    cycles_error_pct: float | None
    instructions: int
    functions: tuple[FunctionProfile, ...]
    by_cause: dict[str, int]
    notes: tuple[str, ...]
    outcome: Outcome = RETURNED
    output: str = ""  # what the firmware printed, boot included
    peripherals: tuple[Peripheral, ...] = ()  # accessed, but not modelled
    idle_cycles: int = 0
    exceptions: Mapping[str, int] = field(default_factory=dict)  # taken, by name, boot included
    observed: Observed | None = field(default=None, compare=False, repr=False)  # for closer looks


def profile(
    image: Image,
    board: Board,
    entry: int | str | None = None,
    *,
    args: Sequence[int] = (),
    calls: Sequence[int | str] = (),
    boot_instructions: int = BOOT_INSTRUCTIONS,
    max_instructions: int = MAX_INSTRUCTIONS,
    timeout: float | None = None,
    follow_calls: bool = False,
) -> Profile:
    """Where the cycles of firmware go. Entries are symbols or addresses.

    With an entry: boot the image, call each of `calls`, then `entry` once, which is what is reported;
    `boot_instructions` 0 skips the boot. Without: run from reset until the firmware ends; a fault is in the profile's
    outcome then. `timeout`: seconds of host time for all. `follow_calls`: for traces and flame graphs of `observed`.

    Raises ImageError for an image that cannot run on the board, UsageError for an entry outside it, Fault when the
    called code does what the board does not allow.
    """
    boots = entry is None or boot_instructions > 0
    firmware = firmwares.prepare(image, board, boots=boots, max_idle=max_instructions, timeout=timeout)
    if entry is None:
        return of(measure.whole(firmware, max_instructions, follow_calls=follow_calls))
    addresses = [_entry(image, each) for each in (*calls, entry)]
    limits = boot_instructions, max_instructions
    return of(measure.one_call(firmware, addresses, args, *limits, follow_calls=follow_calls))


def of(measured: Measured) -> Profile:
    """The profile of a run."""
    machine, clock, devices = measured.firmware.machine, measured.firmware.clock, measured.firmware.devices
    costs = clock.cost(measured.span)
    start = measured.firmware.vectors.reset if measured.entry is None else measured.entry
    functions = known_functions(machine, costs.counts, start)
    whole = None if measured.contexts is None else Moment(measured.span, measured.contexts)
    return Profile(
        machine.image.name,
        machine.board,
        measured.entry,
        costs.cycles,
        clock.error_pct,
        costs.instructions,
        by_function(costs, functions),
        costs.by_cause,
        measured.notes,
        measured.outcome,
        devices.console.text,
        devices.unmodelled(),
        measured.idle_cycles,
        devices.exceptions,
        Observed(machine.image.name, machine.board, machine, clock, measured.span, functions, whole),
    )


def profile_file(
    path: str,
    board: Board,
    *,
    entry: str | None = None,
    base: str | None = None,
    calls: Sequence[str] = (),
    boot_instructions: int = BOOT_INSTRUCTIONS,
    max_instructions: int = MAX_INSTRUCTIONS,
    timeout: float | None = None,
    follow_calls: bool = False,
) -> Profile:
    """`profile` of a file, with base and entries as a user writes them: decimal, 0x..., or a symbol for an entry.

    A raw binary without a base lies at the start of the board's flash.
    """
    found = load(path, board, base)
    if calls and entry is None:
        raise UsageError(f"--call {calls[0]} has no --entry: expected the function to measure after it")
    return profile(
        found,
        board,
        None if entry is None else written(entry, "--entry"),
        calls=[written(call, "--call") for call in calls],
        boot_instructions=boot_instructions,
        max_instructions=max_instructions,
        timeout=timeout,
        follow_calls=follow_calls,
    )


def load(path: str, board: Board, base: str | None) -> Image:
    """The image in a file, as a user names it. Raises UsageError for a base that the file contradicts, ImageError."""
    at = board.flash.base if base is None else _number(base, "--base")
    found = images.load(path, at)
    lowest = min(segment.load_address for segment in found.segments)
    if base is not None and lowest != at:
        raise UsageError(
            f"--base {base} is not where '{path}' lies, {lowest:#010x}: it is for raw binaries; ELF and Intel HEX "
            "files know their addresses, leave it out"
        )
    return found


def written(entry: str, flag: str) -> int | str:
    """A symbol, or an address as a user writes it."""
    return _number(entry, flag) if entry[:1].isdigit() else entry


def _number(text: str, flag: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 32:
        raise UsageError(f"{flag} {text} is not an address: expected a number such as 0x08000000")
    return value


def _entry(image: Image, entry: int | str) -> int:
    address = _named(image, entry) if isinstance(entry, str) else entry & ~1
    if image.read(address & ~1, 2) is None:
        raise UsageError(f"entry {address:#010x} is not in image '{image.name}': expected the address of a function")
    return address & ~1


def _named(image: Image, name: str) -> int:
    """The address of a function by its name. Raises ImageError, and UsageError for data or one name of several."""
    if image.symbol(name).kind == "object":
        raise UsageError(f"entry '{name}' is data in image '{image.name}': expected a function")
    places = sorted({s.address for s in image.functions if s.name == name})
    if len(places) > 1:
        told = ", ".join(f"{at:#010x}" for at in places)
        raise UsageError(f"entry '{name}' names {len(places)} functions of image '{image.name}': give one of {told}")
    return image.address(name)


def as_json(found: Profile) -> dict[str, Any]:
    """The profile in the words of the command-line contract."""
    return {
        "image": found.image,
        "board": found.board.name,
        "core": found.board.core.name,
        "entry": found.entry,
        "cycles": found.cycles,
        "cycles_error_pct": found.cycles_error_pct,
        "latency_ms": None if found.board.clock_hz is None else 1e3 * found.cycles / found.board.clock_hz,
        "instructions": found.instructions,
        "by_cause": found.by_cause,
        "functions": [asdict(f) for f in found.functions],
        "ended": found.outcome.ended,
        "exit_code": found.outcome.code,
        "fault": found.outcome.fault,
        "output": found.output,
        "idle_cycles": found.idle_cycles,
        "exceptions": dict(found.exceptions),
        "peripherals": [asdict(p) for p in found.peripherals],
        "notes": list(found.notes),
    }


def print_profile(found: Profile, console: Console) -> None:
    """What the firmware printed, then the profile as tables for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    error = "uncalibrated" if found.cycles_error_pct is None else f"± {found.cycles_error_pct} %"
    print_output(found.output, console)
    console.print(f"{found.image} on {found.board.name}", markup=False)
    table = Table("function", "address", "cycles", "share", "instructions")
    for f in found.functions:
        name = escape(printable(f.name))
        table.add_row(name, f"{f.address:#010x}", f"{f.cycles:,}", f"{f.share:.1%}", f"{f.instructions:,}")
    console.print(table)
    console.print(f"{found.cycles:,} cycles ({error}), {found.instructions:,} instructions")
    for line in causes.told(found.by_cause):
        console.print(line, markup=False, highlight=False)
    for line in _remarks(found):
        console.print(line, markup=False)


def print_output(text: str, console: Console) -> None:
    """What the firmware printed, as it is."""
    if text:
        console.print(text, markup=False, highlight=False, soft_wrap=True, end="" if text.endswith("\n") else "\n")


def _remarks(found: Profile) -> Iterable[str]:
    if found.entry is None:
        yield f"ended: {found.outcome.ended}"
    if found.idle_cycles:
        yield f"idle: {found.idle_cycles:,} cycles asleep or in an endless loop, beside those above"
    if found.peripherals:
        told = ", ".join(f"{p.name} ({p.reads:,} reads, {p.writes:,} writes)" for p in found.peripherals)
        yield f"not modelled: {told}"
    for note in found.notes:
        yield f"note: {note}"


def known_functions(machine: Machine, counts: Counts, entry: int) -> tuple[Symbol, ...]:
    """The image's function symbols; without any, what was called directly, and blocks that begin by saving lr."""
    if machine.image.functions:
        return machine.image.functions
    found = {entry}
    for i in np.flatnonzero(counts.count):
        code = place(int(counts.start[i]), machine.read(int(counts.start[i]), int(counts.size[i])))
        first, last = code[0], code[-1]
        if first.instruction.name in ("push", "stmdb") and "lr" in first.instruction.reads:
            found.add(first.address)
        if last.instruction.name == "bl" and last.instruction.displacement is not None:
            found.add(last.address + last.instruction.displacement)
    return tuple(Symbol(f"sub_{a:08x}", a, 0) for a in sorted(found))


def by_function(costs: Costs, functions: Sequence[Symbol]) -> tuple[FunctionProfile, ...]:
    """Cycles and instructions of each function that ran, most cycles first; they sum to the total."""
    starts = [f.address for f in functions]
    spent: dict[int, list[int]] = {}
    at, counts = costs.at_instructions, costs.counts
    for address, units in zip(at.address.tolist(), at.units.sum(axis=0).tolist(), strict=True):
        spent.setdefault(bisect.bisect_right(starts, address) - 1, [0, 0])[0] += units
    for i in np.flatnonzero(counts.count):
        f = bisect.bisect_right(starts, int(counts.start[i])) - 1
        spent.setdefault(f, [0, 0])[1] += int(counts.count[i] * counts.length[i])
    return tuple(_rows({f: (units, executed) for f, (units, executed) in spent.items()}, functions, costs.cycles))


def _rows(spent: dict[int, tuple[int, int]], functions: Sequence[Symbol], total: int) -> Iterable[FunctionProfile]:
    most = sorted(spent.items(), key=lambda item: (-item[1][0], item[0]))
    for (f, (_, executed)), cycles in zip(most, whole((units for _, (units, _) in most), UNITS), strict=True):
        name, address = (functions[f].name, functions[f].address) if f >= 0 else ("unknown", 0)
        yield FunctionProfile(name, address, cycles, executed, cycles / total if total else 0.0)
