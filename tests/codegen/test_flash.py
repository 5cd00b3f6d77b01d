"""Flash by symbol: the parts of an image sum to it, say what the network's own shapes say, and count nothing twice."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import codegen
from codegen import build, toolchain
from codegen.constants import Constants
from codegen.emit import Sources
from codegen.flash import flash_parts, measured
from emulator import image as images
from emulator.image import Symbol
from emulator.validation import flash_of
from refsim import boards
from refsim.builder import Builder
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM
from refsim.zoo import find

BOARD = boards.find("nucleo-l4r5zi")
COMPUTING = ("conv2d", "depthwise_conv2d", "fully_connected")
FLASH = 0x0800_0000
RNG = np.random.default_rng(7)
WEIGHTS = RNG.integers(-127, 128, (4, 3, 3, 4)).astype(np.int8)


def twins(second: np.ndarray) -> Graph:
    """Two convolutions with the same bias and the same quantisation; the first has WEIGHTS, the other `second`."""
    b, bias = Builder("twins"), np.arange(4, dtype=np.int32)
    x = b.input((1, 6, 6, 4), quant=(0.1, 3))
    for w in (WEIGHTS, second):
        x = b.conv2d(x, weights=w, weight_scale=0.02, bias=bias, quant=(0.1, 3))
    return b.build(x)


def sources_of(graph: Graph, optimize: str = "latency") -> Sources:
    return build.generate_sources(build.make_program(graph, optimize=optimize), TFLM, BOARD).sources


def bare(prefix: str = "net", **parts: dict[str, int]) -> Sources:
    return Sources(prefix, {}, {}, 0, parts, 0)


@pytest.fixture(params=["zig", "gcc"])
def compiler(request: pytest.FixtureRequest) -> toolchain.Toolchain:
    found = toolchain.FINDERS[request.param]()
    if found is None:
        pytest.skip(f"{request.param} is not installed")
    return found


class TestConstants:
    def test_layers_with_equal_constants_share_them(self) -> None:
        one, same, other = sources_of(twins(-WEIGHTS)), sources_of(twins(WEIGHTS)), sources_of(twins(WEIGHTS[::-1]))
        assert len(same.constant_parts) == len(one.constant_parts) // 2 == 2
        assert one.shared_bytes == other.shared_bytes == 0
        assert same.shared_bytes == same.constant_bytes == one.constant_bytes // 2

    def test_one_array_of_theirs_stands_in_the_source(self) -> None:
        text = sources_of(twins(WEIGHTS)).files["weights.c"].decode()
        assert text.count("twins_constant_") == 2

    def test_the_same_bytes_of_another_type_are_another_array(self) -> None:
        held = Constants("net")
        names = {held.name("w", np.zeros(4, kind)) for kind in (np.int8, np.uint8, np.int8)}
        assert len(names) == 2
        assert held.nbytes == 8

    def test_a_layer_that_a_streamed_program_calls_from_several_places_shares_nothing_with_itself(self) -> None:
        assert sources_of(find("mcunet-vww0@32"), "sram").shared_bytes == 0

    def test_a_channel_table_is_a_third_biases(self) -> None:
        held = Constants("net")
        rows = held.name("channel", np.zeros((5, 3), np.int32))
        alone = held.name("channel", np.zeros(5, np.int32))
        assert held.parts == {rows: {"biases": 20, "multipliers": 40}, alone: {"biases": 20, "multipliers": 0}}


class TestSymbols:
    SPANS = ((FLASH, 100), (0x2000_0000, 8))

    def test_every_symbol_has_its_part_and_gaps_are_unnamed(self) -> None:
        symbols = [
            Symbol("net_layer_000_conv2d", FLASH, 20),
            Symbol("net_layer_001_depthwise_conv2d.part.0", FLASH + 20, 10),
            Symbol("net_layer_002_conv2d.isra.0", FLASH + 30, 6),
            Symbol("net_run", FLASH + 36, 4),
            Symbol("__aeabi_memcpy4", FLASH + 40, 8),
            Symbol("rs_exp", FLASH + 48, 4),
            Symbol("net_constant_000_w", FLASH + 60, 30),
        ]
        found = flash_parts(symbols, self.SPANS, bare(net_constant_000_w={"weights": 30}))
        assert found.constants == {"weights": 30}
        assert found.code == {"conv2d": 26, "depthwise_conv2d": 10, "entry": 4, "memory": 8, "shared": 4}
        assert (found.unnamed, found.total) == (108 - 82, 108)
        assert found.by_name["code_conv2d"] == 26

    def test_an_alias_adds_nothing(self) -> None:
        symbols = [Symbol("memcpy", FLASH, 40), Symbol("__aeabi_memcpy", FLASH, 40), Symbol("start", FLASH, 0)]
        assert flash_parts(symbols, self.SPANS, bare()).code == {"memory": 40}

    def test_what_is_not_loaded_does_not_count(self) -> None:
        arena = Symbol("net_arena", 0x2000_0008, 4096, "object")
        assert flash_parts([arena], self.SPANS, bare()).by_name == {"unnamed": 108}


@pytest.mark.toolchain
class TestLinked:
    @pytest.mark.parametrize(("name", "optimize"), [("ds-cnn", "latency"), ("mcunet-vww0@64", "sram")])
    def test_parts_are_those_of_the_networks_shapes(self, compiler, name: str, optimize: str) -> None:
        graph = find(name)
        made = build.generate_sources(build.make_program(graph, optimize=optimize), TFLM, BOARD)
        path = build.link(made, BOARD, compiler)
        found = measured(path, made.sources, BOARD.sram).flash
        nodes = [n for n in graph.nodes if n.operator.name in COMPUTING]
        weights = sum(graph.tensors[n.inputs[1]].elements for n in nodes)
        channels = sum(graph.tensors[n.inputs[2]].elements for n in nodes)
        assert found.constants["biases"] == 4 * channels
        assert found.constants["multipliers"] == 8 * channels
        assert 0 <= found.constants["weights"] - weights < 0.02 * weights  # some are padded to whole words
        assert {"conv2d", "depthwise_conv2d", "fully_connected", "entry"} <= found.code.keys()
        assert 0 <= found.unnamed < 100

    def test_parts_sum_to_what_is_flashed(self, compiler, tmp_path: Path) -> None:
        objcopy = shutil.which("arm-none-eabi-objcopy")
        if objcopy is None:
            pytest.skip("arm-none-eabi-objcopy is not installed")
        made = build.generate_sources(build.make_program(find("ds-cnn")), TFLM, BOARD)
        path, raw = build.link(made, BOARD, compiler), tmp_path / "flash.bin"
        subprocess.run([objcopy, "-O", "binary", str(path), str(raw)], check=True)
        parts = measured(path, made.sources, BOARD.sram).flash
        assert sum(parts.by_name.values()) == parts.total == raw.stat().st_size

    def test_validate_sorts_them_the_same_way(self, compiler) -> None:
        made = build.generate_sources(build.make_program(find("ds-cnn")), TFLM, BOARD)
        path = build.link(made, BOARD, compiler)
        mine, validated = measured(path, made.sources, BOARD.sram).flash, flash_of(images.load(path), made.sources)
        assert validated.detail == mine.by_name
        assert (validated.total, validated.weights) == (mine.total, mine.constant_bytes)

    def test_twins_take_one_set_of_constants_in_the_image(self, compiler) -> None:
        sizes = []
        for second in (WEIGHTS, -WEIGHTS):
            made = build.generate_sources(build.make_program(twins(second)), TFLM, BOARD)
            sizes.append(measured(build.link(made, BOARD, compiler), made.sources, BOARD.sram).flash.constant_bytes)
        assert 2 * sizes[0] == sizes[1]

    def test_initialised_data_is_flashed_and_static(self, compiler, tmp_path: Path) -> None:
        text = b"int word = 42; int zeros[4]; int net_run(void); int net_run(void) { return word + zeros[1]; }\n"
        path = compiler.build({"main.c": text}, BOARD.core.name, toolchain.linker_script(BOARD, "net_run"))
        found = measured(path, bare(), BOARD.sram)
        assert found.static == 4 + 16
        assert found.flash.code["shared"] == 4  # the word; the zeros are not flashed
        assert found.flash.code["entry"] + 4 + found.flash.unnamed == found.flash.total


def test_every_runtime_says_what_its_flash_holds() -> None:
    found = codegen.analyze(replace(find("ds-cnn"), name="net"))
    for name, need in found.needs.items():
        if need.flash is not None:
            assert sum(need.detail["flash"].values()) == need.flash, name
    assert found.needs["tinyengine"].detail["flash"]["weights"] == found.needs["tflm"].detail["flash"]["weights"]


@pytest.mark.toolchain
def test_the_table_lists_the_parts_and_what_sharing_saves() -> None:
    from codegen.analysis_table import print_analysis

    for second, saved in ((WEIGHTS, True), (-WEIGHTS, False)):
        console = Console(file=io.StringIO(), width=140, color_system=None)
        found = codegen.analyze(twins(second), runtimes=["refsim", "tflm"])
        print_analysis(found, console)
        text = console.file.getvalue()
        assert "refsim: flash: weights " in text
        assert "tflm: flash: weights 288, biases 32, quantisation " in text
        assert ("saved by storing equal constants once" in text) == saved
        assert bool(found.needs["refsim"].detail["constants_shared"]) == saved
