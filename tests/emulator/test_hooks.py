"""Block counts are exact, cheap, and differences of snapshots add up."""

from __future__ import annotations

import struct
import time
from itertools import pairwise

import numpy as np
import pytest

from emulator.counts import Counts
from emulator.image import Image, Segment
from emulator.machine import Machine
from refsim import boards

CODE = 0x0800_0100
BX_LR = 0x4770


def machine(*values: int, at: int = CODE) -> Machine:
    data = struct.pack(f"<{len(values)}H", *values)
    return Machine(boards.find("stm32f412"), Image("snippet", (Segment(at, data, len(data), at),)))


def table(counts: Counts) -> dict[int, tuple[int, int, int, int]]:
    """Start -> (bytes, instructions, count, times that it ran on without a jump) of the blocks that ran."""
    fell = np.bincount(counts.before, counts.times * counts.falls, len(counts.start))
    rows = zip(counts.start, counts.size, counts.length, counts.count, fell, strict=True)
    return {int(s): (int(b), int(n), int(c), int(f)) for s, b, n, c, f in rows if c}


LOOP = (0x3101, 0xF102, 0x0203, 0x3801, 0xD1FA, BX_LR)  # adds r1, #1; add.w r2, r2, #3; subs r0, #1; bne; bx lr


def test_counts_sizes_lengths_and_falls_of_a_loop() -> None:
    m = machine(*LOOP)
    m.call(CODE, (10,))
    assert table(m.counts()) == {CODE: (10, 4, 10, 1), CODE + 10: (2, 1, 1, 0)}
    assert m.counts().instructions == m.instructions == 41


def edges(counts: Counts) -> dict[tuple[int, int], int]:
    """(start of the block before, start of the block) -> times; 0 is outside the call."""
    rows = zip(counts.start[counts.before], counts.start[counts.block], counts.times, strict=True)
    return {(int(a), int(b)): int(n) for a, b, n in rows if n}


def test_edges_of_a_loop_say_what_came_after_what() -> None:
    m = machine(*LOOP)
    m.call(CODE, (10,))
    end = CODE + 10
    assert edges(m.counts()) == {(0, CODE): 1, (CODE, CODE): 9, (CODE, end): 1, (end, 0): 1}


def test_every_execution_is_on_one_edge_in_and_one_out() -> None:
    # push {r4, lr}; bl f; bl f; bl f; pop {r4, pc}; f: bx lr. The return has three targets.
    m = machine(0xB510, 0xF000, 0xF805, 0xF000, 0xF803, 0xF000, 0xF801, 0xBD10, BX_LR)
    for _ in range(5):
        m.call(CODE)
    counts = m.counts()
    for side in (counts.before, counts.block):
        assert (np.bincount(side, counts.times, len(counts.count))[1:] == counts.count[1:]).all()
    f = CODE + 16
    assert {b: n for (a, b), n in edges(counts).items() if a == f} == {CODE + 6: 5, CODE + 10: 5, CODE + 14: 5}


def test_difference_of_snapshots_is_what_ran_between() -> None:
    m = machine(*LOOP)
    m.call(CODE, (10,))
    first = m.counts()
    m.call(CODE, (3,))
    assert table(m.counts() - first) == {CODE: (10, 4, 3, 1), CODE + 10: (2, 1, 1, 0)}


def test_snapshots_at_stops_partition_the_whole() -> None:
    # push {r4, lr}; bl f; bl f; pop {r4, pc}; f: subs r0, #1; bne f; movs r0, #9; bx lr
    m = machine(0xB510, 0xF000, 0xF803, 0xF000, 0xF801, 0xBD10, 0x3801, 0xD1FD, 0x2009, BX_LR)
    seen = [m.counts()]
    m.call(CODE, (5,), stops=(CODE + 6, CODE + 10), on_stop=lambda _: seen.append(m.counts()))
    seen.append(m.counts())
    parts = [(b - a).instructions for a, b in pairwise(seen)]
    assert parts == [2 + 2 * 5 + 2, 1 + 2 * 9 + 2, 1]
    assert sum(parts) == m.instructions


def test_two_blocks_with_one_end_keep_their_own_falls() -> None:
    # cmp r0, #0; beq mid; adds r1, #1; mid: subs r0, #1; bpl end (not taken from r0=0); end: bx lr
    m = machine(0x2800, 0xD000, 0x3101, 0x3801, 0xD500, 0x3101, BX_LR)
    m.call(CODE, (0,))
    m.call(CODE, (1,))
    assert table(m.counts()) == {
        CODE: (4, 2, 2, 1),  # taken once
        CODE + 4: (6, 3, 1, 0),  # r0 = 1: bpl taken
        CODE + 6: (4, 2, 1, 1),  # r0 = 0: bpl falls
        CODE + 10: (4, 2, 1, 0),
        CODE + 12: (2, 1, 1, 0),
    }


def test_blocks_split_at_a_page_are_joined_by_falls() -> None:
    at = 0x0800_0400 - 4
    m = machine(0x3101, 0x3101, 0x3101, BX_LR, at=at)
    m.call(at)
    assert table(m.counts()) == {at: (4, 2, 1, 1), at + 4: (4, 2, 1, 0)}


def test_wide_instruction_across_a_page_is_one_block() -> None:
    at = 0x0800_0400 - 4
    m = machine(0x3101, 0xF102, 0x0203, BX_LR, at=at)
    m.call(at)
    assert m.instructions == 3
    assert sum(size for size, *_ in table(m.counts()).values()) == 8


@pytest.mark.parametrize("code", [CODE, 0x2000_0100], ids=["flash", "sram"])
def test_code_that_is_rewritten_runs_and_counts_as_what_it_is(code: int) -> None:
    m = machine(0x3001, BX_LR, at=code)
    assert m.call(code, (0,)) == 1
    m.write(code, struct.pack("<4H", 0x3001, 0x3001, 0x3001, BX_LR))
    assert m.call(code, (0,)) == 3
    assert m.instructions == 2 + 4


def test_same_run_twice_gives_the_same_counts() -> None:
    def once() -> dict[int, tuple[int, int, int, int]]:
        m = machine(*LOOP)
        m.call(CODE, (1_000_003,))
        return table(m.counts())

    assert once() == once()


def test_counting_does_not_slow_the_emulator_below_100_million_instructions_a_second() -> None:
    m = machine(*LOOP)
    m.call(CODE, (10_000,))
    best = 0.0
    for _ in range(3):  # the machine may be busy
        before, began = m.instructions, time.perf_counter()
        m.call(CODE, (10_000_000,))
        best = max(best, (m.instructions - before) / (time.perf_counter() - began))
    assert best > 100e6


def test_blocks_are_shown_once_and_before_they_run() -> None:
    m = machine(*LOOP)
    shown = []

    def look(block: int, start: int, size: int) -> None:
        shown.append((start, size, int(m.counts().count[block])))

    m.observers.ahead(look)
    seen = []
    for _ in range(2):
        m.call(CODE, (3,), stops=(CODE, CODE + 10), on_stop=seen.append)
    landing = shown[-1][0]
    assert [s for s in shown if s[0] != landing] == [(CODE, 10, 0), (CODE + 10, 2, 0)]
    assert seen == [CODE, CODE, CODE, CODE + 10] * 2
    assert table(m.counts())[CODE] == (10, 4, 6, 2)


def test_the_machine_does_not_stop_to_show_a_block_inside_an_it_block() -> None:
    """The translator ends blocks at pages; what runs on behind it is still governed."""
    at = 0x0800_0400 - 4
    for r0, found in ((0, 1), (5, 2)):
        m = machine(0x2800, 0xBF0C, 0x2001, 0x2002, BX_LR, at=at)  # cmp r0, #0; ite eq | moveq r0, #1; movne r0, #2
        shown = []
        m.observers.ahead(lambda block, start, size, shown=shown: shown.append(start))
        assert m.call(at, (r0,)) == found
        assert at in shown and at + 4 not in shown
