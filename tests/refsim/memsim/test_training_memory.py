"""What training keeps, against the survey's Figure 2 and a layer counted by hand."""

from __future__ import annotations

from refsim import zoo
from refsim.builder import Builder
from refsim.memsim.training_memory import saved_activations, trained_parameters


def test_figure_2_is_reproduced() -> None:
    """ResNet-50 against MobileNetV2-1.4 at 224, batch 8: parameters, training memory; and the latter by the former."""
    resnet, mobilenet = zoo.load_float("resnet-50"), zoo.load_float("mobilenet-v2-w1.4")
    kept = saved_activations(resnet, 8), saved_activations(mobilenet, 8)
    assert [round(k / 1e6, 1) for k in kept] == [706.5, 623.5]
    assert round(trained_parameters(resnet) / trained_parameters(mobilenet), 2) == 4.18
    assert round(kept[0] / kept[1], 2) == 1.13
    assert round(kept[0] / (4 * trained_parameters(resnet)), 2) == 6.91


def test_mobilenet_v2_trains_in_450_mb() -> None:
    graph = zoo.load_float("mobilenet-v2-w1.0")
    assert round((saved_activations(graph, 8) + 4 * trained_parameters(graph)) / 1e6) == 450


def test_a_layer_keeps_its_input_its_normalisations_input_and_a_bit_for_each_relu() -> None:
    b = Builder("two")
    x = b.conv2d(b.input((1, 5, 5, 3)), 4, 3, activation="relu6")
    y = b.fully_connected(b.reshape(x, (1, 100)), 7)
    graph = b.build(y)
    assert saved_activations(graph) == 4 * (75 + 100) + 13 + 4 * 100
    assert saved_activations(graph, 3) == 3 * saved_activations(graph)
    assert trained_parameters(graph) == 3 * 3 * 3 * 4 + 2 * 4 + 700 + 7
    assert trained_parameters(graph, batch_norm=False) == 3 * 3 * 3 * 4 + 700 + 7


def test_parameters_that_two_layers_share_count_once() -> None:
    b = Builder("shared")
    x = b.input((1, 4))
    w, bias = b.constant([[1.0, 0, 0, 0]] * 4), b.constant([0.0] * 4)
    options = {"activation": 0, "keep_num_dims": False}
    y = b.apply("fully_connected", (b.apply("fully_connected", (x, w, bias), options), w, bias), options)
    assert trained_parameters(b.build(y)) == 16 + 4
