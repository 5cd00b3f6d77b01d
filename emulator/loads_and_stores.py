"""What a load or store instruction accesses, decoded natively from its encoding [Armv7-M ARM, A5.2 and A5.3].

`decode` fills a record: the registers and constants of the address, the bytes of each element and their number. No
record: the instruction accesses no memory, or is a STREX.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from emulator import native

# Words of a record. The address is BASE + OFFSET, or BASE + (INDEX << SHIFT); -1: no such register.
BASE, INDEX, SHIFT, OFFSET, BYTES, ELEMENTS, WRITES = range(7)
FIELDS = 7
PC, SP = 15, 13


@lru_cache(maxsize=1 << 16)
def form(code: bytes) -> tuple[int, ...] | None:
    """The record of an instruction's bytes, or None."""
    record = np.zeros(FIELDS, np.int64)
    first, second = int.from_bytes(code[:2], "little"), int.from_bytes(code[2:], "little")
    return tuple(record.tolist()) if decode(record, first, second) else None


@native.njit
def _ones(bits: int) -> int:
    count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count


@native.njit
def _fill(r: Any, base: int, index: int, shift: int, offset: int, size: int, elements: int, loads: int) -> Any:
    r[BASE], r[INDEX], r[SHIFT], r[OFFSET] = base, index, shift, offset
    r[BYTES], r[ELEMENTS], r[WRITES] = size, elements, 1 - loads
    return True


@native.njit
def decode(r: Any, first: int, second: int) -> Any:
    """Fill the record of an encoding of one halfword, or of two; whether it accesses memory."""
    if first < 0xE800:
        return _decode_narrow(r, first)
    if first & 0xFE00 == 0xE800:
        return _decode_several(r, first, second)
    if first & 0xFE00 == 0xF800:
        return _decode_single(r, first, second)
    if first & 0xFE00 == 0xEC00 and second & 0x0E00 == 0x0A00:
        return _decode_float(r, first, second)
    return False


@native.njit
def _decode_narrow(r: Any, h: int) -> Any:
    n, m, imm = h >> 3 & 7, h >> 6 & 7, h >> 6 & 31
    top = h >> 12
    loads = h >> 11 & 1
    if h >> 11 == 0b01001:
        return _fill(r, PC, -1, 0, 4 * (h & 0xFF), 4, 1, 1)
    if top == 0b0101:
        op = h >> 9 & 7  # STR STRH STRB LDRSB LDR LDRH LDRB LDRSH
        size = 4 if op & 3 == 0 else 2 if op in (1, 5, 7) else 1
        return _fill(r, n, m, 0, 0, size, 1, 1 if op >= 3 else 0)
    if top == 0b0110:
        return _fill(r, n, -1, 0, 4 * imm, 4, 1, loads)
    if top == 0b0111:
        return _fill(r, n, -1, 0, imm, 1, 1, loads)
    if top == 0b1000:
        return _fill(r, n, -1, 0, 2 * imm, 2, 1, loads)
    if top == 0b1001:
        return _fill(r, SP, -1, 0, 4 * (h & 0xFF), 4, 1, loads)
    if h & 0xF600 == 0xB400:
        listed = _ones(h & 0x1FF)
        return _fill(r, SP, -1, 0, 0 if loads else -4 * listed, 4, listed, loads)
    if top == 0b1100:
        return _fill(r, h >> 8 & 7, -1, 0, 0, 4, _ones(h & 0xFF), loads)
    return False


@native.njit
def _decode_several(r: Any, first: int, second: int) -> Any:
    """LDM, STM, LDRD, STRD, TBB and TBH, and those that synchronise."""
    n, loads = first & 15, first >> 4 & 1
    before, up, back = first >> 8 & 1, first >> 7 & 1, first >> 5 & 1
    if first & 0xFFF0 == 0xE8D0 and second & 0xFFE0 == 0xF000:
        half = second >> 4 & 1
        return _fill(r, n, second & 15, half, 0, 1 + half, 1, 1)
    if first & 0xFFF0 == 0xE850:
        return _fill(r, n, -1, 0, 4 * (second & 0xFF), 4, 1, 1)  # LDREX
    size, how = second >> 4 & 3, second & 0xC0
    if first & 0xFFE0 == 0xE8C0 and size < 3 and (how == 0x80 or (how and loads)):
        return _fill(r, n, -1, 0, 0, 1 << size, 1, loads)  # LDREXB, LDREXH, LDA, LDAEX, STL
    if first & 0x40:
        if before == 0 and back == 0:
            return False
        offset = 4 * (second & 0xFF) * (1 if up else -1) if before else 0
        return _fill(r, n, -1, 0, offset, 4, 2, loads)
    if before == up:
        return False
    listed = _ones(second)
    return _fill(r, n, -1, 0, 0 if up else -4 * listed, 4, listed, loads)


@native.njit
def _decode_single(r: Any, first: int, second: int) -> Any:
    n, loads = first & 15, first >> 4 & 1
    size = 1 << (first >> 5 & 3)
    if size == 8 or (loads and second >> 12 == PC and size < 4):  # the latter: PLD and hints
        return False
    if n == PC:
        return _fill(r, PC, -1, 0, (second & 0xFFF) * (1 if first & 0x80 else -1), size, 1, loads)
    if first & 0x80:
        return _fill(r, n, -1, 0, second & 0xFFF, size, 1, loads)
    if second & 0x800:
        offset = (second & 0xFF) * (1 if second & 0x200 else -1) if second & 0x400 else 0
        return _fill(r, n, -1, 0, offset, size, 1, loads)
    return _fill(r, n, second & 15, second >> 4 & 3, 0, size, 1, loads)


@native.njit
def _decode_float(r: Any, first: int, second: int) -> Any:
    """VLDR, VSTR, VLDM, VSTM; the two moves of a pair of core registers share their encodings' beginning."""
    n, loads, words = first & 15, first >> 4 & 1, second & 0xFF
    before, up, back = first >> 8 & 1, first >> 7 & 1, first >> 5 & 1
    if before and not back:
        return _fill(r, n, -1, 0, 4 * words * (1 if up else -1), 4, 2 if second & 0x100 else 1, loads)
    if before == up:
        return False
    return _fill(r, n, -1, 0, 0 if up else -4 * words, 4, words, loads)
