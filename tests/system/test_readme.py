"""Every command that README and docs show is run, and ends as it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from refsim import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "golden/README.md")


def console_lines(page: Path) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


COMMANDS = [line for page in PAGES for line in console_lines(page) if line.startswith("refsim ")]


@pytest.mark.toolchain
@pytest.mark.parametrize("line", COMMANDS)
def test_a_documented_command_works(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "golden").symlink_to(ROOT / "golden")
    assert cli.main(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


def test_the_pages_show_commands_and_only_ours_or_pip_and_python() -> None:
    assert len(COMMANDS) >= 7
    for page in PAGES:
        for line in console_lines(page):
            assert line.split()[0] in {"refsim", "python", ".venv/bin/python"}, line


def test_the_readme_begins_with_its_two_commands_which_ci_runs() -> None:
    """`.ci/run` takes them from the page itself."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    assert blocks[0].rstrip().endswith(".venv/bin/refsim validate")
    assert blocks[1].rstrip().endswith(".venv/bin/python -m pytest -n auto")
    assert (ROOT / "README.md").read_text().index(blocks[1]) < 1500


@pytest.mark.parametrize("verb", [command.name for command in cli.commands()])
def test_examples_of_help_are_valid_command_lines(verb: str) -> None:
    command = next(c for c in cli.commands() if c.name == verb)
    for line in command.examples:
        words = shlex.split(line)
        assert words[:2] == ["refsim", verb]
        cli.parser().parse_args(words[1:])
