"""The estimate of instructions: sums over calls, free where nothing is done twice, and quick enough for a search."""

from __future__ import annotations

import pytest

from refsim.builder import Builder
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import lower
from refsim.memsim.stream import schedule
from refsim.memsim.work import Work


@pytest.fixture(scope="module")
def bottleneck() -> Graph:
    """An inverted residual of width 24, and a mean."""
    b = Builder("bottleneck", seed=1)
    x = b.input((1, 24, 24, 8), quant=(0.05, 3))
    t = b.conv2d(x, 48, 1, activation="relu6", quant=(0.04, -128))
    t = b.depthwise_conv2d(t, 3, padding="same", activation="relu6", quant=(0.04, -128))
    t = b.conv2d(t, 8, 1, quant=(0.05, 0))
    return b.build(b.mean(b.add(x, t, quant=(0.06, 1)), (1, 2), quant=(0.06, 1)))


def test_whole_tensors_cost_nothing_extra(bottleneck: Graph) -> None:
    estimate = Work(bottleneck, lower(bottleneck, TFLM))
    plan = schedule(bottleneck, (0, 1, 2, 3), rows_at_once=24)
    assert estimate.extra(plan) == pytest.approx(0.0)


def test_more_rows_at_once_cost_less(bottleneck: Graph) -> None:
    estimate = Work(bottleneck, lower(bottleneck, TFLM))
    extra = [estimate.extra(schedule(bottleneck, (0, 1, 2, 3), rows)) for rows in (1, 2, 4, 8)]
    assert extra == sorted(extra, reverse=True)
    assert extra[0] > 0


def test_what_is_done_twice_is_the_depthwise_convolutions_rows(bottleneck: Graph) -> None:
    """One by one, each row of its input comes to scratch three times; the others do nothing twice."""
    estimate = Work(bottleneck, lower(bottleneck, TFLM))
    both = estimate.extra(schedule(bottleneck, (0, 1, 2, 3), 1))
    by_node = [estimate.extra(schedule(bottleneck, (n,), 1)) for n in range(4)]
    assert by_node[1] > 0.8 * both > 20 * max(by_node[0], by_node[2], by_node[3])


def test_rings_make_calls_dearer(bottleneck: Graph) -> None:
    estimate = Work(bottleneck, lower(bottleneck, TFLM))
    assert estimate.instructions(1, 4, 6) > estimate.instructions(1, 4, 6, ring_in=False, ring_out=False)
    assert estimate.rings(schedule(bottleneck, (0, 1), 1), 1) == (True, False)


def test_a_whole_network_takes_about_an_instruction_a_product(bottleneck: Graph) -> None:
    assert 1.0 < Work(bottleneck, lower(bottleneck, TFLM)).whole() / bottleneck.macs < 3.0


def test_a_mean_by_rows_is_known_to_be_a_bad_idea(bottleneck: Graph) -> None:
    """The kernel walks over all outputs at every call."""
    b = Builder("kept", seed=2)
    graph = b.build(b.mean(b.input((1, 160, 2, 2), quant=(0.05, 0)), (3,), quant=(0.05, 0)))
    estimate = Work(graph, lower(graph, TFLM))
    assert estimate.extra(schedule(graph, (0,), 1)) > 10 * estimate.whole()
