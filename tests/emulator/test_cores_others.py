"""Cortex-M0+, M3 and M33: the rows of their tables, each by a snippet."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator.cores import cortex_m0plus, cortex_m3, cortex_m33

Cost = Callable[..., float]


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("adds r0, r1, r2", 1), ("muls r3, r4, r3", 1), ("ldr r0, [r1]", 2), ("strb r0, [r1]", 2), ("bx lr", 2),
        ("b .+4", 2), ("bl .+4", 3), ("blx r3", 2), ("ldmia r4!, {r0, r1, r2}", 4), ("push {r4, r5, lr}", 4),
        ("pop {r4, pc}", 5), ("bne .-2", 2),
    ],
)  # fmt: skip
def test_m0plus_table(cost: Cost, text: str, cycles: int) -> None:
    assert cost(cortex_m0plus, text, left=True) == cycles


def test_m0plus_has_no_hazards(cost: Cost) -> None:
    assert cost(cortex_m0plus, "adds r1, #4", "ldr r0, [r1]", "adds r2, r0, #1", "bne .-2") == 5


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("mla r3, r4, r5, r3", 2, 2), ("mls r3, r4, r5, r3", 2, 2), ("smull r3, r4, r5, r6", 3, 5),
        ("smlal r3, r4, r5, r6", 4, 7), ("mul r3, r4, r5", 1, 1), ("adds r0, r1, r2", 1, 1),
    ],
)  # fmt: skip
def test_m3_multiplies_slower(cost: Cost, text: str, least: int, most: int) -> None:
    assert least <= cost(cortex_m3, text) <= most


def test_m3_indexed_accesses_do_not_chain(cost: Cost) -> None:
    assert cost(cortex_m3, "ldr r0, [r1], #4", "ldr r2, [r3], #4") == 4
    assert cost(cortex_m3, "ldr r0, [r1], #4", "ldr r5, [r4]") == 3  # the first of a chain may be indexed
    assert cost(cortex_m3, "ldr r5, [r4]", "str r0, [r1], #4") == 3
    assert cost(cortex_m3, "str r0, [r1], #4") == 1


def test_m33_load_use_and_its_exceptions(cost: Cost) -> None:
    assert cost(cortex_m33, "ldr r0, [r1]", "adds r2, r0, #1") == 3
    assert cost(cortex_m33, "ldr r0, [r1]", "cmp r0, #0") == 3
    assert cost(cortex_m33, "ldr r0, [r1]", "str r0, [r1]") == 2
    assert cost(cortex_m33, "ldr r3, [r1, #8]", "smlad r3, r4, r5, r3") == 2
    assert cost(cortex_m33, "ldr r5, [r4]", "smlad r3, r4, r5, r3") == 3


def test_m33_multiplication_takes_two_and_chains_by_its_accumulator(cost: Cost) -> None:
    assert cost(cortex_m33, "smlad r3, r4, r5, r3", "smlad r3, r4, r5, r3") == 2
    assert cost(cortex_m33, "mul r0, r1, r2", "adds r2, r0, #1") == 3
    assert cost(cortex_m33, "mul r0, r1, r2", "nop", "adds r2, r0, #1") == 3
    assert cost(cortex_m33, "add.w r0, r1, r2, lsl #3", "adds r2, r0, #1") == 3
    assert cost(cortex_m33, "add.w r0, r1, r2", "adds r2, r0, #1") == 2
    assert cost(cortex_m33, "smlad r3, r4, r5, r3", "str r0, [r1]") == 2
    assert cost(cortex_m33, "sxtb16 r5, r6", "smlad r3, r4, r5, r3") == 3
    assert cost(cortex_m33, "sxtab16 r3, r4, r5", "smlad r3, r4, r5, r3") == 2
    assert cost(cortex_m33, "muls r3, r4, r3") == 2


@pytest.mark.parametrize(
    ("text", "cycles"),
    [("ldmia r4!, {r0, r1, r2}", 3), ("push {r4, r5, lr}", 3), ("ldrd r0, r1, [r2]", 2), ("strd r0, r1, [r2]", 2)],
)
def test_m33_multiples_take_exactly_their_registers(cost: Cost, text: str, cycles: int) -> None:
    assert cost(cortex_m33, text) == cycles


def test_m33_branches_pair_with_16_bit_instructions(cost: Cost) -> None:
    assert cost(cortex_m33, "subs r0, #1", "bne .-2") == 1
    assert cost(cortex_m33, "subs r0, #1", "bne .-2", left=True) == 3  # 1 and 2 taken
    assert cost(cortex_m33, "ldr r0, [r1]", "bne .-2", left=True) == 2  # 1 taken, after no flag setter
    assert cost(cortex_m33, "sxtb16 r3, r4", "bne .-2") == 2  # 32 bits do not pair
    assert cost(cortex_m33, "cmp r0, #0", "it eq", "moveq r0, r1") == 2
    assert cost(cortex_m33, "ldmia r4!, {r0, r1, r2}", "bne .-2", left=True) == 4
