"""The rows in which the Cortex-M3 differs from the Cortex-M4, each by a snippet."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator.cores import cortex_m3

Cost = Callable[..., float]


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("mla r3, r4, r5, r3", 2, 2), ("mls r3, r4, r5, r3", 2, 2), ("smull r3, r4, r5, r6", 3, 5),
        ("smlal r3, r4, r5, r6", 4, 7), ("mul r3, r4, r5", 1, 1), ("adds r0, r1, r2", 1, 1),
    ],
)  # fmt: skip
def test_multiplies_slower(cost: Cost, text: str, least: int, most: int) -> None:
    assert least <= cost(cortex_m3, text) <= most


def test_indexed_accesses_do_not_chain(cost: Cost) -> None:
    assert cost(cortex_m3, "ldr r0, [r1], #4", "ldr r2, [r3], #4") == 4
    assert cost(cortex_m3, "ldr r0, [r1], #4", "ldr r5, [r4]") == 3  # the first of a chain may be indexed
    assert cost(cortex_m3, "ldr r5, [r4]", "str r0, [r1], #4") == 3
    assert cost(cortex_m3, "ldr r5, [r4]", "str r0, [r1]") == 2
    assert cost(cortex_m3, "str r0, [r1], #4") == 1


def test_taken_branches_cost_what_they_do_on_the_m4(cost: Cost) -> None:
    assert cost(cortex_m3, "bne .-2") == 1
    assert cost(cortex_m3, "bne .-2", left=True) == 2
    assert cost(cortex_m3, "bx r3", left=True) == 3


def test_a_return_that_an_it_block_skips_takes_a_cycle(cost: Cost) -> None:
    assert cost(cortex_m3, "it eq", "pop {r4, pc}") == 1 + 1
    assert cost(cortex_m3, "it eq", "pop {r4, pc}", left=True) == 1 + cost(cortex_m3, "pop {r4, pc}", left=True)


def test_the_fetch_queue_is_the_m4s(cost: Cost) -> None:
    assert cost(cortex_m3, "ldr r0, [r1]", *("lsl.w r3, r4, #2",) * 3, at=0x100) == 2 + 3 + 1
