"""Goldens of CONV_2D and DEPTHWISE_CONV_2D."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.make.case import Case, draws, ordinary
from golden.make.draws import Draws
from golden.make.model import Model, Operand, one_step, quantised
from golden.make.rounding import by_channel, single, ties

Array = NDArray[Any]
SAME, VALID = 0, 1
NONE, RELU, RELU_N1, RELU6 = 0, 1, 2, 3


@dataclass(frozen=True)
class Window:
    """A convolution in numbers: image N, H, W, C; `filters` are output channels (depthwise: the multiplier)."""

    image: tuple[int, int, int, int]
    filters: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: int = SAME
    activation: int = NONE
    bias: bool = True
    per_channel: bool = True
    x_zero: int = -128
    y_zero: int = 3
    w_exponents: tuple[int, ...] = (-8,)  # of the weight scales, in turn over the channels
    y_exponent: int = -4
    weight_limit: int = 127
    bias_limit: int = 4000


ORDINARY: dict[str, tuple[str, Window]] = {
    "pointwise": ("1x1 kernel", Window((1, 4, 5, 8), 16, (1, 1), padding=VALID)),
    "same_relu": ("3x3, SAME, RELU on an odd image", Window((1, 5, 7, 3), 4, activation=RELU, y_zero=-128)),
    "same_stride2_even": ("SAME, stride 2: all padding after", Window((1, 8, 8, 3), 5, stride=(2, 2), x_zero=4)),
    "same_stride2_odd": ("SAME, stride 2 on 7x5", Window((1, 7, 5, 4), 8, stride=(2, 2), x_zero=-1)),
    "valid_stride2": ("VALID, stride 2, a column left over", Window((1, 9, 8, 2), 3, stride=(2, 2), padding=VALID)),
    "rectangular": (
        "5x3 kernel, stride 1x2, RELU6",
        Window((1, 9, 10, 3), 4, (5, 3), (1, 2), activation=RELU6, y_zero=-128, y_exponent=-5),
    ),
    "even_kernel": ("2x2 kernel, SAME: one row after, none before", Window((1, 5, 6, 3), 4, (2, 2), x_zero=17)),
    "large_kernel": ("10x4 kernel, stride 2, one channel", Window((1, 25, 10, 1), 8, (10, 4), (2, 2), x_zero=83)),
    "dilation_same": ("dilation 2, SAME", Window((1, 9, 7, 3), 4, dilation=(2, 2), x_zero=-7)),
    "dilation_valid": ("dilation 3x2, VALID", Window((1, 11, 9, 2), 3, dilation=(3, 2), padding=VALID)),
    "batch2": ("two images", Window((2, 5, 4, 3), 6, stride=(2, 1), x_zero=9)),
    "no_bias": ("no third operand", Window((1, 6, 5, 4), 7, bias=False, x_zero=-3)),
    "relu_n1_to_1": ("RELU_N1_TO_1", Window((1, 5, 5, 3), 4, activation=RELU_N1, y_zero=-20, y_exponent=-6)),
    "relu6_clamped": ("RELU6 above the int8 range", Window((1, 5, 5, 3), 4, activation=RELU6, y_zero=100)),
    "per_tensor": ("one weight scale for all channels", Window((1, 6, 6, 4), 5, per_channel=False)),
    "one_pixel": ("3x3 kernel over a 1x1 image: eight taps of padding", Window((1, 1, 1, 5), 9, x_zero=40)),
    "kernel_beyond_image": ("5x5 kernel over 2x3, SAME", Window((1, 2, 3, 3), 4, (5, 5), x_zero=-60)),
    "odd_channels": ("13 channels to 7", Window((1, 4, 4, 13), 7, x_zero=127, y_zero=-128)),
    "single_column": ("5x1 kernel over a 12x1 image, VALID", Window((1, 12, 1, 8), 6, (5, 1), padding=VALID)),
    "tiny_multiplier": (
        "multipliers near 1e-9, biases over all of int32",
        Window((1, 4, 4, 3), 24, w_exponents=(-33, -32, -30), y_exponent=-8, bias_limit=2**31 - 2**20),
    ),
    "around_one": (
        "multipliers around 1",
        Window((1, 4, 5, 3), 8, w_exponents=(-2, -1, 0, 1), weight_limit=3, x_zero=2, bias_limit=300, y_exponent=-3),
    ),
    "left_shift": (
        "multipliers above 1, sums small enough to stay in int8",
        Window(
            (1, 6, 6, 1),
            16,
            (1, 1),
            padding=VALID,
            x_zero=2,
            w_exponents=(-2, -1, 0),
            y_exponent=-7,
            weight_limit=1,
            bias_limit=15,
        ),
    ),
    "mixed_scales": (
        "one tensor's channels from 2^-60 (multiplier 0) to 2^1",
        Window((1, 4, 4, 2), 12, w_exponents=(-60, -36, -28, -20, -12, -4, 1), weight_limit=5, bias_limit=2000),
    ),
}


def conv2d() -> Iterator[Case]:
    wide = Window((1, 8, 8, 16), 24, stride=(2, 2), w_exponents=(-9, -8), y_exponent=-3)
    for name, (text, window) in {**ORDINARY, "wide": ("16 channels to 24", wide)}.items():
        stream = draws("conv2d", name)
        case = ordinary(name, text, _conv2d(window, stream), stream)
        # LiteRT refuses int8 convolutions without a bias, tflite-micro takes both ways of leaving it out.
        yield case if window.bias else replace(case, engines=("tflm",))
        if not window.bias:
            step = replace(case.model.steps[0], inputs=(0, 1, -1))
            yield replace(case, name="absent_bias", model=replace(case.model, steps=(step,)), engines=("tflm",))
    yield from _probes("conv2d")


def depthwise_conv2d() -> Iterator[Case]:
    for name, (text, window) in {**DEPTHWISE, **ORDINARY}.items():
        multiplier = window.filters if name in DEPTHWISE or len(window.w_exponents) > 2 else 1
        stream = draws("depthwise_conv2d", name)
        yield ordinary(name, text, _depthwise(window, multiplier, stream), stream)
    yield from _probes("depthwise_conv2d")


DEPTHWISE: dict[str, tuple[str, Window]] = {
    "multiplier2": ("depth multiplier 2", Window((1, 6, 5, 4), 2, x_zero=5)),
    "multiplier3_batch2": ("depth multiplier 3, two images, stride 2", Window((2, 5, 5, 3), 3, stride=(2, 2))),
    "multiplier8_one_channel": ("one channel to eight", Window((1, 6, 6, 1), 8, (5, 3), activation=RELU, y_zero=-128)),
    "unequal_stride": ("stride 1x2, VALID", Window((1, 7, 8, 5), 1, stride=(1, 2), padding=VALID, x_zero=0)),
    "wide": ("40 channels", Window((1, 5, 5, 40), 1, w_exponents=(-8, -7))),
}


def _conv2d(window: Window, stream: Draws) -> Model:
    operands = _operands(window, stream, window.filters, (window.filters, *window.kernel, window.image[3]), 0)
    y = quantised(_out_shape(window, window.filters), stream.scale(window.y_exponent), window.y_zero)
    return one_step("CONV_2D", operands, y, _options(window))


def _depthwise(window: Window, multiplier: int, stream: Draws) -> Model:
    channels = window.image[3] * multiplier
    operands = _operands(window, stream, channels, (1, *window.kernel, channels), 3)
    y = quantised(_out_shape(window, channels), stream.scale(window.y_exponent), window.y_zero)
    return one_step("DEPTHWISE_CONV_2D", operands, y, {**_options(window), "DepthMultiplier": multiplier})


def _operands(
    window: Window, stream: Draws, channels: int, weights: tuple[int, ...], axis: int
) -> list[Operand | None]:
    exponents = window.w_exponents if window.per_channel else window.w_exponents[:1]
    count = channels if window.per_channel else 1
    scales = [stream.scale(exponents[n % len(exponents)]) for n in range(count)]
    x = quantised(window.image, stream.scale(-5), window.x_zero)
    limit = window.weight_limit
    w = quantised(weights, scales, 0, stream.integers(-limit, limit, weights, "int8"), axis)
    bias = stream.integers(-window.bias_limit, window.bias_limit, (channels,))
    b = quantised((channels,), [single(x.scale[0] * s) for s in w.scale], 0, bias)
    return [x, w, b] if window.bias else [x, w]


def _out_shape(window: Window, channels: int) -> tuple[int, ...]:
    sizes = []
    for length, size, stride, dilation in zip(
        window.image[1:3], window.kernel, window.stride, window.dilation, strict=True
    ):
        reach = (size - 1) * dilation + 1 if window.padding == VALID else 1
        sizes.append(-(-(length - reach + 1) // stride))
    return (window.image[0], *sizes, channels)


def _options(window: Window) -> dict[str, int]:
    return {
        "Padding": window.padding,
        "StrideW": window.stride[1],
        "StrideH": window.stride[0],
        "FusedActivationFunction": window.activation,
        "DilationWFactor": window.dilation[1],
        "DilationHFactor": window.dilation[0],
    }


def _probes(op: str) -> Iterator[Case]:
    for name, exponent, text in (
        ("tie_probe", -23, "multipliers 1e-7 to 5e-7; biases at (k + 1/2) / multiplier and beside"),
        ("tie_probe_middle", -14, "multipliers 6e-5 to 2.4e-4; biases at (k + 1/2) / multiplier and beside"),
    ):
        stream = draws(op, name)
        reals_scales = stream.scales(exponent, 480)
        yield _probe(op, name, text, reals_scales, 1.0, stream)
    yield _probe(op, "exact_ties", "power-of-two scales, so that ties are exact", (2.0**-9, 2.0**-12) * 240, 1.0, None)


def _probe(op: str, name: str, text: str, scales: tuple[float, ...], y_scale: float, stream: Draws | None) -> Case:
    """A 1x1 window over one channel: acc[p, c] = bias[c] + (x[p] - zero) * w[c], |w| <= 2, first with x at its zero."""
    channels, zero = len(scales), -5
    stream = stream or draws(op, name)
    steps = stream.integers(-120, 119, (channels,))
    nudges = stream.integers(-1, 1, (channels,))
    x_scale = 0.5 if name == "exact_ties" else stream.scale(-1)
    reals = [x_scale * scale / y_scale for scale in scales]
    bias = np.array([ties(real, step, int(n)) for real, step, n in zip(reals, steps, nudges, strict=True)], np.int32)
    w = stream.integers(-2, 2, (channels,), "int8")
    depthwise = op == "depthwise_conv2d"
    shape, axis = ((1, 1, 1, channels), 3) if depthwise else ((channels, 1, 1, 1), 0)
    operands = [
        quantised((1, 1, 4, 1), x_scale, zero),
        quantised(shape, scales, 0, w.reshape(shape), axis),
        quantised((channels,), [single(x_scale * s) for s in scales], 0, bias),
    ]
    y = quantised((1, 1, 4, channels), y_scale, 2)
    options = {"StrideW": 1, "StrideH": 1} | ({"DepthMultiplier": channels} if depthwise else {})
    model = one_step(op.upper().replace("CONV2D", "CONV_2D"), operands, y, options)
    x = np.array([[0, 0, 0, 0], [1, -1, 2, 3], [-2, 4, 9, -9]]) + zero
    acc = bias.astype(np.int64) + (x[:, :, None] - zero) * w.astype(np.int64)
    rules = {rule: [y.reshape(3, 1, 1, 4, channels)] for rule, y in by_channel(acc, reals, 2).items()}
    return Case(name, text, model, [[v.astype(np.int8).reshape(1, 1, 4, 1)] for v in x], rules)
