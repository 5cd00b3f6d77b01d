"""The Cortex-M7's rules of dual issue and its latencies, each by a pair of instructions.

A slot left open at the end counts half a cycle, because the next block can use it: two instructions that issue
together take 1, one that waits n cycles after the first takes n + 0.5.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator.cores import cortex_m7

Cost = Callable[..., float]

LOAD, WORD, SAME_BANK = "ldr.w r0, [r1]", "ldr.w r2, [r1, #4]", "ldr.w r2, [r1, #8]"


@pytest.mark.parametrize(
    ("older", "younger"),
    [
        ("add.w r3, r4, r5", "add.w r5, r6, r7"),
        ("smlad r3, r4, r5, r3", "add.w r5, r6, r7"),
        ("add.w r5, r6, r7", "smlad r0, r1, r2, r0"),
        ("sxtb16 r3, r4", "add.w r5, r6, r7"),
        ("sxtb16 r3, r4", "smlad r0, r1, r2, r0"),
        ("add.w r3, r4, r5, lsl #2", "add.w r5, r6, r7"),
        (LOAD, WORD),
        (LOAD, "str.w r2, [r1, #4]"),
        (LOAD, "str.w r0, [r1]"),
        ("movw r0, #1234", "movt r0, #1234"),
        ("subs r0, #1", "bne .-2"),
        ("it eq", "moveq r0, r1"),
    ],
)
def test_pairs(cost: Cost, older: str, younger: str) -> None:
    assert cost(cortex_m7, older, younger, left=younger == "bne .-2") == 1


@pytest.mark.parametrize(
    ("older", "younger"),
    [
        ("add.w r5, r6, r7", "sxtb16 r3, r4"),  # the older slot only
        ("sxtb16 r3, r4", "sxtb16 r5, r6"),
        ("smlad r3, r4, r5, r3", "smlad r0, r1, r2, r0"),
        ("smlad r3, r4, r5, r3", "str r0, [r1]"),
        ("str r0, [r1]", "smlad r3, r4, r5, r3"),
        ("add.w r3, r4, r5, lsl #2", "add.w r0, r1, r2, lsl #3"),
        (LOAD, SAME_BANK),
        ("str r0, [r1]", "str r2, [r1, #4]"),
        ("vadd.f32 s0, s1, s2", "vmul.f32 s3, s4, s5"),
    ],
)
def test_does_not_pair(cost: Cost, older: str, younger: str) -> None:
    assert cost(cortex_m7, older, younger) == 1.5


@pytest.mark.parametrize(
    ("producer", "consumer", "cycles"),
    [
        ("add.w r0, r1, r2", "add.w r2, r0, #1", 1),
        (LOAD, "add.w r2, r0, #1", 1),
        ("ldrb.w r0, [r1]", "add.w r2, r0, #1", 2),
        (LOAD, "smlad r2, r0, r1, r3", 2),
        (LOAD, "smlad r0, r1, r2, r0", 1),
        (LOAD, "add.w r2, r3, r0, lsl #2", 2),
        (LOAD, "ldr.w r5, [r0]", 3),
        ("mul r0, r1, r2", "add.w r2, r0, #1", 2),
        ("mul r0, r1, r2", "smlad r0, r1, r2, r0", 1),
        ("smlad r0, r1, r2, r0", "smlad r0, r1, r2, r0", 1),
        ("smlad r0, r1, r2, r0", "smlad r2, r0, r1, r3", 2),
        ("add.w r0, r1, r2", "ldr.w r5, [r0]", 1),
        ("eor.w r0, r1, r2", "ldr.w r5, [r0]", 2),
        ("sxtb16 r0, r1", "ldr.w r5, [r0]", 2),
        ("sxtb16 r0, r1", "add.w r2, r0, #1", 1),
        ("ssat r0, #8, r1", "add.w r2, r0, #1", 2),
        ("eor.w r0, r1, r2", "ubfx r2, r0, #1, #2", 2),
        ("eor.w r0, r1, r2", "add.w r2, r3, r0, lsl #2", 2),
    ],
)
def test_result_latency(cost: Cost, producer: str, consumer: str, cycles: int) -> None:
    assert cost(cortex_m7, producer, consumer) == cycles + 0.5


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("ldmia r4!, {r0, r1, r2}", 2), ("push {r4, r5, lr}", 2), ("pop {r4, r5}", 1), ("ldrd r0, r1, [r2]", 1),
        ("strd r0, r1, [r2]", 1), ("tbb [pc, r0]", 2), ("vdiv.f32 s0, s1, s2", 16),
    ],
)  # fmt: skip
def test_instructions_that_stand_alone(cost: Cost, text: str, cycles: int) -> None:
    assert cost(cortex_m7, text) == cycles
    assert cost(cortex_m7, text, "add.w r5, r6, r7") == cycles + 0.5


def test_division_is_between_the_sources_that_disagree(cost: Cost) -> None:
    assert 4 <= cost(cortex_m7, "sdiv r3, r4, r5") <= 7


def test_leaving_a_loop_is_mispredicted(cost: Cost) -> None:
    body = ("subs r0, #1", "bne .-2")
    assert cost(cortex_m7, *body) - cost(cortex_m7, *body, left=True) == 8
    assert cost(cortex_m7, "bx lr", left=True) == 0.5


def test_core_claims_no_calibration() -> None:
    assert cortex_m7.CALIBRATED is None
