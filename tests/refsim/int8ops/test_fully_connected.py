"""FULLY_CONNECTED: shapes, sums by hand, both roundings, packing, refusals, rows, and both engines on ties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Array, Call, Quant, Tensor
from refsim.int8ops.fully_connected import OPERATOR, FullyConnected, block, effective_scales, packed
from refsim.int8ops.numerics import LITERT, TFLM, find

OPTIONS = {"activation": 0, "weights_format": 0, "keep_num_dims": False}


def int8(name: str, shape: tuple[int, ...], scale: float = 1.0, zero_point: int = 0) -> Tensor:
    return Tensor(name, shape, "int8", Quant((float(np.float32(scale)),), (zero_point,)))


def weights(values: Any, scales: Any = (1.0,)) -> Tensor:
    data = np.array(values, np.int8)
    return Tensor("w", data.shape, "int8", Quant(tuple(float(np.float32(s)) for s in scales), (0,) * len(scales)), data)


def bias(values: Any, scale: float = 1.0) -> Tensor:
    data = np.array(values, np.int32)
    return Tensor("b", data.shape, "int32", Quant((float(np.float32(scale)),), (0,)), data)


def call_of(x: Tensor, w: Tensor, b: Tensor | None = None, y: float = 1.0, keep: bool = False, act: int = 0) -> Call:
    attributes = FullyConnected(act, keep)
    return Call((x, w, b), (int8("y", OPERATOR.infer((x, w, b), attributes)[0], y),), attributes)


def answer(call: Call, x: Any, numerics: Any = TFLM) -> Array:
    _, w, b = call.inputs
    assert w is not None
    return OPERATOR.reference(call, [np.array(x, np.int8), w.data, None if b is None else b.data], numerics)[0]


def test_products_with_zero_point_and_bias() -> None:
    call = call_of(int8("x", (2, 3), 1.0, 2), weights([[1, 2, 3], [-1, 0, 1]]), bias([10, -20]))
    assert answer(call, [[2, 2, 2], [3, 4, 5]]).tolist() == [[10, -20], [24, -18]]


def test_a_missing_bias_is_zero() -> None:
    assert OPERATOR.operands([4, 5]) == (4, 5, -1)
    assert answer(call_of(int8("x", (1, 2)), weights([[3, 4]])), [[1, 1]]).tolist() == [[7]]


def test_each_channel_has_its_scale() -> None:
    call = call_of(int8("x", (1, 1)), weights([[8], [8]], (0.5, 0.25)))
    assert answer(call, [[4]]).tolist() == [[16, 8]]


def test_two_roundings_reach_a_tie_that_one_does_not() -> None:
    """349525 * 1.5 / 2^20 is 0.4999995; the first of two roundings makes it 0.5."""
    call = call_of(int8("x", (1, 1)), weights([[1], [1]], (1.5,)), bias([349525, -349525]), y=2.0**20)
    assert answer(call, [[0]], TFLM).tolist() == [[1, -1]]
    assert answer(call, [[0]], LITERT).tolist() == [[0, 0]]


def test_shapes_flatten_or_keep_their_axes() -> None:
    x, w = int8("x", (2, 3, 4)), weights(np.ones((5, 4)))
    assert OPERATOR.infer((x, w, None), FullyConnected()) == ((6, 5),)
    assert OPERATOR.infer((x, w, None), FullyConnected(keep_num_dims=True)) == ((2, 3, 5),)
    assert OPERATOR.infer((x, weights(np.ones((5, 12))), None), FullyConnected()) == ((2, 5),)
    assert OPERATOR.macs(call_of(x, w)) == 2 * 3 * 4 * 5


def test_rows_of_any_flattening(check_rows: Any) -> None:
    random = np.random.default_rng(0)
    for shape, k, keep in [
        ((4, 6), 6, False),
        ((1, 4, 4, 6), 96, False),
        ((2, 4, 4, 6), 96, False),
        ((2, 4, 4, 6), 6, True),
        ((2, 4, 4, 6), 6, False),
        ((4, 3), 2, False),
        ((4, 9), 12, False),
    ]:
        w = weights(random.integers(-127, 128, (3, k)))
        call = call_of(int8("x", shape), w, y=300.0, keep=keep)
        for seed in range(6):
            values = [random.integers(-128, 128, shape).astype(np.int8), w.data, None]
            check_rows(OPERATOR, call, values, seed)


def test_rows_are_no_more_than_needed() -> None:
    call = call_of(int8("x", (2, 4, 4, 6)), weights(np.ones((3, 96))))
    assert OPERATOR.input_rows(call, 0, (1, 2)) == (4, 8)
    assert OPERATOR.input_rows(call, 1, (1, 2)) == (0, 3)


@pytest.mark.parametrize("shape", [(1, 1), (2, 4), (3, 5), (5, 8), (6, 7), (8, 12)])
def test_packed_weights_hold_each_weight_once(shape: tuple[int, int]) -> None:
    n, k = shape
    w = np.random.default_rng(n).integers(-128, 128, shape).astype(np.int8)
    groups, pairs = -(-k // 4), -(-n // 2)
    words = packed(w)
    assert words.shape == (2 * groups * pairs,)
    halves = words.view(np.int16).astype(np.int32)
    low, high = (halves & 0xFF) - 128, halves >> 8
    for channel in range(n):
        tile = channel // 4 * 8 * groups
        stride = 8 if channel // 4 * 2 + 1 < pairs else 4
        for i in range(k):
            at = tile + i // 4 * stride + channel // 2 % 2 * 4 + (0, 2, 1, 3)[i % 4]
            assert (high if channel % 2 else low)[at] == w[channel, i]


def test_heavy_weights_are_summed_in_blocks() -> None:
    assert block(np.full((2, 512), 127, np.int8)) == 512
    assert block(np.full((2, 640), 127, np.int8)) == 508


def test_what_tflite_does_not_define_is_refused() -> None:
    x, w = int8("x", (1, 2)), weights([[1, 2]])
    with pytest.raises(UnsupportedError, match="weights format 1"):
        OPERATOR.attributes({**OPTIONS, "weights_format": 1}, (), ())
    with pytest.raises(UnsupportedError, match="activation 4"):
        OPERATOR.attributes({**OPTIONS, "activation": 4}, (), ())
    with pytest.raises(ModelError, match="does not fit weights"):
        call_of(int8("x", (1, 3)), w)
    with pytest.raises(ModelError, match="last axis of 4"):
        call_of(int8("x", (2, 2)), weights([[1, 2, 3, 4]]), keep=True)
    with pytest.raises(UnsupportedError, match="zero point 0"):
        OPERATOR.check(call_of(x, replace(w, quant=Quant((1.0,), (3,)))))
    with pytest.raises(UnsupportedError, match="one scale"):
        OPERATOR.check(call_of(x, replace(w, quant=Quant((1.0, 2.0), (0, 0)))))
    with pytest.raises(UnsupportedError, match="bias"):
        OPERATOR.check(call_of(x, w, bias([1, 2])))
    with pytest.raises(UnsupportedError, match="overflow"):
        OPERATOR.check(call_of(x, w, bias([2**31 - 1])))


def probe(random: np.random.Generator, scales: Array, x: float, y: float) -> tuple[list[Any], Tensor]:
    """Biases on rounding ties, and the inputs and output of a layer that shows them."""
    count = 1000
    w = weights(np.ones((count, 1)), scales)
    call = call_of(int8("x", (1, 1), x), w, y=y)
    half = random.integers(-120, 120, count) + 0.5
    near = np.rint(half / effective_scales(call)) + random.integers(-1, 2, count)
    b = bias(np.clip(near, -(2**30), 2**30).astype(np.int32), x * scales[0])
    return [call.x, w, b], call.y


@pytest.mark.oracle
@pytest.mark.parametrize("engine", ["tflm", "litert"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_ties_are_exact(engine: str, per_channel: bool, oracles: Any) -> None:
    random = np.random.default_rng(4)
    for whole in (False, True):
        scales = random.integers(1, 400, 1000).astype(float) if whole else 10 ** random.uniform(-5, -2, 1000)
        for x, y in ((1.0, 30.0), (1.0, 210.0)) if whole else ((0.03, 0.4), (0.7, 0.1)):
            inputs, output = probe(random, scales if per_channel else scales[:1], x, y)
            case = oracles.single(OPERATOR, inputs, [output], OPTIONS, [np.zeros((1, 1), np.int8)])
            found = OPERATOR.reference(case.call, case.values, find(engine))[0]
            np.testing.assert_array_equal(found, oracles.run(engine, case.model, case.given())[0])
