from __future__ import annotations

from pathlib import Path

import pytest

from refsim import zoo
from refsim.memsim import gaps
from refsim.memsim.runtimes.tinyengine import tinyengine

FEW = ("ds-cnn-m", "mcunet-in3", "resnet-8")
SIZES = slice(3, 11)


@pytest.fixture(scope="module")
def printed(root: Path) -> list[list[str]]:
    """Cells of docs/planners.md's large table, without the seconds."""
    text = (root / "docs/planners.md").read_text()
    assert f"`{gaps.COMMAND} --output docs/planners.md`" in text
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    start = lines.index(list(gaps.HEADS))
    return [line[:-1] for line in lines[start + 2 :]]


def test_the_committed_table_is_what_the_command_prints(printed: list[list[str]]) -> None:
    fresh = [list(gaps.cells(row))[:-1] for row in gaps.rows(FEW, time_limit_s=20)]
    assert fresh == [line for line in printed if line[0] in FEW]


def test_the_committed_table_has_every_network_and_runtime_once(printed: list[list[str]]) -> None:
    assert [tuple(line[:2]) for line in printed] == [
        (name, runtime) for name in zoo.NETWORKS for runtime in gaps.PROBLEMS
    ]


def test_no_planner_in_the_committed_table_is_below_the_bound(printed: list[list[str]]) -> None:
    for line in printed:
        own, *ours, bound = (int(cell.replace(",", "")) for cell in line[SIZES])
        assert bound <= min(ours) == ours[-1]
        assert (bound == ours[-1]) == (line[-2] == "yes")
        assert bound <= own or line[-1] == "corrupts"


def test_a_range_that_shrinks_lets_others_into_what_is_free() -> None:
    found = tinyengine(zoo.load("ds-cnn-m"))
    problem = gaps.runtime_problem(found)
    assert problem.slack
    assert problem.own is not None
    tops = (offset + r.nbytes for offset, r in zip(problem.own, problem.ranges, strict=True))
    assert max(tops) == found.detail["arena"]
    whole = gaps.Problem(problem.ranges)
    assert gaps.row("", "", problem, 20).best.nbytes < gaps.row("", "", whole, 20).best.nbytes


def test_output_is_written_and_one_network_may_be_named(tmp_path: Path) -> None:
    target = tmp_path / "gaps.md"
    assert gaps.main(["--network", "resnet-8", "--output", str(target)]) == 0
    text = target.read_text()
    assert text.count("| resnet-8 |") == len(gaps.PROBLEMS)
    assert f"--network resnet-8 --output {target}" in text


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--network", "lenet"], "error: the zoo has no network 'lenet'"),
        (["--time-limit", "0"], "error: --time-limit 0: expected seconds above 0; give for example 60"),
        (["--time-limit", "soon"], "error: argument --time-limit: invalid float value: 'soon'"),
        (["--network", "resnet-8", "--output", "no/such/place.md"], "error: 'no/such/place.md' cannot be written"),
    ],
)
def test_bad_use_is_one_sentence(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert gaps.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(complaint)
    assert err.count("\n") == 1
