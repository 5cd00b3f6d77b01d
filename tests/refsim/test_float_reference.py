"""The float answers that calibration rests on, against plain loops in float64."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from refsim.builder import Builder, seeded_values, seeded_weights
from refsim.errors import UnsupportedError
from refsim.float_reference import FLOAT, run_float
from refsim.graph import Array, Graph

SIZES = st.integers(1, 4)
# Factors keep at least 20 bits below the largest value, the result 24.
NEAR = {"rtol": 0.0, "atol": 2e-5}


def answer(graph: Graph, *inputs: Array) -> Array:
    return run_float(graph, inputs)[graph.outputs[0]]


def same_padding(length: int, size: int, stride: int, dilation: int) -> tuple[int, int]:
    """(outputs, padding before), from TensorFlow's documentation of SAME."""
    outputs = -(-length // stride)
    return outputs, max((outputs - 1) * stride + (size - 1) * dilation + 1 - length, 0) // 2


def slow_windows(x: Array, size: tuple[int, int], stride: int, dilation: int):
    """(n, row, column, tap row, tap column, the pixel's channels) of all taps inside the image."""
    batch, height, width, _ = x.shape
    (rows, top), (columns, left) = (
        same_padding(n, k, stride, dilation) for n, k in zip((height, width), size, strict=True)
    )
    for n, i, j, ky, kx in product(range(batch), range(rows), range(columns), range(size[0]), range(size[1])):
        row, column = i * stride - top + ky * dilation, j * stride - left + kx * dilation
        if 0 <= row < height and 0 <= column < width:
            yield n, i, j, ky, kx, x[n, row, column].astype(np.float64)


@given(n=st.integers(1, 2), h=SIZES, w=SIZES, c=SIZES, o=SIZES, k=st.tuples(SIZES, SIZES), s=SIZES, d=st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_conv2d_is_the_sum_over_taps(n, h, w, c, o, k, s, d) -> None:
    b, weights, bias = Builder("g"), seeded_weights((o, *k, c), 1), seeded_weights((o,), 2, 9)
    y = b.conv2d(b.input((n, h, w, c)), weights=weights, bias=bias, stride=s, dilation=d, activation="relu")
    x = seeded_values((n, h, w, c), 3)
    expected = np.zeros(y.shape) + bias
    for at, i, j, ky, kx, pixel in slow_windows(x, k, s, d):
        expected[at, i, j] += weights[:, ky, kx].astype(np.float64) @ pixel
    np.testing.assert_allclose(answer(b.build(y), x), np.maximum(expected, 0), **NEAR)


@given(h=SIZES, w=SIZES, c=SIZES, m=st.integers(1, 3), k=st.tuples(SIZES, SIZES), s=SIZES)
@settings(max_examples=40, deadline=None)
def test_depthwise_conv2d_reads_one_channel_for_each_output_channel(h, w, c, m, k, s) -> None:
    b, weights = Builder("g"), seeded_weights((1, *k, c * m), 1, 4)
    y = b.depthwise_conv2d(b.input((1, h, w, c)), multiplier=m, weights=weights, bias=False, stride=s)
    x = seeded_values((1, h, w, c), 3)
    expected = np.zeros(y.shape)
    for at, i, j, ky, kx, pixel in slow_windows(x, k, s, 1):
        for channel in range(c * m):
            expected[at, i, j, channel] += pixel[channel // m] * weights[0, ky, kx, channel]
    np.testing.assert_allclose(answer(b.build(y), x), expected, **NEAR)


@given(h=SIZES, w=SIZES, k=st.tuples(SIZES, SIZES), s=SIZES)
@settings(max_examples=40, deadline=None)
def test_pools_leave_the_padding_out(h, w, k, s) -> None:
    b = Builder("g")
    image = b.input((1, h, w, 2))
    ends = [b.average_pool_2d(image, k, s, "same"), b.max_pool_2d(image, k, s, "same")]
    x = seeded_values((1, h, w, 2), 3) - np.float32(2)  # below zero, so that padding by zeros would show
    seen: dict[tuple[int, int], list[Array]] = {}
    for _, i, j, _, _, pixel in slow_windows(x, k, s, 1):
        seen.setdefault((i, j), []).append(pixel)
    values = run_float(b.build(ends), [x])
    for (i, j), pixels in seen.items():
        np.testing.assert_allclose(values[1][0, i, j], np.mean(pixels, axis=0), **NEAR)
        np.testing.assert_array_equal(values[2][0, i, j], np.max(pixels, axis=0))


def test_fully_connected_and_softmax_give_shares_of_one() -> None:
    b, weights, bias = Builder("g"), seeded_weights((5, 7), 1, 1), seeded_weights((5,), 2, 9)
    y = b.softmax(b.fully_connected(b.input((2, 7)), weights=weights, bias=bias), beta=0.5)
    x = seeded_values((2, 7), 3)
    logits = x.astype(np.float64) @ weights.T.astype(np.float64) + bias
    powers = np.array([[math.exp(0.5 * value) for value in row] for row in logits])
    np.testing.assert_allclose(answer(b.build(y), x), powers / powers.sum(axis=1, keepdims=True), **NEAR)


@given(st.lists(st.floats(-800, 0, width=32), min_size=1, max_size=6))
def test_softmax_has_no_error_of_its_own_beyond_float32(row) -> None:
    b = Builder("g")
    graph = b.build(b.softmax(b.input((1, len(row)))))
    powers = [math.exp(value - max(row)) for value in row]
    shares = answer(graph, np.array([row], np.float32))[0]
    np.testing.assert_allclose(shares, np.array(powers) / math.fsum(powers), rtol=1e-6, atol=1e-12)


def test_elementwise_operators_and_moves_do_what_numpy_says() -> None:
    b = Builder("g")
    p, q = b.input((1, 2, 3, 4)), b.input((1, 2, 3, 4))
    ends = [
        b.add(p, q, "relu6"),
        b.mul(p, q),
        b.relu(p),
        b.relu6(p),
        b.mean(p, (1, 2)),
        b.mean(p, (-1,), keep_dims=True),
        b.pad(p, ((0, 0), (1, 2), (0, 1), (0, 0))),
        b.reshape(p, (4, -1)),
        b.transpose(p, (0, 3, 1, 2)),
        b.concatenation((p, q), axis=2),
    ]
    x, z = 9 * seeded_values((1, 2, 3, 4), 1), 9 * seeded_values((1, 2, 3, 4), 2)
    graph = b.build(ends)
    values = run_float(graph, (x, z))
    expected = [
        np.clip(x + z, 0, 6),
        x * z,
        np.maximum(x, 0),
        np.clip(x, 0, 6),
        x.mean(axis=(1, 2), dtype=np.float64),
        x.mean(axis=-1, dtype=np.float64, keepdims=True),
        np.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))),
        x.reshape(4, -1),
        x.transpose(0, 3, 1, 2),
        np.concatenate((x, z), axis=2),
    ]
    for i, wanted in zip(graph.outputs, expected, strict=True):
        assert values[i].dtype == np.float32 and values[i].shape == graph.tensors[i].shape
        np.testing.assert_allclose(values[i], wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("depth", [8, 64, 1000])
def test_sums_do_not_depend_on_the_order_of_their_terms(depth: int) -> None:
    """A BLAS may add in any order, which changes plain sums of these values."""
    x, w = seeded_values((1, depth), 1) / np.float64(3), seeded_weights((200, depth), 2) / np.float64(3)
    order = np.argsort(seeded_values((depth,), 3))
    b = Builder("g")
    y = b.fully_connected(b.input((1, depth)), weights=w.astype(np.float32), bias=False)
    graph = b.build([y, b.mean(b.input((200, depth)), (1,))])
    product, mean = (FLOAT[node.operator.name] for node in graph.nodes)
    calls = [graph.call(node) for node in graph.nodes]
    np.testing.assert_array_equal(product(calls[0], [x, w, None]), product(calls[0], [x[:, order], w[:, order], None]))
    np.testing.assert_array_equal(mean(calls[1], [w]), mean(calls[1], [w[:, order]]))
    plain = [
        sum(terms[0, i] * terms[1:, i] for i in range(depth))
        for terms in (np.vstack((x, w)), np.vstack((x, w))[:, order])
    ]
    assert (plain[0] != plain[1]).any()


def test_operators_without_a_float_form_are_refused_by_name() -> None:
    b = Builder("g")
    graph = b.build(b.dequantize(b.quantize(b.input((1, 4)), (0.1, 0))))
    with pytest.raises(
        UnsupportedError, match="graph 'g', node 'quantize_0': quantize has no float form, expected one"
    ):
        run_float(graph, [np.zeros((1, 4), np.float32)])
