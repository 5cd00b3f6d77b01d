"""DEPTHWISE_CONV_2D against a scalar transcription of its definition, against live engines, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Array, Call, Quant, Tensor
from refsim.int8ops import convolution, fixedpoint
from refsim.int8ops.convolution import WindowAttributes
from refsim.int8ops.depthwise_conv2d import OPERATOR, SCRATCH
from refsim.int8ops.numerics import LITERT, TFLM

OPTIONS = {
    "padding": 0,
    "stride_w": 1,
    "stride_h": 1,
    "activation": 0,
    "dilation_w": 1,
    "dilation_h": 1,
    "depth_multiplier": 0,
}


def quant(scale: float, zero_point: int = 0) -> Quant:
    return Quant((float(np.float32(scale)),), (zero_point,))


def tensors(
    shape: tuple[int, ...], kernel: tuple[int, int], multiplier: int, pick: np.random.Generator, bias: bool = True
) -> tuple[Tensor, Tensor, Tensor | None]:
    """x, w per channel, and a bias that reaches about as far as the products do."""
    channels = shape[3] * multiplier
    w_shape = (1, *kernel, channels)
    scales = tuple((0.01 * 10 ** pick.uniform(-2, 0, channels)).astype(np.float32).tolist())
    w = Tensor(
        "w", w_shape, "int8", Quant(scales, (0,) * channels, 3), pick.integers(-128, 128, w_shape).astype(np.int8)
    )
    b = Tensor("b", (channels,), "int32", None, pick.integers(-20000, 20000, channels).astype(np.int32))
    return Tensor("x", shape, "int8", quant(0.05, int(pick.integers(-128, 128)))), w, b if bias else None


def random_call(seed: int) -> tuple[Call, Array]:
    pick = np.random.default_rng(seed)
    size = [int(v) for v in pick.integers(1, 8, 2)]
    x, w, b = tensors(
        (int(pick.integers(1, 3)), *size, int(pick.integers(1, 7))),
        (int(pick.integers(1, 4)), int(pick.integers(1, 4))),
        int(pick.integers(1, 4)),
        pick,
        bias=seed % 3 > 0,
    )
    options = {
        **OPTIONS,
        "stride_w": int(pick.integers(1, 4)),
        "stride_h": int(pick.integers(1, 4)),
        "activation": int(pick.integers(0, 4)),
        "dilation_w": int(pick.integers(1, 3)),
        "dilation_h": int(pick.integers(1, 3)),
    }
    attributes = OPERATOR.attributes(options, (x, w, b), ())
    y = Tensor("y", OPERATOR.infer((x, w, b), attributes)[0], "int8", quant(0.1, int(pick.integers(-128, 128))))
    return Call((x, w, b), (y,), attributes), pick.integers(-128, 128, x.shape).astype(np.int8)


def values(call: Call, x: Array) -> list[Array | None]:
    return [x, *(None if t is None else t.data for t in call.inputs[1:])]


def one_output(call: Call, x: Array, n: int, oy: int, ox: int, o: int) -> int:
    """One element by the definition, in Python's integers."""
    w, b, a = call.inputs[1], call.inputs[2], call.attributes
    assert w is not None and w.data is not None and w.quant is not None
    acc = 0 if b is None or b.data is None else int(b.data[o])
    for ky, kx in np.ndindex(*w.shape[1:3]):
        iy = oy * a.stride_h - a.pad_top + ky * a.dilation_h
        ix = ox * a.stride_w - a.pad_left + kx * a.dilation_w
        if 0 <= iy < x.shape[1] and 0 <= ix < x.shape[2]:
            pixel = int(x[n, iy, ix, o * x.shape[3] // w.shape[3]]) - call.x.zero_point
            acc += pixel * int(w.data[0, ky, kx, o])
    real = call.x.scale * w.quant.scale[o % len(w.quant.scale)] / call.y.scale
    scaled = int(fixedpoint.multiply(acc, *fixedpoint.quantize_multiplier(real)))
    low, high = fixedpoint.activation_bounds(a.activation, call.y.scale, call.y.zero_point, "int8")
    return max(low, min(high, scaled + call.y.zero_point))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_every_element_follows_the_definition(seed: int) -> None:
    call, x = random_call(seed)
    y = OPERATOR.reference(call, values(call, x), TFLM)[0]
    expected = np.array([one_output(call, x, *index) for index in np.ndindex(*y.shape)]).reshape(y.shape)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.oracle
@pytest.mark.parametrize("engine", ["tflm", "litert"])
def test_live_engines_agree_to_the_bit(engine: str, oracles: Any) -> None:
    numerics = {"tflm": TFLM, "litert": LITERT}[engine]
    for seed in range(30):
        call, x = random_call(seed)
        if call.inputs[2] is None:
            continue  # the goldens have what the engines take of these
        a = call.attributes
        options = {key: getattr(a, key) for key in OPTIONS if hasattr(a, key)}
        if options["stride_h"] != options["stride_w"]:
            continue  # the engines want equal strides
        options |= {"padding": 0, "depth_multiplier": call.y.shape[3] // x.shape[3]}
        made = oracles.single(OPERATOR, call.inputs, call.outputs, options, [x])
        ours = OPERATOR.reference(made.call, made.values, numerics)[0]
        np.testing.assert_array_equal(ours, oracles.run(engine, made.model, made.given())[0], err_msg=f"seed {seed}")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.data())
def test_rows_that_are_not_needed_change_nothing(seed: int, data: st.DataObject) -> None:
    call, x = random_call(seed)
    begin = data.draw(st.integers(0, call.y.rows - 1))
    end = data.draw(st.integers(begin + 1, call.y.rows))
    low, high = OPERATOR.input_rows(call, 0, (begin, end))
    other = ~x.reshape(call.x.rows, -1)
    other[low:high] = x.reshape(call.x.rows, -1)[low:high]
    answers = [OPERATOR.reference(call, values(call, v.reshape(x.shape)), TFLM)[0] for v in (x, other)]
    first, second = (y.reshape(call.y.rows, -1)[begin:end] for y in answers)
    np.testing.assert_array_equal(first, second)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_channels_called_constant_are(seed: int) -> None:
    call, x = random_call(seed)
    w, b = call.inputs[1], call.inputs[2]
    assert w is not None and w.data is not None
    if b is not None and b.data is not None:
        b = replace(b, data=b.data * 100)
    call = replace(call, inputs=(call.x, w, b))
    found = convolution.channels(call, w.data.reshape(-1, w.shape[3]).T, 0)
    for extreme in (x, np.full_like(x, 127), np.full_like(x, -128)):
        y = OPERATOR.reference(call, values(call, extreme), TFLM)[0]
        assert (y[..., found.still] == found.values[found.still]).all()


def test_padding_is_resolved_and_macs_are_counted() -> None:
    x, w, b = tensors((1, 5, 6, 2), (3, 2), 2, np.random.default_rng(0))
    same = OPERATOR.attributes({**OPTIONS, "stride_w": 2, "stride_h": 2}, (x, w, b), ())
    assert (same.pad_top, same.pad_bottom, same.pad_left, same.pad_right) == (1, 1, 0, 0)
    assert OPERATOR.infer((x, w, b), same) == ((1, 3, 3, 4),)
    y = Tensor("y", (1, 3, 3, 4), "int8", quant(0.1))
    assert OPERATOR.macs(Call((x, w, b), (y,), same)) == 3 * 3 * 4 * (3 * 2)


REFUSED = [
    ({0: {"dtype": "int16"}}, UnsupportedError, "'x' is int16: expected int8"),
    ({1: {"quant": Quant((0.1, 0.2), (0, 0), 3)}}, UnsupportedError, "expected one, or 4 along axis 3"),
    ({1: {"quant": Quant((0.1,) * 4, (0,) * 4, 0)}}, UnsupportedError, "scales along axis 0"),
    ({0: {"shape": (1, 5, 6, 3)}}, ModelError, "do not match the channels"),
    ({1: {"shape": (4, 3, 2, 1)}}, UnsupportedError, "expected one, or 1 along axis 3"),
    ({2: {"shape": (3,)}}, ModelError, "has 3 elements: expected 4"),
]


@pytest.mark.parametrize("changes, error, message", REFUSED, ids=[message for _, _, message in REFUSED])
def test_what_tflite_does_not_define_is_refused(changes: dict[int, Any], error: type, message: str) -> None:
    inputs = list(tensors((1, 5, 6, 2), (3, 2), 2, np.random.default_rng(0)))
    for index, change in changes.items():
        inputs[index] = replace(inputs[index], **change)  # type: ignore[type-var]
    y = Tensor("y", (1, 5, 6, 4), "int8", quant(0.1))
    with pytest.raises(error, match=message):
        OPERATOR.check(Call(tuple(inputs), (y,), WindowAttributes()))


def test_a_depth_multiplier_that_the_shapes_contradict_is_refused() -> None:
    x, w, b = tensors((1, 5, 6, 2), (3, 2), 2, np.random.default_rng(0))
    with pytest.raises(ModelError, match="depth multiplier 3"):
        OPERATOR.attributes({**OPTIONS, "depth_multiplier": 3}, (x, w, b), ())


def test_scratch_stays_small_for_wide_and_high_images() -> None:
    x, w, b = tensors((1, 200, 100, 1), (3, 3), 1, np.random.default_rng(0))
    attributes = OPERATOR.attributes(OPTIONS, (x, w, b), ())
    y = Tensor("y", x.shape, "int8", quant(0.1))
    kernel = OPERATOR.lower(Call((x, w, b), (y,), attributes), TFLM)
    assert kernel.literals["block_rows"] > 1
    assert kernel.scratch <= SCRATCH + 64
