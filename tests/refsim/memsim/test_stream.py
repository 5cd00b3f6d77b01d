from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from refsim.builder import Builder
from refsim.graph import Graph
from refsim.memsim.program import Loop, Step
from refsim.memsim.stream import compress, ring_fits, schedule


@pytest.fixture(scope="module")
def block() -> Graph:
    """An inverted bottleneck with its shortcut."""
    b = Builder("block")
    x = b.input((1, 12, 6, 4), quant=(0.1, 0))
    t = b.conv2d(x, 16, 1, quant=(0.1, 0))
    t = b.depthwise_conv2d(t, 5, padding="same", quant=(0.1, 0))
    return b.build(b.add(b.conv2d(t, 4, 1, quant=(0.1, 0)), x, quant=(0.2, 0)))


def test_each_row_of_each_layer_is_computed_once_and_in_order(block: Graph) -> None:
    for rows_at_once in (1, 2, 5):
        done = dict.fromkeys(range(4), 0)
        for event in schedule(block, range(4), rows_at_once).events:
            assert event.begin == done[event.node] < event.end
            done[event.node] = event.end
        assert set(done.values()) == {12}


def test_rings_hold_what_windows_need_and_no_more(block: Graph) -> None:
    rings = schedule(block, range(4)).rings
    expanded, depthwise, projected = (block.nodes[n].outputs[0] for n in range(3))
    assert rings == {expanded: 5, depthwise: 1, projected: 1}


def test_what_is_read_outside_a_segment_is_kept_whole(block: Graph) -> None:
    plan = schedule(block, (0, 1))
    assert block.nodes[1].outputs[0] not in plan.rings
    assert block.nodes[0].outputs[0] in plan.rings


def test_a_shortcut_inside_a_segment_is_held_until_the_sum_needs_it() -> None:
    b = Builder("shortcut")
    x = b.conv2d(b.input((1, 12, 6, 4), quant=(0.1, 0)), 4, 1, quant=(0.1, 0))
    y = b.depthwise_conv2d(x, 5, padding="same", quant=(0.1, 0))
    graph = b.build(b.add(x, y, quant=(0.2, 0)))
    assert schedule(graph, range(3)).rings[graph.nodes[0].outputs[0]] == 5


def test_a_ring_beyond_the_kernels_arithmetic_is_not_offered(block: Graph) -> None:
    tensor = block.nodes[0].outputs[0]
    assert ring_fits(block, tensor, 5000)
    assert not ring_fits(block, tensor, 5462)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=60))
def test_loops_say_the_same_as_the_steps_they_stand_for(calls: list[tuple[int, int]]) -> None:
    steps = [Step(node, (row, row + 1), (), ()) for node, row in calls]
    body = compress(steps)

    def unrolled(items: tuple[Step | Loop, ...], turn: int = 0) -> list[Step]:
        found = []
        for item in items:
            if isinstance(item, Loop):
                for each in range(item.times):
                    found += unrolled(item.body, each)
            else:
                found.append(item.moved(turn))
        return found

    assert unrolled(body) == steps


def test_a_steady_state_becomes_one_loop(block: Graph) -> None:
    steps = [Step(e.node, (e.begin, e.end), (), ()) for e in schedule(block, range(4)).events]
    body = compress(steps)
    loops = [item for item in body if isinstance(item, Loop)]
    assert max(loop.times * len(loop.body) for loop in loops) >= 0.6 * len(steps)
    assert len(body) < len(steps) / 2
