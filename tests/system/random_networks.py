"""Draws small networks of random shapes and operators."""

from __future__ import annotations

import random

from refsim.builder import Builder
from refsim.graph import Graph, Tensor

MOST = 24_000  # elements of a tensor, so that a network takes little time


class Maker:
    """Draws one network; `random.Random(seed)` with integers only, so that a seed means the same everywhere."""

    channels = 20  # of a convolution, at most

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.b = Builder(f"random {seed}", seed=seed)

    def quant(self) -> tuple[float, int]:
        return self.draw.randint(1, 400) / 2048, self.draw.choice((-128, -5, 0, 3, 127))

    def activation(self) -> str:
        return self.draw.choice(("none", "relu", "relu6", "relu_n1_to_1"))

    def pair(self, most: int) -> tuple[int, int]:
        return self.draw.randint(1, most), self.draw.randint(1, most)

    def window(self, x: Tensor) -> dict[str, object]:
        kernel = self.draw.choice(((1, 1), (3, 3), (5, 5), (1, 7), (4, 1), (2, 3), self.pair(6)))
        fits = kernel[0] <= x.shape[1] and kernel[1] <= x.shape[2]
        return {
            "kernel": kernel,
            "stride": self.draw.choice((1, 1, 2, self.pair(3))),
            "padding": self.draw.choice(("same", "valid")) if fits else "same",
            "dilation": self.draw.choice((1, 1, 1, 2)) if not fits or max(kernel) <= 3 < min(x.shape[1:3]) // 2 else 1,
            "bias": self.draw.random() < 0.8,
        }

    def conv2d(self, x: Tensor) -> Tensor:
        w = self.window(x)
        count = self.draw.randint(1, self.channels)
        return self.b.conv2d(x, count, w.pop("kernel"), activation=self.activation(), quant=self.quant(), **w)

    def pointwise(self, x: Tensor) -> Tensor:
        return self.b.conv2d(x, 4 * self.draw.randint(1, 9), 1, activation=self.activation(), quant=self.quant())

    def depthwise(self, x: Tensor) -> Tensor:
        w = self.window(x)
        multiplier = self.draw.choice((1, 1, 1, 2, 3)) if x.shape[3] <= 16 else 1
        return self.b.depthwise_conv2d(
            x, w.pop("kernel"), multiplier=multiplier, activation=self.activation(), quant=self.quant(), **w
        )

    def add(self, x: Tensor) -> Tensor:
        return self.b.add(x, self.pointwise_like(x), activation=self.activation(), quant=self.quant())

    def mul(self, x: Tensor) -> Tensor:
        return self.b.mul(x, self.pointwise_like(x), quant=self.quant())

    def concatenation(self, x: Tensor) -> Tensor:
        axis = self.draw.choice((1, 2, 3, -1))
        return self.b.concatenation([x, x, x][: self.draw.randint(1, 3)], axis=axis)

    def pointwise_like(self, x: Tensor) -> Tensor:
        return self.b.conv2d(x, x.shape[3], 1, quant=self.quant())

    def pad(self, x: Tensor) -> Tensor:
        return self.b.pad(x, ((0, 0), self.pair(2), self.pair(3), self.draw.choice(((0, 0), (1, 2)))))

    def pool(self, x: Tensor) -> Tensor:
        size = (self.draw.randint(1, min(4, x.shape[1])), self.draw.randint(1, min(4, x.shape[2])))
        make = self.draw.choice((self.b.average_pool_2d, self.b.max_pool_2d))
        return make(x, size, stride=self.draw.choice((1, 2)), padding=self.draw.choice(("same", "valid")))

    def relu(self, x: Tensor) -> Tensor:
        return self.draw.choice((self.b.relu, self.b.relu6))(x, quant=self.quant())

    def requantize(self, x: Tensor) -> Tensor:
        return self.b.quantize(x, quant=self.quant())

    def transpose(self, x: Tensor) -> Tensor:
        return self.b.transpose(x, (0, *self.draw.sample((1, 2, 3), 3)))

    def network(self) -> Graph:
        height, width = self.pair(17)
        x = self.b.input((self.draw.choice((1, 1, 1, 2)), height, width, self.draw.randint(1, 13)), quant=self.quant())
        bodies = (self.conv2d, self.pointwise, self.depthwise, self.add, self.mul, self.concatenation, self.pad)
        bodies += (self.pool, self.relu, self.requantize, self.transpose)
        for _ in range(self.draw.randint(1, 6)):
            y = self.draw.choice(bodies)(x)
            x = y if y.elements <= MOST else x
        return self.b.build(self.head(x))

    def head(self, x: Tensor) -> Tensor:
        kind = self.draw.randrange(4)
        if kind == 0:
            return self.b.mean(x, self.draw.choice(((1, 2), (1,), (2, 3))), quant=self.quant())
        flat = self.b.reshape(x, (x.shape[0], x.elements // x.shape[0]))
        if kind == 1 and flat.shape[1] < 512:  # beyond, the engines abort
            return self.b.softmax(flat)
        y = self.b.fully_connected(flat, self.draw.randint(1, 17), activation=self.activation(), quant=self.quant())
        return self.b.softmax(y) if kind == 2 else self.b.dequantize(y)
