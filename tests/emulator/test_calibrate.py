"""Fitted parameters are counted, refitted without the network that is judged, and drawn."""

from __future__ import annotations

import importlib
import json
import pkgutil
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator import calibrate, leave_one_out
from emulator.accuracy_chart import chart
from emulator.calibrate import Parameter, Result, Subject
from emulator.image import Image, Segment
from emulator.leave_one_out import Response
from emulator.timing import MODELS
from refsim import boards, chips, fitted
from refsim.board import AccessPath, Board, Cache
from refsim.fitted import Fitted

WAIT = Fitted("flash_read.wait", 0, 20, 0.5, "cycles", "a read", ("b",))
REFILL = Fitted("REFILL", 1, 3, 1, "cycles", "a refill")
FREE: Mapping[Hashable, Fitted] = {"wait": WAIT, "refill": REFILL}
NOW: Mapping[Hashable, float] = {"wait": 4.0, "refill": 1.0}


def row(network: str, waits: float, refills: float, *, wait: float = 7.5, refill: float = 2.0) -> Response:
    """A row whose silicon takes `wait` and `refill`, and whose estimate was made with NOW."""
    cycles = 1_000_000.0
    measured = cycles + waits * wait + refills * refill
    estimate = cycles + waits * NOW["wait"] + refills * NOW["refill"]
    return Response("b", network, round(measured), round(estimate), {"wait": waits, "refill": refills})


ROWS = [row("ad", 40_000, 1_000), row("ic", 3_000, 90_000), row("kws", 9_000, 50_000), row("vww", 20_000, 60_000)]


def test_refit_finds_the_parameters_that_made_the_rows() -> None:
    assert leave_one_out.refit(ROWS, FREE, NOW) == [7.5, 2.0]


def test_left_out_rows_of_a_linear_world_are_predicted() -> None:
    assert leave_one_out.errors_pct(ROWS, FREE, NOW) == pytest.approx([0.0] * 4, abs=1e-3)


def test_values_stay_within_what_a_datasheet_could_hold_and_on_its_steps() -> None:
    beyond = [row(r.network, *r.slopes.values(), wait=33.0, refill=0.0) for r in ROWS]
    assert leave_one_out.refit(beyond, FREE, NOW) == [20.0, 1.0]
    between = [row(r.network, *r.slopes.values(), wait=7.3, refill=2.0) for r in ROWS]
    assert leave_one_out.refit(between, FREE, NOW) == [7.5, 2.0]


def test_what_the_other_networks_do_not_decide_stays_in_the_middle() -> None:
    rows = [row("ad", 40_000, 1_000), row("ic", 0, 90_000), row("kws", 0, 50_000)]
    without = [r for r in rows if r.family != "ad"]
    assert leave_one_out.refit(without, FREE, NOW) == [10.0, 2.0]
    first, *others = leave_one_out.errors_pct(rows, FREE, NOW)
    assert first == pytest.approx(100 * 40_000 * (10.0 - 7.5) / rows[0].measured, abs=1e-3)
    assert others == pytest.approx([0.0, 0.0], abs=1e-3)


def test_a_network_is_left_out_with_its_builds() -> None:
    """`ad_max` is the same network: to fit to it would tell about `ad`."""
    rows = [row("ad", 40_000, 0), replace(row("ad_max", 40_000, 0)), row("ic", 0, 90_000)]
    first, second, _ = leave_one_out.errors_pct(rows, FREE, NOW)
    assert abs(first) > 5 and first == second
    assert row("ic_minram", 1, 1).family == "ic"


def test_without_parameters_the_errors_are_those_of_the_estimates() -> None:
    found = leave_one_out.errors_pct(ROWS, {}, {})
    assert found == pytest.approx([100 * (r.estimate / r.measured - 1) for r in ROWS])


BOARD = replace(
    boards.find("generic-m4"),
    name="b",
    caches=(Cache("dcache", 256, 32, 8, "test"),),
    paths=(
        AccessPath("read", 0x0800_0000, 0x0810_0000, 8, 4, "flash_read", "test", buffered=False),
        AccessPath("fetch", 0x0800_0000, 0x0810_0000, 8, 3, "flash_fetch", "test"),
    ),
)


def test_parameters_of_a_board_are_read_and_replaced_by_name() -> None:
    assert fitted.value(BOARD, "flash_read.wait") == fitted.value(BOARD, "read:flash_read.wait") == 4
    assert fitted.value(BOARD, "dcache.ways") == 8
    other = fitted.substituted(BOARD, "flash_read.wait", 9)
    assert [p.wait for p in other.paths] == [9, 3]
    assert replace(other, paths=BOARD.paths) == BOARD
    assert fitted.substituted(BOARD, "dcache.ways", 4).caches[0].ways == 4
    with pytest.raises(LookupError, match=r"b has no 'sram' that 'sram\.wait' could be of"):
        fitted.value(BOARD, "sram.wait")
    with pytest.raises(ValueError, match="is not one number"):
        fitted.value(replace(BOARD, paths=(BOARD.paths[0], replace(BOARD.paths[0], wait=5))), "flash_read.wait")


def subject(board: Board) -> Subject:
    """A loop of 50 loads from flash. Vectors, then ldr r2, [pc]; subs r0, #1; bne .-4; bx lr behind movs r0, #50."""
    code = struct.pack("<II", board.sram.base + 0x1000, board.flash.base + 9) + bytes.fromhex("3220004a0138fcd17047")
    firmware = Image("loop.bin", (Segment(board.flash.base, code, len(code), board.flash.base),))
    return Subject(board, "cortex-m4", "loop", 1000, firmware, board.flash.base + 8)


def test_slopes_come_from_a_run_and_predict_others_exactly() -> None:
    free = [Parameter("a chip", WAIT, 4.0)]
    found = calibrate.response(subject(BOARD), free)
    assert found.slopes == {free[0].key: 50.0}
    for wait in (0.0, 11.5, 20.0):
        run = subject(fitted.substituted(BOARD, "flash_read.wait", wait))
        told = leave_one_out.predicted(found, {free[0].key: WAIT}, {free[0].key: 4.0}, [wait])
        assert told == run.run(run.board).estimate.cycles


def test_constants_of_a_core_are_put_back_and_others_boards_have_no_slope() -> None:
    from emulator.cores import cortex_m4

    names = [n for n, v in vars(cortex_m4).items() if n.isupper() and isinstance(v, int) and n != "UNITS"]
    before = {n: getattr(cortex_m4, n) for n in names}
    own = Fitted(names[0], 0, 9, 1, "cycles", "anything")
    free = [Parameter(MODELS["cortex-m4"], own, before[names[0]]), Parameter("x", replace(WAIT, boards=("c",)), 4.0)]
    found = calibrate.response(subject(BOARD), free)
    assert set(found.slopes) == {free[0].key}
    assert {n: getattr(cortex_m4, n) for n in names} == before


def declared() -> list[tuple[str, Fitted, Any]]:
    """(module, parameter, module itself) of all chips and cores."""
    names = [m.name for m in pkgutil.iter_modules(chips.__path__, "refsim.chips.")] + list(MODELS.values())
    modules = [(name, importlib.import_module(name)) for name in names]
    return [(name, f, module) for name, module in modules for f in getattr(module, "FITTED", ())]


@pytest.mark.parametrize(("module", "parameter", "home"), declared(), ids=lambda v: getattr(v, "name", None))
def test_declared_parameters_have_a_value_within_their_range_and_a_mechanism(
    module: str, parameter: Fitted, home: Any
) -> None:
    assert parameter.mechanism and parameter.unit and parameter.low < parameter.high and parameter.step > 0
    assert set(parameter.networks) <= {"ad", "ad_max", "ic", "ic_minram", "kws", "vww"}
    if module in MODELS.values():
        values = [getattr(home, parameter.name)]
    else:
        assert parameter.boards
        values = [fitted.value(boards.find(name), parameter.name) for name in parameter.boards if name in measured()]
        assert values
    for value in values:
        assert parameter.low <= value <= parameter.high
    assert len(set(values)) == 1


def measured() -> set[str]:
    """Boards with a row in silicon.csv."""
    return {line.split(",")[1] for line in calibrate.SILICON.read_text().splitlines()[1:]}


def result(network: str, error: float, left_out: float | None, core: str = "cortex-m4") -> Result:
    return Result("board<&>", core, network, 1_000_000, round(1_000_000 * (1 + error / 100)), error, left_out)


def test_chart_has_a_point_for_every_row_and_one_more_where_it_was_left_out() -> None:
    rows = [result("ad", -1.5, 2.0), result("ic", 0.5, None), result("ad", 13.0, 14.0, "cortex-m0plus")]
    root = ET.fromstring(chart(rows))
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 2 * len(rows) + 2 + 2  # both plots; left out; legend
    texts = [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "-1.5 % (+2.0 %)" in texts and "M0+" in texts and "+15 %" in texts
    right = max(float(c.attrib["cx"]) for c in circles)
    assert right < float(root.attrib["width"])
    ET.fromstring(chart([]))


def test_means_are_of_absolute_errors_and_unknown_where_one_is() -> None:
    assert calibrate.mean([1.0, -3.0]) == 2.0
    assert calibrate.mean([1.0, None]) is None
    assert calibrate.mean([]) is None


def test_command_says_what_it_expects(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "emulator.calibrate", "--results", str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and "expected a checkout of mlcommons/tiny_results_v1.2" in done.stderr


def test_command_prints_one_object_with_both_errors(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(calibrate, "subjects", lambda *_: iter([subject(BOARD)]))
    monkeypatch.setattr(calibrate, "parameters", lambda *_: [Parameter("a chip", WAIT, 4.0)])
    monkeypatch.setattr(sys, "argv", ["calibrate", "--results", ".", "--json"])
    assert calibrate.main() == 0
    (core,) = json.loads(capsys.readouterr().out).values()
    assert core["parameters"][0]["value"] == 4.0 and core["parameters"][0]["mechanism"] == "a read"
    (only,) = core["rows"]
    assert only["error_pct"] == pytest.approx(only["estimated"] / 10 - 100)
    assert only["left_out_pct"] is not None and core["mean_left_out_pct"] == abs(only["left_out_pct"])
