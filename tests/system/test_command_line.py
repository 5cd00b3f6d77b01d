"""Whole commands, as scripts see them: one JSON object on stdout, files where asked, the exit status."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from refsim import cli

pytestmark = pytest.mark.toolchain

TINY_BOARD = """
from dataclasses import replace
from refsim import boards
stm = boards.find("nucleo-l4r5zi")
TINY = replace(stm, name="tiny", sram=replace(stm.sram, size=8192), flash=replace(stm.flash, size=16384))
"""


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict]:
    status = cli.main([*words, "--json"])
    out, err = capsys.readouterr()
    assert err == ""
    return status, json.loads(out)


def test_validate_answers_on_the_built_in_network(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    layers = tmp_path / "layers.csv"
    status, found = answer(capsys, "validate", "--count", "1", "--csv", str(layers))
    assert (status, found["bit_exact"], found["fits"]) == (0, True, True)
    assert found["tensors"]["compared"] + found["tensors"]["eliminated"] == found["tensors"]["total"]
    assert found["latency_ms"] == pytest.approx(1e3 * found["cycles"] / found["clock_hz"])
    assert found["cycles_error_pct"] == 3
    with layers.open() as lines:
        rows = list(csv.DictReader(lines))
    assert sum(int(row["cycles"]) for row in rows) == found["cycles"]


def test_the_same_command_gives_the_same_bytes(tmp_path: Path) -> None:
    """In another process, with another hash seed, folder and compiler cache."""
    outputs = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "REFSIM_CACHE": str(tmp_path / seed)}
        command = [sys.executable, "-m", "refsim", "validate", "--count", "1", "--json"]
        (tmp_path / f"at{seed}").mkdir()
        outputs.append(subprocess.check_output(command, env=environment, cwd=tmp_path / f"at{seed}"))
    assert outputs[0] == outputs[1]


def test_a_model_too_large_for_the_board_gets_the_full_report_and_exit_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "board.py").write_text(TINY_BOARD)
    status, found = answer(capsys, "validate", "--count", "0", "--board", f"{tmp_path}/board.py:TINY")
    assert (status, found["bit_exact"], found["fits"]) == (1, True, False)
    assert found["sram"]["total"] > found["sram"]["available"] == 8192
    assert found["flash"]["total"] > found["flash"]["available"] == 16384
    assert {"nucleo-l4r5zi", "disco-f746ng"} <= set(found["boards_that_fit"])
    assert len(found["layers"]) >= 12
    assert cli.main(["validate", "--count", "0", "--board", f"{tmp_path}/board.py:TINY"]) == 1
    shown = capsys.readouterr().out
    assert "too much" in shown
    assert "disco-f746ng" in shown


def test_generate_says_what_it_wrote(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "c"
    status, found = answer(capsys, "generate", "zoo:ds-cnn", "--board", "generic-m0plus", "-o", str(folder))
    assert status == 0
    assert found["entry"] == "ds_cnn_run"
    assert set(found["files"]) == {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert answer(capsys, "generate", "zoo:ds-cnn", "--board", "generic-m0plus", "-o", str(folder))[1] == found


def test_profile_of_a_network_says_where_its_cycles_go(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("zoo:ds-cnn", "--board", "disco-f746ng", "--optimize", "balanced", "--seed", "2")
    status, found = answer(capsys, "profile", *words)
    assert (status, found["model"], found["board"], found["core"]) == (0, "zoo:ds-cnn", "disco-f746ng", "cortex-m7")
    assert found["cycles"] == sum(layer["cycles"] for layer in found["layers"]) == sum(found["by_cause"].values())
    assert found["cycles"] == sum(function["cycles"] for function in found["functions"])
    assert answer(capsys, "validate", *words, "--count", "1")[1]["cycles"] == found["cycles"]


def test_profile_of_a_model_file_by_its_name_or_by_its_content(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shared_models: Path
) -> None:
    model, renamed = shared_models / "mlperf_ad.tflite", tmp_path / "weights.bin"
    renamed.write_bytes(model.read_bytes())
    named, nameless = (answer(capsys, "profile", str(path))[1] for path in (model, renamed))
    assert (named["model"], nameless["model"]) == (str(model), str(renamed))
    assert named["cycles"] == nameless["cycles"]
    assert [layer["op"] for layer in named["layers"]] == ["fully_connected"] * 10


FIRMWARE = b"""#include "model.h"
void start(void);
void start(void) { ds_cnn_run(ds_cnn_arena); }
"""


def test_profile_of_firmware_that_holds_a_network_counts_as_that_of_the_network(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Another image, machine and arena, on an input of zeros: cycles depend on values and places by little."""
    from codegen import build, toolchain
    from refsim import boards
    from refsim.int8ops.numerics import TFLM
    from refsim.zoo import find

    board = boards.find("nucleo-l4r5zi")
    made = build.generate_sources(build.make_program(find("ds-cnn")), TFLM, board)
    files, script = {**made.sources.files, "main.c": FIRMWARE}, toolchain.linker_script(board, "start")
    (tmp_path / "network.elf").write_bytes(toolchain.find().build(files, board.core.name, script).read_bytes())
    words = (str(tmp_path / "network.elf"), "--board", board.name, "--entry", "start", "--boot-instructions", "0")
    model, firmware = answer(capsys, "profile", "zoo:ds-cnn")[1], answer(capsys, "profile", *words)[1]
    spent = [{f["name"]: f["cycles"] for f in found["functions"]} for found in (model, firmware)]
    assert spent[1].keys() == {*spent[0], "start"}
    # The firmware's stack is at the end of SRAM, whose bank answers late; the network's is in memory without waits.
    late = firmware["by_cause"]["bus"] - model["by_cause"]["bus"]
    assert 0 < late < 0.03 * model["cycles"]
    assert firmware["cycles"] - late == pytest.approx(model["cycles"], rel=0.01)
    for name, cycles in spent[0].items():
        assert spent[1][name] == pytest.approx(cycles, rel=0.1), name


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m refsim boards | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
