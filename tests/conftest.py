"""Fixtures that the whole suite shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from refsim.builder import Builder
from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import lower, planned
from refsim.memsim.program import Buffer, Loop, Program, Step, View

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Published models with two engines' answers, kept beside the repository; tests skip without them."""
    folder = ROOT.parent / "shared" / "models"
    if not folder.is_dir():
        pytest.skip("the published models are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def streamed() -> Program:
    """A convolution and a depthwise one, row by row through a ring of three rows, with a loop; made by hand."""
    b = Builder("streamed", seed=5)
    x = b.input((1, 10, 7, 4), quant=(0.05, 3))
    t = b.conv2d(x, 8, 3, padding="same", activation="relu6", quant=(0.04, -100))
    y = b.depthwise_conv2d(t, 3, padding="same", quant=(0.03, 5))
    graph = b.build(y)
    scratch = [call.scratch for call in lower(graph, TFLM)]
    ix, it, iy = graph.inputs[0], graph.nodes[0].outputs[0], graph.outputs[0]
    row = {i: graph.tensors[i].row_bytes for i in (ix, it, iy)}
    buffers = [Buffer("x", 10 * row[ix]), Buffer("t ring", 3 * row[it]), Buffer("y", 10 * row[iy])]
    buffers += [Buffer(f"scratch of {n}", max(size, 4)) for n, size in enumerate(scratch)]
    views = View(ix, 0, row[ix]), View(it, 1, row[it], ring_rows=3), View(iy, 2, row[iy])

    def conv(rows: tuple[int, int], advance: int = 0) -> Step:
        return Step(0, rows, (views[0], None, None)[: len(graph.nodes[0].inputs)], (views[1],), 3, advance=advance)

    def depthwise(rows: tuple[int, int], advance: int = 0) -> Step:
        return Step(1, rows, (views[1], None, None)[: len(graph.nodes[1].inputs)], (views[2],), 4, advance=advance)

    body = (conv((0, 1)), Loop(9, (conv((1, 2), 1), depthwise((0, 1), 1))), depthwise((9, 10)))
    return planned(Program(graph, tuple(buffers), body, (views[0],), (views[2],)))
