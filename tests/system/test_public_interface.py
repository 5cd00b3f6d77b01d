"""The names that other people's scripts use: the five of the Python interface, and the JSON of `profile`."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

import codegen
import emulator
import refsim
from refsim import boards, cli

MODEL = Path(__file__).resolve().parents[2] / "golden/reference/conv2d/even_kernel.tflite"
M4 = boards.find("nucleo-l4r5zi")


@pytest.mark.toolchain
def test_a_model_goes_through_the_public_functions(tmp_path: Path) -> None:
    graph = refsim.load(MODEL)
    x = graph.tensors[graph.inputs[0]]
    values = refsim.run(graph, [np.zeros(x.shape, np.int8)])
    assert values[graph.outputs[0]].shape == graph.tensors[graph.outputs[0]].shape
    assert codegen.generate(graph, M4, tmp_path / "c").sources.entry == "even_kernel_run"
    assert (tmp_path / "c" / "model.h").is_file()
    assert emulator.validate(graph, M4, count=0).bit_exact
    machine = emulator.Machine(M4)
    machine.write(M4.sram.base, b"bytes")
    assert machine.read(M4.sram.base, 5) == b"bytes"


@pytest.mark.parametrize("package", [refsim, codegen, emulator])
def test_every_public_name_is_there_and_no_other(package: object) -> None:
    assert all(hasattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        package.nonsense  # noqa: B018


def test_profile_answers_with_the_keys_of_the_contract(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    # vectors; reset: b .; entry: movs r0, #1; bx lr
    path = tmp_path / "firmware.bin"
    path.write_bytes(struct.pack("<II4H", 0x2000_1000, 0x0800_0009, 0xE7FE, 0xBF00, 0x2001, 0x4770))
    words = ("--base", "0x08000000", "--entry", "0x0800000c", "--boot-instructions", "100", "--json")
    assert cli.main(["profile", str(path), "--board", M4.name, *words]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert {"image", "board", "core", "cycles", "cycles_error_pct", "instructions", "by_cause", "functions"} <= set(
        found
    )
    assert found["instructions"] == 2
    assert sum(found["by_cause"].values()) == sum(f["cycles"] for f in found["functions"]) == found["cycles"] > 2
