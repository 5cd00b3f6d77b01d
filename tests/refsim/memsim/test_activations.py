"""Activation peaks as papers count them, on graphs small enough to count by hand and on MobileNetV2."""

from __future__ import annotations

from refsim import zoo
from refsim.builder import Builder
from refsim.graph import Graph
from refsim.memsim.activations import peak_activation


def bottleneck(stride: int = 1) -> Graph:
    """8x8x4 -> 1x1 to 24 -> depthwise -> 1x1 to 4, with an ADD of the input where the sizes allow it."""
    b = Builder("bottleneck")
    x = b.conv2d(b.input((1, 8, 8, 3)), 4, 1)
    y = b.conv2d(b.pad(x, ((0, 0),) * 4), 24, 1)
    y = b.depthwise_conv2d(b.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0))), 3, stride=stride, padding="valid")
    y = b.conv2d(y, 4, 1)
    return b.build(b.add(y, x) if stride == 1 else y)


def test_a_depthwise_layer_holds_input_output_and_what_waits_for_the_addition() -> None:
    assert peak_activation(bottleneck()) == 64 * (24 + 24 + 4)


def test_in_place_it_holds_one_of_them_and_what_waits() -> None:
    assert peak_activation(bottleneck(), in_place_depthwise=True) == 64 * (24 + 4)


def test_without_a_shortcut_nothing_waits() -> None:
    assert peak_activation(bottleneck(stride=2)) == 64 * 24 + 16 * 24


def test_layers_before_the_first_asked_for_do_not_count() -> None:
    graph = bottleneck(stride=2)
    last = max(n for n, node in enumerate(graph.nodes) if node.operator.name == "conv2d")
    assert peak_activation(graph, first=last) == 16 * 24 + 16 * 4
    assert peak_activation(graph, first=len(graph.nodes)) == 0


def test_mobilenet_v2_takes_1372_kib_of_which_its_later_blocks_need_an_eighth() -> None:
    graph = zoo.load_float("mobilenet-v2-w1.0")
    shapes = [graph.tensors[node.outputs[0]].shape for node in graph.nodes]
    behind = shapes.index((1, 28, 28, 32)) + 1
    whole = peak_activation(graph, in_place_depthwise=True)
    rest = peak_activation(graph, in_place_depthwise=True, first=behind)
    assert (whole / 1024, rest / 1024, whole / rest) == (1372.0, 171.5, 8.0)
