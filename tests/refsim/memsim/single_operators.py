"""Single operators of random sizes, and which input rows each of their output rows needs.

That is written here again, from the meaning of each operator: windows by their taps, operators that move elements by
what NumPy does to an array of row numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

from refsim.builder import Builder
from refsim.graph import Array, Graph, Tensor

QUANT = (0.05, -3)
Needs = list[set[int]]  # by output row: the input rows that it is computed from


@dataclass(frozen=True)
class Case:
    """One operator: what each output row needs of each input, and whether slack may be tight for it."""

    graph: Graph
    needs: tuple[Needs, ...]
    exact: bool = True


def rows_in(labels: Array, y: Tensor) -> Needs:
    """From an array of y's shape that says of each element which input row it comes from; -1 for none."""
    return [set(row[row >= 0].tolist()) for row in labels.reshape(y.rows, -1)]


def labels(t: Tensor) -> Array:
    """The tensor with each element replaced by the number of its row."""
    return np.repeat(np.arange(t.rows), t.elements // t.rows).reshape(t.shape)


def window(x: Tensor, y: Tensor, size: int, stride: int, dilation: int, padding: str) -> Needs:
    """TensorFlow's: SAME gives ceil(height / stride) rows, and pads by what is missing, the odd row below."""
    batch, height, _, _ = x.shape
    missing = (y.shape[1] - 1) * stride + (size - 1) * dilation + 1 - height
    top = max(0, missing) // 2 if padding == "same" else 0
    found: Needs = []
    for image in range(batch):
        for row in range(y.shape[1]):
            taps = (row * stride - top + tap * dilation for tap in range(size))
            found.append({image * height + tap for tap in taps if 0 <= tap < height})
    return found


class Cases:
    """Draws one operator with its sizes."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)
        self.b = Builder(f"case {seed}", seed=seed)
        height, width = self.draw.choice(((9, 3), (6, 4), (12, 1), (5, 5), (7, 2)))
        shape = (self.draw.choice((1, 1, 2)), height, width, self.draw.randint(2, 6))
        self.x = self.b.input(shape, QUANT)

    def case(self, y: Tensor, *needs: Needs, exact: bool = True) -> Case:
        return Case(self.b.build(y), needs, exact)

    def windowed(self, make: Callable[..., Tensor], **more: object) -> Case:
        size, stride = self.draw.choice((1, 2, 3, 5)), self.draw.choice((1, 1, 2, 3))
        dilation = self.draw.choice((1, 1, 2)) if "quant" in more else 1
        fits = (size - 1) * dilation < self.x.shape[1]
        padding = self.draw.choice(("same", "valid")) if fits else "same"
        dilated = {"dilation": (dilation, 1)} if dilation > 1 else {}
        kernel = (size, self.draw.randint(1, min(2, self.x.shape[2])))
        y = make(self.x, kernel=kernel, stride=(stride, 1), padding=padding, **more, **dilated)
        return self.case(y, window(self.x, y, size, stride, dilation, padding), exact=dilation == 1)

    def conv2d(self) -> Case:
        def conv2d(x: Tensor, **window: object) -> Tensor:
            return self.b.conv2d(x, self.draw.randint(1, 8), **window)

        return self.windowed(conv2d, quant=QUANT)

    def depthwise_conv2d(self) -> Case:
        return self.windowed(self.b.depthwise_conv2d, quant=QUANT, multiplier=self.draw.choice((1, 1, 2)))

    def max_pool_2d(self) -> Case:
        return self.windowed(lambda x, kernel, **window: self.b.max_pool_2d(x, kernel, **window))

    def average_pool_2d(self) -> Case:
        return self.windowed(lambda x, kernel, **window: self.b.average_pool_2d(x, kernel, **window))

    def pointwise(self) -> Case:
        channels = self.draw.choice((1, 2, 4, 12, 24))
        y = self.b.conv2d(self.x, channels, 1, quant=QUANT)
        return self.case(y, rows_in(labels(self.x)[..., :1].repeat(channels, 3), y))

    def add(self) -> Case:
        z = self.b.input(self.x.shape, QUANT)
        y = self.draw.choice((self.b.add, self.b.mul))(self.x, z, quant=QUANT)
        return self.case(y, rows_in(labels(self.x), y), rows_in(labels(z), y))

    def relu(self) -> Case:
        y = self.draw.choice((self.b.relu, self.b.relu6, self.b.quantize))(self.x, quant=(0.1, 3))
        return self.case(y, rows_in(labels(self.x), y))

    def dequantize(self) -> Case:
        y = self.b.dequantize(self.x)
        return self.case(y, rows_in(labels(self.x), y))

    def softmax(self) -> Case:
        y = self.b.softmax(self.x)
        return self.case(y, rows_in(labels(self.x), y))

    def pad(self) -> Case:
        around = [(self.draw.randint(0, 1), 0), *((self.draw.randint(0, 3), self.draw.randint(0, 3)) for _ in range(3))]
        y = self.b.pad(self.x, [*around[:3], (0, self.draw.randint(1, 3))])
        whole = [*around[:3], (0, y.shape[3] - self.x.shape[3])]
        return self.case(y, rows_in(np.pad(labels(self.x), whole, constant_values=-1), y))

    def concatenation(self) -> Case:
        axis = self.draw.randrange(4)
        shape = list(self.x.shape)
        shape[axis] = self.draw.randint(1, 5)
        z = self.b.input(tuple(shape), QUANT)
        y = self.b.concatenation([self.x, z], axis)
        nothing = [np.full(t.shape, -1) for t in (self.x, z)]
        first = np.concatenate([labels(self.x), nothing[1]], axis)
        second = np.concatenate([nothing[0], labels(z)], axis)
        return self.case(y, rows_in(first, y), rows_in(second, y))

    def strided_slice(self) -> Case:
        _, height, width, channels = self.x.shape
        step = self.draw.choice((1, 2, 3))
        cut = (
            slice(None),
            slice(self.draw.randint(0, height - 3), None, step),
            slice(self.draw.randrange(width), None),
            slice(0, self.draw.randint(1, channels)),
        )
        y = self.b.strided_slice(self.x, *cut)
        return self.case(y, rows_in(labels(self.x)[cut], y))

    def transpose(self) -> Case:
        perm = (0, 3, 1, 2) if self.x.shape[2] == 1 else self.draw.choice(((0, 1, 3, 2), (0, 2, 1, 3), (0, 3, 1, 2)))
        y = self.b.transpose(self.x, perm)
        return self.case(y, rows_in(labels(self.x).transpose(perm), y))

    def drawn(self) -> Case:
        windows = (self.conv2d, self.conv2d, self.depthwise_conv2d, self.max_pool_2d, self.average_pool_2d)
        elements = (self.pointwise, self.pointwise, self.add, self.relu, self.dequantize, self.softmax)
        moves = (self.pad, self.concatenation, self.strided_slice, self.transpose)
        return self.draw.choice((*windows, *elements, *moves))()
