from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from codegen import build, toolchain
from codegen.constants import Constants
from codegen.emit import comment, emit, identifier, literal
from refsim import boards, zoo
from refsim.boards import Board
from refsim.builder import Builder
from refsim.errors import PlanError
from refsim.graph import Graph
from refsim.int8ops.numerics import LITERT, TFLM
from refsim.memsim.lifetime import lower
from refsim.memsim.program import Loop, Program, Step

M4 = boards.find("nucleo-l4r5zi")
HOSTILE = '*/ int x; #include "/etc/passwd" \\\n %s "); system("rm -rf /' + "é" * 200


@pytest.fixture(scope="module")
def network() -> Graph:
    return zoo.load("ds-cnn")


def sources(graph: Graph, board: Board = M4) -> dict[str, bytes]:
    return dict(build.generate_sources(build.make_program(graph), TFLM, board).sources.files)


def test_two_builds_of_one_input_are_byte_identical(network: Graph, tmp_path: Path) -> None:
    for name in ("one", "two"):
        build.generate(zoo.load("ds-cnn"), M4, tmp_path / name)
    files = {p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file()}
    assert {str(f) for f in files} >= {"model.h", "model.c", "weights.c", "Makefile", "CMakeLists.txt", "memory.svg"}
    for f in files:
        assert (tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes()


def test_the_c_does_not_depend_on_the_core_but_for_its_makefile(network: Graph) -> None:
    one, two = sources(network), sources(network, boards.find("generic-m0plus"))
    assert {name for name in one if one[name] != two[name]} == {"Makefile"}


def test_the_header_gives_sizes_and_quantisation_of_inputs_and_outputs(network: Graph) -> None:
    text = sources(network)["model.h"].decode()
    x = network.tensors[network.inputs[0]]
    assert f"DS_CNN_INPUT_0_BYTES {x.nbytes}" in text
    assert f"DS_CNN_INPUT_0_ZERO_POINT ({x.zero_point})" in text
    scale = re.search(r"DS_CNN_INPUT_0_SCALE (\S+)f", text)
    assert scale
    assert float(scale[1]) == pytest.approx(x.scale, rel=1e-8)
    assert "void ds_cnn_run(void *arena);" in text


def test_a_loop_and_a_ring_are_printed_as_the_program_says(streamed: Program) -> None:
    text = emit(streamed, lower(streamed.graph, TFLM), TFLM, M4).files["model.c"].decode()
    assert "for (int32_t turn0_ = 0; turn0_ < 9; ++turn0_) {" in text
    assert "streamed_layer_000_conv2d(arena, 1 + turn0 * 1, 2 + turn0 * 1);" in text
    assert re.search(r"\.y = \{\(int8_t \*\)arena \+ \d+, 56, 3, 0\}", text)


def test_a_loop_whose_rows_stay_has_no_unused_variable(streamed: Program) -> None:
    program = replace(streamed, body=(Loop(2, (streamed.body[0],)), *streamed.body[1:]))
    text = emit(program, lower(streamed.graph, TFLM), TFLM, M4).files["model.c"].decode()
    assert "for (int32_t turn0_ = 0; turn0_ < 2; ++turn0_) {" in text
    assert text.count("const int32_t turn0 = ") == 1  # of the other loop


def test_one_layer_used_by_several_steps_is_printed_once(streamed: Program) -> None:
    text = emit(streamed, lower(streamed.graph, TFLM), TFLM, M4).files["model.c"].decode()
    assert text.count("RS_LAYER void") == 4  # two layers, each declared and defined


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a host C compiler")
@pytest.mark.parametrize("name", [HOSTILE, "", "9 lives", "int", "Ünïcode", "a" * 300, "??/", "__"])
def test_no_name_from_a_file_can_do_anything_in_c(name: str, tmp_path: Path) -> None:
    b = Builder(name)
    x = b.input((1, 4), quant=(0.1, 0), name=name)
    graph = b.build(b.fully_connected(x, 3, quant=(0.1, 0), name=name))
    files = sources(graph)
    toolchain.write_tree(tmp_path, files)
    host = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I.", "-Ikernels"]
    for source in (n for n in files if n.endswith(".c")):
        subprocess.run([*host, source], cwd=tmp_path, check=True)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", identifier(name))
    assert "*/" not in comment(name)


def test_equal_constants_are_stored_once() -> None:
    import numpy as np

    held = Constants("p")
    one = held.name("w", np.arange(4, dtype=np.int8))
    assert held.name("other", np.arange(4, dtype=np.int8)) == one
    assert held.name("w", np.arange(4, dtype=np.int16)) != one
    assert held.nbytes == 12


def test_the_smallest_integer_is_a_literal_that_c_has() -> None:
    assert literal(-(2**31)) == "(-2147483647 - 1)"
    assert literal(-5) == "-5"


@pytest.mark.parametrize("numerics", [TFLM, LITERT], ids=lambda n: n.name)
def test_every_constant_of_a_network_is_counted(network: Graph, numerics) -> None:
    made = build.generate_sources(build.make_program(network, numerics), numerics, M4)
    assert made.sources.constant_bytes >= network.parameters


def make(folder: Path, *words: str) -> None:
    done = subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.toolchain
@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc") or not shutil.which("make"), reason="needs make and GCC")
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("board", ["generic-m0plus", "nucleo-l4r5zi", "disco-f746ng"])
def test_the_folder_builds_by_itself_and_calls_nothing_from_outside(
    network: Graph, tmp_path: Path, board: str, compiler: str
) -> None:
    build.generate(network, boards.find(board), tmp_path / "c", toolchain=compiler)
    ziglang = f"{sys.executable} -m ziglang"
    make(tmp_path / "c", *([f"CC={ziglang} cc", f"AR={ziglang} ar"] if compiler == "zig" else []))
    library = tmp_path / "c" / "libds_cnn.a"
    linked = tmp_path / "all.o"
    subprocess.run(["arm-none-eabi-ld", "-r", "--whole-archive", library, "-o", linked], check=True)
    undefined = subprocess.run(["arm-none-eabi-nm", "-u", linked], capture_output=True, text=True, check=True)
    assert undefined.stdout.strip() == ""
    symbols = subprocess.run(["arm-none-eabi-nm", linked], capture_output=True, text=True, check=True).stdout
    data = [line for line in symbols.splitlines() if re.search(r" [dDbBC] ", line)]
    assert [line.split()[-1] for line in data] == ["ds_cnn_arena"]


@pytest.mark.skipif(not shutil.which("cmake") or not shutil.which("c++"), reason="needs cmake and a C++ compiler")
def test_the_folder_builds_with_cmake_and_its_header_serves_cpp(network: Graph, tmp_path: Path) -> None:
    build.generate(network, M4, tmp_path / "c")
    for words in (["-S", "c", "-B", "b"], ["--build", "b"]):
        subprocess.run(["cmake", *words], cwd=tmp_path, check=True, capture_output=True)
    main = tmp_path / "main.cpp"
    main.write_text(
        '#include "model.h"\nint main() { ds_cnn_run(ds_cnn_arena); return ds_cnn_output_0(ds_cnn_arena) == 0; }\n'
    )
    program = tmp_path / "program"
    command = ["c++", "-Wall", "-Wextra", "-Werror", "-Ic", main, "b/libds_cnn.a", "-o", program]
    subprocess.run(command, cwd=tmp_path, check=True)
    subprocess.run([program], check=True)


def test_a_picture_of_the_plan_names_every_buffer(network: Graph) -> None:
    from xml.etree import ElementTree

    from refsim.memsim.picture import plan_svg

    program = build.make_program(network)
    tree = ElementTree.fromstring(plan_svg(program.placed, 'a <title> & "quotes"'))
    titles = [e.text or "" for e in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert all(any(t.startswith(f"{b.name}: ") for t in titles) for b in program.buffers)


def test_a_step_with_too_little_scratch_is_refused(streamed: Program) -> None:
    conv, *rest = streamed.body
    assert isinstance(conv, Step)
    for buffers, step in (
        (streamed.buffers, replace(conv, scratch=None)),
        ((*streamed.buffers[:3], replace(streamed.buffers[3], nbytes=4), streamed.buffers[4]), conv),
    ):
        wrong = replace(streamed, body=(step, *rest), buffers=buffers)
        with pytest.raises(PlanError, match=r"step 'conv2d_0' needs \d+ bytes of scratch"):
            emit(wrong, lower(wrong.graph, TFLM), TFLM, M4)
