from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from refsim import cli, files
from refsim.errors import Fault, OutputError, PlanError


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(words)
    out, err = capsys.readouterr()
    return status, out, err


def test_every_verb_of_the_contract_is_there() -> None:
    verbs = {command.name for command in cli.commands()}
    assert verbs >= {"run", "operators", "boards", "generate", "validate", "profile", "doctor"}


@pytest.mark.parametrize("verb", ["operators", "boards", "doctor"])
def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    status, out, err = run(capsys, verb, "--json")
    assert status == 0
    assert isinstance(json.loads(out), dict)
    assert err == ""


def test_run_answers_with_seeded_input_and_writes_what_it_used(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "out.npz"
    assert run(capsys, "run", "zoo:ds-cnn", "--seed", "4", "-o", str(path), "--all-tensors")[0] == 0
    with np.load(path) as stored:
        names = json.loads(str(stored["names"]))
        assert {"input_0", "output_0"} <= set(stored.files)
        assert all(f"tensor_{i}" in stored.files for i in names)
        again = tmp_path / "again.npz"
        assert run(capsys, "run", "zoo:ds-cnn", "--input", str(path), "-o", str(again))[0] == 0
        with np.load(again) as repeated:
            assert np.array_equal(stored["output_0"], repeated["output_0"])


@pytest.mark.parametrize(
    ("raised", "status"),
    [(KeyboardInterrupt(), 130), (Fault("write at 0x0"), 1), (PlanError("'a' overlaps 'b'"), 3), (MemoryError(), 2)],
)
def test_exit_status_says_what_kind_of_end_it_was(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, raised: BaseException, status: int
) -> None:
    def boards(arguments: object) -> int:
        raise raised

    command = cli.Command("boards", "", lambda parser: None, boards)
    monkeypatch.setattr(cli, "commands", lambda: (command,))
    found, out, err = run(capsys, "boards")
    assert (found, out) == (status, "")
    assert err == "" if status == 130 else err.startswith("error: ")
    assert len(err.splitlines()) <= 1


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "f"
    files.write(target, b"old")
    with pytest.raises(OutputError, match="cannot be written"):
        files.write(tmp_path / "no" / "such" / "folder", b"x")
    files.write(target, b"new")
    assert target.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_folder_with_other_peoples_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("precious")
    with pytest.raises(OutputError, match="holds other files"):
        files.write_folder(tmp_path, {"Makefile": b"ours"}, mark="model.h")
    assert [p.name for p in tmp_path.iterdir()] == ["theirs"]


def test_a_folder_that_we_wrote_is_refreshed(tmp_path: Path) -> None:
    target = tmp_path / "generated"
    files.write_folder(target, {"model.h": b"1", "kernels/a.h": b"1"}, mark="model.h")
    (target / "notes").write_text("theirs")
    files.write_folder(target, {"model.h": b"2"}, mark="model.h")
    assert (target / "model.h").read_bytes() == b"2"
    assert (target / "notes").read_text() == "theirs"


def test_an_error_that_nobody_expected_is_our_bug_and_shows_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def boards(arguments: object) -> int:
        raise ValueError("surprise")

    command = cli.Command("boards", "", lambda parser: None, boards)
    monkeypatch.setattr(cli, "commands", lambda: (command,))
    status, out, err = run(capsys, "boards", "--json")
    assert (status, out) == (3, "")
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("error: ValueError: surprise (a bug of refsim")
