"""Accesses followed where blocks begin: waits are those of a cache that is fed by Unicorn's own callbacks on memory."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from unicorn import arm_const as arm, unicorn_const as uc

from emulator import block_accesses
from emulator.block_accesses import BlockAccesses
from emulator.image import Image, Segment
from emulator.machine import Machine
from emulator.memory_timing import MemoryTiming
from refsim import boards
from refsim.board import KIB, AccessPath, Board, Cache, Region

CODE, POINTERS, DATA, STORED = 0x0800_0100, 0x2000_0000, 0x2001_0000, 0x2001_8000
CACHE = Cache("c", 256, 8, 2, "test")
BX_LR = (0x4770,)
WAIT = 3
IT_STATE = 0x0600_FC00  # of the XPSR


def board(*kinds: str, core: str = "m33") -> Board:
    """Data behind a cache of 16 sets; pointers and the stack in memory that never waits."""
    paths = (AccessPath(kind, DATA, DATA + 64 * KIB, 8, WAIT, "data_cache", "test", cache="c") for kind in kinds)
    paths = tuple(replace(path, buffered=False) for path in paths)
    return replace(boards.find(f"generic-{core}"), paths=paths, caches=(CACHE,))


def machine(on: Board, halfwords: Sequence[int]) -> Machine:
    code = struct.pack(f"<{len(halfwords)}H", *halfwords)
    found = Machine(on, Image("test", (Segment(CODE, code, len(code), CODE),)))
    found.write(DATA, bytes(37 * n * n % 251 for n in range(4 * KIB)))
    found.write(POINTERS, struct.pack("<16I", *(DATA + 92 * n for n in range(16))))
    return found


def run(m: Machine, arguments: Sequence[int]) -> None:
    """Call the code with r0 to r3, and r4 to r8 as they were at the first call."""
    for n, value in enumerate((DATA + 0x400, STORED, POINTERS, 5, 9)):
        m.engine.reg_write(getattr(arm, f"UC_ARM_REG_R{4 + n}"), value)
    m.call(CODE, arguments)


def waits(on: Board, halfwords: Sequence[int], calls: Sequence[Sequence[int]]) -> dict[int, float]:
    m = machine(on, halfwords)
    memory = MemoryTiming(m)
    BlockAccesses(m, memory)
    for arguments in calls:
        run(m, arguments)
    stalls = memory.stalls()
    return {int(a): float(u) / 256 for a, u in zip(stalls.address, stalls.units.sum(axis=1), strict=True) if u}


def expected(on: Board, halfwords: Sequence[int], calls: Sequence[Sequence[int]]) -> dict[int, float]:
    """The same by Unicorn's callbacks and lists of lines, the latest first."""
    m, found = machine(on, halfwords), Counter[int]()
    ranges = {(path.kind, path.base, path.end) for path in on.paths}
    sets: list[list[int]] = [[] for _ in range(CACHE.sets)]

    def on_access(engine: Any, kind: int, address: int, size: int, value: int, data: Any) -> None:
        xpsr = engine.reg_read(arm.UC_ARM_REG_XPSR)
        if xpsr & IT_STATE:  # else what follows an IT block may be skipped [unicorn-engine/unicorn, issue 2309]
            engine.reg_write(arm.UC_ARM_REG_XPSR, xpsr & ~IT_STATE)
        mine = "write" if kind == uc.UC_MEM_WRITE else "read"
        if not any(mine == path and base <= address < end for path, base, end in ranges):
            return
        for line in range(address // CACHE.line, (address + size - 1) // CACHE.line + 1):
            held = sets[line % CACHE.sets]
            if line not in held:
                found[engine.reg_read(arm.UC_ARM_REG_PC)] += WAIT
            held[:] = [line, *(other for other in held if other != line)][: CACHE.ways]

    m.engine.hook_add(uc.UC_HOOK_MEM_READ | uc.UC_HOOK_MEM_WRITE, on_access)
    for arguments in calls:
        run(m, arguments)
    return dict(found)


# Encodings [Armv7-M ARM, A7.7]. r0 and r4 point into DATA, r5 to STORED, r6 to POINTERS; r1 to r3 and r7 hold values.
VALUES = st.sampled_from((1, 2, 3, 7))
READ_FROM = st.sampled_from((0, 4))


def words(first: int, second: int) -> tuple[int, int]:
    return first, second


@st.composite
def a_load(draw: st.DrawFn) -> tuple[int, ...]:
    """By constant or register, of each size; with writing back; of several."""
    t, n, m, imm = draw(VALUES), draw(READ_FROM), draw(VALUES), draw(st.integers(0, 31))
    index = (0xB2C0 | m << 3 | m,)  # uxtb: keeps the address inside
    forms = [
        (0x6800 | imm << 6 | n << 3 | t,),
        (0x7800 | imm << 6 | n << 3 | t,),
        (0x8800 | imm << 6 | n << 3 | t,),
        *((*index, base | m << 6 | n << 3 | t) for base in (0x5800, 0x5A00, 0x5C00, 0x5600, 0x5E00)),
        (*index, 0xF850 | n, t << 12 | (imm & 3) << 4 | m),  # ldr.w [n, m, lsl]
        words(0xF850 | n, t << 12 | 0xB00 | 4 * imm),  # post-indexed
        words(0xF850 | n, t << 12 | 0x900 | 4 * imm),  # post-indexed downwards
        words(0xF850 | n, t << 12 | 0xF00 | 4 * imm),  # pre-indexed
        words(0xF910 | n, t << 12 | 0xC00 | imm),  # ldrsb, negative
        words(0xE9D0 | n, 1 << 12 | 2 << 8 | imm),  # ldrd
        words(0xE8F0 | n, 3 << 12 | 7 << 8 | imm & 7),  # ldrd, post-indexed
        words(0xE8B0 | n, 0x008E),  # ldm n!, {r1, r2, r3, r7}
        words(0xE930 | n, 0x000C),  # ldmdb n!, {r2, r3}
        words(0xED90 | n, 0x0A00 | imm),  # vldr s0
        words(0xECB0 | n, 0x0A00 | 1 + imm % 4),  # vldmia n!
    ]
    return draw(st.sampled_from(forms))


@st.composite
def a_store(draw: st.DrawFn) -> tuple[int, ...]:
    t, m, imm = draw(VALUES), draw(VALUES), draw(st.integers(0, 31))
    forms = [
        (0x6000 | imm << 6 | 5 << 3 | t,),
        (0x7000 | imm << 6 | 5 << 3 | t,),
        (0xB2C0 | m << 3 | m, 0x5000 | m << 6 | 5 << 3 | t),
        words(0xF845, t << 12 | 0xB04),
        words(0xE9C5, 1 << 12 | 2 << 8 | imm),
        (0xC506,),  # stm r5!, {r1, r2}
        (0xB40C, 0xBC0C),  # push {r2, r3}; pop {r2, r3}
    ]
    return draw(st.sampled_from(forms))


@st.composite
def a_calculation(draw: st.DrawFn) -> tuple[int, ...]:
    d, n, m, imm = draw(VALUES), draw(VALUES), draw(VALUES), draw(st.integers(0, 31))
    narrow = (0x4000, 0x4300, 0x4040, 0x4380, 0x4340, 0x4240, 0x43C0, 0xB2C0, 0xB280, 0xB240)
    forms = [
        (0x3000 | d << 8 | imm,), (0x3800 | d << 8 | imm,), (0x2000 | d << 8 | 7 * imm,),
        (0x1800 | m << 6 | n << 3 | d,), (0x1A00 | m << 6 | n << 3 | d,), (0x4600 | m << 3 | d,),
        *((shift | imm << 6 | m << 3 | d,) for shift in (0x0000, 0x0800, 0x1000)),
        *((code | m << 3 | d,) for code in narrow),
        words(0xEB00 | n, d << 8 | (imm & 7) << 12 | m), words(0xEBA0 | n, d << 8 | (imm & 7) << 12 | m),
        words(0xEBC0 | n, d << 8 | m), words(0xF3C0 | n, d << 8 | 5), words(0xF240, d << 8 | imm),
        words(0xF2C0, d << 8 | imm), words(0xFB00 | n, n << 12 | d << 8 | m),
        words(0xFB00 | n, m << 12 | d << 8 | 1 << 4 | m),
    ]  # fmt: skip
    return draw(st.sampled_from(forms))


@st.composite
def a_pointer(draw: st.DrawFn) -> tuple[int, ...]:
    """A pointer that is loaded, moved, stored and loaded again; a load that is jumped over."""
    imm, t = draw(st.integers(0, 15)), draw(VALUES)
    forms = [
        (0x6800 | imm << 6 | 6 << 3 | 0,),  # ldr r0, [r6, #4 imm]
        (0x4604,), (0x3004,), (0x3C08,), (0x1D20,),  # mov r4, r0; adds r0, #4; subs r4, #8; adds r0, r4, #4
        (0x6000 | imm << 6 | 6 << 3 | 4, 0x6800 | imm << 6 | 6 << 3 | 0),  # str r4, [r6, #]; ldr r0, [r6, #]
        (0xB410, 0xBC01),  # push {r4}; pop {r0}
        (0x2B00, 0xD100 | 0, 0x6800 | t),  # cmp r3, #0; bne over; ldr t, [r0]
    ]  # fmt: skip
    return draw(st.sampled_from(forms))


UNFOLLOWED = st.sampled_from(  # by any slice
    (
        (0x2B00, 0xBF0C, 0x6801, 0x6862),  # cmp r3, #0; ite eq; ldreq r1, [r0]; ldrne r2, [r4, #4]
        (0x2F00, 0xBF18, 0x4620, 0x6841),  # cmp r7, #0; it ne; movne r0, r4; ldr r1, [r0, #4]
        (*words(0xFBB7, 0xF2F6), 0xB2D2, 0x5881),  # udiv r2, r7, r6; uxtb r2, r2; ldr r1, [r0, r2]
    )
)
CODES = st.lists(st.one_of(a_load(), a_store(), a_calculation(), a_pointer(), UNFOLLOWED), min_size=1, max_size=40)
CALLS = tuple((DATA + 0x200 + 4 * n, 3 * n, n, n & 1) for n in range(3))


@settings(max_examples=150, deadline=None)
@given(CODES, st.sampled_from((("read",), ("write",), ("read", "write"))))
def test_any_code_waits_where_the_engine_accesses(code: list[tuple[int, ...]], kinds: tuple[str, ...]) -> None:
    halfwords = [*(h for instruction in code for h in instruction), *BX_LR]
    assert waits(board(*kinds), halfwords, CALLS) == expected(board(*kinds), halfwords, CALLS)


@pytest.mark.parametrize("core", ["m0plus", "m3", "m4", "m33"])
def test_every_core_of_one_pipeline(core: str) -> None:
    loop = (0x6801, 0x3008, 0x3A01, 0xD1FB)  # ldr r1, [r0]; adds r0, #8; subs r2, #1; bne
    on = board("read", core=core)
    calls = ((DATA, 0, 40), (DATA, 0, 3))
    assert waits(on, loop + BX_LR, calls) == expected(on, loop + BX_LR, calls) == {CODE: 43 * WAIT}


def test_a_word_just_stored_is_the_pointer_that_is_loaded() -> None:
    code = (0x6030, 0x6832, 0x6811, *BX_LR)  # str r0, [r6]; ldr r2, [r6]; ldr r1, [r2]
    assert waits(board("read"), code, ((DATA + 0x800,), (DATA + 0x804,))) == {CODE + 4: WAIT}


def test_a_pair_of_words_stored_from_a_float_register_is_not_what_memory_held_before() -> None:
    code = (0xEC41, 0x0B10, 0xED86, 0x0B00, 0x6872, 0x6811, *BX_LR)  # vmov d0, r0, r1; vstr d0, [r6]; ldr r2, [r6, #4]
    assert waits(board("read"), code, ((0, DATA + 0x800), (0, DATA + 0x900))) == {CODE + 10: 2 * WAIT}


def test_code_that_a_slice_cannot_follow_in_one_block_is_followed_in_all() -> None:
    """sdiv leaves a pointer that nothing foresees; then a jump into the middle, where it is in a register."""
    middle = (0x6808, 0x4770)  # ldr r0, [r1]; bx lr
    code = (0x2B00, 0xD101, 0xFB90, 0xF1F2, *middle)  # cmp r3, #0; bne middle; sdiv r1, r0, r2
    calls = ((DATA, DATA + 64, 1, 1), (DATA, 0, 1, 0), (DATA, DATA + 128, 1, 1), (DATA + 192, 0, 1, 0))
    assert waits(board("read"), code, calls) == expected(board("read"), code, calls) == {CODE + 8: 4 * WAIT}


def test_memory_that_is_mapped_later_is_read_too() -> None:
    m = machine(board("read"), (0x680A, 0x6812, *BX_LR))  # ldr r2, [r1]; ldr r2, [r2]
    memory = MemoryTiming(m)
    BlockAccesses(m, memory)
    m.map(Region("late", 0x3000_0000, KIB, True, "test"))
    m.write(0x3000_0000, struct.pack("<I", DATA + 8))
    m.call(CODE, (0, 0x3000_0000))
    assert memory.total == WAIT * 256


FLASH = replace(board("read"), paths=(replace(board("read").paths[0], base=0x0800_0000, end=0x0900_0000),))


@pytest.mark.parametrize("first", [(), (0xBF00,)])  # nothing, or nop: at a multiple of 4, and between two
def test_a_table_jump_reads_its_table_in_flash(first: tuple[int, ...]) -> None:
    code = (*first, 0x2000, 0xE8DF, 0xF000, 0x0302, 0x4770, 0x4770, 0x4770, 0x4770)  # movs r0, #0; tbb [pc, r0]
    found = waits(FLASH, code, ((0,), (1,)))
    assert found == expected(FLASH, code, ((0,), (1,))) and sum(found.values()) == WAIT


@pytest.mark.parametrize("first", [(), (0xBF00,)])
@pytest.mark.parametrize("adr", [(0xF20F, 0x110E), (0xF60F, 0x710C), (0xF2AF, 0x010C), (0xA102,)])
def test_addresses_relative_to_the_pc_begin_at_a_multiple_of_4(first: tuple[int, ...], adr: tuple[int, ...]) -> None:
    """adr.w r1 forwards by 270 and by 3,852, backwards by 12, and adr r1 by 8; then a load over the edge of a line."""
    code = (*first, *adr, 0xF8D1, 0x2002, *BX_LR)  # ldr.w r2, [r1, #2]
    found = waits(FLASH, code, ((0,),))
    assert found == expected(FLASH, code, ((0,),)) and found


@pytest.mark.parametrize("nops", [0, 1, 2])
def test_what_goes_on_inside_an_it_block_on_the_next_page_is_followed(nops: int) -> None:
    """The translator ends blocks at pages of 1 KiB, and the machine does not stop there to show the next one."""
    middle = (0x2B00, 0xBF0C, 0x6801, 0x6862)  # cmp r3, #0; ite eq; ldreq r1, [r0]; ldrne r2, [r4, #4]
    padding = (0xBF00,) * ((0x400 - 0x100) // 2 - 4 + nops)  # nop: the page ends behind ite, ldreq or ldrne
    code = (*padding, *middle, 0x6901, 0x6942, *BX_LR)  # ldr r1, [r0, #16]; ldr r2, [r0, #20]
    calls = (*CALLS, *CALLS)
    assert waits(board("read"), code, calls) == expected(board("read"), code, calls)


def test_stacks_behind_a_path_are_followed_too() -> None:
    stack = replace(board("read"), paths=(replace(board("read").paths[0], base=0x2000_0000, end=0x2004_0000),))
    code = (0xB082, 0x9001, 0x9901, 0xB002, *BX_LR)  # sub sp, #8; str r0, [sp, #4]; ldr r1, [sp, #4]; add sp, #8
    m = machine(stack, code)
    memory = MemoryTiming(m)
    BlockAccesses(m, memory)
    m.call(CODE, (0,), sp=0x2003_0000)
    assert memory.total == WAIT * 256


def test_words_of_memory_without_a_cache_wait_one_by_one() -> None:
    plain = replace(board("read"), caches=(), paths=(replace(board("read").paths[0], cache="", width=4),))
    assert waits(plain, (0xC80E, *BX_LR), ((DATA,),)) == {CODE: 3 * WAIT}  # ldm r0!, {r1, r2, r3}


@pytest.mark.parametrize(("name", "room"), [("MAX_STEPS", 3), ("STEPS", 3)])
def test_code_without_room_for_its_slices_is_followed_all_the_same(
    monkeypatch: pytest.MonkeyPatch, name: str, room: int
) -> None:
    monkeypatch.setattr(block_accesses, name, room)
    code = (0x6801, 0x6A02, 0x6823, 0x6A27, 0x3A01, *BX_LR)
    calls = ((DATA, 0, 4), (DATA + 64, 0, 1))
    assert waits(board("read"), code, calls) == expected(board("read"), code, calls) != {}


def test_memory_mapped_behind_the_first_run_is_read_too() -> None:
    m = machine(board("read"), (0x6809, 0x2900, 0xD000, 0x680A, *BX_LR))  # ldr r1, [r1]; cmp; beq; ldr r2, [r1]
    memory = MemoryTiming(m)
    BlockAccesses(m, memory)
    m.call(CODE, (0, POINTERS + 0x800))
    m.map(Region("late", 0x3000_0000, KIB, True, "test"))
    m.write(0x3000_0000, struct.pack("<I", DATA + 8))
    m.call(CODE, (0, 0x3000_0000))
    assert memory.total == WAIT * 256


def test_two_observers_of_one_machine_see_the_same() -> None:
    m = machine(board("read"), (0x6801, *BX_LR))
    both = [MemoryTiming(m), MemoryTiming(m)]
    for memory in both:
        BlockAccesses(m, memory)
    m.call(CODE, (DATA,))
    assert [memory.total for memory in both] == [WAIT * 256] * 2


@pytest.mark.parametrize(
    "code",
    [
        (0x6032, 0x2100, 0x5871, 0x680B),  # str r2, [r6]; movs r1, #0; ldr r1, [r6, r1]; ldr r3, [r1]
        (0x70F3, 0x6871, 0x680B),  # strb r3, [r6, #3]; ldr r1, [r6, #4]; ldr r3, [r1]
        (0x7073, 0x6831, 0x680B),  # strb r3, [r6, #1]; ldr r1, [r6]; ldr r3, [r1]
        (
            0x0037,
            0x3F04,
            0x607A,
            0x6831,
            0x680B,
        ),  # movs r7, r6; subs r7, #4; str r2, [r7, #4]; ldr r1, [r6]; ldr r3, [r1]
        (
            0x2700,
            0x19BF,
            0x603A,
            0x6831,
            0x680B,
        ),  # movs r7, #0; adds r7, r7, r6; str r2, [r7]; ldr r1, [r6]; ldr r3, [r1]
        (0xFBB7, 0xF7F7, 0x1E7F, 0x51BA, 0x6831, 0x680B),  # udiv r7, r7, r7; subs r7, r7, #1; str r2, [r7, r6]; ...
        (0xE846, 0x2700, 0x6831, 0x680B),  # strex r7, r2, [r6]; ldr r1, [r6]; ldr r3, [r1]
        (0xE8C6, 0x2FAF, 0x6831, 0x680B),  # stl r2, [r6]; ldr r1, [r6]; ldr r3, [r1]
        (0xE8D6, 0x1FAF, 0x680B),  # lda r1, [r6]; ldr r3, [r1]
    ],
    ids=range(9),
)
def test_a_pointer_that_a_store_may_have_changed_is_not_what_it_was(code: tuple[int, ...]) -> None:
    calls = ((DATA, 0, DATA + 0x600, 0x40), (DATA, DATA + 64, DATA + 0x700, 0x80), (DATA, DATA + 128, DATA + 0x800, 0))
    if code[0] in (0x70F3, 0x7073):
        calls = tuple((a, b, c, 0x01) for a, b, c, _ in calls)
    code = (*code, *BX_LR)
    assert waits(board("read"), code, calls) == expected(board("read"), code, calls) != {}


def test_a_rotated_operand_is_not_taken_for_a_plain_one() -> None:
    code = (0x2B00, 0xEB00, 0x0131, 0x680A, *BX_LR)  # cmp r3, #0; add r1, r0, r1, rrx; ldr r2, [r1]
    calls = ((DATA - 0x8000_0000, 64), (DATA - 0x8000_0000, 256))  # the carry, which is set, is the highest bit
    assert waits(board("read"), code, calls) == expected(board("read"), code, calls) != {}


def test_an_address_from_a_device_is_read_when_it_is_there() -> None:
    """A register of no memory, as a timer's, which a hook of the engine's own answers."""
    m = machine(board("read"), (0xF24E, 0x0110, 0xF2CE, 0x0100, 0x680A, 0xB2D2, 0x5883, *BX_LR))
    m.engine.mmio_map(0xE000_E000, 4096, lambda *_: 0x40, None, lambda *_: None, None)
    memory = MemoryTiming(m)
    BlockAccesses(m, memory)
    m.call(CODE, (DATA,))  # movw, movt r1, #0xe000e010; ldr r2, [r1]; uxtb r2, r2; ldr r3, [r0, r2]
    m.call(CODE, (DATA + 0x40,))
    assert memory.total == 2 * WAIT * 256


def test_a_stack_pointer_that_was_moved_is_not_taken_for_a_stack() -> None:
    code = (0x46EC, 0x4685, 0xBC0C, 0x46E5, *BX_LR)  # mov ip, sp; mov sp, r0; pop {r2, r3}; mov sp, ip
    assert waits(board("read"), code, ((DATA,),)) == expected(board("read"), code, ((DATA,),)) == {CODE + 4: WAIT}


def test_code_that_is_written_anew_is_looked_at_again() -> None:
    m = machine(board("read"), (0x6801, *BX_LR))  # ldr r1, [r0]
    memory = MemoryTiming(m)
    BlockAccesses(m, memory)
    m.call(CODE, (DATA, 0, POINTERS))
    m.write(CODE, bytes.fromhex("1168"))  # ldr r1, [r2]
    m.call(CODE, (DATA + 64, 0, POINTERS))
    assert memory.total == WAIT * 256
