from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from refsim.importers.tflite import read_tflite
from refsim.memsim.runtimes.tflm import tflm
from refsim.memsim.runtimes.tflm_structs import CORTEX_M_RECORDING, HOST_RECORDING
from refsim.zoo import find

# Heads that the package answers for the published files (facts/memory.md).
HEADS = {"vww1": 161_472, "kws": 16_000, "vww": 73_728, "ic": 49_152, "ad": 768, "sww": 6_656}
# Heads of the released MCUNet files (facts/systems.md): one PAD before every convolution.
ZOO_HEADS = {
    "mcunet-vww0": 111_360,
    "mcunet-vww1": 161_472,
    "mcunet-vww2": 298_752,
    "mcunet-in2": 382_336,
    "mcunet-in3": 416_832,
    "mcunet-in4": 662_208,
}
FILE_KIB = {"mcunet-vww0": 530.5, "mcunet-vww1": 621.1, "mcunet-vww2": 919.1, "mcunet-in2": 987.1, "mcunet-in3": 994.3}
# Flash of TFLite in the README of mit-han-lab/tinyml @e899b1b (STM32F746).
OLDER_FLASH_KB = {
    "mbv2-w0.3": 943,
    "mbv2-w0.35": 1060,
    "proxyless-w0.25": 860,
    "proxyless-w0.3": 1063,
    "mcunet-in0": 1069,
    "mcunet-in1": 941,
    "mcunet-in2": 1081,
    "mcunet-in3": 1088,
    "mcunet-in4": 2133,
}
TABLE = [
    *("mcunet-vww0@64", "mcunet-vww1@80", "mcunet-vww2@144", "mcunet-in0@48", "mcunet-in1@96", "mcunet-in2@160"),
    *("mcunet-in3@176", "proxyless-w0.3@64", "proxyless-w0.3@176", "mbv2-w0.3@64"),
]


def shared(folder: Path, name: str) -> Path:
    return folder / ("mcunet_vww1.tflite" if name == "vww1" else f"mlperf_{name}.tflite")


@pytest.mark.parametrize("name", HEADS)
def test_heads_of_published_files(name, shared_models) -> None:
    graph = read_tflite(shared(shared_models, name).read_bytes(), name)
    assert tflm(graph).detail["head"] == HEADS[name]


@pytest.mark.parametrize("network", ZOO_HEADS)
def test_heads_of_the_released_networks(network) -> None:
    assert tflm(find(network)).detail["head"] == ZOO_HEADS[network]


@pytest.mark.parametrize("network", FILE_KIB)
def test_sizes_of_the_released_files(network) -> None:
    assert tflm(find(network)).detail["model_file"] / 1024 == pytest.approx(FILE_KIB[network], rel=0.003)


@pytest.mark.parametrize("model", TABLE)
def test_table3_within_half_a_percent(model, table3) -> None:
    row, found = table3[model, "tflm"], tflm(find(model))
    assert (found.sram + found.static) / 1024 == pytest.approx(float(row["sram_kib"]), rel=0.0045)
    assert found.flash / 1024 == pytest.approx(float(row["flash_kib"]), rel=0.001)


@pytest.mark.parametrize("network", OLDER_FLASH_KB)
def test_flash_that_an_earlier_release_printed(network) -> None:
    """Another version of TFLM, and networks that Table 3 does not have: half a percent."""
    assert tflm(find(network)).flash / 1024 == pytest.approx(OLDER_FLASH_KB[network], rel=0.005)


def test_the_network_that_table3_calls_out_of_memory_does_not_fit(table3) -> None:
    assert table3["mcunet-in4@160", "tflm"]["sram_kib"] == ""
    assert tflm(find("mcunet-in4@160")).sram > 512 * 1024


def test_the_minimum_arena_is_larger_than_what_is_used_where_planning_needs_more(shared_models) -> None:
    found = tflm(read_tflite(shared(shared_models, "ad").read_bytes(), "ad"))
    assert found.detail["minimum_arena"] > found.sram == found.detail["head"] + found.detail["tail"]


def test_the_tail_is_the_sum_of_its_parts(shared_models) -> None:
    found = tflm(read_tflite(shared(shared_models, "vww").read_bytes(), "vww"), CORTEX_M_RECORDING)
    parts = {name: nbytes for name, nbytes in found.detail.items() if name.startswith("tail_")}
    assert sum(parts.values()) == found.detail["tail"]
    assert parts["tail_tensors"] == 89 * 12  # as TFLM's benchmark prints for the same architecture
    assert parts["tail_nodes"] == 31 * 32


oracle = [
    pytest.mark.oracle,
    pytest.mark.skipif(find_spec("tflite_micro") is None, reason="tflite_micro absent: pip install 'refsim[oracles]'"),
]


def live(model: Path, arena: str = "None") -> Mapping[str, int] | None:
    """What the package prints of its arena, in a process of its own: a small arena may end it."""
    code = (
        "from tflite_micro import runtime\n"
        f"runtime.Interpreter.from_bytes(open({str(model)!r}, 'rb').read(), arena_size={arena}).print_allocations()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    found = re.findall(r"Arena allocation (total|head|tail) (\d+)", done.stdout + done.stderr)
    return {name: int(nbytes) for name, nbytes in found} if done.returncode == 0 else None


class TestAgainstThePackage:
    pytestmark = oracle

    @pytest.mark.parametrize("name", HEADS)
    def test_head_tail_and_least_arena_to_the_byte(self, name, shared_models) -> None:
        model = shared(shared_models, name)
        found = tflm(read_tflite(model.read_bytes(), name), HOST_RECORDING)
        assert live(model) == {"total": found.sram, "head": found.detail["head"], "tail": found.detail["tail"]}
        least = found.detail["minimum_arena"]
        assert live(model, str(least)) is not None
        assert live(model, str(least - 16)) is None

    def test_every_operator_alone(self, root) -> None:
        """One small model of each operator: records, options and scratch of all of them."""
        wrong, compared = {}, 0
        for folder in sorted((root / "golden/reference").iterdir()):
            model = min((p for p in folder.glob("*.tflite")), key=lambda p: (p.stat().st_size, p.name))
            found, answer = tflm(read_tflite(model.read_bytes(), model.stem), HOST_RECORDING), live(model)
            if answer is None:
                continue  # the package refuses this case
            compared += 1
            if (found.detail["head"], found.detail["tail"]) != (answer["head"], answer["tail"]):
                wrong[model.parent.name] = (found.detail, answer)
        assert not wrong
        assert compared >= 15
