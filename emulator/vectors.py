"""The vector table of an image: where it lies, where its stack begins and ends, where reset goes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from emulator.image import Image
from refsim.boards import Board, Region
from refsim.errors import ImageError

# What startup files call the table, the lowest address of the stack, and the end of static data.
TABLES = ("g_pfnVectors", "__isr_vector", "__Vectors", "__vectors", "_vectors", "__vector_table", "vector_table")
STACK_ENDS = ("__StackLimit", "__stack_limit", "_sstack")
DATA_ENDS = ("_ebss", "__bss_end__", "__bss_end", "_end", "end")
SECOND_STAGE = 0x100  # bytes of RP2040's boot2 before the table
SYSTEM_VECTORS = 16
BEGINNINGS = (  # first halfwords of handlers, [first, end)
    (0xB500, 0xB600),  # push with lr
    (0xB080, 0xB100),  # sub sp
    (0xE000, 0xE800),  # b, as to itself
    (0x4800, 0x5000),  # ldr of a literal
    (0x4770, 0x4771),  # bx lr
    (0xE92D, 0xE92E),  # push.w
    (0xB672, 0xB673),  # cpsid i
    (0xF240, 0xF250),  # movw
    (0xF3EF, 0xF3F0),  # mrs
)


@dataclass(frozen=True, slots=True)
class Vectors:
    """Addresses are without the Thumb bit; `stack_limit` is 0 where it is not known."""

    table: int
    sp: int
    reset: int
    stack_limit: int


def vectors(image: Image, board: Board) -> Vectors:
    """The table of the image. Raises ImageError when it makes no sense."""
    starts = list(_starts(image, board))
    start = next((at for at in starts if not _wrong(image, board, at)), starts[0])
    if wrong := _wrong(image, board, start):
        raise ImageError(f"image '{image.name}' {wrong}")
    _check_base(image, board, start)
    sp, reset = struct.unpack("<II", image.read(start, 8) or bytes(8))
    return Vectors(start, sp, reset & ~1, _stack_limit(image, board, sp))


def begins_with_vectors(image: Image, board: Board) -> bool:
    """Whether a table that makes sense is where one may lie."""
    return any(not _wrong(image, board, at) for at in _starts(image, board))


def without(board: Board) -> Vectors:
    """What stands for the table of code that has none: a stack at the end of SRAM."""
    return Vectors(board.flash.base, board.sram.end, board.flash.base, 0)


def _starts(image: Image, board: Board) -> Iterator[int]:
    """Where the table may lie: at a symbol, else at the image's lowest byte in flash."""
    yield from (image.address(name) for name in TABLES if image.has(name))
    inside = [s.load_address for s in image.segments if s.data and s.load_address in board.flash]
    lowest = min(inside, default=board.flash.base)
    yield lowest
    yield lowest + SECOND_STAGE


def _wrong(image: Image, board: Board, start: int) -> str:
    """Why there can be no table at an address; empty where there can."""
    data = image.read(start, 8)
    if data is None:
        return f"has no vector table at {start:#010x}: check the base address"
    sp, reset = struct.unpack("<II", data)
    if _stack_region(board, sp) is None:
        return (
            f"begins with stack pointer {sp:#010x}, which is not in the SRAM of {board.name}: "
            "check the board and the base address"
        )
    if not reset & 1 or image.read(reset & ~1, 2) is None:
        return f"has reset vector {reset:#010x}, which is not Thumb code in the image: check the base address"
    return ""


def _stack_region(board: Board, sp: int) -> Region | None:
    return next((r for r in board.memory if r.writable and r.base < sp <= r.end), None)


def _check_base(image: Image, board: Board, start: int) -> None:
    """Raise ImageError when handlers begin as functions do only if the raw image lay elsewhere."""
    data = image.read(start, 4 * SYSTEM_VECTORS)
    if data is None or len(image.segments) > 1 or image.symbols:
        return
    handlers = {v & ~1 for v in struct.unpack(f"<{SYSTEM_VECTORS}I", data)[1:] if v & 1}
    if len(handlers) < 2 or _begin_functions(image, handlers, 0):
        return
    for region in (r for r in board.memory if not r.writable and r.base != start):
        if _begin_functions(image, handlers, start - region.base):
            raise ImageError(
                f"image '{image.name}' has its handlers, from {min(handlers):#010x} on, where functions would begin if "
                f"it lay at {region.base:#010x}, not at {start:#010x}: check the base address"
            )


def _begin_functions(image: Image, handlers: Iterable[int], moved: int) -> bool:
    """Whether each handler begins as compilers and startup files have them do."""
    codes = [int.from_bytes(image.read(at + moved, 2) or b"", "little") for at in handlers]
    return all(any(first <= code < end for first, end in BEGINNINGS) for code in codes)


def _stack_limit(image: Image, board: Board, sp: int) -> int:
    """The lowest address of the stack, or the end of the data below it; 0 where the image does not say."""
    region = _stack_region(board, sp)
    for names in (STACK_ENDS, DATA_ENDS):
        found = [image.address(name) for name in names if image.has(name)]
        inside = [at for at in found if region is not None and region.base < at < sp]
        if inside:
            return max(inside)
    return 0
