from __future__ import annotations

import json

import pytest

from codegen.build import make_program
from codegen.fitting import shortfall
from refsim import boards
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM
from refsim.memsim import budget
from refsim.memsim.budget import Budget, Limit, budget_of, peak_of, smaller_input
from refsim.zoo import find

BOARD = boards.find("nucleo-g0b1re")  # 144 KiB and 512 KiB


@pytest.fixture(scope="module")
def vww0() -> Graph:
    return find("mcunet-vww0")


def given(nbytes: int) -> Limit:
    return Limit("the budget", nbytes)


def test_the_lesser_of_board_and_budget_counts_and_is_named() -> None:
    assert budget_of(None) is None
    assert budget_of(BOARD) == Budget(Limit(BOARD.name, 144 * 1024), Limit(BOARD.name, 512 * 1024))
    assert budget_of(BOARD, 1000, 2**30) == Budget(given(1000), Limit(BOARD.name, 512 * 1024))
    assert budget_of(None, None, 77) == Budget(None, given(77))
    assert str(given(1000)) == "the budget of 1,000 bytes"
    small = budget.limited(BOARD, budget_of(BOARD, 1000))
    assert (small.sram.size, small.flash.size, BOARD.sram.size) == (1000, 512 * 1024, 144 * 1024)


def test_what_fills_it_to_the_last_byte_is_not_over() -> None:
    assert Budget(given(100), given(50)).over(100, 51) == (0, 1)
    assert Budget(None, given(50)).over(10**9, 50) == (0, 0)


def test_the_peak_is_what_the_program_needs(vww0: Graph) -> None:
    program = make_program(vww0)
    peak = peak_of(program)
    assert peak.in_use == sum(holder.nbytes for holder in peak.holders) <= program.arena_bytes
    whole = {t.name: t.nbytes for t in program.graph.tensors}
    assert all(holder.nbytes == whole[holder.tensor] for holder in peak.holders if holder.tensor in whole)
    assert peak.in_use == program.placed.lower_bound


def test_a_shortfall_says_how_much_who_and_what_helps(vww0: Graph) -> None:
    program = make_program(vww0)
    limit = program.arena_bytes // 2
    found = shortfall(
        budget_of(None, limit), vww0, program, program.arena_bytes + 100, 9, model="zoo:mcunet-vww0", numerics=TFLM
    )
    assert found is not None
    assert found.over_sram == program.arena_bytes + 100 - limit
    first = found.helps[0]
    assert first.what in ("--optimize balanced", "--optimize sram")
    assert first.fits
    option = first.what.split()[1]
    assert first.sram == make_program(vww0, optimize=option).arena_bytes + 100
    said = "\n".join(budget.sentences(found))
    assert f"{found.sram:,} bytes are {found.over_sram:,} too many for the budget of {limit:,} bytes" in said
    assert f"'{found.peak.holders[0].tensor}' {found.peak.holders[0].nbytes:,} B" in said
    assert "zoo:mcunet-vww0@" in said
    assert "(estimated)" in said
    assert "boards that fit: nucleo-l4r5zi" in said
    told = json.loads(json.dumps(budget.as_json(found)))
    assert told["over_sram"] == found.over_sram
    assert told["alive_at_peak"][0].keys() == {"tensor", "bytes"}
    assert told["helps"][0] == {"what": first.what, "sram": first.sram, "fits": True, "estimated": False}


def test_what_fits_has_no_shortfall_and_plans_nothing(vww0: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    program = make_program(vww0)
    monkeypatch.setattr("codegen.fitting.make_program", lambda *_, **__: pytest.fail("planned again"))
    assert shortfall(budget_of(BOARD), vww0, program, program.arena_bytes, 9, numerics=TFLM) is None
    assert shortfall(None, vww0, program, 10**9, 10**9, numerics=TFLM) is None
    flash = shortfall(budget_of(None, None, 1000), vww0, program, 10**9, 1234, numerics=TFLM)
    assert flash is not None
    assert (flash.over_sram, flash.over_flash, flash.helps) == (0, 234, ())
    said = "\n".join(budget.sentences(flash))
    assert "flash: 1,234 bytes are 234 too many" in said
    assert "SRAM" not in said


def test_the_smaller_input_that_is_named_fits_when_it_is_built(vww0: Graph) -> None:
    """The estimate is no promise, but it must not be far off."""
    program = make_program(vww0)
    limit = program.arena_bytes * 6 // 10
    scaled = smaller_input(vww0, "zoo:mcunet-vww0@64", program.arena_bytes, 0, limit)
    assert scaled is not None
    assert (scaled.estimated, scaled.fits) == (True, True)
    assert "zoo:mcunet-vww0@48 instead of 64x64" in scaled.what
    built = make_program(find("zoo:mcunet-vww0@48")).arena_bytes
    assert built == pytest.approx(scaled.sram, rel=0.15)


def test_spectra_and_hopeless_limits_get_no_smaller_input(vww0: Graph) -> None:
    assert smaller_input(find("ds-cnn"), "zoo:ds-cnn", 16_000, 0, 8000) is None
    assert smaller_input(vww0, "", 63_000, 0, 100) is None
    assert smaller_input(vww0, "", 63_000, 5000, 4000) is None
    unnamed = smaller_input(vww0, "model.tflite", 64_000, 0, 32_000)
    assert unnamed is not None
    assert unnamed.what == "a smaller input, 40x40 instead of 64x64"
