"""Post-training quantisation: what is shared, fixed and calibrated, and how near the int8 graph stays."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from refsim import importers
from refsim.affine import asymmetric, bias_quant, dequantize_values, quantize_values
from refsim.builder import Builder, seeded_values, seeded_weights
from refsim.errors import UnsupportedError, UsageError
from refsim.float_reference import run_float
from refsim.graph import Array, Graph, Quant, Tensor
from refsim.interpreter import run
from refsim.parameters import CHANNEL_AXIS
from refsim.quantize import FIXED, SHARING, Method, quantize

SHAPE = (1, 8, 6, 3)


def samples(count: int = 3, shape: tuple[int, ...] = SHAPE) -> list[Array]:
    return [seeded_values(shape, (9, n)) for n in range(count)]


def quant_of(graph: Graph, index: int) -> Quant:
    quant = graph.tensors[index].quant
    assert quant is not None
    return quant


def both_answers(graph: Graph, quantised: Graph, x: Array) -> dict[int, tuple[Array, Array]]:
    """(float value, dequantised int8 value) of everything that nodes compute."""
    real = run_float(graph, [x])
    integer = run(quantised, [quantize_values(x, quant_of(quantised, quantised.inputs[0]))])
    outputs = [i for node in graph.nodes for i in node.outputs]
    return {i: (real[i], dequantize_values(integer[i], quant_of(quantised, i))) for i in outputs}


def network() -> Graph:
    b = Builder("network", 4)
    x = b.conv2d(b.input(SHAPE), 8, 3, activation="relu")
    y = b.conv2d(b.depthwise_conv2d(x, 3, activation="relu6"), 8)
    y = b.mul(b.relu(b.add(x, y)), b.constant(np.array([0.5, 2.0], np.float32).repeat(4)))
    y = b.concatenation((b.max_pool_2d(y, 2), b.average_pool_2d(y, 2)), axis=3)
    y = b.fully_connected(b.mean(b.pad(y, ((0, 0), (1, 0), (0, 1), (0, 0))), (1, 2)), 5)
    return b.build(b.softmax(b.transpose(b.reshape(y, (5, 1)), (1, 0))))


@given(
    kind=st.sampled_from(["conv2d", "depthwise_conv2d", "fully_connected"]),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5)),
    k=st.integers(1, 3),
    activation=st.sampled_from(["none", "relu", "relu6"]),
    seed=st.integers(0, 2**16),
    per_channel=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_layers_int8_answer_is_within_its_roundings(kind, size, k, activation, seed, per_channel) -> None:
    """|error| <= one step of the output (half from rounding, half where moving the zero point to an integer cut an
    end off), and for each product one step of x times |w| and half a step of w times |x|, and half a step of bias."""
    b, shape = Builder("layer", seed), (1, *size) if kind != "fully_connected" else (size[0], size[2])
    arguments = {"conv2d": (4, k), "depthwise_conv2d": (k,), "fully_connected": (4,)}[kind]
    graph = b.build(getattr(b, kind)(b.input(shape), *arguments, activation=activation))
    x = seeded_values(shape, (seed, 1))
    quantised = quantize(graph, [x], per_channel_fc=per_channel)
    (node,) = quantised.nodes
    x_step, w_step = quantised.tensors[node.inputs[0]].scale, max(quant_of(quantised, node.inputs[1]).scale)
    products = {"conv2d": k * k * size[2], "depthwise_conv2d": k * k, "fully_connected": size[2]}[kind]
    largest_w, largest_x = math.sqrt(6 / products), 1 + x_step
    bound = products * (x_step * largest_w + largest_x * w_step / 2) + x_step * w_step / 2
    ((real, integer),) = both_answers(graph, quantised, x).values()
    assert np.abs(real - integer).max() <= bound + 1.01 * quantised.tensors[node.outputs[0]].scale


@pytest.mark.parametrize("method", ["minmax", "mse"])
def test_a_whole_network_stays_20_db_above_its_quantisation_noise(method) -> None:
    """Eight bits give about 40 dB a layer; a wrong scale, zero point or channel axis leaves less than 10."""
    graph = network()
    quantised = quantize(graph, samples(), method)
    for i, (real, integer) in both_answers(graph, quantised, samples()[1]).items():
        noise = np.sum((real - integer) ** 2)
        assert np.sum(real.astype(np.float64) ** 2) > 100 * noise, graph.tensors[i].name


def test_every_tensor_has_the_type_that_tflite_gives_it() -> None:
    graph = network()
    quantised = quantize(graph, samples())
    for node, was in zip(quantised.nodes, graph.nodes, strict=True):
        assert (node.operator, node.outputs, node.attributes) == (was.operator, was.outputs, was.attributes)
        types = [quantised.tensors[i].dtype for i in node.inputs]
        assert types == (["int8", "int8", "int32"] if node.operator.name in CHANNEL_AXIS else ["int8"] * len(types))
        if node.operator.name in CHANNEL_AXIS:
            x, w, bias = (quant_of(quantised, i) for i in node.inputs)
            assert len(w.scale) == (1 if node.operator.name == "fully_connected" else len(bias.scale))
            assert w.axis == CHANNEL_AXIS[node.operator.name] and bias == bias_quant(x.scale[0], w)


def test_fully_connected_weights_can_have_a_scale_for_each_output() -> None:
    (before,) = (n for n in network().nodes if n.operator.name == "fully_connected")
    weights = quant_of(quantize(network(), samples(), per_channel_fc=True), before.inputs[1])
    assert len(weights.scale) == 5 and weights.axis == 0


def test_activations_get_the_range_seen_and_those_after_relu_start_at_minus_128() -> None:
    graph, quantised = network(), quantize(network(), samples())
    seen = [run_float(graph, [x]) for x in samples()]
    for i in (*graph.inputs, *(n.outputs[0] for n in graph.nodes if n.operator.name in {"conv2d", "add", "mean"})):
        low, high = min(float(v[i].min()) for v in seen), max(float(v[i].max()) for v in seen)
        assert quant_of(quantised, i) == asymmetric(low, high)
    assert [quant_of(quantised, n.outputs[0]).zero_point for n in graph.nodes if n.operator.name == "relu"] == [(-128,)]
    assert quant_of(quantised, graph.nodes[0].outputs[0]).zero_point == (-128,)


def test_operators_that_move_values_share_one_scale_and_softmax_has_its_own() -> None:
    quantised = quantize(network(), samples())
    for node in quantised.nodes:
        if node.operator.name in SHARING:
            assert len({quant_of(quantised, i) for i in (*node.inputs, *node.outputs)}) == 1
    assert quant_of(quantised, quantised.outputs[0]) == Quant((1 / 256,), (-128,))


def test_joined_inputs_share_the_union_of_their_ranges_and_constants_take_part() -> None:
    b = Builder("g")
    x = b.input((1, 2))
    graph = b.build(b.concatenation((x, b.constant(np.array([[-1.0, 30.0]], np.float32)))))
    quantised = quantize(graph, [np.array([[-4.0, 5.0]], np.float32)])
    assert {quant_of(quantised, i) for i in range(3)} == {asymmetric(-4, 30)}
    values = dequantize_values(run(quantised, [np.array([[0, 0]], np.int8)])[2], quant_of(quantised, 2))
    np.testing.assert_allclose(values[0, 2:], [-1, 30], atol=34 / 255)


def test_a_parameter_that_two_layers_read_gets_a_bias_scale_for_each() -> None:
    b = Builder("g")
    w, bias = b.constant(3 * seeded_weights((3, 1, 1, 3), 1)), b.constant(seeded_weights((3,), 2))
    strides = {"stride_h": 1, "stride_w": 1}
    first = b.apply("conv2d", (b.input((1, 2, 2, 3)), w, bias), strides)
    graph = b.build(b.apply("conv2d", (first, w, bias), strides))
    x = samples(1, (1, 2, 2, 3))[0]
    quantised = quantize(graph, [x])
    for node in quantised.nodes:
        scales = [quant_of(quantised, i) for i in node.inputs]
        assert scales[2] == bias_quant(scales[0].scale[0], scales[1])
    assert quantised.nodes[0].inputs[2] != quantised.nodes[1].inputs[2]
    for real, integer in both_answers(graph, quantised, x).values():
        assert np.abs(real - integer).max() < 0.02 * np.abs(real).max()


def squared_error(x: Array, quant: Quant) -> float:
    return float(np.sum((dequantize_values(quantize_values(x, quant), quant) - x) ** 2))


def test_mse_clips_an_outlier_and_no_other_clipping_range_is_better() -> None:
    b = Builder("g")
    graph = b.build(b.relu(b.input((1, 100_000))))
    bulk = sum(seeded_values((1, 100_000), (1, n)) for n in range(8))  # near to normal
    x = np.where(np.arange(100_000) == 7, np.float32(12), bulk)
    seen, clipped = (quant_of(quantize(graph, [x], method), 0) for method in ("minmax", "mse"))
    assert clipped.scale[0] < 0.9 * seen.scale[0]
    others = [asymmetric(max(float(x.min()), -12 * k / 32), 12 * k / 32) for k in range(4, 33)]
    assert squared_error(x, clipped) <= 1.001 * min(squared_error(x, other) for other in others)


def test_mse_leaves_an_even_spread_alone() -> None:
    b = Builder("g")
    graph, x = b.build(b.relu(b.input((1, 4000)))), samples(1, (1, 4000))
    assert quant_of(quantize(graph, x, "mse"), 0) == quant_of(quantize(graph, x), 0)


def test_mse_counts_a_value_once_however_many_tensors_hold_it() -> None:
    """A maximum pool repeats the large values; they weigh no more for that."""

    def chosen(pooled: bool, method: Method = "mse") -> Quant:
        b = Builder("g")
        image = b.input((1, 100, 100, 1))
        graph = b.build(b.max_pool_2d(image, 10, 1) if pooled else b.relu(image))
        x = sum(seeded_values((1, 100, 100, 1), (1, n)) for n in range(8))
        x[0, 50, 50, 0] = 9
        return quant_of(quantize(graph, [x], method), 0)

    assert chosen(pooled=True) == chosen(pooled=False)
    assert chosen(pooled=True).scale[0] < chosen(pooled=True, method="minmax").scale[0]


def dead() -> Graph:
    b = Builder("dead")
    return b.build(b.relu(b.input((1, 4))))


def test_a_tensor_that_is_always_zero_gets_a_usable_scale() -> None:
    for method in ("minmax", "mse"):
        graph = quantize(dead(), [np.zeros((1, 4), np.float32)], method)  # type: ignore[arg-type]
        assert run(graph, [np.zeros((1, 4), np.int8)])[1].tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("given", "method", "sentence"),
    [
        ([], "minmax", "graph 'dead': calibration needs at least one sample, none was given"),
        ([np.zeros((2, 4))], "minmax", r"sample 0: 'input_0' has shape \(2, 4\), expected \(1, 4\)"),
        ([np.zeros((1, 4)), np.full((1, 4), np.nan)], "mse", "sample 1: 'input_0' holds values that are not finite"),
        ([(np.zeros((1, 4)), np.zeros(1))], "minmax", "sample 0: it has 2 arrays, expected 1, one for each input"),
        ([np.zeros((1, 4))], "entropy", "calibration method 'entropy' is not known: expected one of minmax, mse"),
    ],
)
def test_samples_that_do_not_fit_are_answered_with_a_sentence(given, method, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        quantize(dead(), given, method)


def test_activations_that_overflow_are_named() -> None:
    b = Builder("g")
    graph = b.build(b.mul(x := b.input((1, 2)), x, name="square"))
    with pytest.raises(UsageError, match="graph 'g': 'square' overflows float32 on these samples"):
        quantize(graph, [np.full((1, 2), 1e30, np.float32)])


def joined_softmax(b: Builder, x: Tensor) -> Tensor:
    return b.concatenation((b.softmax(x), x))


def weights_at_run_time(b: Builder, x: Tensor) -> Tensor:
    return b.apply("fully_connected", (x, b.input((3, 4))))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (joined_softmax, "'input_0' would have to share the fixed scale of a softmax"),
        (weights_at_run_time, "node 'fully_connected_0': its weights and bias must be constant"),
        (lambda b, x: b.dequantize(b.quantize(x, (1.0, 0))), "tensor 'quantize_0' is int8, only a graph whose"),
    ],
)
def test_graphs_that_cannot_be_converted_are_refused(make, sentence: str) -> None:
    b = Builder("g")
    graph = b.build(make(b, b.input((1, 4))))
    given = [tuple(np.ones(graph.tensors[i].shape, np.float32) for i in graph.inputs)]
    with pytest.raises(UnsupportedError, match=sentence):
        quantize(graph, given)


@pytest.mark.parametrize("name", ["mlperf_kws", "mlperf_ic", "mlperf_vww", "mlperf_sww"])
def test_the_rules_are_those_that_published_models_were_converted_by(shared_models: Path, name: str) -> None:
    graph = importers.load(shared_models / f"{name}.tflite")
    for node in graph.nodes:
        quants = [None if i < 0 else graph.tensors[i].quant for i in (*node.inputs, *node.outputs)]
        if node.operator.name in CHANNEL_AXIS:
            x, w, bias = quants[:3]
            assert x is not None and w is not None and bias is not None
            np.testing.assert_allclose(bias.scale, bias_quant(x.scale[0], w).scale, rtol=2e-7)
            assert len(w.scale) == 1 or w.axis == CHANNEL_AXIS[node.operator.name]
            assert (len(w.scale) == 1) == (node.operator.name == "fully_connected")
        if node.operator.name in SHARING:
            assert len(set(quants)) == 1
        if node.operator.name in FIXED:
            assert quants[-1] == FIXED[node.operator.name]
