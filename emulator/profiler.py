"""Cycles of one function of a firmware image, by function and by cause.

The image boots from its vector table first, so that its memory is initialised. Peripherals read as zero and ignore
writes; a boot that waits for one of their bits for ever is cut at its budget, and the notes say so.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator import image as images
from emulator.faults import LimitReached
from emulator.hooks import Counts
from emulator.image import Image, Symbol
from emulator.machine import Machine
from emulator.timing import UNITS, Costs, Timing, place
from refsim.boards import Board
from refsim.errors import Fault, ImageError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

BOOT_INSTRUCTIONS = 5_000_000
MAX_INSTRUCTIONS = 20_000_000_000
DEVICES = ((0x4000_0000, 0x2000_0000), (0xE000_0000, 0x10_0000), (0x1FFF_0000, 0x1_0000))  # (base, bytes)


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
    """One call of `entry`. `cycles_error_pct` None: this core is not calibrated."""

    image: str
    board: Board
    entry: int
    cycles: int
    cycles_error_pct: float | None
    instructions: int
    functions: tuple[FunctionProfile, ...]
    by_cause: dict[str, int]
    notes: tuple[str, ...]


def profile(
    image: Image,
    board: Board,
    entry: int | str,
    *,
    args: Sequence[int] = (),
    boot_instructions: int = BOOT_INSTRUCTIONS,
    max_instructions: int = MAX_INSTRUCTIONS,
) -> Profile:
    """Boot the image, call `entry` (an address or a symbol) once, and say where its cycles went.

    `boot_instructions` 0 skips the boot. Raises ImageError for an image that cannot run on the board, UsageError for
    an entry outside it, Fault when the called code does what the board does not allow.
    """
    address = _entry(image, entry)
    machine = machine_of(image, board)
    timing = Timing(machine)
    notes = boot(machine, board, boot_instructions) if boot_instructions else ("not booted",)
    before = timing.now()
    machine.call(address, args, max_instructions=max_instructions)
    machine.check_instructions()
    costs = timing.cost(timing.now() - before)
    functions = by_function(costs, known_functions(machine, costs.counts, address))
    return Profile(
        image.name, board, address, costs.cycles, timing.error_pct, costs.instructions, functions, costs.by_cause, notes
    )


def profile_file(
    path: str,
    board: Board,
    *,
    entry: str,
    base: str | None = None,
    boot_instructions: int = BOOT_INSTRUCTIONS,
    max_instructions: int = MAX_INSTRUCTIONS,
) -> Profile:
    """`profile` of a file, with base and entry as a user writes them: decimal, 0x..., or a symbol for the entry.

    A raw binary without a base lies at the start of the board's flash.
    """
    at = board.flash.base if base is None else _number(base, "--base")
    where = _number(entry, "--entry") if entry[:1].isdigit() else entry
    found = images.load(path, at)
    return profile(found, board, where, boot_instructions=boot_instructions, max_instructions=max_instructions)


def _number(text: str, flag: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 32:
        raise UsageError(f"{flag} {text} is not an address: expected a number such as 0x08000000")
    return value


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
        "notes": list(found.notes),
    }


def print_profile(found: Profile, console: Console) -> None:
    """The profile as tables for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    error = "uncalibrated" if found.cycles_error_pct is None else f"± {found.cycles_error_pct} %"
    console.print(f"{found.image} on {found.board.name}", markup=False)
    table = Table("function", "address", "cycles", "share", "instructions")
    for f in found.functions:
        table.add_row(escape(f.name), f"{f.address:#010x}", f"{f.cycles:,}", f"{f.share:.1%}", f"{f.instructions:,}")
    console.print(table)
    console.print(f"{found.cycles:,} cycles ({error}), {found.instructions:,} instructions")
    console.print("by cause: " + ", ".join(f"{cause} {cycles:,}" for cause, cycles in found.by_cause.items()))
    for note in found.notes:
        console.print(f"note: {note}", markup=False)


def machine_of(image: Image, board: Board) -> Machine:
    """All memory of the board, the image in it, and devices that read as zero. Raises ImageError."""
    machine = Machine(board, image, memory=board.memory)
    for base, size in DEVICES:
        machine.map_zeros(base, size)
    return machine


def boot(machine: Machine, board: Board, budget: int) -> tuple[str, ...]:
    """Run the reset handler for at most `budget` instructions. Returns notes. Raises ImageError without vectors."""
    sp, reset = vectors(machine.image, board)
    try:
        machine.boot(sp, reset, budget)
    except LimitReached as end:
        return (f"boot cut after {budget} instructions, {_place(end)}: it waits for a device, or runs its main loop",)
    except Fault as fault:
        return (f"boot ended by a fault: {fault}",)
    return ()


def _place(end: LimitReached) -> str:
    return str(end).partition("the last ")[2].partition(":")[0]


def vectors(image: Image, board: Board) -> tuple[int, int]:
    """Initial stack pointer and reset vector at the start of the image. Raises ImageError when they make no sense."""
    start = _table(image, board)
    data = image.read(start, 8)
    if data is None:
        raise ImageError(f"image '{image.name}' has no vector table at {start:#010x}: check the base address")
    sp, reset = struct.unpack("<II", data)
    if not any(r.writable and r.base < sp <= r.end for r in board.memory):
        raise ImageError(
            f"image '{image.name}' begins with stack pointer {sp:#010x}, which is not in the SRAM of {board.name}: "
            "check the board and the base address"
        )
    if not reset & 1 or image.read(reset & ~1, 2) is None:
        raise ImageError(
            f"image '{image.name}' has reset vector {reset:#010x}, which is not Thumb code in the image: "
            "check the base address"
        )
    return sp, reset & ~1


def _table(image: Image, board: Board) -> int:
    """Where the vector table lies: the lowest byte of the image in flash."""
    inside = [s.load_address for s in image.segments if s.data and s.load_address in board.flash]
    return min(inside, default=board.flash.base)


def _entry(image: Image, entry: int | str) -> int:
    address = image.address(entry) if isinstance(entry, str) else entry & ~1
    if image.read(address & ~1, 2) is None:
        raise UsageError(f"entry {address:#010x} is not in image '{image.name}': expected the address of a function")
    return address & ~1


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
    """Units become cycles so that the rounded parts still sum to the total."""
    running = done = 0
    for f, (units, executed) in sorted(spent.items(), key=lambda item: (-item[1][0], item[0])):
        running += units
        cycles = running // UNITS - done
        done += cycles
        name, address = (functions[f].name, functions[f].address) if f >= 0 else ("unknown", 0)
        yield FunctionProfile(name, address, cycles, executed, cycles / total if total else 0.0)
