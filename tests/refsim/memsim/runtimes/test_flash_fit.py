"""The constants that stand for each runtime's code are those of the published rows, and rows left out are met too."""

from __future__ import annotations

import pytest

from refsim.memsim.runtimes import RUNTIMES, flash_fit
from refsim.memsim.runtimes.cmsis_nn import CODE as CMSIS_NN
from refsim.memsim.runtimes.tflm import CODE as TFLM
from refsim.memsim.runtimes.tinyengine import CODE as TINYENGINE
from refsim.memsim.runtimes.x_cube_ai import CODE as X_CUBE_AI
from refsim.zoo import find

DOUBTED = ("proxyless", "mbv2")  # rows whose published flash leaves no room for TinyEngine's code
CODES = {
    "tflm": (TFLM, 10, 0.0010),
    "cmsis-nn": (CMSIS_NN, 10, 0.0027),
    "tinyengine": (TINYENGINE, 8, 0.0030),
    "x-cube-ai": (X_CUBE_AI, 11, 0.0320),
}  # bytes, rows, largest error of a row left out


@pytest.fixture(scope="module")
def rows(table3) -> dict[str, list[flash_fit.Row]]:
    found: dict[str, list[flash_fit.Row]] = {name: [] for name in RUNTIMES}
    for (model, runtime), row in table3.items():
        if row["flash_kib"]:
            found[runtime].append(flash_fit.row(model, RUNTIMES[runtime](find(model)), float(row["flash_kib"])))
    return found


@pytest.mark.parametrize("runtime", CODES)
def test_code_is_what_the_published_rows_leave_and_rows_left_out_are_met(runtime, rows) -> None:
    code, count, worst = CODES[runtime]
    used = [r for r in rows[runtime] if runtime != "tinyengine" or not r.name.startswith(DOUBTED)]
    print("\n".join((runtime, *flash_fit.lines(used))))
    assert (round(flash_fit.fit(used)), len(used)) == (code, count)
    assert max(abs(error) for error in flash_fit.leave_one_out(used).values()) <= worst


def test_rows_that_are_not_used_have_no_room_for_code(rows) -> None:
    doubted = [r for r in rows["tinyengine"] if r.name.startswith(DOUBTED)]
    assert len(doubted) == 3
    assert all(r.flash - r.data < TINYENGINE / 2 for r in doubted)


def test_the_data_of_a_row_left_out_is_not_fitted_to() -> None:
    rows = [flash_fit.Row("a", 110, 10), flash_fit.Row("b", 220, 20), flash_fit.Row("c", 330, 30)]
    assert flash_fit.fit(rows) == 200
    assert flash_fit.leave_one_out(rows)["a"] == pytest.approx((10 + 250) / 110 - 1)
