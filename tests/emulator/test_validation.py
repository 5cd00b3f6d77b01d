from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codegen import build, toolchain
from emulator import image, validation as validating
from emulator.inference import execute, prepare
from emulator.inputs import inputs_for
from emulator.validation import validate, validate_program
from refsim import boards, interpreter, zoo
from refsim.builder import Builder
from refsim.errors import Fault
from refsim.graph import Graph
from refsim.int8ops.numerics import LITERT, TFLM
from refsim.memsim.program import Loop, Program
from refsim.report import Report

pytestmark = pytest.mark.toolchain
M4 = boards.find("nucleo-l4r5zi")


@pytest.fixture(params=["zig", "gcc"])
def compiler(request: pytest.FixtureRequest) -> str:
    if toolchain.FINDERS[request.param]() is None:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture(scope="module")
def small() -> Graph:
    b = Builder("small", seed=2)
    x = b.input((1, 6, 5, 3), quant=(0.05, 7))
    y = b.conv2d(b.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), 8, 3, padding="valid", quant=(0.1, -3), name="first")
    z = b.add(y, b.conv2d(y, 8, 1, quant=(0.1, 1), name="second"), quant=(0.2, 0), name="sum")
    return b.build(b.fully_connected(b.reshape(z, (1, 240)), 5, quant=(0.3, 0), name="last"))


@pytest.fixture(scope="module")
def built_in() -> Report:
    return validate(zoo.load("ds-cnn"), M4, count=1)


def test_the_built_in_network_is_exact_and_every_tensor_is_accounted_for(built_in: Report) -> None:
    t = built_in.tensors
    assert built_in.bit_exact
    assert built_in.holds
    assert t.compared + t.eliminated == t.total == 13
    assert t.compared >= 12
    assert built_in.inputs_tried == 4


def test_layers_sum_to_the_whole(built_in: Report) -> None:
    assert sum(layer.cycles for layer in built_in.layers) == built_in.cycles > built_in.instructions
    assert sum(layer.instructions for layer in built_in.layers) == built_in.instructions
    assert sum(layer.macs for layer in built_in.layers) == built_in.macs
    assert built_in.sram.total == built_in.sram.arena + built_in.sram.stack + built_in.sram.data


def test_the_same_run_gives_the_same_cycle(built_in: Report) -> None:
    assert validate(zoo.load("ds-cnn"), M4, count=1) == built_in


@pytest.mark.parametrize("board", ["generic-m0plus", "generic-m3", "generic-m4", "generic-m7", "generic-m33"])
def test_every_core_is_exact_with_both_compilers(small: Graph, compiler: str, board: str) -> None:
    report = validate(small, boards.find(board), toolchain=compiler, count=1)
    assert report.bit_exact, report.first_mismatch
    assert (report.tensors.compared, report.tensors.total) == (4, 6)


def test_litert_numerics_are_exact_too(small: Graph, compiler: str) -> None:
    assert validate(small, M4, toolchain=compiler, numerics=LITERT, count=2).bit_exact


@pytest.mark.parametrize("board", ["generic-m0plus", "generic-m4"])
def test_a_streamed_program_runs_in_generated_code_as_it_says(streamed: Program, compiler: str, board: str) -> None:
    inputs = inputs_for(streamed.graph, 1, 0)
    report = validate_program(streamed.graph, streamed, boards.find(board), inputs, toolchain=compiler)
    assert report.bit_exact, report.first_mismatch
    assert report.sram.arena == streamed.arena_bytes


def test_rows_computed_backwards_are_exact(streamed: Program) -> None:
    """Both layers whole, the first backwards: a ring is not needed then."""
    graph = streamed.graph
    program = build.make_program(graph)
    first, second = program.body
    assert not isinstance(first, Loop)
    backwards = replace(program, body=(replace(first, direction=-1), second))
    backwards.verify()
    report = validate_program(graph, backwards, M4, inputs_for(graph, 1, 0))
    assert report.bit_exact, report.first_mismatch


def broken(graph: Graph, old: bytes, new: bytes) -> validating.Run:
    """One run of generated code in which somebody made a mistake."""
    program = build.make_program(graph)
    made = build.generate_sources(program, TFLM, M4)
    assert made.sources.files["model.c"].count(old) >= 1
    files = {**made.sources.files, "model.c": made.sources.files["model.c"].replace(old, new, 1)}
    sources = replace(made.sources, files=files)
    elf = build.link(build.Generated(program, sources), M4, toolchain.find())
    target = prepare(program, sources.entry, sources.symbol, image.load(elf), M4)
    inputs = interpreter.random_inputs(graph, 0)
    return execute(target, inputs, interpreter.run(graph, inputs), 0)


def test_a_wrong_literal_is_found_in_the_layer_that_has_it(small: Graph) -> None:
    run = broken(small, b".y_zero = 1,", b".y_zero = 2,")
    wrong = {small.tensors[d.tensor].name for d in run.differences}
    assert "second" in wrong
    assert "first" not in wrong


def test_wrong_elements_of_an_output_are_counted_once(small: Graph) -> None:
    run = broken(small, b".zero_point = 0,\n            .low", b".zero_point = 1,\n            .low")
    last = [d for d in run.differences if d.tensor == small.outputs[0]]
    assert len(last) == 1
    assert last[0].count <= small.tensors[small.outputs[0]].elements


def test_code_that_spoils_its_callers_registers_is_found(small: Graph) -> None:
    spoil = b'__asm__ volatile("mov r10, sp"); small_layer_003_fully_connected(arena, 0, 1);'
    with pytest.raises(Fault, match="returned with r10 changed, which it has to preserve"):
        broken(small, b"small_layer_003_fully_connected(arena, 0, 1);", spoil)


def test_a_layer_that_is_left_out_is_found(small: Graph) -> None:
    with pytest.raises(Fault, match=r"out of turn|returned after"):
        broken(small, b"small_layer_001_conv2d(arena, 0, 6);", b"if (arena == 0) small_layer_001_conv2d(arena, 0, 6);")


def test_a_row_too_many_is_a_named_fault_or_a_difference(small: Graph) -> None:
    try:
        run = broken(small, b"(arena, 0, 6);", b"(arena, 0, 4000);")
    except Fault as fault:
        assert "small_layer_000_conv2d" in str(fault)
        assert "write" in str(fault) or "read" in str(fault)
    else:
        assert run.differences


def test_a_network_too_large_gets_its_whole_report_and_the_boards_that_fit(small: Graph) -> None:
    tiny = replace(M4, sram=replace(M4.sram, size=512), flash=replace(M4.flash, size=1024))
    report = validate(small, tiny, count=0)
    assert report.bit_exact
    assert not report.fits
    assert not report.holds
    assert "nucleo-l4r5zi" in report.limits.boards_that_fit
    assert report.cycles > 0


def test_constant_inputs_are_the_extremes_and_the_zero_point(small: Graph) -> None:
    inputs = [values[0] for values in inputs_for(small, 2, 0)]
    assert [int(x.flat[0]) for x in inputs[2:]] == [-128, 127, 7]
    assert all((x == x.flat[0]).all() for x in inputs[2:])
    assert not np.array_equal(inputs[0], inputs[1])


def test_float_inputs_are_tried_at_the_extremes_of_their_quantised_selves() -> None:
    b = Builder("float io")
    x = b.input((1, 4))
    q = b.quantize(x, quant=(0.5, 10))
    graph = b.build(b.dequantize(b.relu(q, quant=(0.5, 10))))
    inputs = [float(values[0].flat[0]) for values in inputs_for(graph, 0, 0)]
    assert inputs == [0.5 * (-128 - 10), 0.5 * (127 - 10), 0.0]
    assert validate(graph, M4, count=1).bit_exact


LEVELS = [("-O0", "generic-m4"), ("-Os", "generic-m4"), ("-Os", "generic-m0plus"), ("-O3", "generic-m0plus")]


@pytest.mark.parametrize(("level", "board"), LEVELS)
def test_generated_code_is_exact_at_every_level_of_optimisation(
    compiler: str, level: str, board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sources are a product of their own: others choose their flags. (Armv6-M at -O0 needs a libgcc to divide.)"""
    flags = tuple(level if flag == "-O2" else flag for flag in toolchain.COMMON)
    assert level in flags
    monkeypatch.setattr(toolchain, "COMMON", (*flags, *(["-fno-sanitize=all"] if compiler == "zig" else [])))
    b = Builder("levels", seed=4)
    x = b.conv2d(b.input((1, 9, 9, 12), quant=(0.05, 7)), 48, 1, quant=(0.1, -3))
    x = b.depthwise_conv2d(x, 3, padding="same", stride=2, quant=(0.1, 2), activation="relu6")
    x = b.conv2d(x, 6, 3, quant=(0.2, 0))
    graph = b.build(b.softmax(b.fully_connected(b.reshape(x, (1, -1)), 9, quant=(0.3, 0))))
    report = validate(graph, boards.find(board), toolchain=compiler, count=1)
    assert report.bit_exact, report.first_mismatch
