"""What emulated code did wrong, in one sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unicorn import unicorn_const as uc

from emulator import hooks
from emulator.image import Image
from refsim.boards import Region
from refsim.errors import Fault

BELOW_STACK = 64 * 1024  # bytes below a stack in which an access is taken for its overflow

ACCESSES: Mapping[int, str] = {
    uc.UC_MEM_READ_UNMAPPED: "read",
    uc.UC_MEM_WRITE_UNMAPPED: "write",
    uc.UC_MEM_FETCH_UNMAPPED: "instruction fetch",
    uc.UC_MEM_READ_PROT: "read",
    uc.UC_MEM_WRITE_PROT: "write",
    uc.UC_MEM_FETCH_PROT: "instruction fetch",
}
NEAR = 4096  # bytes from the stack pointer to what a function keeps on the stack

EXCEPTIONS: Mapping[int, str] = {  # QEMU's EXCP_*
    2: "a supervisor call (SVC)",
    3: "a jump to where no code can be",
    4: "an unaligned access, which this core traps,",
    7: "a breakpoint (BKPT)",
    8: "an exception return",
    17: "a floating-point or coprocessor instruction, which this core lacks,",
    22: "an unaligned access, which this core traps,",
}
REGISTERS = (*(f"r{n}" for n in range(13)), "sp", "lr", "pc", "xpsr")
STOPS: Mapping[int, str] = {
    hooks.LIMITED: "more than {limit} instructions ran, the last {where}: an endless loop, or raise the limit",
    hooks.CROWDED: f"code outside flash and SRAM, or more than {hooks.CAPACITY} blocks of code, {{where}}",
}


class LimitReached(Fault):
    """The instructions that a call may execute ran out."""


class EndlessLoop(Fault):
    """The code waits for what never comes."""


@dataclass(frozen=True, slots=True)
class Access:
    """An access that the memory map refuses."""

    kind: int  # a key of ACCESSES
    address: int
    size: int

    @property
    def fetches(self) -> bool:
        return "fetch" in ACCESSES[self.kind]


def where(image: Image, pc: int) -> str:
    """Function and offset, as far as the image knows, and the pc."""
    function = image.function_at(pc)
    inside = f"in {function.name}+{pc - function.address:#x}, " if function else ""
    return f"{inside}at pc {pc:#010x}"


def nearest(regions: Sequence[Region], address: int) -> str:
    """The region closest to an address outside all of them."""

    def distance(r: Region) -> int:
        return max(r.base - address, address - r.end + 1, 0)

    near = min(regions, key=distance)
    side = "before" if address < near.base else "after"
    return f"it lies {distance(near)} bytes {side} {near.name} ({near.base:#010x} to {near.end:#010x})"


def refused(access: Access, place: str, regions: Sequence[Region], stack: Region | None, sp: int) -> str:
    """Why an access was refused. `place` says where in the code it was made."""
    at = access.address
    what = f"{ACCESSES[access.kind]} of {access.size} bytes at {at:#010x} {place}"
    inside = next((r for r in regions if at in r), None)
    if inside is not None:
        return f"{what}: {inside.name} cannot be {'executed' if access.fetches else 'written'}"
    if stack is not None and stack.base - BELOW_STACK <= at < stack.base:
        return f"stack overflow: {what}, {stack.base - at} bytes below the stack of {stack.size} bytes"
    above = next((r for r in regions if r.writable and _left_downwards(r, at, sp)), None)
    if above is not None and not access.fetches:
        return f"stack overflow: {what}, {above.base - at} bytes below {above.name}"
    return f"{what}: {nearest(regions, at)}"


def _left_downwards(region: Region, at: int, sp: int) -> bool:
    """Whether an access below a region is near a stack pointer that is at the region's lower end, or below it."""
    return region.base - BELOW_STACK <= at < region.base and sp - NEAR <= at and sp < region.base + NEAR


def outside(doing: str, regions: Sequence[Region], address: int, size: int) -> Fault:
    """The fault of an access from Python, "reading" or "writing"."""
    inside = next((r for r in regions if address in r), None)
    how = nearest(regions, address) if inside is None else f"{inside.name} ends at {inside.end:#010x}"
    return Fault(f"{doing} {size} bytes at {address:#010x} leaves the mapped memory: {how}")


def stopped(reason: int, limit: int, place: str, state: str) -> Fault:
    """The fault that the block callback stopped for. `state`: the registers."""
    kind = LimitReached if reason == hooks.LIMITED else Fault
    return kind(f"{STOPS[reason].format(limit=limit, where=place)}; {state}")


def registers(values: Mapping[str, int]) -> str:
    """Registers in hexadecimal on one line."""
    return " ".join(f"{name}={value:x}" for name, value in values.items())
