"""Timing observes counts: charges fall due when they should, and parts sum to the whole."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from emulator import calibrate
from emulator.image import Image, Segment
from emulator.machine import Machine
from emulator.placed import place
from emulator.timing import CAUSES, MODELS, UNITS, Timing
from refsim import boards
from refsim.boards import BOARDS
from refsim.errors import ImageError

CODE = 0x0800_0100
Assemble = Callable[..., bytes]


def machine(code: bytes, at: int = CODE, board: str = "generic-m4") -> Machine:
    return Machine(boards.find(board), Image("snippet", (Segment(at, code, len(code), at),)))


def cycles(m: Machine, function: int = CODE, *args: int) -> int:
    """Cycles of one call."""
    clock = Timing(m)
    m.call(function, args)
    return clock.cost(clock.now()).cycles


def test_loop_pays_the_refill_when_it_jumps_and_not_when_it_falls(assemble: Assemble) -> None:
    m = machine(assemble("subs r0, #1", "bne .-2", "bx lr"))
    assert cycles(m, CODE, 10) == 10 * 2 + 9 + 2


def test_unaligned_wide_target_is_paid_on_entry_by_a_jump_only(assemble: Assemble) -> None:
    code = assemble("cmp r0, #0", "beq .+4", "nop", "add.w r3, r4, r5", "bx lr")  # the wide one at 0x106
    assert cycles(machine(code), CODE, 0) == 1 + 2 + 1 + 1 + 2
    assert cycles(machine(code), CODE, 1) == 1 + 1 + 1 + 1 + 2


def test_blocks_cut_at_a_page_keep_their_overlap(assemble: Assemble) -> None:
    at = 0x0800_0400 - 4
    code = assemble("nop", "ldr r0, [r1]", "ldr r2, [r1, #4]", "bx lr")
    joined, apart = machine(code, at), machine(code)
    args = (0, 0x2000_0000)
    assert cycles(joined, at, *args) == cycles(apart, CODE, *args) == 1 + 3 + 2


def test_costs_of_spans_sum_to_the_whole(assemble: Assemble) -> None:
    # push {r4, lr}; bl f; movs r0, #1; bl f; pop {r4, pc}; f: subs; bne; bx lr
    code = bytes.fromhex("10b500f004f8012000f001f810bd") + assemble("subs r0, #1", "bne .-2", "bx lr")
    m = machine(code)
    clock = Timing(m)
    seen = [clock.now()]
    m.call(CODE, (7,), stops=(CODE + 6,), on_stop=lambda _: seen.append(clock.now()))
    seen.append(clock.now())
    parts = [clock.cost(b - a).units.sum() for a, b in pairwise(seen)]
    assert sum(parts) == clock.cost(clock.now()).units.sum()
    assert all(part > 0 for part in parts)


def test_spans_sum_to_the_whole_where_a_page_cuts_a_loop_that_is_also_jumped_into(assemble: Assemble) -> None:
    # at: ldr | page | ldr; subs; bne back to the second ldr; bx lr. One span falls into it, one jumps there.
    at = 0x0800_0400 - 2
    m = machine(assemble("ldr r0, [r1]", "ldr r2, [r1, #4]", "subs r0, #1", "bne .-4", "bx lr"), at)
    m.write(0x2000_0000, b"\3\0\0\0")
    clock = Timing(m)
    seen = [clock.now()]
    for start, args in ((at + 2, (5, 0x2000_0000)), (at, (0, 0x2000_0000))):
        m.call(start, args)
        seen.append(clock.now())
    parts = [clock.cost(b - a).units.sum() for a, b in pairwise(seen)]
    assert sum(parts) == clock.cost(clock.now()).units.sum()


@pytest.mark.parametrize("board", ["generic-m0plus", "generic-m3", "generic-m4", "generic-m7", "generic-m33"])
def test_every_core_costs_a_loop_and_its_causes_sum_to_its_cycles(assemble: Assemble, board: str) -> None:
    m = machine(assemble("ldr r2, [r1, #4]", "adds r1, #4", "subs r0, #1", "bne .-2", "bx lr"), board=board)
    clock = Timing(m)
    m.call(CODE, (9, 0x2000_0000))
    costs = clock.cost(clock.now())
    assert m.instructions / 2 <= costs.cycles <= 3 * m.instructions
    assert sum(costs.by_cause.values()) == costs.cycles
    assert set(costs.by_cause) <= set(CAUSES)
    assert costs.units.sum() // UNITS == costs.cycles
    assert (costs.at_instructions.units.sum(axis=1) == costs.units).all()
    assert costs.instructions == m.instructions == 3 + 8 * 2 + 1 + 1


def test_same_run_twice_takes_the_same_cycles(assemble: Assemble) -> None:
    code = assemble("ldr r2, [r1, #4]", "subs r0, #1", "bne .-2", "bx lr")
    once, again = (cycles(machine(code, board="generic-m7"), CODE, 99_991, 0x2000_0000) for _ in range(2))
    assert once == again


def test_second_call_takes_the_cycles_of_the_first(assemble: Assemble) -> None:
    m = machine(assemble("subs r0, #1", "bne .-2", "bx lr"))
    clock = Timing(m)
    m.call(CODE, (1000,))
    once = clock.cycles
    m.call(CODE, (1000,))
    assert clock.cycles == 2 * once


def test_it_governs_up_to_four_instructions() -> None:
    def governed(it: str) -> list[bool]:
        return [p.skips for p in place(CODE, bytes.fromhex(it + "0846" * 5))]

    assert governed("08bf") == [False, True, False, False, False, False]  # it eq
    assert governed("0cbf") == [False, True, True, False, False, False]  # ite eq
    assert governed("02bf") == [False, True, True, True, False, False]  # ittt eq
    assert governed("01bf") == [False, True, True, True, True, False]  # itttt eq


def test_every_core_of_the_catalogue_has_a_model() -> None:
    assert {board.core.name for board in BOARDS.values()} == set(MODELS)


@pytest.mark.slow
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m33", "cortex-m4", "cortex-m7"])
def test_estimates_are_as_near_to_silicon_as_the_page_says(core: str) -> None:
    """docs/accuracy.md: no row more than 2.2 % off, and no core more than 0.9 % in the mean."""
    if "REFSIM_TINY_RESULTS" not in os.environ:
        pytest.skip("REFSIM_TINY_RESULTS does not name a checkout of mlcommons/tiny_results_v1.2")
    errors = [row.error_pct for row in calibrate.rows(Path(os.environ["REFSIM_TINY_RESULTS"]), core=core)]
    assert len(errors) >= 4
    assert max(map(abs, errors)) < 2.2
    assert sum(map(abs, errors)) / len(errors) < 0.9


def test_calibration_without_the_images_says_what_it_expects(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="expected a checkout of mlcommons/tiny_results"):
        next(calibrate.rows(tmp_path))


def test_every_measured_row_has_a_source_and_a_board() -> None:
    with calibrate.SILICON.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) > 20
    for row in rows:
        assert row["source"]
        assert boards.find(row["board"]).core.name == row["core"]
        seconds = float(row["us_per_inference"]) / 1e6
        assert float(row["cycles"]) == pytest.approx(seconds * float(row["clock_mhz"]) * 1e6, abs=1)


def test_price_asked_for_early_is_that_of_the_whole_run_in_the_end(assemble: Assemble) -> None:
    """The M7's loads are priced by where their pointers were seen to point, which one turn of a loop does not say."""

    def units(*, early: bool) -> int:
        m = machine(assemble("ldr r2, [r1, #4]", "subs r0, #1", "bne .-2", "bx lr"), board="generic-m7")
        clock = Timing(m)
        m.call(CODE, (1, 0x2000_0000))
        asked = clock.cycles if early else 0
        m.call(CODE, (50, 0x2000_0001))
        assert asked < clock.cost(clock.now()).cycles == clock.cycles
        return int(clock.cost(clock.now()).units.sum())

    assert units(early=True) == units(early=False)
