"""The Cortex-M7's rules of dual issue and its latencies, each by a loop whose cycles the rule predicts.

A loop ends with a wide SUBS and a BNE, which issue together; its cycles are those of one iteration of many. Sources of
the expected figures: see emulator/cores/cortex_m7_tables.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from emulator.cores import cortex_m7
from emulator.placed import Placed, place
from emulator.timing import UNITS

START = 0x0800_0100

# By arm-none-eabi-as 2.40 (-mcpu=cortex-m7 -mfpu=fpv5-d16); bytes in memory order.
ENCODINGS = {
    "add.w r0, r1, #1": "01f10100",
    "add.w r2, r1, #1": "01f10102",
    "add.w r3, r1, #1": "01f10103",
    "add.w r4, r1, #1": "01f10104",
    "add.w r5, r1, #1": "01f10105",
    "add.w r6, r1, #1": "01f10106",
    "add.w r7, r1, #1": "01f10107",
    "add.w r8, r1, #1": "01f10108",
    "add.w r0, r0, #1": "00f10100",
    "eor.w r2, r0, r1": "80ea0102",
    "eor.w r0, r1, r2": "81ea0200",
    "add.w r2, r3, r0, lsl #2": "03eb8002",
    "add.w r3, r4, r5, lsl #2": "04eb8503",
    "add.w r6, r7, r8, lsl #2": "07eb8806",
    "add.w r0, r1, #0x1fc00": "01f5fe30",
    "sxtb16 r3, r4": "2ffa84f3",
    "sxtb16 r5, r6": "2ffa86f5",
    "sxtb16 r0, r1": "2ffa81f0",
    "sxtb16 r2, r0": "2ffa80f2",
    "sxtb16 r2, r0, ror #8": "2ffa90f2",
    "ubfx r2, r0, #1, #2": "c0f34102",
    "ubfx r0, r1, #1, #2": "c1f34100",
    "ssat r0, #8, r1": "01f30700",
    "rev r0, r1": "08ba",
    "bfi r2, r0, #0, #8": "60f30702",
    "movw r0, #1234": "40f2d240",
    "movt r0, #1234": "c0f2d240",
    "mov.w r0, #0x40000000": "4ff08040",
    "smlad r0, r1, r2, r0": "21fb0200",
    "smlad r3, r4, r5, r3": "24fb0533",
    "smlad r2, r0, r1, r3": "20fb0132",
    "smlad r2, r3, r1, r0": "23fb0102",
    "mul r0, r1, r2": "01fb02f0",
    "mla r2, r3, r4, r0": "03fb0402",
    "ldr.w r0, [r1]": "d1f80000",
    "ldr.w r2, [r1, #4]": "d1f80420",
    "ldr.w r2, [r1, #8]": "d1f80820",
    "ldr.w r2, [r3]": "d3f80020",
    "ldr.w r0, [r0]": "d0f80000",
    "ldr.w r5, [r0]": "d0f80050",
    "ldr.w r5, [r1, r0]": "51f80050",
    "ldrb.w r0, [r1]": "91f80000",
    "ldrh.w r0, [r1]": "b1f80000",
    "str.w r2, [r1]": "c1f80020",
    "str.w r0, [r3]": "c3f80000",
    "str.w r3, [r4, #4]": "c4f80430",
    "ldr.w r3, [r4, #4]": "d4f80430",
    "ldmia.w r9, {r0, r2, r3}": "99e80d00",
    "ldmia.w r9, {r0, r2, r3, r4}": "99e81d00",
    "stmia.w r9, {r0, r2, r3}": "89e80d00",
    "stmia.w r9, {r0, r2, r3, r4}": "89e81d00",
    "push {r4, r5, lr}": "30b5",
    "pop {r4, r5}": "30bc",
    "ldrd r0, r2, [r9]": "d9e90002",
    "strd r0, r2, [r9]": "c9e90002",
    "sdiv r0, r1, r2": "91fbf2f0",
    "tbb [pc, r0]": "dfe800f0",
    "it eq": "08bf",
    "moveq r3, r4": "2346",
    "subs.w r9, r9, #1": "b9f10109",
    "vadd.f32 s0, s1, s2": "30ee810a",
    "vadd.f32 s3, s0, s1": "70ee201a",
    "vmul.f32 s4, s5, s6": "22ee832a",
    "vfma.f32 s0, s1, s2": "a0ee810a",
    "vdiv.f32 s0, s1, s2": "80ee810a",
    "vsqrt.f32 s0, s1": "b1eee00a",
    "vldr s7, [r1]": "d1ed003a",
    "nop": "00bf",
}
# BNE back over n bytes.
BACK = {n: (0xD100 | (-(n + 4) // 2 & 0xFF)).to_bytes(2, "little") for n in range(0, 250, 2)}


def code_of(texts: Sequence[str], at: int = START) -> list[Placed]:
    return place(at, bytes.fromhex("".join(ENCODINGS[t] for t in texts)))


def loop_of(texts: Sequence[str], at: int = START) -> list[Placed]:
    """The instructions with SUBS and BNE at the end; BNE jumps to the first one."""
    data = bytes.fromhex("".join(ENCODINGS[t] for t in (*texts, "subs.w r9, r9, #1")))
    return place(at, data + BACK[len(data)])


def cycles(code: Sequence[Placed], before: Sequence[Placed]) -> float:
    return sum(c.units for c in cortex_m7.block(code, before, True)) / UNITS


def loop(*texts: str, at: int = START) -> float:
    """Cycles of one iteration, in the steady state."""
    code = loop_of(texts, at)
    return cycles(code, code)


def sampled(code: Sequence[Placed], samples: dict[int, tuple[int, ...]]) -> list[Placed]:
    """The same with where accesses went: instruction number -> addresses modulo 8."""
    return [p._replace(samples=samples.get(n, ())) for n, p in enumerate(code)]


QUIET = place(START - 4, bytes.fromhex(2 * ENCODINGS["nop"]))  # a full cycle that nothing waits for
ALU = [f"add.w r{n}, r1, #1" for n in (2, 3, 4, 5, 6, 7, 8)]
LOAD, MAC, SIMD, SHIFT = "ldr.w r0, [r1]", "smlad r3, r4, r5, r3", "sxtb16 r3, r4", "add.w r3, r4, r5, lsl #2"


def test_independent_instructions_issue_in_pairs() -> None:
    assert loop(*ALU, "add.w r0, r1, #1") == 5  # 10 instructions


def test_dependent_chain_takes_one_cycle_each() -> None:
    assert loop(*["add.w r0, r0, #1"] * 8) == 8


@pytest.mark.parametrize(
    ("older", "younger"),
    [
        (ALU[0], ALU[1]),
        (MAC, ALU[0]),
        (ALU[0], MAC),
        (SIMD, ALU[3]),
        ("sxtb16 r2, r0", MAC),
        (SHIFT, ALU[3]),
        (LOAD, "ldr.w r2, [r1, #4]"),
        (LOAD, "str.w r2, [r1]"),
        (LOAD, "str.w r0, [r3]"),  # data may come in the same cycle
        ("movw r0, #1234", "movt r0, #1234"),
        ("it eq", "moveq r3, r4"),
        ("mov.w r0, #0x40000000", ALU[3]),
        ("vadd.f32 s0, s1, s2", ALU[0]),
        ("vfma.f32 s0, s1, s2", ALU[0]),
        ("vadd.f32 s0, s1, s2", "vldr s7, [r1]"),
    ],
)
def test_pairs(older: str, younger: str) -> None:
    assert cycles(code_of((older, younger)), QUIET) == 1


@pytest.mark.parametrize(
    ("older", "younger"),
    [
        (ALU[3], SIMD),  # the older slot only
        (SIMD, "sxtb16 r5, r6"),
        (MAC, "smlad r0, r1, r2, r0"),
        (MAC, "str.w r2, [r1]"),
        ("str.w r2, [r1]", MAC),
        (SHIFT, "add.w r6, r7, r8, lsl #2"),
        (SHIFT, "add.w r0, r1, #0x1fc00"),  # a constant that the shifter makes
        (SHIFT, "bfi r2, r0, #0, #8"),
        (LOAD, "ldr.w r2, [r1, #8]"),  # one bank
        ("str.w r2, [r1]", "str.w r3, [r4, #4]"),
        ("vadd.f32 s0, s1, s2", "vmul.f32 s4, s5, s6"),
        ("vfma.f32 s0, s1, s2", "vldr s7, [r1]"),
    ],
)
def test_does_not_pair(older: str, younger: str) -> None:
    assert cycles(code_of((older, younger)), QUIET) == 2


@pytest.mark.parametrize(
    ("producer", "consumer", "latency"),
    [
        ("add.w r0, r1, #1", "eor.w r2, r0, r1", 0),  # from the early to the late ALU
        ("eor.w r0, r1, r2", "eor.w r2, r0, r1", 1),
        ("eor.w r0, r1, r2", "add.w r2, r3, r0, lsl #2", 2),
        ("eor.w r0, r1, r2", "ubfx r2, r0, #1, #2", 2),
        ("eor.w r0, r1, r2", "bfi r2, r0, #0, #8", 2),
        ("eor.w r0, r1, r2", "sxtb16 r2, r0, ror #8", 1),  # a rotated extension needs its operand no earlier
        ("eor.w r0, r1, r2", "ldr.w r5, [r0]", 2),
        ("add.w r0, r1, #1", "ldr.w r5, [r0]", 1),
        ("sxtb16 r0, r1", "ldr.w r5, [r0]", 2),
        ("sxtb16 r0, r1", "eor.w r2, r0, r1", 1),
        ("ubfx r0, r1, #1, #2", "eor.w r2, r0, r1", 1),
        ("rev r0, r1", "eor.w r2, r0, r1", 0),
        ("rev r0, r1", "ldr.w r5, [r0]", 2),
        ("ssat r0, #8, r1", "eor.w r2, r0, r1", 2),
        ("mul r0, r1, r2", "eor.w r2, r0, r1", 2),
        ("mul r0, r1, r2", "mla r2, r3, r4, r0", 1),
        ("mul r0, r1, r2", "ldr.w r5, [r0]", 4),
        ("smlad r0, r1, r2, r0", "smlad r2, r3, r1, r0", 1),
        ("smlad r0, r1, r2, r0", "smlad r2, r0, r1, r3", 2),
        (LOAD, "eor.w r2, r0, r1", 1),
        (LOAD, "sxtb16 r2, r0, ror #8", 1),
        (LOAD, "add.w r2, r3, r0, lsl #2", 2),
        (LOAD, "smlad r2, r0, r1, r3", 2),
        (LOAD, "ldr.w r5, [r0]", 3),
        (LOAD, "ldr.w r5, [r1, r0]", 3),
        ("ldrb.w r0, [r1]", "eor.w r2, r0, r1", 2),
        ("ldrh.w r0, [r1]", "add.w r2, r3, r0, lsl #2", 3),
        ("ldrb.w r0, [r1]", "smlad r2, r3, r1, r0", 1),
        ("vadd.f32 s0, s1, s2", "vadd.f32 s3, s0, s1", 3),
        ("vfma.f32 s0, s1, s2", "vadd.f32 s3, s0, s1", 5),
        ("vfma.f32 s0, s1, s2", "vfma.f32 s0, s1, s2", 3),
    ],
)
def test_result_latency(producer: str, consumer: str, latency: int) -> None:
    """From the cycle in which one issues to that of the other, which begins the next block."""
    before = code_of((*ALU[2:5], "nop", producer))
    code = code_of((consumer,), START + 20 if ENCODINGS[producer][4:] else START + 18)
    assert cycles(code, before) == latency


def test_word_loaded_can_be_added_to_at_once() -> None:
    assert cycles(code_of(("smlad r2, r3, r1, r0",)), code_of((*ALU[2:5], LOAD))) <= 1


def test_chain_of_loads_takes_three_cycles_each() -> None:
    assert loop("ldr.w r0, [r0]") == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ldmia.w r9, {r0, r2, r3}", 2),
        ("ldmia.w r9, {r0, r2, r3, r4}", 2),
        ("stmia.w r9, {r0, r2, r3}", 2),
        ("push {r4, r5, lr}", 2),
        ("pop {r4, r5}", 1),
        ("ldrd r0, r2, [r9]", 1),
        ("strd r0, r2, [r9]", 1),
        ("tbb [pc, r0]", 2),
        ("sdiv r0, r1, r2", 7),
        ("vdiv.f32 s0, s1, s2", 16),
        ("vsqrt.f32 s0, s1", 14),
    ],
)
def test_instructions_that_stand_alone(text: str, expected: int) -> None:
    assert cycles(code_of((text,)), code_of(ALU[:2])) == expected
    assert cycles(code_of((ALU[3],), START + 4), code_of((text,))) == 1


def test_banks_follow_the_addresses_that_were_seen() -> None:
    code = code_of((LOAD, "ldr.w r2, [r3]"))
    before = QUIET
    assert cycles(sampled(code, {0: (0, 0, 0), 1: (4, 4, 4)}), before) == 1
    assert cycles(sampled(code, {0: (0, 4, 0), 1: (0, 4, 0)}), before) == 2
    assert cycles(sampled(code, {0: (0, 4, 0), 1: (4, 0, 4)}), before) == 1
    assert cycles(code, before) == 2  # not seen: pointers count as aligned to 8 bytes


def test_unaligned_accesses_wait_as_often_as_they_were_seen() -> None:
    before = QUIET
    older = code_of((LOAD,))
    assert cycles(sampled(older, {0: (1, 2, 3, 5)}), before) == 1 + 3
    assert cycles(sampled(older, {0: (0, 4, 3, 1)}), before) == 1 + 1.5
    younger = code_of((ALU[3], LOAD))
    assert cycles(sampled(younger, {1: (2,)}), before) == 1 + 4
    halves = code_of(("ldrh.w r0, [r1]",))
    assert cycles(sampled(halves, {0: (2, 6)}), before) == 1
    assert cycles(sampled(code_of(("ldrb.w r0, [r1]",)), {0: (1, 3)}), before) == 1


def test_even_number_of_stores_needs_alignment_to_8_bytes() -> None:
    before = QUIET
    even, odd = code_of(("stmia.w r9, {r0, r2, r3, r4}",)), code_of(("stmia.w r9, {r0, r2, r3}",))
    assert cycles(sampled(even, {0: (0,)}), before) == 2
    assert cycles(sampled(even, {0: (4,)}), before) == 3
    assert cycles(sampled(odd, {0: (4,)}), before) == 2


def test_load_of_what_was_just_stored_waits() -> None:
    store, load = "str.w r3, [r4, #4]", "ldr.w r3, [r4, #4]"
    assert cycles(code_of((load,)), code_of((*ALU[2:4], store))) == 4
    assert cycles(code_of(("ldr.w r2, [r1, #4]",)), code_of((*ALU[2:4], store))) == 0


def test_taken_branch_pairs_across_the_edge_and_costs_nothing() -> None:
    assert loop() == 1
    assert loop(*ALU[:4]) == 3  # 6 instructions
    assert cycles(code_of(ALU[:1], START + 12), code_of(ALU[1:4])) == 0  # the odd one of the block before has company


def test_fetch_of_64_bits_bounds_a_loop_that_begins_in_the_middle_of_a_window() -> None:
    body = [*ALU[:4]]
    assert loop(*body, at=START) == 3  # 22 bytes in 3 windows
    assert loop(*body, at=START + 4) == 4  # in 4


def test_results_cross_the_border_of_blocks() -> None:
    apart = cycles(code_of(("smlad r2, r0, r1, r3",)), code_of((*ALU[2:5], LOAD)))
    together = cycles(code_of((LOAD, "smlad r2, r0, r1, r3")), code_of(ALU[2:5]))
    alone = cycles(code_of((LOAD,)), code_of(ALU[2:5]))
    assert apart == together - alone


def test_charges_name_what_they_wait_for() -> None:
    def causes(texts: Sequence[str]) -> set[str]:
        return {c.cause for c in cortex_m7.block(code_of(texts), code_of(ALU[:2]), True)}

    assert "pairing" in causes((SIMD, "sxtb16 r5, r6"))
    assert "hazard" in causes((LOAD, "smlad r2, r0, r1, r3"))
    assert "divide" in causes(("sdiv r0, r1, r2",))
    assert "load_store" in causes(("ldmia.w r9, {r0, r2, r3}",))
    assert causes(ALU[2:4]) == {"issue"}


def test_run_that_ends_costs_nothing_more() -> None:
    assert cortex_m7.block([], code_of(ALU), True) == []
