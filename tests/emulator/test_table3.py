"""docs/table3.md is what its command prints, and what it says of our plans holds when they are executed."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import geometric_mean

import pytest

from codegen.build import make_program
from emulator import inference, table3, table3_page as page, validation
from emulator.inputs import inputs_for
from emulator.table3 import CAMERA, LEAST, NONE, WHOLE, Figures, Row
from refsim import boards, interpreter, zoo
from refsim.builder import Builder
from refsim.errors import Fault, InputError
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM
from refsim.memsim.occupancy import of_program
from refsim.memsim.program import Program

needs_compiler = pytest.mark.toolchain
M7 = boards.find(table3.BOARD)
NETWORKS = tuple(table3.published())
ALL = tuple(table3.PLANS)
FIRST = NETWORKS[0]
SMALL = {FIRST: ALL, "mbv2-w0.3@64": (NONE, LEAST)}  # network -> plans that are run here
PLANNED = (2, 11, 12)  # cells of RUNS that no compiler changes: arena, in use at the peak, bounded by
IDLE = 64  # bytes at the end of an arena that may be idle: depthwise scratch has room for weights unpacked in any way


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / "docs/table3.md").read_text()


def cells_of(text: str, heads: Sequence[str]) -> list[list[str]]:
    """The lines of the page's table that has these heads."""
    lines = text.splitlines()
    found = []
    for line in lines[lines.index(f"| {' | '.join(heads)} |") + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


@pytest.fixture(scope="module")
def runs(text: str) -> Mapping[tuple[str, str], list[str]]:
    """(network, plan) -> the page's line under RUNS."""
    return {(line[0], line[1]): line for line in cells_of(text, page.RUNS)}


@pytest.fixture(scope="module")
def best(root: Path) -> Mapping[str, int]:
    """The least SRAM published for each network, in bytes."""
    found: dict[str, int] = {}
    with (root / "golden/measured/table3.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            if line["sram_kib"]:
                found[line["model"]] = min(found.get(line["model"], 1 << 40), 1024 * int(line["sram_kib"]))
    return found


@cache
def executed(network: str, plans: tuple[str, ...]) -> Row:
    return table3.row(network, plans)


class TestThePage:
    def test_it_names_the_command_that_makes_it(self, text: str) -> None:
        assert f"`{table3.COMMAND} --output docs/table3.md`" in text

    def test_every_network_stands_in_every_table_once_and_every_plan_was_run(self, text: str, runs) -> None:
        assert len(NETWORKS) == 11
        for heads in (page.OWN, page.BESIDE, page.FLASH, page.LATENCY):
            assert tuple(line[0] for line in cells_of(text, heads) if line[0] != "geometric mean") == NETWORKS
        assert list(runs) == [(network, plan) for network in NETWORKS for plan in table3.PLANS]

    def test_shares_and_their_mean_follow_from_the_bytes_and_the_published_figures(self, text: str, runs, best) -> None:
        *lines, mean = cells_of(text, page.OWN)
        for n, plan in enumerate(table3.PLANS):
            shares = [number(runs[network, plan][5]) / best[network] for network in NETWORKS]
            assert [line[4 + 2 * n] for line in lines] == [f"{share:.3f}" for share in shares]
            assert mean[4 + 2 * n] == f"{geometric_mean(shares):.3f}"

    def test_sram_is_the_sum_of_its_parts(self, runs) -> None:
        for line in runs.values():
            arena, stack, data, sram = map(number, line[2:6])
            assert arena + stack + data == sram
            assert 0 < number(line[11]) <= arena

    def test_it_holds_what_was_asked(self, text: str) -> None:
        asked = cells_of(text, page.ASKED)
        assert len(asked) == len(page.LIMITS) + 3
        assert [line for line in asked if line[2] != "yes"] == []

    @pytest.mark.parametrize("network", NETWORKS)
    def test_published_and_modelled_figures_are_fresh(self, network: str, text: str) -> None:
        row = Row(network, table3.published()[network], table3.modelled(zoo.find(network)), {}, 0)
        for heads, figure in ((page.BESIDE, page._sram), (page.FLASH, page._flash)):
            line = next(line for line in cells_of(text, heads) if line[0] == network)
            assert line[: len(page.BESIDE)] == list(page.beside_cells(row, figure))

    @needs_compiler
    @pytest.mark.parametrize("network", SMALL)
    def test_small_networks_run_as_it_says(self, network: str, text: str, runs) -> None:
        row = executed(network, SMALL[network])
        assert all(each.bit_exact for each in row.executed.values())
        is_on_the_page(row, text, runs)

    def test_the_compiler_is_the_one_that_is_pinned(self, text: str, root: Path) -> None:
        pinned = (root / "pyproject.toml").read_text().partition("ziglang==")[2].partition('"')[0]
        assert pinned
        assert f"The compiler is zig {pinned}, " in text


def is_on_the_page(row: Row, text: str, runs: Mapping[tuple[str, str], list[str]]) -> None:
    """Compare everything where the page's compiler is ours, else what no compiler changes."""
    same = f"The compiler is {row.executed[NONE].report.toolchain};" in text
    for plan, each in row.executed.items():
        fresh, line = list(page.run_cells(row, each)), runs[row.network, plan]
        assert [fresh[n] for n in PLANNED] == [line[n] for n in PLANNED]
        assert not same or fresh == line
    if same and {NONE, LEAST} <= row.executed.keys():
        for heads, cells in ((page.FLASH, page.flash_cells), (page.LATENCY, page.latency_cells)):
            assert list(cells(row)) in cells_of(text, heads)


@needs_compiler
@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("REFSIM_TABLE3"), reason="set REFSIM_TABLE3 to execute all networks")
class TestEveryRowExecuted:
    """Some minutes: all networks in three plans, which no other test compiles. CI has a step for it."""

    PLANS = (NONE, WHOLE, LEAST)

    @pytest.mark.parametrize("network", NETWORKS)
    def test_it_is_exact_and_within_what_was_asked(self, network: str, best: Mapping[str, int]) -> None:
        found = executed(network, self.PLANS).executed
        assert all(each.bit_exact and each.report.inputs_tried == 2 for each in found.values())
        assert found[WHOLE].report.sram.total <= best[network]
        assert found[LEAST].report.sram.total <= 0.55 * best[network]
        assert found[LEAST].report.instructions <= 1.03 * found[NONE].report.instructions

    @pytest.mark.parametrize("network", NETWORKS)
    def test_it_is_on_the_page(self, network: str, text: str, runs) -> None:
        is_on_the_page(executed(network, self.PLANS), text, runs)

    def test_the_geometric_mean_is_at_most_0_40(self, best: Mapping[str, int]) -> None:
        sizes = {network: executed(network, self.PLANS).executed[LEAST].report.sram.total for network in NETWORKS}
        assert geometric_mean([nbytes / best[network] for network, nbytes in sizes.items()]) <= 0.40

    @pytest.mark.parametrize("network", NETWORKS)
    def test_nothing_idle_is_claimed(self, network: str) -> None:
        graph = zoo.find(network)
        ends_and_begins_exactly(graph, table3.PLANS[LEAST](graph), IDLE)


def ends_and_begins_exactly(graph: Graph, program: Program, idle: int) -> None:
    """It runs in the arena that it claims, not in one of `idle` bytes less. Nothing is mapped beyond either end: moved
    arenas cannot even be filled."""
    built = validation.compiled(program, M7, TFLM, None, lambda what, done, total: None)
    values = next(iter(inputs_for(graph, 1, 0)))
    expected = interpreter.run(graph, values, TFLM)

    def run(claimed: Program, number: int, moved: int = 0) -> int:
        sources = built.sources
        target = inference.prepare(claimed, sources.entry, sources.symbol, built.image, built.board)
        target = replace(target, arenas=tuple(at + moved for at in target.arenas))
        return len(inference.execute(target, values, expected, number).differences)

    assert [run(program, number) for number in (0, 1)] == [0, 0]
    for claimed, number, moved in ((less(program, idle), 1, 0), (program, 1, idle), (program, 0, -4)):
        with pytest.raises((Fault, InputError), match=r"mapped|arena"):
            run(claimed, number, moved)


def less(program: Program, nbytes: int) -> Program:
    """The same Program, with an arena that ends so many bytes earlier."""
    plan = program.placed
    top = plan.nbytes - nbytes
    ends = zip(plan.ranges, plan.offsets, strict=True)
    short = replace(plan, ranges=tuple(replace(r, nbytes=min(r.nbytes, top - at)) for r, at in ends))
    return replace(program, plan=short)


def branching() -> Graph:
    b = Builder("branching", seed=3)
    x = b.input((1, 12, 10, 3), quant=(0.05, 7))
    y = b.conv2d(x, 8, 3, padding="same", quant=(0.1, -3))
    z = b.add(y, b.conv2d(y, 8, 1, quant=(0.1, 1)), quant=(0.2, 0))
    return b.build(b.fully_connected(b.reshape(z, (1, -1)), 5, quant=(0.3, 0)))


@needs_compiler
@pytest.mark.parametrize("transforms", [NONE, WHOLE])
def test_an_arena_of_one_word_less_or_moved_by_one_is_a_fault(transforms: str) -> None:
    graph = branching()
    ends_and_begins_exactly(graph, make_program(graph, transforms=transforms), 4)


def test_a_camera_s_image_is_no_part_of_the_peak() -> None:
    graph = branching()
    program = table3.PLANS[CAMERA](graph)
    image = graph.tensors[graph.inputs[0]].nbytes
    assert program.own_bytes <= program.arena_bytes - image
    found = table3.peak(program, table3.own(program))
    assert found.in_use == sum(nbytes for _, nbytes in found.holders) <= found.arena == program.own_bytes
    assert found.in_use <= of_program(program).most
    assert graph.tensors[graph.inputs[0]].name not in dict(found.holders)


def test_a_peak_in_words() -> None:
    peak = table3.Peak("a to c, row by row", 100, 108, (("t", 60), ("u", 20), ("v", 10), ("w", 5), ("x", 3), ("y", 2)))
    assert page.bounded_by(peak) == "a to c, row by row: t 60, u 20, v 10, w 5, 2 more 5, gaps 8"
    assert page.bounded_by(table3.Peak("a", 9, 9, (("t", 9),))) == "a: t 9"


def test_networks_that_did_not_fit_are_named_and_not_compared() -> None:
    nobody = dict.fromkeys(("tflm", "cmsis-nn", "x-cube-ai", "tinyengine"), Figures(None, None))
    ours = dict.fromkeys(nobody, Figures(100.0, 200.0))
    row = Row("n", {**nobody, "tflm": Figures(80.0, 160.0)}, ours, {}, 0)
    assert page.beside_cells(row, page._sram)[:7] == ("n", "80", "100.0", "+25.0%", "OOM", "100.0", "")
    assert row.best == 80 * 1024


@needs_compiler
def test_output_is_written_and_is_the_same_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one row; that a second run gives the same row, the committed page's lines show."""
    target, made = tmp_path / "table3.md", executed(FIRST, ALL)
    monkeypatch.setattr(table3, "row", lambda network, progress: made)
    words = ["--network", FIRST, "--output", str(target)]
    assert table3.main(words) == 0
    first = target.read_text()
    assert f"--network {FIRST} --output {target}" in first
    assert len(cells_of(first, page.RUNS)) == len(ALL)
    assert table3.main(words) == 0
    assert target.read_text() == first


@needs_compiler
def test_cycles_are_called_uncalibrated_as_long_as_they_are(text: str) -> None:
    report = executed(FIRST, ALL).executed[NONE].report
    assert ("**uncalibrated**" in text) == (report.cycles_error_pct is None)
    assert page.calibration(report) in text
    assert "(cortex-m7), within about 7.5 % (docs/accuracy.md)." in page.calibration(
        replace(report, cycles_error_pct=7.5)
    )


@needs_compiler
def test_what_does_not_hold_is_said_with_the_rows_that_miss() -> None:
    row = executed(FIRST, ALL)
    large = replace(row, published={"tflm": Figures(row.executed[LEAST].sram / 1024 / 2, 1.0)})
    wrong = replace(large, executed={**row.executed, WHOLE: replace(row.executed[WHOLE], bit_exact=False)})
    found = {line.asked: line for line in page.lines([wrong])}
    assert found["every plan bit-exact"].misses == (f"{FIRST}, {WHOLE}",)
    assert found["sram: no row above 0.55 of the best published"].misses == (f"{FIRST} 2.000",)
    assert not found["sram: geometric mean at most 0.40"].holds
    assert found["sram: instructions at most 3 % above none"].holds


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--network", "lenet"], "error: --network 'lenet' is not in Table 3: expected one of mcunet-vww0@64, "),
        (["--networks"], "error: "),
    ],
)
def test_bad_use_is_one_sentence(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert table3.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(complaint)
    assert err.count("\n") == 1


def test_a_table_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there: expected a checkout of refsim"):
        table3.published(tmp_path / "table3.csv")
