"""A function's instructions, how often each ran and what it cost: they sum to the function, and functions to a run."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from rich.console import Console

from codegen import toolchain
from emulator import annotate, causes, profiler
from emulator.annotate import Annotation
from emulator.image import Symbol
from emulator.model_profiler import ModelProfile, profile_model
from emulator.observed import Observed
from emulator.source_lines import Line, Sources, lines_of
from emulator.timing import CAUSES
from refsim import boards
from refsim.errors import UsageError
from refsim.zoo import find
from tests.emulator.call_programs import CODE, FUNCTIONS, PROGRAM, Bodies, encoded, image, observe, programs


@pytest.fixture(scope="module")
def seen() -> Observed:
    return observe(image(PROGRAM, FUNCTIONS), "nucleo-l4r5zi")


def printed(found: Annotation, width: int = 160) -> str:
    out = io.StringIO()
    annotate.print_annotation(found, Console(file=out, width=width))
    return out.getvalue()


def test_each_instruction_says_how_often_it_ran(seen: Observed) -> None:
    rows = annotate.annotate(seen, "leaf").rows
    told = [(row.address - CODE, row.encoding, row.text, row.executed) for row in rows]
    times = 2 * 2 + 5 + 4 + 1  # from a twice, b, tail, switcher
    assert told == [
        (0x3C, "3801", "subs r0, #1", times),
        (0x3E, "d1fd", f"bne 0x{CODE + 0x3C:08x}", times),
        (0x40, "4770", "bx lr", 5),
    ]


def test_a_loop_pays_for_its_jumps_back_and_says_so() -> None:
    found = annotate.annotate(observe(image(PROGRAM, FUNCTIONS), "generic-m4"), "leaf")
    _, branch, _ = found.rows
    jumps = branch.executed - 5
    assert list(branch.stalls) == ["branch"]
    assert branch.stalls["branch"] == branch.cycles - branch.executed >= jumps
    assert branch.hot


def test_rows_and_causes_each_sum_to_the_function_and_functions_to_the_run(seen: Observed) -> None:
    adds_up(seen)


@settings(deadline=None, max_examples=25)
@given(programs())
def test_rows_of_any_program_sum_to_its_functions(bodies: Bodies) -> None:
    adds_up(observe(image(*encoded(bodies)), "disco-f746ng"))


def adds_up(seen: Observed) -> None:
    functions = profiler.by_function(seen.costs, seen.functions)
    total, instructions = 0.0, 0
    for f in functions:
        found = annotate.annotate(seen, f.name)
        assert sum(row.cycles for row in found.rows) == found.cycles == sum(found.by_cause.values())
        assert all(sum(row.by_cause.values()) == row.cycles for row in found.rows)
        assert sum(row.executed for row in found.rows) == found.instructions == f.instructions
        assert abs(found.cycles - f.cycles) < 1
        assert found.share == pytest.approx(f.share, abs=1e-3)
        total, instructions = total + found.cycles, instructions + found.instructions
    assert total == seen.costs.units.sum() / 256
    assert instructions == seen.costs.instructions


def test_addresses_are_functions_too(seen: Observed) -> None:
    assert annotate.annotate(seen, f"0x{CODE + FUNCTIONS['leaf'] + 3:x}").function == "leaf"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lead", "no function 'lead': did you mean 'leaf'?"),
        ("switch", "no function 'switch': did you mean 'switcher'?"),
        ("zzz", "expected the name of a function that the profile lists"),
        ("", "expected the name of a function"),
        ("0x", "no function '0x'"),
        ("\x1b[2J", r"no function '\\x1b\[2J'"),
    ],
)
def test_unknown_functions_are_answered_with_near_ones(seen: Observed, name: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        annotate.annotate(seen, name)


def test_a_function_that_did_not_run_says_which_did(seen: Observed) -> None:
    more = (*seen.functions, Symbol("idle", CODE + len(PROGRAM) + 64, 0))
    with pytest.raises(UsageError, match=r"function 'idle' did not run: expected one that did, as '\w+'"):
        annotate.annotate(replace(seen, functions=more), "idle")


def test_bytes_that_did_not_run_are_a_gap_and_not_decoded(seen: Observed) -> None:
    text = printed(annotate.annotate(seen, "switcher"))
    assert "… 2 bytes that did not run" in text
    assert "udf" not in text


def test_narrow_terminals_see_the_numbers_and_the_instructions(seen: Observed) -> None:
    found = annotate.annotate(seen, "leaf")
    wide, narrow = printed(found), printed(found, 80)
    assert "4770" in wide and "█" in wide
    assert "4770" not in narrow and "█" not in narrow
    for text in (wide, narrow):
        assert "bx lr" in text and "14" in text and "taken branches" in text


def test_hottest_instructions_take_half_and_are_few() -> None:
    seen = observe(image(PROGRAM, FUNCTIONS), "generic-m4")
    found = annotate.annotate(seen, "run")
    hot = [row for row in found.rows if row.hot]
    assert len(hot) <= annotate.HOTTEST
    assert sum(row.cycles for row in hot) >= found.cycles / 2
    assert min(row.cycles for row in hot) >= max((row.cycles for row in found.rows if not row.hot), default=0)


def test_literal_loads_and_calls_say_where_they_go() -> None:
    # push {r4, lr}; ldr r0, [pc, #8]; bl f; pop {r4, pc}; f: bx lr; a word
    code = bytes.fromhex("10b5024800f001f810bd7047") + bytes(4)
    found = annotate.annotate(observe(image(code, {"run": 0}), "generic-m4"), "run")
    assert [row.text for row in found.rows] == [
        "push {r4, lr}",
        f"ldr r0, [pc, #8]  ; 0x{CODE + 12:08x}",
        f"bl 0x{CODE + 10:08x}",
        "pop {r4, pc}",
        "bx lr",
    ]


def test_every_cause_has_plain_words() -> None:
    assert set(CAUSES) <= set(causes.WORDS)
    assert len(set(causes.WORDS.values())) == len(causes.WORDS)


def test_causes_at_a_glance_come_by_size() -> None:
    lines = causes.told({"issue": 600, "flash_read": 310, "branch": 90})
    assert [line.split()[0] for line in lines] == ["60.0%", "31.0%", "9.0%"]
    assert "flash data reads" in lines[1]
    assert causes.told({}) == []


@pytest.fixture(scope="module", params=["zig", "gcc"])
def model(request: pytest.FixtureRequest) -> ModelProfile:
    if toolchain.FINDERS[request.param]() is None:
        pytest.skip(f"{request.param} is not installed")
    return profile_model(find("ds-cnn"), boards.find("nucleo-l4r5zi"), toolchain=request.param)


@pytest.mark.toolchain
def test_source_lines_of_a_kernel_stand_above_its_instructions(model: ModelProfile) -> None:
    seen = model.profile.observed
    assert seen is not None
    found = annotate.annotate(seen, "ds_cnn_layer_001_depthwise_conv2d", model.sources)
    known = [row for row in found.rows if row.source]
    assert len(known) > 0.5 * len(found.rows)
    for row in known:
        file, _, number = row.source.rpartition(":")
        assert row.source_text == model.sources[file].decode().splitlines()[int(number) - 1].strip()
    multiply = [row for row in known if row.text.startswith(("smla", "mla"))]
    assert multiply and all("kernels/" in row.source for row in multiply)
    assert f"{known[0].source}  {known[0].source_text}" in printed(found)


@pytest.mark.toolchain
def test_damaged_debug_information_leaves_the_instructions(model: ModelProfile, tmp_path: Path) -> None:
    seen = model.profile.observed
    assert seen is not None
    data = Path(seen.machine.image.name).read_bytes()
    path, addresses = tmp_path / "model.elf", [f.address for f in seen.functions]
    path.write_bytes(data)
    assert lines_of(str(path), addresses)
    for cut in (4, 100, len(data) // 2, len(data) - 64):
        path.write_bytes(data[:cut])
        assert lines_of(str(path), addresses) == {} or cut > 100
    path.write_bytes(b"\x7fELF" + bytes(1000))
    assert lines_of(str(path), addresses) == {}
    assert lines_of(str(tmp_path / "absent"), addresses) == {}


def test_texts_are_read_from_files_that_look_like_sources_only(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("first\n  second\n")
    (tmp_path / "secret").write_text("secret\n")
    sources = Sources({"kernels/x.h": b"one\ntwo"})
    assert sources.text(Line("./kernels/x.h", 2)) == "two"
    assert sources.text(Line(str(tmp_path / "a.c"), 2)) == "second"
    assert sources.text(Line(str(tmp_path / "a.c"), 3)) is None
    assert sources.text(Line(str(tmp_path / "secret"), 1)) is None
    assert sources.text(Line("/dev/zero.c", 1)) is None


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "refsim", "profile", "zoo:ds-cnn", "--board", "nucleo-l4r5zi", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])


@pytest.mark.toolchain
def test_command_writes_what_is_asked_and_prints_one_object(tmp_path: Path) -> None:
    trace, flame, drawn = (tmp_path / name for name in ("t.json", "f.txt", "f.svg"))
    done = command("--json", "--annotate", "ds_cnn_layer_000_conv2d", "--trace", str(trace), "--flame", str(flame))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    rows = said["annotation"]["rows"]
    assert sum(row["cycles"] for row in rows) == said["annotation"]["cycles"]
    assert sum(int(line.rpartition(" ")[2]) for line in flame.read_text().splitlines()) == said["cycles"]
    assert json.loads(trace.read_text())["otherData"]["cycles"] == said["cycles"]
    assert sum(said["by_cause"].values()) == said["cycles"]
    assert command("--flame", str(drawn)).returncode == 0
    assert drawn.read_text().startswith("<svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.svg", "f.txt", "t.json"]


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--annotate", "ds_cnn_layer_01"), "error: there is no function 'ds_cnn_layer_01': did you mean"),
        (("--trace", "/absent/t.json"), "error: '/absent/t.json' cannot be written"),
        (("--flame", "/"), "error: '/' is not a regular file"),
    ],
)
def test_command_refuses_in_one_sentence(arguments: tuple[str, ...], text: str) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(text) and done.stderr.count("\n") == 1


def test_name_of_two_functions_is_refused_and_their_addresses_are_told(seen: Observed) -> None:
    first, second, *rest = seen.functions
    twins = replace(seen, functions=(first, replace(second, name=first.name), *rest))
    with pytest.raises(
        UsageError, match=f"names 2 functions: give one of {first.address:#010x}, {second.address:#010x}"
    ):
        annotate.annotate(twins, first.name)
