"""Graphs made in Python: the same calls give float32 and int8, and nonsense gets a sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, strategies as st

from refsim.affine import dequantize_values, quantize_bias, quantize_weights
from refsim.builder import Builder, seeded_values, seeded_weights
from refsim.errors import InputError, ModelError, UsageError
from refsim.float_reference import run_float
from refsim.graph import Graph, Quant, Tensor
from refsim.interpreter import run
from refsim.parameters import CHANNEL_AXIS

Q = (0.05, -3)


def small(quant: tuple[float, int] | None) -> Graph:
    """One of everything that a small network has; `quant` for the input and all that computes."""
    b = Builder("small", seed=5)
    x = b.input((1, 8, 6, 2), quant)
    x = b.conv2d(x, 4, (3, 2), stride=(2, 1), activation="relu", quant=quant)
    y = b.depthwise_conv2d(x, 3, multiplier=2, activation="relu6", quant=quant)
    y = b.add(b.conv2d(y, 4, quant=quant), x, quant=quant)
    y = b.mul(
        b.pad(y, ((0, 0), (1, 1), (0, 0), (0, 0))),
        y := b.relu(b.pad(y, ((0, 0), (1, 1)) + ((0, 0),) * 2), quant),
        quant=quant,
    )
    y = b.concatenation((b.max_pool_2d(y, 2), b.average_pool_2d(y, 2)), axis=3)
    y = b.transpose(y, (0, 3, 1, 2))
    y = b.fully_connected(b.reshape(b.mean(y, (2, 3), quant=quant), (1, -1)), 3, quant=quant)
    return b.build(b.softmax(y))


def test_the_same_calls_give_the_same_float32_and_int8_layers() -> None:
    real, integer = small(None), small(Q)
    assert {t.dtype for t in real.tensors if t.data is None} == {"float32"}
    assert {t.dtype for t in integer.tensors if t.data is None} == {"int8"}
    for a, b in zip(real.nodes, integer.nodes, strict=True):
        assert (a.operator, a.inputs, a.outputs, a.attributes) == (b.operator, b.inputs, b.outputs, b.attributes)
        assert [real.tensors[i].shape for i in a.outputs] == [integer.tensors[i].shape for i in b.outputs]
    assert real.macs == integer.macs > 0


def test_an_int8_graph_quantises_its_real_weights_as_quantize_does() -> None:
    real, integer = small(None), small(Q)
    for node in integer.nodes:
        if node.operator.name in CHANNEL_AXIS:
            axis = None if node.operator.name == "fully_connected" else CHANNEL_AXIS[node.operator.name]
            scale = integer.tensors[node.inputs[0]].scale
            w, b = (real.tensors[i].data for i in node.inputs[1:])
            weights, quant = quantize_weights(w, axis, scale, b)
            bias, bias_quant = quantize_bias(b, scale, quant)
            for i, data, wanted in zip(node.inputs[1:], (weights, bias), (quant, bias_quant), strict=True):
                np.testing.assert_array_equal(integer.tensors[i].data, data)
                assert integer.tensors[i].quant == wanted and integer.tensors[i].dtype == data.dtype.name


def test_operators_that_move_values_keep_their_inputs_scale_and_softmax_has_its_own() -> None:
    graph = small(Q)
    named = {node.operator.name: graph.tensors[node.outputs[0]].quant for node in graph.nodes}
    kept = {named[op] for op in ("pad", "concatenation", "max_pool_2d", "average_pool_2d", "transpose", "reshape")}
    assert kept == {Quant((float(np.float32(0.05)),), (-3,))}
    assert named["softmax"] == Quant((1 / 256,), (-128,))


def test_given_parameters_are_what_the_layer_computes_with() -> None:
    """1x1 convolution by hand: y = 2 * (x + 3) * w * scales, plus the bias, at the output's scale."""
    b = Builder("g")
    x = b.input((1, 1, 1, 2), (0.5, -3))
    weights, bias = np.array([[[[3, -1]]], [[[10, 100]]]], np.int8), np.array([7, -7], np.int32)
    y = b.conv2d(x, weights=weights, weight_scale=(0.25, 0.5), bias=bias, quant=(0.125, 10))
    graph = b.build(y)
    values = run(graph, [np.array([[[[1, 2]]]], np.int8)])
    first, second = (4 * 3 - 5 + 7) * 0.5 * 0.25, (4 * 10 + 5 * 100 - 7) * 0.5 * 0.5
    assert values[graph.outputs[0]].ravel().tolist() == [
        round(first / 0.125) + 10,
        min(127, round(second / 0.125) + 10),
    ]
    assert graph.tensors[2].quant == Quant((0.125, 0.25), (0, 0))


@pytest.mark.parametrize("quant", [None, Q])
def test_cuts_are_those_of_numpy(quant: tuple[float, int] | None) -> None:
    b = Builder("g")
    x = b.input((2, 6, 5, 4), quant)
    parts = b.split(x, 3, axis=1)
    cuts = [b.strided_slice(x, 1, slice(None, None, -2), slice(1, -1)), b.slice(x, (0, 2, 0, 1), (1, -1, 5, 2))]
    graph = b.build([*parts, *cuts])
    value = np.arange(240).reshape(x.shape).astype(np.float32 if quant is None else np.int8)
    found = (run if quant else run_float)(graph, [value])
    wanted = [*np.split(value, 3, axis=1), value[1, ::-2, 1:-1], value[:1, 2:, :, 1:3]]
    for i, answer in zip(graph.outputs, wanted, strict=True):
        np.testing.assert_array_equal(found[i], answer)
    assert {graph.tensors[i].quant for i in graph.outputs} == {x.quant}
    assert [t.name for t in parts] == ["split_0:0", "split_0:1", "split_0:2"]
    assert graph.nodes[0].outputs == graph.outputs[:3]


def test_bias_can_be_left_out() -> None:
    b = Builder("g")
    graph = b.build(b.fully_connected(b.conv2d(b.input((1, 2, 2, 1)), 3, bias=False), 2, bias=False))
    assert [node.inputs[2] for node in graph.nodes] == [-1, -1]


def test_quantize_and_dequantize_meet_in_one_graph() -> None:
    b = Builder("g")
    graph = b.build(b.dequantize(b.quantize(b.input((1, 3)), (0.5, 1))))
    values = run(graph, [np.array([[0.6, -1.0, 1000.0]], np.float32)])
    assert values[graph.outputs[0]].tolist() == [[0.5, -1.0, 63.0]]


def test_constants_of_a_graph_cannot_be_changed() -> None:
    graph = small(Q)
    assert not any(t.data.flags.writeable for t in graph.tensors if t.data is not None)


@given(shape=st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple), seed=st.integers(0, 2**32))
def test_seeded_weights_fill_their_bound_on_a_grid_of_65536ths(shape: tuple[int, ...], seed: int) -> None:
    w = seeded_weights(shape, seed)
    bound = (6 / np.prod(shape[1:])) ** 0.5
    assert w.dtype == np.float32 and w.shape == shape and np.abs(w).max() <= bound
    np.testing.assert_array_equal(w * 65536, np.rint(w * 65536))
    np.testing.assert_array_equal(w, seeded_weights(shape, seed))


def test_seeded_weights_have_the_variance_that_keeps_activations_alive() -> None:
    w = seeded_weights((64, 3, 3, 16), 7)
    assert w.var() == pytest.approx(2 / 144, rel=0.05) and abs(w.mean()) < 0.005
    assert not np.array_equal(w, seeded_weights((64, 3, 3, 16), 8))


def test_seeded_values_are_the_same_on_every_host() -> None:
    data = seeded_values((1000,), (3, 1)).tobytes() + seeded_weights((10, 100), 3).tobytes()
    assert hashlib.sha256(data).hexdigest() == "6afd8a9e56d1d1a2329c8b037c47ba35e9760296a2cfc328adce364198b9872a"


def test_layers_of_one_graph_differ_and_follow_its_seed() -> None:
    def weights(seed: int) -> list[bytes]:
        b = Builder("g", seed)
        x = b.conv2d(b.conv2d(b.input((1, 2, 2, 3)), 3), 3)
        return [t.data.tobytes() for t in b.build(x).tensors if t.data is not None]

    assert len(set(weights(1))) == 4 and weights(1) == weights(1) and not set(weights(1)) & set(weights(2))


Calls = Callable[[Builder, Tensor], object]
IMAGE, MATRIX, INT8 = ((1, 4, 4, 2), None), ((2, 6), None), ((1, 4, 4, 2), Q)
REJECTED: list[tuple[tuple, Calls, str]] = [
    (MATRIX, lambda b, x: b.conv2d(x, 3), r"'conv2d': input 'input_0' has shape \(2, 6\): expected \(batch, height"),
    (MATRIX, lambda b, x: b.max_pool_2d(x, 2), r"'max_pool_2d_0': input 'input_0' has shape \(2, 6\): expected"),
    (IMAGE, lambda b, x: b.conv2d(x, kernel=3), r"weights of shape \(0, 3, 3, 2\) hold nothing: give filters"),
    (IMAGE, lambda b, x: b.conv2d(x, weights=np.zeros((3, 1, 1, 5))), r"\(3, 1, 1, 5\): expected \(3, 1, 1, 2\)"),
    (IMAGE, lambda b, x: b.conv2d(x, weights=np.zeros(3)), r"'conv2d_0': weights have shape \(3,\): expected"),
    (IMAGE, lambda b, x: b.conv2d(x, 3, bias=np.zeros(2)), r"bias has shape \(2,\): expected \(3,\), one for each"),
    (IMAGE, lambda b, x: b.conv2d(x, weights=np.zeros((3, 1, 1, 2), np.int8)), "of type int8: expected real numbers"),
    (IMAGE, lambda b, x: b.conv2d(x, 3, padding="full"), "padding 'full' is not known: expected one of same, valid"),
    (
        IMAGE,
        lambda b, x: b.conv2d(x, 3, activation="tanh"),
        "activation 'tanh' is not known: expected one of none, relu",
    ),
    (IMAGE, lambda b, x: b.conv2d(x, 3, stride=0), "stride 0, dilation 1: expected positive values"),
    (IMAGE, lambda b, x: b.conv2d(x, 3, 5, padding="valid"), "reaching 5 does not fit into 4"),
    (IMAGE, lambda b, x: b.conv2d(x, 3, quant=Q), "quant was given for a float32 output"),
    (
        IMAGE,
        lambda b, x: b.depthwise_conv2d(x, weights=np.zeros((1, 3, 3, 3))),
        r"expected \(1, 3, 3, 2\) for an input",
    ),
    (MATRIX, lambda b, x: b.fully_connected(x, weights=np.zeros((3, 5))), r"shape \(3, 5\): expected \(3, 6\)"),
    (INT8, lambda b, x: b.conv2d(x, 3), r"output is int8 and needs quant=\(scale, zero_point\), none was given"),
    (INT8, lambda b, x: b.conv2d(x, weights=np.zeros((3, 1, 1, 2), np.int8), quant=Q), "need their weight_scale"),
    (INT8, lambda b, x: b.conv2d(x, 3, weight_scale=(1.0, 2.0), quant=Q), "one or 3 of them: got"),
    (INT8, lambda b, x: b.conv2d(x, 3, weight_scale=0.0, quant=Q), "weight_scale must be positive"),
    (
        INT8,
        lambda b, x: b.conv2d(x, 3, bias=np.zeros(3, np.int8), quant=Q),
        "bias of type int8: expected int32 or real",
    ),
    (INT8, lambda b, x: b.add(x, b.input((1, 4, 4, 2)), quant=Q), "input_1"),
    (INT8, lambda b, x: b.concatenation((x, b.input((1, 4, 4, 2), (0.1, 0)))), "expected equal quantisation"),
    (IMAGE, lambda b, x: b.add(x, b.input((1, 3, 4, 2))), "do not broadcast"),
    (IMAGE, lambda b, x: b.reshape(x, (5, -1)), "32 elements"),
    (IMAGE, lambda b, x: b.split(x, 3), "into 3 along axis -1: expected equal parts"),
    (IMAGE, lambda b, x: b.slice(x, (0, 0), (1, 1)), "expected two numbers an axis"),
    (IMAGE, lambda b, x: b.slice(x, (0, 3, 0, 0), (1, 2, 4, 2)), "expected elements that it has"),
    (IMAGE, lambda b, x: b.strided_slice(x, 0, 4), "element 4 by stride 1 of axis 1, which is left out; expected one"),
    (IMAGE, lambda b, x: b.strided_slice(x, *(0,) * 5), "expected three numbers an axis"),
    (IMAGE, lambda b, x: b.add(x, Builder("other").input((1, 4, 4, 2))), "does not belong to this builder, 'g'"),
    (IMAGE, lambda b, x: b.apply("convolve", (x,)), "operator 'convolve' is not known: expected one of"),
    (IMAGE, lambda b, x: b.constant(np.array("text")), "'constant_1' is of type"),
    (IMAGE, lambda b, x: b.build(Builder("other").input((1,))), "'outputs': tensor 'input_0' does not belong"),
]


@pytest.mark.parametrize(("given", "call", "sentence"), REJECTED)
def test_nonsense_is_answered_with_a_sentence(given: tuple, call: Calls, sentence: str) -> None:
    b = Builder("g")
    with pytest.raises(InputError, match=sentence) as caught:
        call(b, b.input(*given))
    assert "\n" not in str(caught.value)


def test_misuse_of_the_builder_is_a_usage_error_and_a_window_that_does_not_fit_a_model_error() -> None:
    b = Builder("g")
    with pytest.raises(UsageError):
        b.conv2d(b.input((1, 2, 2, 1)))
    with pytest.raises(ModelError):
        b.conv2d(b.input((1, 2, 2, 1)), 1, 3, padding="valid")


def test_int8_values_stand_for_the_real_ones_of_the_float_graph() -> None:
    """A layer at a time, so that the bound is one rounding of the output and half a step of each weight."""
    b = Builder("g", 3)
    x = b.input((1, 4, 4, 3), (1 / 128, 0))
    graph = b.build(b.conv2d(x, 5, 3, quant=(1 / 32, 0)))
    q = (seeded_values((1, 4, 4, 3), 1) * 128).astype(np.int8)
    f = Builder("g", 3)
    real = f.build(f.conv2d(f.input((1, 4, 4, 3)), 5, 3))
    wanted = run_float(real, [q / np.float32(128)])[real.outputs[0]]
    got = dequantize_values(run(graph, [q])[graph.outputs[0]], Quant((1 / 32,), (0,)))
    weight_step = max(graph.tensors[1].quant.scale)
    assert np.abs(got - wanted).max() <= 1 / 32 * 0.51 + 27 * weight_step / 2 + 1e-4
