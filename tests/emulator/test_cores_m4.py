"""Every row of the Cortex-M4's timing facts that the model implements, each by a snippet that the row predicts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator.cores import cortex_m4
from emulator.placed import place
from emulator.timing import UNITS

Cost = Callable[..., float]


@pytest.mark.parametrize(
    "text",
    [
        "adds r0, r1, r2", "lsl.w r3, r4, #2", "sxtb16 r3, r4", "ssat r3, #8, r4", "mul r3, r4, r5",
        "mla r3, r4, r5, r3", "smull r3, r4, r5, r6", "smlal r3, r4, r5, r6", "smlad r3, r4, r5, r3",
        "smlald r3, r4, r5, r6", "add.w r3, r4, r5, lsl #2", "ubfx r3, r4, #1, #2", "nop",
    ],
)  # fmt: skip
def test_data_operations_take_one(cost: Cost, text: str) -> None:
    assert cost(cortex_m4, text) == 1


def test_dependent_data_operations_do_not_wait(cost: Cost) -> None:
    assert cost(cortex_m4, "smlad r3, r4, r5, r3", "smlad r3, r4, r5, r3", "add.w r3, r4, r5") == 3


def test_division_takes_two_to_twelve(cost: Cost) -> None:
    assert 2 <= cost(cortex_m4, "sdiv r3, r4, r5") <= 12


@pytest.mark.parametrize("k", [1, 2, 3])
def test_independent_loads_in_a_row_take_k_plus_one(cost: Cost, k: int) -> None:
    assert cost(cortex_m4, *("ldr r0, [r1]", "ldr r2, [r1, #4]", "ldr r3, [r1, #8]")[:k]) == k + 1


def test_load_whose_address_was_just_loaded_does_not_pipeline(cost: Cost) -> None:
    assert cost(cortex_m4, "ldr r0, [r1]", "ldr r2, [r0]") == 4


def test_loaded_value_used_at_once_costs_nothing_more(cost: Cost) -> None:
    assert cost(cortex_m4, "ldr r0, [r1]", "adds r2, r0, #1") == 3


def test_nop_hides_under_a_load_and_cmp_does_not(cost: Cost) -> None:
    assert cost(cortex_m4, "ldr r0, [r1]", "nop") == 2
    assert cost(cortex_m4, "ldr r0, [r1]", "cmp r0, #0") == 3


def test_computed_address_is_late_by_one(cost: Cost) -> None:
    assert cost(cortex_m4, "adds r1, #4", "ldr r0, [r1]") == 1 + 2 + 1
    assert cost(cortex_m4, "adds r1, #4", "str r0, [r1]") == 1 + 1 + 1
    assert cost(cortex_m4, "adds r1, #4", "nop", "ldr r0, [r1]") == 1 + 1 + 2
    assert cost(cortex_m4, "adds r1, #4", "ldr r5, [r4]") == 1 + 2


def test_store_with_immediate_or_index_takes_one_and_with_register_offset_two(cost: Cost) -> None:
    assert cost(cortex_m4, "str r0, [r1]") == 1
    assert cost(cortex_m4, "str r0, [r1], #4") == 1
    assert cost(cortex_m4, "str r0, [r1, r2]") == 2
    assert cost(cortex_m4, "str r0, [r1, r2]", "nop") == 2


def test_load_then_store_take_two(cost: Cost) -> None:
    assert cost(cortex_m4, "ldr r0, [r1]", "str r2, [r1, #4]") == 2


def test_store_then_load_do_not_overlap(cost: Cost) -> None:
    assert cost(cortex_m4, "str r2, [r1, #4]", "ldr r0, [r1]") == 1 + 2 + 1
    assert cost(cortex_m4, "str r2, [r1, #4]", "ldmia r4!, {r0, r1, r2}") == 1 + 4 + 1
    assert cost(cortex_m4, "str r2, [r1, #4]", "stmia r4!, {r0, r1, r2}") == 1 + 4


def test_stores_indexed_by_one_register_do_not_chain(cost: Cost) -> None:
    assert cost(cortex_m4, "str r0, [r1], #4", "str r0, [r1]") == 1 + 1 + 1
    assert cost(cortex_m4, "str r0, [r1], #4", "str r2, [r3], #4") == 1 + 1


def test_loads_from_flash_and_sram_do_not_overlap(cost: Cost) -> None:
    assert cost(cortex_m4, "ldr r0, [pc, #4]", "ldr r2, [r1, #4]") == 4
    assert cost(cortex_m4, "ldr r0, [pc, #4]", "ldr r2, [pc, #8]") == 3


def test_indexed_loads_pipeline_only_on_different_bases(cost: Cost) -> None:
    assert cost(cortex_m4, "ldr r0, [r1], #4", "ldr r2, [r1], #4") == 4
    assert cost(cortex_m4, "ldr r0, [r1], #4", "ldr r2, [r3], #4") == 3


@pytest.mark.parametrize(
    ("text", "registers"),
    [
        ("ldmia r4!, {r0, r1, r2}", 3), ("stmia r4!, {r0, r1, r2}", 3), ("push {r4, r5, lr}", 3),
        ("pop {r4, r5}", 2), ("ldrd r0, r1, [r2]", 2), ("strd r0, r1, [r2]", 2), ("vldmia r1, {s0, s1, s2}", 3),
    ],
)  # fmt: skip
def test_multiples_and_doubles_take_one_more_than_registers(cost: Cost, text: str, registers: int) -> None:
    assert cost(cortex_m4, text) == 1 + registers


def test_pop_with_pc_adds_the_refill(cost: Cost) -> None:
    assert cost(cortex_m4, "pop {r4, pc}", left=True) == 1 + 2 + 2


@pytest.mark.parametrize("text", ["bne .-2", "cbz r0, .+4"])
def test_branch_takes_one_and_two_when_taken(cost: Cost, text: str) -> None:
    assert cost(cortex_m4, text) == 1
    assert cost(cortex_m4, text, left=True) == 2


@pytest.mark.parametrize(("text", "cycles"), [("b .+4", 2), ("bl .+4", 2), ("bx lr", 2), ("blx r3", 3), ("bx r3", 3)])
def test_unconditional_branches_take_two_and_by_another_register_three(cost: Cost, text: str, cycles: int) -> None:
    assert cost(cortex_m4, text, left=True) == cycles


def test_unaligned_wide_target_costs_one_more(cost: Cost) -> None:
    assert cost(cortex_m4, "sxtb16 r3, r4", at=0x102, entered=True) == 2
    assert cost(cortex_m4, "sxtb16 r3, r4", at=0x100, entered=True) == 1
    assert cost(cortex_m4, "adds r0, r1, r2", at=0x102, entered=True) == 1


def test_loops_of_the_compendium_take_what_they_were_measured_to(cost: Cost) -> None:
    """A turn of `loop: op; sub.w; cmp; bne`: two cycles for the branch, one more for a wide unaligned op."""
    turn = ("add.w r2, r0, #1", "cmp r0, #0", "bne .-4")
    narrow = cost(cortex_m4, "adds r0, r1, r2", *turn, at=0x106, entered=True, left=True)
    wide = cost(cortex_m4, "mul r3, r4, r5", *turn, at=0x106, entered=True, left=True)
    assert (narrow, wide) == (5, 6)


def test_load_of_the_pc_and_table_branches_reach_their_minimum(cost: Cost) -> None:
    assert cost(cortex_m4, "ldr.w pc, [r0]", left=True) == 5
    assert cost(cortex_m4, "tbb [pc, r0]", left=True) == 6


def test_it_folds_into_a_16_bit_instruction(cost: Cost) -> None:
    assert cost(cortex_m4, "cmp r0, #0", "it eq", "moveq r0, r1") == 2
    assert cost(cortex_m4, "sxtb16 r3, r4", "it eq", "moveq r0, r1") == 3


def test_the_third_unaligned_wide_instruction_behind_a_stall_comes_late(cost: Cost) -> None:
    group, load = ("sxtb16 r3, r4",) * 3, "ldr r0, [r1]"
    assert cost(cortex_m4, load, *group, at=0x100) == 2 + 3 + 1
    assert cost(cortex_m4, load, *group, at=0x102) == 2 + 3
    assert cost(cortex_m4, load, *group, *group, at=0x100) == 2 + 6 + 1
    assert cost(cortex_m4, load, *group, load, *group, at=0x100) == 2 * (2 + 3) + 1
    assert cost(cortex_m4, load, *group[:2], at=0x100) == 2 + 2
    assert cost(cortex_m4, load, "ldr r2, [r1, #4]", "ldr r3, [r1, #8]", *group, at=0x100) == 4 + 3 + 1


def test_a_return_that_an_it_block_skips_takes_a_cycle_and_one_that_it_takes_costs_its_loads(cost: Cost) -> None:
    assert cost(cortex_m4, "it eq", "pop {r4, pc}") == 1 + 1
    assert cost(cortex_m4, "it eq", "pop {r4, pc}", left=True) == 1 + cost(cortex_m4, "pop {r4, pc}", left=True)
    assert cost(cortex_m4, "it eq", "bx lr") == 1 + 1
    assert cost(cortex_m4, "it eq", "bx lr", left=True) == 1 + cost(cortex_m4, "bx lr", left=True)


def test_unaligned_loads_cost_what_their_samples_say(assemble: Callable[..., bytes]) -> None:
    word = place(0x100, assemble("ldr r0, [r1]"))
    for offset, extra in ((0, 0), (1, 2), (2, 1), (3, 2), (4, 0)):
        charges = cortex_m4.block([word[0]._replace(samples=(offset,))], (), False)
        assert sum(charge.units for charge in charges) == (2 + extra) * UNITS


@pytest.mark.parametrize(
    ("text", "cycles"),
    [("vadd.f32 s0, s1, s2", 1), ("vmul.f32 s3, s4, s5", 1), ("vfma.f32 s0, s1, s2", 3), ("vdiv.f32 s0, s1, s2", 14),
     ("vldr s0, [r1]", 2), ("vldr d0, [r1]", 3)],
)  # fmt: skip
def test_floating_point(cost: Cost, text: str, cycles: int) -> None:
    assert cost(cortex_m4, text) == cycles
