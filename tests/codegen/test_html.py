"""The page: one file that needs nothing else, and in which nobody's text is markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

import codegen
from codegen import toolchain
from codegen.fitting import shortfall
from codegen.html import Cell, Fact, Page, Table, bars, html
from codegen.report_page import analysis_page, compared
from codegen.versus import contender
from refsim import boards
from refsim.errors import UsageError
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM
from refsim.zoo import find

HOSTILE = "<script>alert(1)</script>\"'&\x00\x1b[31m\n\ud800\u202e{{7*7}}"
VOID = {"meta", "link", "br", "img"}


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "FINDERS", {"zig": lambda: None, "gcc": lambda: None})


@pytest.fixture(scope="module")
def network() -> Graph:
    return find("ds-cnn")


class Reader(HTMLParser):
    """Checks that elements nest and that nothing is fetched or run; collects text and tags."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for key, _ in attrs:
            assert key not in ("src", "href", "srcset") and not key.startswith("on"), (tag, key)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(page: bytes) -> Reader:
    reader = Reader()
    reader.feed(page.decode())
    reader.close()
    assert reader.open == []
    assert "script" not in reader.tags
    assert b"@import" not in page
    assert b"url(h" not in page
    return reader


def hostile(graph: Graph) -> Graph:
    tensors = tuple(replace(t, name=f"{HOSTILE}{i}") for i, t in enumerate(graph.tensors))
    nodes = tuple(replace(node, name=f"{HOSTILE}{n}") for n, node in enumerate(graph.nodes))
    return replace(graph, name=HOSTILE, tensors=tensors, nodes=nodes)


def test_the_page_says_what_the_analysis_found(network: Graph) -> None:
    board = boards.find("nucleo-g0b1re")
    found = codegen.analyze(network, board)
    reader = read(html(analysis_page(found, "zoo:ds-cnn", "--optimize latency")))
    text = " ".join(reader.words)
    assert "zoo:ds-cnn on nucleo-g0b1re" in text
    assert all(layer.name in text for layer in found.layers)
    assert all(name in text for name in found.needs)
    assert all(b.name in text for b in boards.BOARDS.values() if not b.generic)
    assert f"{found.needs['refsim'].sram:,}" in text
    assert "reshape: the same bytes as" in text
    assert reader.tags.count("svg") == 2


def test_without_a_board_it_counts_those_that_fit(network: Graph) -> None:
    found = codegen.analyze(network, runtimes=["refsim"])
    mine = found.needs["refsim"]
    known = replace(found, needs={"refsim": replace(mine, flash=40_000)})
    assert analysis_page(known, "m", "").headline == "Fits 11 of 11 boards"
    assert "flash not known without a compiler" in analysis_page(found, "m", "").headline


def test_names_can_do_no_harm(network: Graph) -> None:
    graph = hostile(network)
    found = codegen.analyze(graph, sram=1000)
    rivals = [contender(name, graph, TFLM) for name in ("tflm", "none")]
    assert found.program is not None
    short = shortfall(found.budget, graph, found.program, *found.needs["refsim"].least, model=HOSTILE, numerics=TFLM)
    page = html(analysis_page(found, HOSTILE, HOSTILE, rivals, short))
    text = " ".join(read(page).words)
    assert "<script>alert(1)</script>" in text  # as text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\ud800-\udfff\u202a-\u202e]", page.decode())
    assert "{{7*7}}" in text
    assert b"<script" not in page
    assert "<script" not in compared(found, HOSTILE, rivals)


def test_a_shortfall_stands_on_the_page(network: Graph) -> None:
    found = codegen.analyze(network, sram=13_300)
    assert found.program is not None
    assert not found.holds
    short = shortfall(found.budget, network, found.program, *found.needs["refsim"].least, numerics=TFLM)
    page = analysis_page(found, "zoo:ds-cnn", "--optimize latency", (), short)
    assert (page.holds, page.headline) == (False, "Does not fit the budget of 13,300 bytes")
    text = " ".join(read(html(page)).words)
    assert "too many for the budget of 13,300 bytes" in text
    assert "--transforms order,inplace,overlap,stream needs" in text


def test_plans_beside_each_other_are_all_drawn(network: Graph) -> None:
    found = codegen.analyze(network)
    rivals = [contender(name, network, TFLM) for name in ("tflm", "tinyengine", "sram")]
    page = html(analysis_page(found, "m", "--optimize latency", rivals)).decode()
    for name in ("refsim --optimize latency", "tflm", "tinyengine", "refsim --optimize sram"):
        assert f">{name}</text>" in page


def test_a_model_that_refsim_cannot_take_still_has_a_page() -> None:
    from refsim.builder import Builder

    b = Builder("real")
    found = codegen.analyze(b.build(b.softmax(b.input((1, 8)))), boards.find("stm32f412"))
    page = analysis_page(found, "real", "")
    assert page.headline == "refsim cannot take this model"
    read(html(page))


def test_the_same_analysis_gives_the_same_bytes(network: Graph) -> None:
    pages = {html(analysis_page(codegen.analyze(network), "m", "")) for _ in range(2)}
    assert len(pages) == 1


def test_bars_are_shares_of_the_largest_which_is_marked() -> None:
    cells = bars([1, 4, None, 0])
    assert [cell.bar for cell in cells] == [0.25, 1.0, None, None]
    assert [cell.strong for cell in cells] == [False, True, False, False]
    assert [cell.text for cell in cells] == ["1", "4", "", ""]
    table = Table("t", ("#n",), tuple((cell,) for cell in cells), folded=True)
    page = html(Page("t", "", "", None, (Fact("a", "b", True),), (), (table,))).decode()
    assert 'style="width:25.0%"' in page
    assert "<details>" in page
    assert Cell("x").good is None


def test_what_to_compare_with_is_a_runtime_options_or_transforms(network: Graph) -> None:
    assert contender("order,inplace", network, TFLM).name == "refsim --transforms order,inplace"
    with pytest.raises(UsageError, match=r"^--versus 'x' is not known: expected a runtime \(tflm, .*--transforms"):
        contender("x", network, TFLM)
    with pytest.raises(UsageError, match=r"x-cube-ai.*nobody outside knows its plan"):
        contender("x-cube-ai", network, TFLM)
