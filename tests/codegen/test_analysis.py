"""`analyze`: its JSON, figures that others published or other parts of the house answer, and what it does without."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

import codegen
from codegen import analysis, toolchain
from codegen.analysis_table import print_analysis
from codegen.commands import PLANNER_NAMES
from refsim import boards, cli
from refsim.builder import Builder
from refsim.errors import UsageError
from refsim.graph import Graph
from refsim.importers.tflite import read_tflite
from refsim.memsim.planners import DEFAULT, PLANNERS
from refsim.memsim.runtimes import RUNTIMES
from refsim.zoo import find

BOARD = boards.find("stm32f412")
LAYER_KEYS = {"name", "op", "macs", "parameters", "output", "sram"}
TINY = """
from dataclasses import replace
from refsim import boards
stm = boards.find("nucleo-l4r5zi")
TINY = replace(stm, name="tiny", sram=replace(stm.sram, size=8192))
"""


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "FINDERS", {"zig": lambda: None, "gcc": lambda: None})


@pytest.fixture(scope="module")
def vww0() -> Graph:
    return find("mcunet-vww0")


def float_graph() -> Graph:
    b = Builder("real")
    return b.build(b.softmax(b.input((1, 8))))


def int8_graph() -> Graph:
    b = Builder("small")
    return b.build(b.softmax(b.input((1, 8), quant=(0.1, 0))))


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict]:
    status = cli.main(["analyze", *words, "--json"])
    out, err = capsys.readouterr()
    assert err == ""
    return status, json.loads(out)


def shown(found: analysis.Analysis, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_analysis(found, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.usefixtures("no_compiler")
class TestWithoutCompiler:
    def test_json_has_the_keys_of_the_contract_and_published_figures(self, capsys) -> None:
        status, found = answer(capsys, "zoo:mcunet-vww0")
        assert status == 0
        keys = {"model", "macs", "parameters", "peak_sram", "memory_detail", "flash", "layers"}
        assert keys <= found.keys()
        assert not {"board", "fits"} & found.keys()
        assert found["model"] == "zoo:mcunet-vww0"
        names = {"refsim", "tflm", "cmsis-nn", "x-cube-ai", "tinyengine"}
        assert found["peak_sram"].keys() == found["memory_detail"].keys() == found["flash"].keys() == names
        assert found["peak_sram"]["tinyengine"] == 60_800  # as its own scheduler prints
        assert found["memory_detail"]["tflm"]["head"] == 111_360  # of the released file
        assert {"head", "tail", "minimum_arena"} <= found["memory_detail"]["tflm"].keys()
        assert all(layer.keys() == LAYER_KEYS for layer in found["layers"])
        assert sum(layer["macs"] for layer in found["layers"]) == found["macs"]

    def test_flash_alone_is_unknown_and_the_rest_stands(self, vww0) -> None:
        found = codegen.analyze(vww0, BOARD)
        own = found.needs["refsim"]
        assert (own.flash, own.fits(BOARD), found.holds) == (None, None, True)
        assert "no C compiler for Cortex-M was found" in own.without_flash
        assert own.detail["constants"] > 350_000
        assert all(found.needs[name].flash for name in RUNTIMES)
        assert own.sram == found.program.arena_bytes

    def test_the_table_says_so_on_stderr_only(self, capsys) -> None:
        assert cli.main(["analyze", "zoo:ds-cnn", "--runtime", "refsim"]) == 0
        out, err = capsys.readouterr()
        assert "compiler" not in out
        assert err.startswith("refsim: flash is not known: no C compiler")
        assert len(err.splitlines()) == 1

    def test_what_is_known_to_be_too_large_fails(self, capsys, tmp_path) -> None:
        (tmp_path / "board.py").write_text(TINY)
        board = f"{tmp_path}/board.py:TINY"
        status, found = answer(capsys, "zoo:ds-cnn", "--board", board)
        assert (status, found["board"], found["fits"]["refsim"]) == (1, "tiny", False)
        assert cli.main(["analyze", "zoo:ds-cnn", "--board", board]) == 1
        assert "too much" in capsys.readouterr().out
        assert answer(capsys, "zoo:ds-cnn", "--board", board, "--runtime", "tflm")[0] == 1
        assert answer(capsys, "zoo:ds-cnn", "--board", board, "--runtime", "refsim", "--runtime", "tflm")[0] == 1

    @pytest.mark.parametrize("name", ["mcunet_vww1", "mlperf_vww"])
    def test_heads_of_published_files(self, name, shared_models: Path) -> None:
        heads = {"mcunet_vww1": 161_472, "mlperf_vww": 73_728}
        graph = read_tflite((shared_models / f"{name}.tflite").read_bytes(), name)
        found = codegen.analyze(graph, runtimes=["tflm"])
        assert found.needs.keys() == {"tflm"}
        assert found.needs["tflm"].detail["head"] == heads[name]

    def test_layers_hold_no_more_than_the_arena_and_one_holds_its_peak(self, vww0) -> None:
        found = codegen.analyze(vww0, runtimes=["refsim"])
        peak = max(layer.sram for layer in found.layers)
        assert found.program.arena_bytes * 0.95 < peak <= found.program.arena_bytes
        assert len(found.layers) <= len(vww0.nodes)

    def test_streaming_takes_less(self, vww0) -> None:
        found = [codegen.analyze(vww0, runtimes=["refsim"], optimize=o) for o in ("latency", "sram")]
        arenas = [each.needs["refsim"].sram for each in found]
        assert arenas[1] < arenas[0] / 2

    def test_the_picture_is_written(self, capsys, tmp_path) -> None:
        answer(capsys, "zoo:ds-cnn", "--svg", str(tmp_path / "plan.svg"))
        assert (tmp_path / "plan.svg").read_text().startswith("<svg")

    def test_plans_are_drawn_side_by_side_and_the_page_is_written(self, capsys, tmp_path) -> None:
        svg, page = tmp_path / "both.svg", tmp_path / "page.html"
        words = ("zoo:ds-cnn", "--versus", "tflm", "--versus", "stream", "--svg", str(svg), "--html", str(page))
        status, found = answer(capsys, *words)
        assert (status, found["versus"]["tflm"]) == (0, found["peak_sram"]["tflm"] + 1500)  # with .data and .bss
        assert found["versus"]["refsim --transforms stream"] < found["peak_sram"]["refsim"]
        for name in ("refsim --optimize latency", "tflm", "refsim --transforms stream"):
            assert f"ds-cnn: {name}</text>" in svg.read_text()
        assert page.read_text().startswith("<!DOCTYPE html>")

    def test_a_budget_is_held_without_a_board(self, capsys) -> None:
        status, found = answer(capsys, "zoo:ds-cnn", "--sram", "13K")
        assert (status, found["fits"]["refsim"], found["budget"]["over_sram"]) == (1, False, 16_564 - 13 * 1024)
        assert found["budget"]["helps"][0]["fits"]
        assert "board" not in found
        assert answer(capsys, "zoo:ds-cnn", "--sram", "16564")[1]["budget"] is None
        status, found = answer(capsys, "zoo:ds-cnn", "--flash", "1K", "--runtime", "refsim")
        assert (status, found["budget"]["over_sram"]) == (1, 0)
        assert found["budget"]["over_flash"] > 20_000

    def test_the_table_says_what_would_help(self, capsys) -> None:
        assert cli.main(["analyze", "zoo:ds-cnn", "--sram", "13KiB"]) == 1
        out = capsys.readouterr().out
        assert "16,564 bytes are 3,252 too many for the budget of 13,312 bytes" in out
        assert "what would help most: --transforms order,inplace,overlap,stream needs" in out
        assert "alive at the peak, in layer" in out

    def test_the_terminal_shows_a_map_and_which_boards_fit(self, vww0) -> None:
        text = shown(codegen.analyze(vww0, runtimes=["refsim", "tflm"]))
        assert "arena of" in text
        assert "Which boards it fits" in text
        assert all(b.name in text for b in boards.BOARDS.values() if not b.generic)
        assert "Which boards" not in shown(codegen.analyze(vww0, BOARD, ["refsim", "tflm"]))

    @pytest.mark.parametrize("width", [40, 80, 140])
    def test_every_layer_is_one_line_at_any_width(self, vww0, width) -> None:
        found = codegen.analyze(vww0, BOARD, ["refsim", "tinyengine"])
        text = shown(found, width)
        assert text.count("█") + text.count("▏") >= len(found.layers)
        assert "tinyengine" in text
        if width >= 80:
            assert all(layer.output in text and f"{layer.sram:,}" in text for layer in found.layers)
            assert "…" not in text

    def test_names_cannot_write_markup(self) -> None:
        b = Builder("[bold]evil[/]")
        found = codegen.analyze(b.build(b.softmax(b.input((1, 8), quant=(0.1, 0)))))
        assert "[bold]evil[/]" in shown(found)


def test_a_model_that_refsim_cannot_take_is_analysed_for_the_others() -> None:
    found = codegen.analyze(float_graph(), BOARD)
    own = analysis.as_json(found)
    assert (own["peak_sram"]["refsim"], own["flash"]["refsim"], own["fits"]["refsim"]) == (None, None, False)
    assert "float32" in own["memory_detail"]["refsim"]["reason"]
    assert own["peak_sram"]["tflm"] > 0
    assert own["layers"][0]["sram"] is None
    assert not found.holds
    assert "cannot take this model" in shown(found)


def test_what_a_runtime_lacks_is_a_remark() -> None:
    found = codegen.analyze(int8_graph(), runtimes=["tinyengine"])
    assert "tinyengine: TinyEngine has no kernel for softmax" in shown(found)


def test_unknown_names_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["analyze", "zoo:ds-cnn", "--runtime", "tvm"]) == 2
    expected = "runtime 'tvm' is not known: expected one of refsim, tflm, cmsis-nn, x-cube-ai, tinyengine"
    assert capsys.readouterr() == ("", f"error: {expected}\n")
    for wrong in ({"toolchain": "icc"}, {"optimize": "x"}):
        with pytest.raises(UsageError, match="is not known: expected one of"):
            codegen.analyze(int8_graph(), **wrong)


@pytest.mark.toolchain
@pytest.mark.parametrize("name", ["zig", "gcc"])
def test_flash_is_what_validate_measures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if toolchain.FINDERS[name]() is None:
        pytest.skip(f"{name} is not there")
    words = ("zoo:ds-cnn", "--board", "nucleo-l4r5zi", "--toolchain", name)
    status, found = answer(capsys, *words)
    assert cli.main(["validate", *words, "--count", "0", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert (status, found["fits"]["refsim"]) == (0, True)
    assert found["flash"]["refsim"] == measured["flash"]["total"]
    assert found["memory_detail"]["refsim"]["code"] == measured["flash"]["code"]
    assert found["peak_sram"]["refsim"] == measured["sram"]["arena"]
    rows = [[layer[key] for key in ("name", "op", "macs", "output")] for layer in found["layers"]]
    assert rows == [[layer[key] for key in ("name", "op", "macs", "output")] for layer in measured["layers"]]


def test_the_help_of_planner_names_them_all() -> None:
    assert tuple(PLANNERS) == PLANNER_NAMES
    assert PLANNER_NAMES[0] == DEFAULT
