"""Networks whose tensors lie in each other in ways that must not go together."""

from __future__ import annotations

import pytest

from refsim.builder import Builder
from refsim.graph import Graph, Tensor
from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import lower, planned, whole_tensor_program

QUANT = (0.1, 0)


def conv(b: Builder, x: Tensor) -> Tensor:
    return b.conv2d(x, 2, 3, padding="same", quant=QUANT)


def joined_twice(view: bool) -> Graph:
    """A tensor in rows of another, which would lie beside a third; seen by a view, or by the caller."""
    b = Builder("joined twice")
    image = b.input((1, 4, 4, 2), QUANT)
    piece = conv(b, image)
    below = b.concatenation([piece, conv(b, image)], axis=1)
    seen = conv(b, b.reshape(piece, (1, 8, 2, 2))) if view else piece
    beside = b.concatenation([below, conv(b, below)], axis=2)
    return b.build([seen, conv(b, beside)])


@pytest.mark.parametrize("view", [False, True])
def test_what_has_to_be_dense_stays_so_when_its_root_is_joined_again(view: bool) -> None:
    graph = joined_twice(view)
    program = planned(whole_tensor_program(graph, lower(graph, TFLM), inplace=True))
    assert all(view.row_stride == graph.tensors[view.tensor].row_bytes for view in program.outputs)


def test_a_tensor_is_not_written_over_while_a_piece_of_it_is_broadcast() -> None:
    b = Builder("broadcast piece")
    x = conv(b, b.input((1, 4, 4, 2), QUANT))
    y = b.add(x, b.slice(x, (0, 2, 2, 0), (1, 1, 1, 2)), quant=QUANT)
    graph = b.build(y)
    program = planned(whole_tensor_program(graph, lower(graph, TFLM), inplace=True))
    step = list(program.steps())[-1]
    assert step.reads[0] is not None
    assert step.writes[0].buffer != step.reads[0].buffer
