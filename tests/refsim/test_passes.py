from __future__ import annotations

import numpy as np
import pytest

from refsim import interpreter, passes
from refsim.builder import Builder
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM


def same_answer(before: Graph, after: Graph) -> bool:
    inputs = interpreter.random_inputs(before, 3)
    one = interpreter.outputs(before, interpreter.run(before, inputs))
    two = interpreter.outputs(after, interpreter.run(after, inputs))
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def names(graph: Graph) -> list[str]:
    return [node.operator.name for node in graph.nodes]


@pytest.fixture
def padded() -> Graph:
    b = Builder("padded")
    x = b.input((1, 9, 8, 3), quant=(0.05, 7))
    p = b.pad(x, ((0, 0), (1, 2), (2, 1), (0, 0)))
    y = b.conv2d(p, 4, 3, stride=2, padding="valid", quant=(0.1, -3))
    z = b.depthwise_conv2d(b.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0))), 3, padding="valid", quant=(0.1, 1))
    return b.build(z)


def test_padding_moves_into_the_convolution_and_is_recorded(padded: Graph) -> None:
    fused = passes.optimise(padded, TFLM)
    assert names(fused) == ["conv2d", "depthwise_conv2d"]
    assert same_answer(padded, fused)
    reasons = sorted(fused.eliminated.values())
    assert reasons == ["pad: done inside conv2d", "pad: done inside depthwise_conv2d"]


def test_padding_that_somebody_else_reads_stays() -> None:
    b = Builder("shared")
    p = b.pad(b.input((1, 4, 4, 2), quant=(0.05, 7)), ((0, 0), (1, 1), (1, 1), (0, 0)))
    graph = b.build([b.conv2d(p, 2, 3, padding="valid", quant=(0.1, 0)), b.relu(p, quant=(0.05, 7))])
    assert "pad" in names(passes.optimise(graph, TFLM))


def test_padding_of_channels_stays() -> None:
    b = Builder("channels")
    p = b.pad(b.input((1, 4, 4, 2), quant=(0.05, 7)), ((0, 0), (0, 0), (0, 0), (0, 2)))
    graph = b.build(b.conv2d(p, 2, 1, quant=(0.1, 0)))
    assert "pad" in names(passes.optimise(graph, TFLM))


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_an_activation_of_equal_scales_becomes_the_clamp_of_the_layer_before(activation: str) -> None:
    b = Builder("clamped")
    y = b.conv2d(b.input((1, 5, 5, 3), quant=(0.05, 7)), 6, 3, quant=(0.04, -10))
    graph = b.build(getattr(b, activation)(y, quant=(0.04, -10)))
    fused = passes.optimise(graph, TFLM)
    assert names(fused) == ["conv2d"]
    assert same_answer(graph, fused)


def test_an_activation_that_rescales_stays() -> None:
    b = Builder("rescaled")
    y = b.conv2d(b.input((1, 5, 5, 3), quant=(0.05, 7)), 6, 3, quant=(0.04, -10))
    graph = b.build(b.relu(y, quant=(0.02, -128)))
    assert names(passes.optimise(graph, TFLM)) == ["conv2d", "relu"]


def test_what_depends_on_constants_only_is_computed_once() -> None:
    b = Builder("folded")
    c = b.relu(b.constant(np.arange(-8, 8, dtype=np.int8).reshape(1, 2, 2, 4), quant=(0.1, 0)), quant=(0.1, 0))
    graph = b.build(b.add(b.input((1, 2, 2, 4), quant=(0.1, 0)), c, quant=(0.2, 0)))
    folded = passes.optimise(graph, TFLM)
    assert names(folded) == ["add"]
    assert same_answer(graph, folded)
    assert list(folded.eliminated.values()) == ["relu of constants: computed once, at generation"]


def test_what_nobody_reads_is_dropped() -> None:
    b = Builder("dead")
    x = b.input((1, 2, 2, 4), quant=(0.1, 0))
    b.relu(x, quant=(0.1, 0))
    graph = passes.optimise(b.build(b.relu6(x, quant=(0.1, 0))), TFLM)
    assert names(graph) == ["relu6"]
    assert list(graph.eliminated.values()) == ["relu: nothing reads it"]
