"""Patch sides and the cost of halos: MCUNetV2's MobileNetV2 figures, and cuts of an image that can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from refsim import zoo
from refsim.builder import Builder
from refsim.errors import UsageError
from refsim.float_reference import run_float
from refsim.graph import Graph
from refsim.memsim.receptive_field import patch_sides, patched_stage


def first_blocks() -> tuple[Graph, int]:
    """MobileNetV2 at 224, and how many nodes its stem and first four blocks are."""
    graph = zoo.load_float("mobilenet-v2-w1.0")
    return graph, [graph.tensors[node.outputs[0]].shape for node in graph.nodes].index((1, 28, 28, 32)) + 1


def test_mobilenet_v2_in_16_patches_needs_75_pixels_and_42_percent_more_products() -> None:
    graph, nodes = first_blocks()
    stage = patched_stage(graph, nodes, 4)
    assert stage.input_side == 75
    assert (round(stage.macs / 1e6, 1), round(stage.patched_macs / 1e6, 1)) == (91.3, 129.5)
    assert round(100 * (stage.patched_macs / stage.macs - 1), 1) == 41.9
    assert round((graph.macs - stage.macs + stage.patched_macs) / 1e6, 1) == 339.0


def test_one_patch_covers_the_whole_image() -> None:
    graph, nodes = first_blocks()
    assert patched_stage(graph, nodes, 1).input_side >= 224


def test_sides_reach_exactly_as_far_as_values_do() -> None:
    """Changing a pixel changes an output only inside the field, and does so at the field's corners."""
    b = Builder("chain")
    x = b.input((1, 31, 31, 1))
    t = b.conv2d(x, 2, 3, stride=2, padding="valid")
    t = b.average_pool_2d(t, 2, stride=1)
    y = b.conv2d(t, 1, 5, padding="valid", dilation=2)
    graph = b.build(y)
    side = patch_sides(graph, 3, 2)[graph.inputs[0]]
    assert side == ((2 + 8) + 1 - 1) * 2 + 3
    image = np.zeros((1, 31, 31, 1), np.float32)
    before = run_float(graph, [image])[graph.outputs[0]][0, :2, :2]
    for at, reached in ((side - 1, True), (side, False)):
        image[:] = 0
        image[0, at, at] = 1
        after = run_float(graph, [image])[graph.outputs[0]][0, :2, :2]
        assert bool((after != before).any()) is reached


def test_a_shortcut_asks_for_the_larger_of_its_two_branches() -> None:
    b = Builder("residual")
    x = b.input((1, 8, 8, 2))
    graph = b.build(b.add(b.conv2d(x, 2, 3), x))
    assert patch_sides(graph, 2, 4)[graph.inputs[0]] == 6


def test_patches_that_do_not_cut_the_output_evenly_are_refused() -> None:
    graph, nodes = first_blocks()
    with pytest.raises(UsageError, match="cannot be cut into 3x3 patches"):
        patched_stage(graph, nodes, 3)
