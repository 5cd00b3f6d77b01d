"""Loads and stores followed by instruction: the addresses are those that Unicorn's own memory callbacks see."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from unicorn import arm_const as arm, unicorn_const as uc

from emulator import hooks
from emulator.accesses import Accesses
from emulator.cache_lines import UNITS
from emulator.image import Image, Segment
from emulator.machine import Machine
from emulator.memory_timing import CAUSES, MemoryTiming
from emulator.timing import Timing
from refsim import boards

CODE = 0x0800_0100
POINTER = 0x2400_2000
LINE = boards.find("nucleo-h7a3zi").paths[3].wait  # cycles of a line from AXI SRAM
RETURN = bytes.fromhex("7047")

# By arm-none-eabi-as 2.40 (-mcpu=cortex-m7 -mfpu=fpv5-d16); bytes in memory order.
FORMS = {
    "ldr r0, [r1]": "0868",
    "ldr r0, [r1, #124]": "c86f",
    "ldr r0, [r1, r2]": "8858",
    "ldrb r0, [r1, #31]": "c87f",
    "ldrb r0, [r1, r2]": "885c",
    "ldrh r0, [r1, #62]": "c88f",
    "ldrh r0, [r1, r2]": "885a",
    "ldrsb r0, [r1, r2]": "8856",
    "ldrsh r0, [r1, r2]": "885e",
    "str r0, [r1, #4]": "4860",
    "str r0, [r1, r2]": "8850",
    "strb r0, [r1, #3]": "c870",
    "strb r0, [r1, r2]": "8854",
    "strh r0, [r1, #6]": "c880",
    "strh r0, [r1, r2]": "8852",
    "ldr r0, [sp, #8]": "0298",
    "str r0, [sp, #12]": "0390",
    "ldr r0, [pc, #16]": "0448",
    "ldm r1, {r0, r3, r4, r5, r6, r7}": "91e8f900",
    "stm r1!, {r0, r3, r4}": "19c1",
    "ldr.w r0, [r1, #4000]": "d1f8a00f",
    "ldr.w r0, [r1, #-200]": "51f8c80c",
    "ldr.w r0, [r1, r2, lsl #2]": "51f82200",
    "ldr.w r0, [r1], #4": "51f8040b",
    "ldr.w r0, [r1, #32]!": "51f8200f",
    "ldrb.w r0, [r1, #-1]": "11f8010c",
    "ldrsb.w r0, [r1, #1000]": "91f9e803",
    "ldrh.w r0, [r1, r2, lsl #1]": "31f81200",
    "ldrsh.w r0, [r1], #-2": "31f90209",
    "str.w r0, [r1, #-4]!": "41f8040d",
    "strb.w r0, [r1], #1": "01f8010b",
    "strh.w r0, [r1, #2046]": "a1f8fe07",
    "ldr.w r0, [pc, #20]": "dff81400",
    "ldrd r0, r3, [r1, #-8]": "51e90203",
    "strd r0, r3, [r1, #40]": "c1e90a03",
    "ldrd r0, r3, [r1], #8": "f1e80203",
    "strd r0, r3, [r1, #16]!": "e1e90403",
    "ldm.w r1!, {r0, r3, r4, r8, r9, r10}": "b1e81907",
    "ldmdb r1!, {r0, r3, r4, r8}": "31e91901",
    "stm.w r1, {r0, r8, r9}": "81e80103",
    "stmdb r1!, {r0, r3, r4, r8, r9}": "21e91903",
    "push {r0, r3, r4}": "19b4",
    "push.w {r0, r8, r9}": "2de90103",
    "vldr s0, [r1, #64]": "91ed100a",
    "vldr d0, [r1, #-16]": "11ed040b",
    "vstr s0, [r1, #4]": "81ed010a",
    "vstr d0, [r1, #8]": "81ed020b",
    "vldmia r1!, {s0, s1, s2, s3, s4}": "b1ec050a",
    "vldmdb r1!, {d0, d1, d2}": "31ed060b",
    "vstmia r1, {d0, d1}": "81ec040b",
    "vpush {s0, s1, s2}": "2ded030a",
}
OTHERS = {
    "add.w r0, r1, r2": "01eb0200",
    "movs r0, #1": "0120",
    "vmov s0, r1": "00ee101a",
    "vmov d0, r1, r2": "42ec101b",
    "vadd.f32 s0, s1, s2": "30ee810a",
    "nop": "00bf",
    "pld [r1]": "91f800f0",
    "smlad r0, r1, r2, r3": "21fb0230",
    "it eq": "08bf",
    "cmp r0, #0": "0028",
    "mul r0, r1, r2": "01fb02f0",
    "umull r0, r1, r2, r3": "a2fb0301",
    "bfi r0, r1, #3, #5": "61f3c700",
}


def machine(code: bytes) -> Machine:
    image = Image("snippet", (Segment(CODE, code, len(code), CODE),))
    found = Machine(boards.find("nucleo-h7a3zi"), image, memory=boards.find("nucleo-h7a3zi").memory)
    found.use_stack(0x2404_0000, 4096)
    return found


def call(m: Machine, r1: int = POINTER, r2: int = 24) -> None:
    for n in range(4, 11):
        m.engine.reg_write(getattr(arm, f"UC_ARM_REG_R{n}"), 0)
    m.call(CODE, (0, r1, r2, 0))


def bytes_of(code: bytes, **registers: int) -> set[int]:
    """What the first instruction accesses, by Unicorn's callbacks."""
    m = machine(code + RETURN)
    seen: set[int] = set()

    def on_access(engine: Any, kind: int, address: int, size: int, value: int, data: Any) -> None:
        if engine.reg_read(arm.UC_ARM_REG_PC) == CODE:
            seen.update(range(address, address + size))

    m.engine.hook_add(uc.UC_HOOK_MEM_READ | uc.UC_HOOK_MEM_WRITE, on_access)
    call(m, **registers)
    return seen


@pytest.mark.parametrize("text", FORMS)
def test_each_form_touches_the_lines_that_the_engine_accesses(text: str) -> None:
    code = bytes.fromhex(FORMS[text])
    for r1, r2 in ((POINTER, 24), (POINTER + 0x1FC, 36), (POINTER + 28, 4)):
        expected = bytes_of(code, r1=r1, r2=r2)
        m = machine(code + RETURN)
        stalls = MemoryTiming(m)
        accesses = Accesses(m, stalls)
        call(m, r1, r2)
        assert accesses.samples(CODE) == (min(expected) & 7,)
        lines = {address >> 5 for address in expected if address >= 0x2400_0000}
        waits = stalls.stalls().units[:, CAUSES.index("data_cache")].sum()
        assert waits == len(lines) * LINE * UNITS


@pytest.mark.parametrize("text", OTHERS)
def test_other_instructions_access_nothing(text: str) -> None:
    m = machine(bytes.fromhex(OTHERS[text]) + bytes.fromhex("00bf") + RETURN)
    accesses = Accesses(m, MemoryTiming(m))
    call(m)
    assert accesses.samples(CODE) == ()


def test_stored_line_is_in_the_cache_for_the_load_that_follows() -> None:
    m = machine(bytes.fromhex("0860" + "0868") + RETURN)  # str r0, [r1]; ldr r0, [r1]
    clock = Timing(m)
    call(m)
    assert clock.cost(clock.now()).by_cause["data_cache"] == LINE
    call(m)
    assert clock.cost(clock.now()).by_cause["data_cache"] == LINE


def test_access_over_the_end_of_a_line_waits_for_both() -> None:
    m = machine(bytes.fromhex("0868") + RETURN)  # ldr r0, [r1]
    clock = Timing(m)
    call(m, POINTER + 30)
    assert clock.cost(clock.now()).by_cause["data_cache"] == 2 * LINE


def test_what_an_it_block_skips_accesses_nothing() -> None:
    code = bytes.fromhex("0029" + "08bf" + "0868") + RETURN  # cmp r1, #0; it eq; ldreq r0, [r1]
    m = machine(code)
    clock = Timing(m)
    call(m)
    assert "data_cache" not in clock.cost(clock.now()).by_cause


def test_cache_evicts_by_chance_and_always_the_same_lines() -> None:
    """Five lines of one set of four ways, in turn: some are evicted, but not all each time."""
    body = "0868" + "".join(f"01f58051{'0868'}" for _ in range(4))  # ldr r0, [r1]; add.w r1, r1, #4096; ldr...
    found = []
    for _ in range(2):
        m = machine(bytes.fromhex(body) + RETURN)
        clock = Timing(m)
        for _ in range(50):
            call(m)
        found.append(clock.cost(clock.now()).by_cause["data_cache"] / LINE)
    assert found[0] == found[1]
    assert 55 < found[0] < 250


def test_samples_are_those_of_fixed_executions() -> None:
    m = machine(bytes.fromhex("0868") + RETURN)
    accesses = Accesses(m, MemoryTiming(m))
    for n in range(1, 13):
        call(m, POINTER + n % 8)
    assert accesses.samples(CODE) == (1, 2, 4, 7, 3)  # executions 1, 2, 4, 7 and 11


def test_stops_do_not_count_an_access_twice() -> None:
    m = machine(bytes.fromhex("0868") + RETURN)
    accesses = Accesses(m, MemoryTiming(m))
    m.call(CODE, (0, POINTER), stops={CODE})
    assert len(accesses.samples(CODE)) == 1
    assert m.counter.reason[0] == hooks.STOPPED


def waited(stalls: MemoryTiming) -> Counter[int]:
    """Cycles by instruction that data were waited for."""
    found = stalls.stalls()
    units = found.units[:, CAUSES.index("data_cache")] // UNITS
    return Counter({int(a): int(u) for a, u in zip(found.address, units, strict=True) if u})


def test_single_instructions_have_hooks_until_one_for_all_is_faster() -> None:
    """400 loads that follow each other: the engine would go through 400 hooks at each."""
    m = machine(bytes.fromhex("0868") * 400 + RETURN)  # ldr r0, [r1]
    stalls = MemoryTiming(m)
    accesses = Accesses(m, stalls, everywhere=False)
    for n in range(400):
        accesses.follow(CODE + 2 * n)
    call(m)
    assert accesses.hooks == 400
    for n in range(1, 20):
        call(m, POINTER + n * 32)
    assert accesses.hooks == 1
    assert waited(stalls).total() == 20 * LINE


def test_only_what_is_named_is_followed() -> None:
    for others in (0, 3000):
        m = machine(bytes.fromhex("0868" + "4c68" + "8868") + bytes.fromhex("0868") * others + RETURN)
        stalls = MemoryTiming(m)
        accesses = Accesses(m, stalls, everywhere=False)
        accesses.follow(CODE + 2)
        for n in range(others):
            accesses.follow(CODE + 6 + 2 * n)
        for n in range(5):
            call(m, POINTER + 64 * n - 4)
        first = {CODE + 2: 5 * LINE}  # the loads in front of it and behind it have none
        assert waited(stalls) == (first | {CODE + 6: 5 * LINE} if others else first)
