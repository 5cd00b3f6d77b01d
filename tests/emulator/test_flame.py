"""Collapsed stacks and the flame graph: what they say sums to the run."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings

from emulator import flame, flame_picture
from emulator.image import Symbol
from emulator.observed import Observed
from tests.emulator.call_programs import EXPECTED, FUNCTIONS, PROGRAM, Bodies, encoded, image, observe, programs


@pytest.fixture(scope="module")
def seen() -> Observed:
    return observe(image(PROGRAM, FUNCTIONS), "nucleo-l4r5zi")


def test_lines_are_chains_and_cycles_that_sum_to_the_total(seen: Observed) -> None:
    lines = [line.rpartition(" ") for line in flame.text(seen).splitlines()]
    assert {tuple(chain.split(";")) for chain, _, _ in lines} == set(EXPECTED)
    assert sum(int(cycles) for _, _, cycles in lines) == seen.costs.cycles


@settings(deadline=None, max_examples=30)
@given(programs())
def test_lines_of_any_program_sum_to_the_total(bodies: Bodies) -> None:
    run = observe(image(*encoded(bodies)), "disco-f746ng")
    assert sum(int(line.rpartition(" ")[2]) for line in flame.text(run).splitlines()) == run.costs.cycles


def test_names_cannot_break_the_lines(seen: Observed) -> None:
    symbols = tuple(Symbol(f"operator;() [{f.name}\n]", f.address, 0) for f in seen.functions)
    evil = replace(seen, functions=symbols)
    for line in flame.text(evil).splitlines():
        assert re.fullmatch(r"[^ ;]+(;[^ ;]+)* \d+", line), line


def test_two_functions_of_one_name_are_one_line(seen: Observed) -> None:
    named = {"a": "same", "b": "same"}
    symbols = tuple(Symbol(named.get(f.name, f.name), f.address, 0) for f in seen.functions)
    found = flame.collapsed(replace(seen, functions=symbols))
    apart = flame.collapsed(seen)
    assert abs(found["run", "same"] - apart["run", "a"] - apart["run", "b"]) <= 1
    assert sum(found.values()) == sum(apart.values())


def test_boxes_stand_on_their_callers_side_by_side(seen: Observed) -> None:
    found = {b.chain: b for b in flame_picture.boxes(flame.collapsed(seen))}
    assert found["run",].cycles == seen.costs.cycles
    for chain, b in found.items():
        if len(chain) > 1:
            below = found[chain[:-1]]
            assert below.begin <= b.begin and b.begin + b.cycles <= below.begin + below.cycles
    beside = sorted((b for b in found.values() if len(b.chain) == 2), key=lambda b: b.begin)
    assert all(a.begin + a.cycles <= b.begin for a, b in pairwise(beside))


def test_picture_is_xml_and_names_its_functions(seen: Observed) -> None:
    root = ET.fromstring(flame_picture.picture(replace(seen, name="<evil> & 'co'")))
    titles = [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(t.startswith("rec: ") for t in titles)
    assert len(titles) == len(EXPECTED)
