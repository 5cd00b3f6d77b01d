from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from refsim import report
from refsim.report import Flash, Layer, Limits, Report, Sram, Tensors

LAYERS = (
    Layer("stem", "conv2d", 1000, 3000, 2500, "1x4x4x8"),
    Layer("[bold]evil[/]", "softmax", 0, 1000, 500, "1x8", mismatches=3),
)


@pytest.fixture
def good() -> Report:
    return Report(
        model="a [model]",
        board="nucleo-l4r5zi",
        core="cortex-m4",
        clock_hz=120_000_000,
        toolchain="clang",
        numerics="tflm",
        inputs_tried=6,
        tensors=Tensors(2, 3, 0, {"r": "reshape: the same bytes as 'stem'"}),
        cycles=4000,
        cycles_error_pct=None,
        instructions=3000,
        macs=1000,
        nj_per_cycle=0.35,
        sram=Sram(1000, 200, 0),
        flash=Flash(3000, 5000),
        limits=Limits(1200, 8000),
        layers=LAYERS,
    )


def text(found: Report, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    report.print_report(found, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_json_has_every_key_of_the_contract(good: Report) -> None:
    found = json.loads(json.dumps(report.as_json(good), allow_nan=False))
    keys = "model board core clock_hz toolchain numerics bit_exact inputs_tried tensors cycles cycles_error_pct"
    keys += " latency_ms energy_mj instructions macs sram flash fits layers"
    assert set(keys.split()) <= set(found)
    assert {"compared", "eliminated", "total", "mismatched"} <= set(found["tensors"])
    assert found["sram"].items() >= {"arena": 1000, "stack": 200, "data": 0, "total": 1200}.items()
    assert found["flash"].items() >= {"code": 3000, "weights": 5000, "total": 8000}.items()
    assert all(layer.keys() >= {"name", "op", "macs", "cycles", "instructions"} for layer in found["layers"])


def test_latency_and_energy_follow_from_cycles(good: Report) -> None:
    assert good.latency_ms == pytest.approx(4000 / 120e3)
    assert good.energy_mj == pytest.approx(4000 * 0.35e-6)
    assert replace(good, clock_hz=None).latency_ms is None
    assert replace(good, nj_per_cycle=None).energy_mj is None


@pytest.mark.parametrize(("sram", "flash", "fits"), [(1200, 8000, True), (1199, 8000, False), (1200, 7999, False)])
def test_what_fills_a_board_to_the_last_byte_fits(good: Report, sram: int, flash: int, fits: bool) -> None:
    assert replace(good, limits=Limits(sram, flash)).fits is fits


def test_a_mismatch_or_too_little_room_fails_the_whole(good: Report) -> None:
    assert good.holds
    assert not replace(good, tensors=Tensors(2, 3, 1)).holds
    assert not replace(good, limits=Limits(10, 8000)).holds


def test_the_table_says_what_is_wrong_and_by_how_much(good: Report) -> None:
    bad = replace(
        good,
        tensors=Tensors(2, 3, 1, {"r": ""}),
        first_mismatch="'a[/red]' at [0, 1]: got 1, expected 2 (3 of 8 wrong)",
        limits=Limits(1000, 8000, ("stm32f412", "disco-f746ng")),
    )
    shown = text(bad)
    assert "'a[/red]' at [0, 1]: got 1, expected 2 (3 of 8 wrong)" in shown
    assert "200 B (0.2 KiB) too much" in shown
    assert "stm32f412, disco-f746ng" in shown
    assert "3 wrong" in shown
    assert "uncalibrated" in shown


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_names_are_shown_as_they_are_at_any_width(good: Report, width: int) -> None:
    shown = text(good, width)
    assert "a [model]" in shown
    assert "conv2d" in shown
    assert "3,000" in shown


def test_csv_has_a_line_for_each_layer(good: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(report.as_csv(good))))
    assert [row["name"] for row in rows] == ["stem", "[bold]evil[/]"]
    assert [int(row["cycles"]) for row in rows] == [3000, 1000]
