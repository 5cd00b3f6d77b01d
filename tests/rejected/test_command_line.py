"""Bad use and bad input of the command line: one pinned sentence, exit status 2, nothing on stdout, nothing written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codegen import toolchain
from refsim import cli
from refsim.memsim.planners import PLANNERS


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = cli.main(words)
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    return err.removeprefix("error: ").rstrip("\n")


def test_a_missing_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert "'nowhere.tflite'" in refused(capsys, "validate", "nowhere.tflite")


def test_an_unknown_board_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, "validate", "--board", "nucleo-l4r5zj")
    assert "'nucleo-l4r5zj'" in text
    assert "'nucleo-l4r5zi'" in text
    assert "refsim boards" in text


def test_a_board_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "none.py" in refused(capsys, "validate", "--board", "none.py:BOARD")


def test_an_unknown_network(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, "validate", "zoo:ds-cmm")
    assert "ds-cmm" in text
    assert "ds-cnn" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "the following arguments are required: VERB; see 'refsim --help'"),
        (("validate", "--numerics", "x"), "numerics 'x' is not known: expected one of tflm, litert"),
        (("validate", "--toolchain", "icc"), "toolchain 'icc' is not known: expected one of zig, gcc"),
        (
            ("validate", "--planner", "x"),
            f"planner 'x' is not known: expected one of {', '.join(PLANNERS)}",
        ),
        (
            ("validate", "--count", "-1"),
            "argument --count: '-1' is not a whole number from 0 up; see 'refsim validate --help'",
        ),
        (
            ("run", "zoo:ds-cnn", "--seed", "1e3"),
            "argument --seed: '1e3' is not a whole number from 0 up; see 'refsim run --help'",
        ),
        (
            ("analyze", "zoo:ds-cnn", "--sram", "12X"),
            "argument --sram: '12X' is not a size: expected bytes, such as 65536, 64K or 64KiB;"
            " see 'refsim analyze --help'",
        ),
        (
            ("validate", "--flash", "-1"),
            "argument --flash: '-1' is not a size: expected bytes, such as 65536, 64K or 64KiB;"
            " see 'refsim validate --help'",
        ),
        (
            ("analyze", "zoo:ds-cnn", "--versus", "tvm"),
            "--versus 'tvm' is not known: expected a runtime (tflm, cmsis-nn, x-cube-ai, tinyengine), an --optimize"
            " (latency, balanced, sram) or --transforms (none, or some of order,inplace,overlap,patch,stream)",
        ),
        (
            ("validate", "--transforms", "order,none"),
            "--transforms 'order,none': none goes with no other; leave it or the others out",
        ),
        (
            ("generate", "zoo:ds-cnn", "-o", "x", "--transforms", "order,,inplace"),
            "--transforms '' is not known: expected none, or some of order,inplace,overlap,patch,stream",
        ),
        (
            ("analyze", "zoo:ds-cnn", "--transforms", "Order"),
            "--transforms 'Order' is not known: expected none, or some of order,inplace,overlap,patch,stream",
        ),
        (
            ("analyze", "zoo:ds-cnn", "--optimize", "speed"),
            "--optimize 'speed' is not known: expected one of latency, balanced, sram",
        ),
        (
            ("analyze", "zoo:ds-cnn", "--runtime", ""),
            "runtime '' is not known: expected one of refsim, tflm, cmsis-nn, x-cube-ai, tinyengine",
        ),
        (
            ("analyze", "zoo:ds-cnn", "--patches", "1:2:3"),
            "argument --patches: '1:2:3': expected N:P, layers and patches a side, as in 15:4;"
            " see 'refsim analyze --help'",
        ),
        (
            ("analyze", "zoo:ds-cnn", "--patches", "1:\u0663"),
            "argument --patches: '1:\u0663': expected N:P, layers and patches a side, as in 15:4;"
            " see 'refsim analyze --help'",
        ),
        (
            ("analyze", "zoo:ds-cnn", "--patches", "99:2"),
            "--patches 99:2: expected 1 to 13 layers of 'ds-cnn', and patches > 0",
        ),
        (("generate", "zoo:ds-cnn"), "the following arguments are required: -o/--output; see 'refsim generate --help'"),
    ],
)
def test_bad_use_is_one_sentence(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str) -> None:
    assert refused(capsys, *words) == sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("zoo:ds-cnn", "--entry", "main"), "--entry is for firmware images: 'zoo:ds-cnn' is a model, run as a whole;"),
        (("zoo:ds-cnn", "--base", "0"), "--base is for firmware images: 'zoo:ds-cnn' is a model, run as a whole;"),
        (("zoo:dscnn",), "the zoo has no network 'dscnn': did you mean 'ds-cnn'?"),
        (("none.tflite",), "there is no model file 'none.tflite'"),
        (("none.elf",), "'none.elf' is not there: expected a .tflite file, zoo:NAME, or a firmware image"),
        (("n" * 300,), f"'{'n' * 300}' is not there: expected a .tflite file, zoo:NAME, or a firmware image"),
        (("",), "'' is not there: expected a .tflite file, zoo:NAME, or a firmware image"),
        (("zoo:ds-cnn", "--transforms", "tile"), "--transforms 'tile' is not known: expected none, or some of"),
        (("ds-cnn", "--entry", "main"), "'ds-cnn' is not there: expected a .tflite file, zoo:NAME, or a firmware"),
        ((), "the following arguments are required: MODEL/IMAGE; see 'refsim profile --help'"),
        (("zoo:ds-cnn", "--optimize", "x"), "--optimize 'x' is not known: expected one of"),
        (("zoo:ds-cnn", "--toolchain", "icc"), "toolchain 'icc' is not known: expected one of zig, gcc"),
    ],
)
def test_profile_is_told_what_it_cannot_take(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    assert refused(capsys, "profile", *words).startswith(sentence)


def test_firmware_without_vectors(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "fw.bin"
    path.write_bytes(b"\0" * 64)
    assert refused(capsys, "profile", str(path)) == (
        f"image '{path}' begins with stack pointer 0x00000000, which is not in the SRAM of nucleo-l4r5zi: "
        "check the board and the base address"
    )


def test_an_unknown_verb_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, "valdate")
    assert "'valdate'" in text
    assert "validate" in text


def test_no_compiler_says_how_to_get_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "FINDERS", {"zig": lambda: None, "gcc": lambda: None})
    assert refused(capsys, "validate") == (
        "no C compiler for Cortex-M was found: expected zig or gcc;"
        " install one: pip install 'refsim[toolchain]' (clang), or Debian's package gcc-arm-none-eabi"
    )


def test_an_output_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("precious")
    remedy = "expected a place that you may write to; give another"
    inside = f"{place}/out.npz"
    text = refused(capsys, "run", "zoo:ds-cnn", "-o", inside)
    assert text == f"'{inside}' cannot be written (Not a directory): {remedy}"
    text = refused(capsys, "generate", "zoo:ds-cnn", "-o", str(place))
    assert text == f"'{place}' is a file: expected a folder; give another name"
    text = refused(capsys, "generate", "zoo:ds-cnn", "-o", str(tmp_path))
    assert text == f"'{tmp_path}' holds other files and no model.h: expected an empty or new folder; give another"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert place.read_text() == "precious"


@pytest.mark.parametrize("flag", ["--svg", "--html"])
def test_pictures_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path, flag: str) -> None:
    text = refused(capsys, "analyze", "zoo:ds-cnn", "--runtime", "refsim", flag, f"{tmp_path}/none/x")
    assert text.startswith(f"'{tmp_path}/none/x' cannot be written (")
    text = refused(capsys, "analyze", "zoo:ds-cnn", "--runtime", "refsim", flag, str(tmp_path))
    assert text.startswith(f"'{tmp_path}' is not a regular file: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.toolchain
@pytest.mark.parametrize("words", [("analyze", "--svg"), ("analyze", "--html"), ("validate", "--csv")])
def test_no_name_for_a_file_is_not_ignored(capsys: pytest.CaptureFixture[str], words: tuple[str, str]) -> None:
    verb, flag = words
    extra = ("--runtime", "refsim") if verb == "analyze" else ("--count", "0")
    text = refused(capsys, verb, "zoo:ds-cnn", *extra, flag, "")
    assert text == "'' is not a regular file: expected the name of a file to write; give another"


def test_names_that_the_file_system_refuses(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    remedy = "expected a place that you may write to; give another"
    loop, long = tmp_path / "loop", tmp_path / ("n" * 300)
    loop.symlink_to(loop)
    text = refused(capsys, "run", "zoo:ds-cnn", "-o", str(loop))
    assert text == f"'{loop}' cannot be written (Too many levels of symbolic links): {remedy}"
    text = refused(capsys, "run", "zoo:ds-cnn", "-o", str(long))
    assert text == f"'{long}' cannot be written (File name too long): {remedy}"
    assert [p.name for p in tmp_path.iterdir()] == ["loop"]
    assert loop.is_symlink()


@pytest.mark.parametrize("name", ["split/one_part", "transpose/unit_axes"])
def test_a_model_of_which_nothing_is_left_is_drawn_beside_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, root: Path, name: str
) -> None:
    page, picture = tmp_path / "a.html", tmp_path / "a.svg"
    model = str(root / f"golden/reference/{name}.tflite")
    assert cli.main(["analyze", model, "--versus", "tflm", "--html", str(page), "--svg", str(picture)]) == 0
    assert capsys.readouterr().out
    assert "tflm" in picture.read_text()
    assert "tflm" in page.read_text()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense", b"\x93NUMPY", b"text"])
def test_inputs_that_are_no_arrays(capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "in.npz"
    path.write_bytes(content)
    text = refused(capsys, "run", "zoo:ds-cnn", "--input", str(path))
    assert text.startswith(f"'{path}' ")
    assert text.endswith("expected an .npz file with input_0 to input_0")


def test_inputs_of_another_shape(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "in.npz"
    np.savez(path, input_0=np.zeros((2, 3), np.int8))
    text = refused(capsys, "run", "zoo:ds-cnn", "--input", str(path))
    assert text == "input_0 ('mfcc') is int8[2, 3]: expected int8[1,49,10,1]"
    np.savez(path, other=np.zeros(3))
    text = refused(capsys, "run", "zoo:ds-cnn", "--input", str(path))
    assert text == f"'{path}' has no input_0: expected an .npz file with input_0 to input_0, it holds other"


def test_pickled_objects_are_never_loaded(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "in.npz"
    np.savez(path, input_0=np.array([{"a": 1}], dtype=object))
    assert "expected an .npz file" in refused(capsys, "run", "zoo:ds-cnn", "--input", str(path))


@pytest.mark.toolchain
@pytest.mark.parametrize("delay", [0.5, 0.8, 1.3, 2.5])
def test_interrupting_ends_within_a_second_and_leaves_nothing(tmp_path: Path, delay: float) -> None:
    folder = tmp_path / "generated"
    command = [sys.executable, "-m", "refsim", "validate", "--count", "100000", "--csv", str(tmp_path / "l.csv")]
    environment = {**os.environ, "REFSIM_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - asked < 1.0
    assert process.returncode == 130, err
    assert (out, b"Traceback" in err) == (b"", False)
    assert not folder.exists()
    assert not (tmp_path / "l.csv").exists()
    assert not list((tmp_path / "cache" / "objects").rglob("tmp*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_devices_pipes_and_links_are_not_replaced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pipe, link, target = (tmp_path / name for name in ("pipe", "link.npz", "target.npz"))
    os.mkfifo(pipe)
    remedy = "is not a regular file: expected the name of a file to write; give another"
    for place in ("/dev/full", str(pipe), str(tmp_path)):
        assert refused(capsys, "run", "zoo:ds-cnn", "-o", place) == f"'{place}' {remedy}"
    target.write_bytes(b"old")
    target.chmod(0o600)
    link.symlink_to(target)
    assert cli.main(["run", "zoo:ds-cnn", "-o", str(link)]) == 0
    capsys.readouterr()
    assert link.is_symlink()
    assert target.read_bytes()[:2] == b"PK"
    assert target.stat().st_mode & 0o777 == 0o600


def test_what_is_no_regular_file_is_not_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = refused(capsys, "profile", str(pipe), "--entry", "0x08000001")
    assert text == f"image '{pipe}' is not a regular file: expected ELF, Intel HEX or a raw binary"
    text = refused(capsys, "run", "zoo:ds-cnn", "--input", str(pipe))
    assert text == f"'{pipe}' is not a regular file: expected an .npz file with input_0 to input_0"


@pytest.mark.parametrize("at", range(40, 500, 23))
def test_damaged_arrays_are_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path, at: int) -> None:
    import numpy as np

    path = tmp_path / "in.npz"
    np.savez_compressed(path, input_0=np.arange(490, dtype=np.int8).reshape(1, 49, 10, 1))
    damaged = bytearray(path.read_bytes())
    damaged[at % len(damaged)] ^= 0x5A
    path.write_bytes(damaged)
    status = cli.main(["run", "zoo:ds-cnn", "--input", str(path)])
    out, err = capsys.readouterr()
    assert status in (0, 2)
    assert (status == 2) == err.startswith("error: ")
    assert len(err.splitlines()) <= 1
    assert bool(out) == (status == 0)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
@pytest.mark.toolchain
def test_a_terminal_without_our_marks_gets_others(encoding: str) -> None:
    command = [sys.executable, "-m", "refsim", "validate", "--count", "0"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"bit-exact" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "refsim", "boards"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: writing the answer failed: No space left on device; is the disk full?\n"


def test_an_override_that_is_no_command_counts_as_no_compiler(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFSIM_GCC", '"')
    toolchain.gcc.cache_clear()
    try:
        assert refused(capsys, "validate", "--toolchain", "gcc").startswith("toolchain 'gcc' was not found: ")
    finally:
        toolchain.gcc.cache_clear()
