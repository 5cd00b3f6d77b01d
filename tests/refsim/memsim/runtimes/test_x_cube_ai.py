from __future__ import annotations

import pytest

from refsim.builder import Builder
from refsim.memsim.runtimes import x_cube_ai_fit
from refsim.memsim.runtimes.x_cube_ai import BASE, BYTES_PER_DEPTHWISE_WEIGHT, GROWTH, x_cube_ai
from refsim.zoo import find


@pytest.fixture(scope="module")
def rows(table3) -> list[x_cube_ai_fit.Row]:
    published = {model: row for (model, runtime), row in table3.items() if runtime == "x-cube-ai"}
    return [x_cube_ai_fit.row(m, find(m), float(row["sram_kib"]) * 1024) for m, row in published.items()]


def test_the_numbers_are_those_that_the_published_rows_give(rows) -> None:
    found = x_cube_ai_fit.fit(rows)
    assert (round(found.base), round(found.growth, 4)) == (BASE, GROWTH)
    assert found.bytes_per_weight == BYTES_PER_DEPTHWISE_WEIGHT


def test_rows_left_out_are_met_within_15_percent_and_7_on_average(rows) -> None:
    print("\n".join(x_cube_ai_fit.lines(rows)))
    errors = [abs(e) for e in x_cube_ai_fit.leave_one_out(rows).values()]
    assert len(errors) == 11
    assert max(errors) <= 0.15
    assert sum(errors) / len(errors) <= 0.07


def test_table3(table3) -> None:
    for (model, runtime), row in table3.items():
        if runtime == "x-cube-ai":
            found = x_cube_ai(find(model))
            assert found.sram / 1024 == pytest.approx(float(row["sram_kib"]), rel=0.15)
            assert found.flash / 1024 == pytest.approx(float(row["flash_kib"]), rel=0.05)


def test_an_output_may_take_the_bytes_of_an_input_that_ends() -> None:
    b = Builder("chain")
    x = b.input((1, 8, 8, 4), quant=(0.1, 0))
    graph = b.build(b.conv2d(x, 8, quant=(0.1, 0)))
    assert x_cube_ai(graph).detail["pool"] == 8 * 8 * 8


def test_an_input_that_is_read_again_is_held() -> None:
    b = Builder("branch")
    x = b.input((1, 8, 8, 4), quant=(0.1, 0))
    graph = b.build(b.add(x, b.conv2d(x, 4, quant=(0.1, 0)), quant=(0.1, 0)))
    assert x_cube_ai(graph).detail["pool"] == 2 * 8 * 8 * 4
