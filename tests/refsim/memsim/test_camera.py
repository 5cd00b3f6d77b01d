"""Images that arrive row by row."""

from __future__ import annotations

import pytest

from refsim.builder import Builder
from refsim.int8ops.numerics import TFLM
from refsim.memsim import camera
from refsim.memsim.transforms import OPTIMIZE

QUANT = (0.1, 0)


@pytest.mark.parametrize("optimize", OPTIMIZE)
def test_a_network_whose_answer_is_its_largest_tensor_is_planned_all_the_same(optimize: str) -> None:
    """No segment by rows is worth a thought there, so the layer that receives the image runs alone."""
    b = Builder("large answer")
    x = b.conv2d(b.input((1, 8, 8, 1), QUANT), 2, 3, quant=QUANT)
    graph = b.build(b.fully_connected(b.reshape(x, (1, 128)), 1000, quant=QUANT))
    program = camera.by_rows(graph, TFLM, OPTIMIZE[optimize])
    assert program.own_bytes >= 1000
    assert program.arena_bytes >= program.own_bytes + 64
