from __future__ import annotations

from xml.etree import ElementTree

import pytest

from codegen.build import make_program
from codegen.versus import contender
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM
from refsim.memsim.budget import Limit
from refsim.memsim.occupancy import Occupancy, of_program
from refsim.memsim.runtimes import RUNTIMES
from refsim.memsim.usage_picture import Series, series, series_beside, usage_svg
from refsim.zoo import find


@pytest.fixture(scope="module")
def network() -> Graph:
    return find("ds-cnn")


@pytest.fixture(scope="module")
def axis(network: Graph) -> Occupancy:
    return of_program(make_program(network))


@pytest.mark.parametrize("name", ["tflm", "cmsis-nn", "tinyengine", "balanced", "none"])
def test_nobodys_peak_is_lost_on_anothers_layers(name: str, network: Graph, axis: Occupancy) -> None:
    other = contender(name, network, TFLM)
    line = series_beside(name, other.occupancy, other.base, network, axis)
    assert line.most == other.most
    assert (line.edges[0], line.edges[-1]) == (0, len(axis.layers))
    assert all(a < b for a, b in zip(line.edges, line.edges[1:], strict=False))
    assert min(line.nbytes) >= other.base
    assert line.reserved >= line.most


def test_runtimes_take_what_their_models_say(network: Graph) -> None:
    for name in ("tflm", "cmsis-nn"):
        found = RUNTIMES[name](network)
        assert contender(name, network, TFLM).sram == found.sram + found.static


def test_a_limit_within_reach_is_a_line_and_one_far_off_is_told(axis: Occupancy) -> None:
    own = series("refsim <own>", axis, 100)
    near, far = (usage_svg([own], axis, Limit("a <board>", n)) for n in (own.reserved + 1000, 10 * own.reserved))
    for svg in (near, far):
        ElementTree.fromstring(svg)
        assert "a &lt;board&gt;" in svg
    assert 'class="rs-alarm"' in near
    assert 'class="rs-alarm"' not in far
    assert "above this picture" in far


def test_lines_say_who_they_are_and_how_much(axis: Occupancy) -> None:
    svg = usage_svg([series("one", axis), Series("two", (0.0, 12.0), (5000,), 6000)], axis)
    said = {title.text for title in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")}
    assert f"one: {axis.nbytes:,} bytes (16.2 KiB), at most {axis.most:,} in use" in said
    assert "two: 6,000 bytes (5.9 KiB), at most 5,000 in use" in said
