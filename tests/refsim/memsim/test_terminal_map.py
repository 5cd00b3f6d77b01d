from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from codegen.build import make_program
from refsim.memsim.occupancy import Layer, Occupancy, of_plan, of_program
from refsim.memsim.plan import LiveRange, Plan
from refsim.memsim.terminal_map import NOTHING, map_lines, sampled
from refsim.zoo import find

HOSTILE = "[bold]\x1b[31m\n\x07<b>"


@pytest.fixture(scope="module")
def found() -> Occupancy:
    return of_program(make_program(find("mcunet-vww0"), transforms="stream"))


def quarters() -> Occupancy:
    """`a` below for two layers, `b` above it in the second one."""
    plan = Plan((LiveRange("a", 64, 0, 1), LiveRange("b", 64, 1, 1)), (0, 64))
    return of_plan(plan, (Layer("l0", "x"), Layer("l1", "x")))


def test_cells_are_where_the_bytes_are() -> None:
    assert sampled(quarters(), 2, 4).cells.tolist() == [[NOTHING, NOTHING, 1, 1], [0, 0, 0, 0]]
    assert sampled(quarters(), 2, 4).named == (0, 1)


@pytest.mark.parametrize("colours", [True, False])
@pytest.mark.parametrize("width", [48, 80, 112, 300])
def test_it_is_compact_and_no_wider_than_the_terminal(found: Occupancy, width: int, colours: bool) -> None:
    lines = map_lines(found, width, colours)
    assert 14 <= len(lines) <= 24
    assert sum(len(line) for line in lines[1:13]) > 0
    assert all(line.cell_len <= min(width, 112) for line in lines[:14])
    assert all(len(line.plain.rstrip()) <= width for line in lines[14:])


def test_a_narrow_terminal_gets_none_and_neither_does_nothing(found: Occupancy) -> None:
    assert map_lines(found, 40, True) == ()
    assert map_lines(of_plan(Plan((), ()), ()), 100, True) == ()


def test_without_unicode_every_mark_is_ascii(found: Occupancy) -> None:
    for line in map_lines(found, 80, colours=False, unicode=False):
        line.plain.encode("ascii")


def test_the_legend_names_what_the_map_shows(found: Occupancy) -> None:
    title, *lines = (line.plain[10:] for line in map_lines(found, 100, colours=False))
    drawn, legend = "".join(lines[:12]), " ".join(lines[13:])
    for letter, name, kib in re.findall(r"\b([a-z]) (\w+)(?: ring)? ([\d.]+) KiB", legend):
        tenant = next(t for t in found.tenants if t.name == name)
        assert float(kib) == pytest.approx(tenant.nbytes / 1024, abs=0.06)
        assert drawn.count(letter) > 0
    assert re.search(r"conv2d_\d+ ring", legend)
    assert title


def test_names_cannot_command_the_terminal() -> None:
    plan = Plan((LiveRange(HOSTILE, 64, 0, 0),), (0,))
    console = Console(file=io.StringIO(), width=80, color_system=None)
    for line in map_lines(of_plan(plan, (Layer(HOSTILE, HOSTILE),)), 80, colours=False):
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert r"[bold]\x1b[31m\n\x07<b>" in shown
