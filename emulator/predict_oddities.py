"""What searches seldom try: every operator, windows of all sizes, batches, weights and scales out of the ordinary.

Predictions are fitted to these too, so that no path of a kernel is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import numpy as np

from emulator.predict_networks import Drawn
from refsim.graph import Graph, Tensor

SIZE = 40_000  # elements of a tensor, at most


def odd_network(seed: int) -> Graph:
    """The network of a seed: a few operators in a row."""
    d = Drawn(f"odd {seed}", Random(f"odd {seed}"))
    size = d.draw.randint(6, 24)
    x = d.b.input((d.draw.choice((1, 1, 2)), size, d.draw.randint(6, 24), d.width(1, 24)), quant=d.linear())
    for _ in range(d.draw.randint(4, 9)):
        y = d.draw.choice(ODD)(d, x)
        if min(y.shape[1:3]) > 0 and y.elements <= SIZE:
            x = y
    x = d.b.reshape(x, (x.shape[0], x.elements // x.shape[0]))
    if x.shape[1] > 4096:
        return d.b.build(d.b.dequantize(x))
    return d.b.build(d.b.dequantize(d.b.softmax(d.fully_connected(x, d.draw.randint(2, 40)))))


def _odd_conv(d: Drawn, x: Tensor) -> Tensor:
    kernel = d.draw.choice(((1, 1), (2, 2), (4, 4), (1, 5), (7, 1), (3, 2)))
    fits = kernel[0] <= x.shape[1] and kernel[1] <= x.shape[2]
    padding = d.draw.choice(("same", "valid")) if fits else "same"
    activation = d.draw.choice(("none", "relu", "relu6", "relu_n1_to_1"))
    stride, dilation = d.draw.choice((((1, 1), 1), ((2, 2), 1), ((3, 3), 1), ((1, 2), 1), ((1, 1), 2)))
    if dilation > 1:
        padding = "same"
    return d.b.conv2d(x, d.draw.randint(1, 40), kernel, stride=stride, dilation=dilation, padding=padding,
                      activation=activation, quant=d.linear())  # fmt: skip


def _odd_depthwise(d: Drawn, x: Tensor) -> Tensor:
    kernel, stride = d.draw.choice((1, 2, 3, 4, (1, 5), (5, 1), (3, 5), (9, 9), 3)), d.draw.choice((1, 2, 3))
    dilation = d.draw.choice((1, 1, 2)) if stride == 1 else 1
    multiplier = d.draw.choice((1, 1, 2)) if x.shape[3] <= 24 else 1
    activation = d.draw.choice(("none", "relu", "relu6", "relu_n1_to_1"))
    return d.b.depthwise_conv2d(x, kernel, stride=stride, dilation=dilation, multiplier=multiplier,
                                activation=activation, quant=d.linear())  # fmt: skip


def _deep(d: Drawn, x: Tensor) -> Tensor:
    """So many products that pairs of weights do not fit."""
    kernel, least = d.draw.choice(((3, 130), (3, 200), (5, 46), (5, 130), (1, 1040)))
    y = d.conv(x, d.draw.randint(least, least * 5 // 4), 1, d.draw.choice((2, 3)))
    if y.elements > 10_000:
        return x
    return d.b.conv2d(y, d.draw.randint(4, 40), kernel, stride=d.draw.choice((1, 2)), padding="same", quant=d.linear())


def _crowded(d: Drawn, x: Tensor) -> Tensor:
    """Weights of -128, which do not pair with a negative one."""
    shape = (d.draw.randint(2, 40), *d.draw.choice(((1, 1), (2, 2), (3, 3))), x.shape[3])
    w = (np.arange(math.prod(shape)) * 37 % 255 - 127).astype(np.int8).reshape(shape)
    w[::2, 0, 0, 0], w[1::2, 0, 0, 0] = -1, -128
    activation, stride = d.draw.choice(("none", "relu", "relu6")), d.draw.choice((1, 1, 2))
    return d.b.conv2d(x, weights=w, weight_scale=0.01, stride=stride, activation=activation, quant=d.linear())


def _steep(d: Drawn, x: Tensor) -> Tensor:
    """An output scale so small that outputs are requantised in the general way."""
    quant = (1 / 65536, 0)
    return d.b.conv2d(x, x.shape[3], 3, quant=quant) if d.draw.random() < 0.5 else d.b.depthwise_conv2d(x, quant=quant)


def _gated(d: Drawn, x: Tensor) -> Tensor:
    gate = d.b.mean(x, (1, 2), keep_dims=True, quant=d.linear())
    join = d.draw.choice((d.b.mul, d.b.mul, d.b.add))
    return join(x, d.conv(gate, x.shape[3], 1, 1, "relu6"), quant=d.linear())


def _pieces(d: Drawn, x: Tensor) -> Tensor:
    count = d.draw.choice([n for n in (1, 2, 3, 4) if x.shape[3] % n == 0])
    parts = list(d.b.split(x, count, axis=3))
    return d.b.concatenation(
        [*reversed(parts), d.b.strided_slice(x, slice(None), slice(None), slice(None), slice(0, 1))]
    )


ODD: tuple[Callable[[Drawn, Tensor], Tensor], ...] = (
    *(_odd_conv, _odd_depthwise) * 3,
    *(_deep, _deep, _deep, _crowded, _crowded, _steep, _gated, _pieces),
    lambda d, x: d.b.relu(x, quant=d.linear()),
    lambda d, x: d.b.quantize(x, quant=d.linear()),
    lambda d, x: d.b.pad(x, ((0, 0), (1, 1), (d.draw.randint(0, 3), 1), (0, d.draw.choice((0, 0, 3))))),
    lambda d, x: d.b.transpose(x, (0, *d.draw.sample((1, 2, 3), 3))),
    lambda d, x: d.b.mul(x, x, quant=d.linear()),
    lambda d, x: d.b.add(x, x, activation="relu", quant=d.linear()),
    lambda d, x: d.b.average_pool_2d(x, d.draw.choice((2, 3)), stride=d.draw.choice((1, 2)), padding="same"),
    lambda d, x: d.b.max_pool_2d(x, d.draw.choice((2, 3)), stride=d.draw.choice((1, 2)), padding="same"),
    lambda d, x: d.b.slice(x, (0, 0, 0, 0), (-1, -1, -1, max(1, x.shape[3] - 1))),
)
