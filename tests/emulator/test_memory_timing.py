"""Caches, wait states and prefetch, each by a small program; random accesses against caches in plain Python."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from emulator import timing
from emulator.block_accesses import BlockAccesses
from emulator.image import Image, Segment
from emulator.machine import Machine
from emulator.memory_timing import CAUSES, MemoryTiming
from emulator.timing import Timing
from refsim import boards
from refsim.board import KIB, AccessPath, Board, Cache

CODE, TABLE, DATA = 0x0800_0100, 0x2000_0000, 0x2001_0000
FLASH_END = 0x0900_0000
FEW = settings(max_examples=25, deadline=None)


def board(*paths: AccessPath, cache: Cache | None = None, core: str = "m33") -> Board:
    return replace(boards.find(f"generic-{core}"), paths=paths, caches=() if cache is None else (cache,))


def fetch(wait: float, width: int = 8, **rest: object) -> AccessPath:
    return replace(AccessPath("fetch", 0x0800_0000, FLASH_END, width, wait, "flash_fetch", "test"), **rest)  # type: ignore[arg-type]


def data(kind: str, wait: float, **rest: object) -> AccessPath:
    return replace(AccessPath(kind, DATA, DATA + 64 * KIB, 16, wait, "data_cache", "test"), **rest)  # type: ignore[arg-type]


class Watched:
    """A machine with code, and the stalls of each of its calls by address."""

    def __init__(self, on: Board, *code: tuple[int, bytes]) -> None:
        self.machine = Machine(on, Image("test", tuple(Segment(at, c, len(c), at) for at, c in code)))
        self.memory = MemoryTiming(self.machine)
        BlockAccesses(self.machine, self.memory)

    def call(self, *args: int, at: int = CODE) -> dict[int, float]:
        before = self.memory.stalls()
        self.machine.call(at, args)
        spent = self.memory.stalls() - before
        return {int(a): float(u) / 256 for a, u in zip(spent.address, spent.units.sum(axis=1), strict=True) if u}


def code(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


NOPS = "00bf" * 15
RETURN = "7047"


def test_straight_code_waits_at_each_line_and_the_buffered_line_is_free() -> None:
    watched = Watched(board(fetch(3)), (CODE, code(NOPS + RETURN)))
    assert watched.call() == {CODE: 3, CODE + 8: 3, CODE + 16: 3, CODE + 24: 3}
    short = Watched(board(fetch(3)), (CODE, code("0138 fdd1" + RETURN)))  # subs r0, #1; bne to it
    assert short.call(50) == {CODE: 3}


def test_the_line_that_follows_costs_what_the_prefetch_leaves() -> None:
    watched = Watched(board(fetch(5, next_wait=2)), (CODE, code(NOPS + RETURN)))
    assert watched.call() == {CODE: 5, CODE + 8: 2, CODE + 16: 2, CODE + 24: 2}


@pytest.mark.parametrize(("offset", "left"), [(0, 0), (2, 0), (4, 1), (6, 2)])
def test_a_prefetch_of_three_cycles_is_late_where_a_jump_goes_to_the_end_of_a_line(offset: int, left: int) -> None:
    """A halfword a cycle: from `offset`, the 8-byte line feeds the core for (8 - offset) / 2 cycles."""
    at = CODE + offset
    watched = Watched(board(fetch(2, next_wait=0, prefetch=3)), (at, code(NOPS[: 4 * 9] + RETURN)))
    expected = {at: 2.0, CODE + 8: float(left)}
    assert watched.call(at=at) == {a: u for a, u in expected.items() if u}


def loop(lines: int) -> bytes:
    """A loop of that many 8-byte lines: nops, subs r0, #1, bne to its beginning."""
    halfwords = 4 * lines - 2
    back = -(2 * halfwords + 2 + 4) // 2 & 0xFF
    return code("c046" * halfwords + "0138") + bytes([back, 0xD1]) + code(RETURN)


@pytest.mark.parametrize(("lines", "per_turn"), [(1, 0), (3, 0), (4, 0), (5, 2), (9, 2)])
def test_stm32g0_holds_loops_of_four_lines_and_waits_at_the_head_of_longer_ones(lines: int, per_turn: int) -> None:
    watched = Watched(boards.find("nucleo-g0b1re"), (CODE, loop(lines)))
    watched.call(10)
    short, long = (sum(watched.call(times).values()) for times in (10, 110))
    assert long - short == 100 * per_turn


def test_stm32g0_waits_two_cycles_at_every_read_of_flash() -> None:
    watched = Watched(boards.find("nucleo-g0b1re"), (CODE, code("0168 0168 0168" + RETURN)))  # ldr r1, [r0] three times
    assert watched.call(CODE + 0x1000) == {CODE: 2 + 2, CODE + 2: 2, CODE + 4: 2}  # and the first fetch


def test_stm32u5_a_line_costs_its_flash_read_and_refill_once_and_the_refill_when_prefetched() -> None:
    watched = Watched(
        boards.find("nucleo-u575zi"), (CODE, code("0168 4168 0169" + RETURN))
    )  # [r0], [r0, #4], [r0, #16]
    assert watched.call(CODE + 0x1000) == {CODE: 7 + 7, CODE + 4: 2}
    assert watched.call(CODE + 0x1000) == {}
    assert watched.call(CODE + 0x3000) == {CODE: 7, CODE + 4: 2}  # another way of the same set


def test_waits_are_booked_to_the_access_and_an_unaligned_one_reaches_two_lines() -> None:
    watched = Watched(board(data("read", 4)), (CODE, code("00bf 0168 00bf" + RETURN)))
    assert watched.call(DATA) == {CODE + 2: 4}
    assert watched.call(DATA + 14) == {CODE + 2: 4}  # of two lines, the first is in the buffer
    assert watched.call(DATA + 30) == {CODE + 2: 4}
    assert watched.call(DATA + 78) == {CODE + 2: 4 + 4}
    assert watched.call(TABLE) == {}  # on no path


def test_a_port_that_answers_faster_than_memory_gives_cycles_back() -> None:
    """The Cortex-M0+'s single-cycle I/O port: LDR takes 1 instead of 2."""
    watched = Watched(board(data("read", -1, buffered=False), core="m0plus"), (CODE, code("0168 0168" + RETURN)))
    assert watched.call(DATA) == {CODE: -1, CODE + 2: -1}


def test_spans_sum_to_the_whole_and_the_same_run_takes_the_same() -> None:
    on = boards.find("nucleo-u575zi")
    twice = [Watched(on, (CODE, loop(9))) for _ in range(2)]
    calls = [[w.call(n) for n in (3, 50, 7)] for w in twice]
    assert calls[0] == calls[1]
    whole = twice[0].memory.stalls().units.sum()
    assert whole == 256 * sum(u for one in calls[0] for u in one.values())


def test_a_predicated_access_leaves_no_trace_of_its_it_block() -> None:
    """ite eq; ldreq r1, [r0]; ldrne r1, [r0]; then ten additions, none of which may be skipped."""
    text = "0028 0cbf 0168 0168" + "0132" * 10 + "1046" + RETURN
    watched = Watched(board(data("read", 2), fetch(1)), (CODE, code(text)))
    for pointer in (DATA, DATA + 64):
        assert watched.machine.call(CODE, (pointer, 0, 5)) == 15


# The oracle: caches as lists of lines by set, the latest first.


class Oracle:
    def __init__(self, cache: Cache, wait: float, next_wait: float) -> None:
        self.cache, self.wait, self.next_wait = cache, wait, next_wait
        self.sets: list[list[int]] = [[] for _ in range(cache.size // cache.line // cache.ways)]

    def reach(self, line: int, last: int) -> float:
        held = self.sets[line % len(self.sets)]
        found = line in held
        if found:
            held.remove(line)
        elif len(held) == self.cache.ways:
            held.pop()
        held.insert(0, line)
        return 0.0 if found else self.next_wait if line == last + 1 else self.wait


GEOMETRIES = st.sampled_from([(8, 1), (8, 2), (16, 4), (32, 2), (16, 8)])  # bytes of a line, ways
SETS = st.sampled_from([1, 2, 8])


@st.composite
def accesses(draw: st.DrawFn) -> list[tuple[int, bool]]:
    """(offset of a word, whether it is written), near one another so that there are hits."""
    words = st.integers(0, draw(st.sampled_from([8, 40, 300])))
    return draw(st.lists(st.tuples(words.map(lambda w: 4 * w), st.booleans()), min_size=1, max_size=120))


def expected(oracle: Oracle, given_accesses: Sequence[tuple[int, bool]], line: int) -> float:
    """Reads and writes go on paths of their own, each with its own last line, to one cache."""
    last = {False: -2, True: -2}
    total = 0.0
    for offset, writes in given_accesses:
        at = (DATA + offset) // line
        if at != last[writes]:
            total += oracle.reach(at, last[writes])
            last[writes] = at
    return total


@FEW
@given(GEOMETRIES, SETS, accesses())
def test_data_cache_as_the_oracle(geometry: tuple[int, int], sets: int, given_accesses: list[tuple[int, bool]]) -> None:
    line, ways = geometry
    cache = Cache("c", line * ways * sets, line, ways, "test")
    on = board(
        data("read", 7, cache="c", next_wait=3, buffered=True),
        data("write", 7, cache="c", next_wait=3),
        cache=cache,
    )
    watched = Watched(on, (CODE, program(given_accesses)))
    watched.machine.write(TABLE, b"".join(struct.pack("<I", DATA + offset) for offset, _ in given_accesses))
    oracle = Oracle(cache, 7, 3)
    assert sum(watched.call(TABLE).values()) == expected(oracle, given_accesses, line)


def program(given_accesses: Sequence[tuple[int, bool]]) -> bytes:
    """For each access: ldmia r0!, {r1}; ldr or str r2, [r1]."""
    return code("".join("02c8" + ("0a60" if writes else "0a68") for _, writes in given_accesses) + RETURN)


AHEAD = st.sampled_from([(None, None), (1, None), (0, None), (0, 3), (0, 5)])  # next_wait, prefetch


def blocks(targets: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """At each address: ldmia r0!, {r1}; some nops; bx r1."""
    for target in sorted(set(targets)):
        yield target, code("02c8" + "c046" * (target // 128 % 29) + "0847")


@FEW
@given(GEOMETRIES, SETS, st.lists(st.integers(0, 40), min_size=1, max_size=80), AHEAD)
def test_instruction_cache_as_the_oracle(
    geometry: tuple[int, int], sets: int, places: list[int], ahead: tuple[float | None, float | None]
) -> None:
    line, ways = geometry
    next_wait, prefetch = ahead
    cache = Cache("c", line * ways * sets, line, ways, "test")
    path = fetch(4, cache="c", next_wait=next_wait, prefetch=prefetch)
    targets = [CODE + 128 * place + 2 * (place % 7) for place in places]
    leave = CODE + 128 * 60
    watched = Watched(board(path, cache=cache, core="m0plus"), *blocks(targets), (leave, code("7047")))
    watched.machine.write(TABLE, b"".join(struct.pack("<I", t | 1) for t in (*targets[1:], leave)))
    spans = [(t, t + 4 + 2 * (t // 128 % 29)) for t in targets] + [(leave, leave + 2)]
    assert sum(watched.call(TABLE, at=targets[0]).values()) == fetched(spans, cache, next_wait, prefetch)


def fetched(spans: Sequence[tuple[int, int]], cache: Cache, next_wait: float | None, prefetch: float | None) -> float:
    """Waits of fetching code from start to end, span by span, at 4 cycles a line."""
    oracle = Oracle(cache, 4, 4 if next_wait is None else next_wait)
    last, entered, total = -2, 0, 0.0
    for start, end in spans:
        for line in range(start // cache.line, (end - 1) // cache.line + 1):
            if line == last:
                continue
            hidden = (line * cache.line - entered) / 2
            oracle.next_wait = max(4 if next_wait is None else next_wait, (prefetch or 0) - hidden if prefetch else 0)
            total += oracle.reach(line, last)
            last, entered = line, max(start, line * cache.line)
    return total


def test_observers_that_nobody_keeps_go_on_as_long_as_the_machine() -> None:
    m = Machine(boards.find("nucleo-h7a3zi"), Image("test", (Segment(CODE, loop(9), len(loop(9)), CODE),)))
    Timing(m)
    states = len(m.observers.attached)
    for n in range(20):
        np.full(1 << 22, 1 << 60, np.int64)  # what would lie in memory that was given back
        m.call(CODE, (n + 1,))
    assert states >= 3


def test_every_cause_of_memory_is_one_of_timing() -> None:
    assert timing.CAUSES[-len(CAUSES) :] == CAUSES


@pytest.mark.parametrize("ways", [2, 64])  # a set that is gone through, and one whose ways have times
def test_a_prefetch_begins_with_the_first_fetch_of_a_line_not_the_last(ways: int) -> None:
    """cmp r0, #0; bne (not taken); the same again, a block within the line; nops that go on in the next line."""
    line = 16
    cache = Cache("c", line * ways, line, ways, "test")
    on = board(fetch(4, cache="c", next_wait=0, prefetch=7), cache=cache)
    straight = Watched(on, (CODE, code("00bf" * 9 + RETURN)))
    broken = Watched(on, (CODE, code("0028 06d1 0028 04d1" + "00bf" * 5 + RETURN)))
    assert straight.call(0) == broken.call(0) == {CODE: 4}
