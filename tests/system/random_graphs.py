"""Draws small graphs of every form that memory planning has to cope with: branches that join, pieces of pieces, long
skips, several inputs and outputs, odd, flat and tall tensors, batches of two."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refsim.graph import Graph, Shape, Tensor
from tests.system.random_networks import Maker

Unary = Callable[[Tensor], Tensor]


class Grower(Maker):
    """Draws one graph from a pool of tensors, each of which may be read any number of times."""

    channels = 9
    elements = 600  # of a tensor, at most

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.house = super().quant()  # of most tensors, so that they may be joined without copies
        self.pool: list[Tensor] = []

    def quant(self) -> tuple[float, int]:
        return self.house if self.draw.random() < 0.7 else super().quant()

    def chance(self, one_in: int) -> bool:
        return self.draw.randrange(one_in) == 0

    def graph(self) -> Graph:
        self.keep(self.b.input(self.shape(), self.quant()))
        for _ in range(self.draw.randint(2, 9)):
            self.grow()
        return self.b.build(self.ends())

    def shape(self) -> Shape:
        channels = self.draw.randint(1, 7)
        return self.draw.choice(
            (
                (1, *self.pair(9), channels),
                (1, *self.pair(9), channels),
                (1, 4, 4, channels),
                (1, 40, 3, self.draw.randint(1, 2)),
                (1, 1, self.draw.randint(1, 17), channels),
                (2, *self.pair(6), self.draw.randint(1, 4)),
            )
        )

    def keep(self, *tensors: Tensor) -> None:
        self.pool += [t for t in tensors if t.elements <= self.elements]

    def grow(self) -> None:
        kinds: tuple[Callable[[], None], ...] = (self.computed, self.computed, self.computed, self.residual)
        kinds += (self.towers, self.towers, self.pieces, self.pieces, self.reshaped, self.skip, self.another_input)
        kinds += (self.floats, self.flat)
        self.draw.choice(kinds)()

    def recent(self, image: bool = True) -> Tensor:
        """A tensor of the pool, most often a late one; int8, and of four axes if it is to be an `image`."""
        fit = [t for t in self.pool if t.dtype == "int8" and (len(t.shape) == 4 or not image)]
        return fit[-1] if self.draw.random() < 0.6 else self.draw.choice(fit)

    def computed(self) -> None:
        bodies: tuple[Unary, ...] = (self.conv2d, self.shrunk, self.expanded, self.depthwise, self.add, self.mul)
        bodies += (self.pad, self.pool_2d, self.relu, self.requantize, self.transpose, self.concatenation, self.tall)
        self.keep(self.draw.choice(bodies)(self.recent()))

    def pool_2d(self, x: Tensor) -> Tensor:
        return super().pool(x)

    def shrunk(self, x: Tensor) -> Tensor:
        return self.b.conv2d(x, self.draw.randint(1, max(1, x.shape[3] // 2)), 1, quant=self.quant())

    def expanded(self, x: Tensor) -> Tensor:
        return self.b.conv2d(x, x.shape[3] * self.draw.randint(2, 4), 1, activation="relu6", quant=self.quant())

    def tall(self, x: Tensor) -> Tensor:
        """A window that is moved by more rows than it has, or much higher than wide."""
        kernel = (self.draw.randint(1, min(5, x.shape[1])), 1)
        return self.b.depthwise_conv2d(x, kernel, stride=(3, 1), padding="valid", quant=self.quant())

    def same(self, x: Tensor) -> Tensor:
        """Something of x's shape and, where x has it, the house's quantisation."""
        bodies: tuple[Unary, ...] = (
            lambda x: self.b.conv2d(x, x.shape[3], self.draw.choice((1, 3, (1, 5))), quant=self.house),
            lambda x: self.b.depthwise_conv2d(
                x, self.draw.choice((3, (5, 1), 2)), dilation=self.draw.choice((1, 2)), quant=self.house
            ),
            lambda x: self.b.max_pool_2d(x, 3, stride=1, padding="same"),
            lambda x: self.b.average_pool_2d(x, (2, 3), stride=1, padding="same"),
            lambda x: self.b.relu(x, quant=self.house),
            lambda x: x,
        )
        y = self.draw.choice(bodies)(x)
        return self.draw.choice(bodies)(y) if self.chance(3) else y

    def residual(self) -> None:
        """x + f(x), or x gated by one number a channel."""
        x = self.recent()
        if self.chance(3):
            gate = self.b.mean(x, (1, 2), keep_dims=True, quant=self.quant())
            self.keep(self.b.mul(x, self.b.conv2d(gate, x.shape[3], 1, quant=self.quant()), quant=self.quant()))
        else:
            self.keep(self.b.add(x, self.same(x), activation=self.activation(), quant=self.quant()))

    def towers(self) -> None:
        """Two or three branches from one tensor, joined again."""
        x, axis = self.recent(), self.draw.choice((1, 2, 3))
        branches = [self.same(x) for _ in range(self.draw.randint(2, 3))]
        if self.chance(3):
            self.keep(self.draw.choice((self.b.add, self.b.mul))(*branches[:2], quant=self.quant()))
        else:
            self.join([self.resized(t, axis) for t in branches], axis)

    def resized(self, x: Tensor, axis: int) -> Tensor:
        """x, or something of another length along the axis."""
        if self.chance(2):
            return x
        if axis == 3:
            return self.b.conv2d(x, self.draw.randint(1, 5), 1, quant=self.house)
        size = self.draw.randint(1, x.shape[axis])
        kernel, stride = ((size, 1), (2, 1)) if axis == 1 else ((1, size), (1, 2))
        return self.b.max_pool_2d(x, kernel, stride=stride, padding="valid")

    def join(self, tensors: Sequence[Tensor], axis: int) -> None:
        """Concatenated, those of another quantisation converted first."""
        target = tensors[0].quant
        self.keep(self.b.concatenation([t if t.quant == target else self.b.quantize(t, target) for t in tensors], axis))

    def pieces(self) -> None:
        """Slices of one tensor, some of them joined again, some the inputs of something else."""
        x = self.recent(image=False)
        axis = self.draw.randrange(len(x.shape))
        kind, length = self.draw.randrange(3), x.shape[axis]
        if kind == 0 and length > 1:
            parts = list(
                self.b.split(x, self.draw.choice([n for n in range(1, min(length, 16) + 1) if length % n == 0]), axis)
            )
        elif kind == 1:
            parts = [self.strided(x)]
        else:
            parts = [self.slice(x) for _ in range(self.draw.randint(1, 3))]
        if self.chance(3):
            self.draw.shuffle(parts)
            alike = [t for t in parts if t.shape == parts[0].shape]
            self.join(alike, self.draw.randrange(len(x.shape)))
        self.keep(*parts)

    def slice(self, x: Tensor) -> Tensor:
        """Often along one axis only, and then a piece without gaps."""
        chosen = self.draw.choice((*range(len(x.shape)), -1))
        begin = [self.draw.randrange(n) if chosen in (axis, -1) else 0 for axis, n in enumerate(x.shape)]
        sizes = [self.draw.randint(1, n - at) if at else n for at, n in zip(begin, x.shape, strict=True)]
        return self.b.slice(x, begin, sizes)

    def strided(self, x: Tensor) -> Tensor:
        steps = (self.draw.choice((1, 1, 1, 2, -1, 3)) for _ in x.shape)
        return self.b.strided_slice(x, *(slice(None, None, step) for step in steps))

    def reshaped(self) -> None:
        x = self.recent(image=False)
        n, *inner = (*x.shape, 1, 1, 1)[:4] if len(x.shape) < 4 else x.shape
        h, w, c = inner
        shapes = ((n, w, h, c), (n, h * w, 1, c), (n * h, w * c), (n, h, w * c), (n, c, w, h), (1, n * h, w, c))
        self.keep(self.b.reshape(x, self.draw.choice(shapes)))

    def skip(self) -> None:
        """Two tensors of the pool, however far apart, added or joined, where their shapes allow it."""
        x = self.recent()
        others = [(t, self.join_axis(x, t)) for t in self.pool if t is not x and t.dtype == "int8"]
        others = [(t, axis) for t, axis in others if axis is not None]
        if not others:
            return self.residual()
        t, axis = others[0] if self.chance(2) else self.draw.choice(others)
        if t.shape == x.shape and self.chance(2):
            self.keep(self.b.add(x, t, quant=self.quant()))
        else:
            self.join([x, t, x] if self.chance(4) else [t, x], axis)
        return None

    def join_axis(self, x: Tensor, t: Tensor) -> int | None:
        """An axis along which they may be joined."""
        if len(t.shape) != len(x.shape):
            return None
        differ = [axis for axis, (a, b) in enumerate(zip(x.shape, t.shape, strict=True)) if a != b]
        if len(differ) > 1:
            return None
        return differ[0] if differ else self.draw.randrange(len(x.shape))

    def another_input(self) -> None:
        x = self.recent()
        other = self.b.input(x.shape if self.chance(2) else self.shape(), self.quant())
        self.keep(self.b.add(x, other, quant=self.quant()) if other.shape == x.shape else other)

    def floats(self) -> None:
        """float32 in between: four bytes an element."""
        x = self.b.dequantize(self.recent(image=False))
        kind = self.draw.randrange(5)
        if kind == 0:
            x = self.slice(x)
        elif kind == 1:
            x = self.b.concatenation([x, self.slice(x)] if len(x.shape) == 1 else [x, x], -1)
        elif kind == 2:
            x = self.b.reshape(x, (x.elements,))
        elif kind == 3:
            x = self.b.pad(x, [(0, self.draw.randint(0, 1)) for _ in x.shape])
        if not self.chance(4):
            x = self.b.quantize(x, self.quant())
        self.keep(x)

    def flat(self) -> None:
        x = self.recent(image=False)
        kind = self.draw.randrange(4)
        if kind == 0:
            self.keep(self.b.softmax(x))
        elif kind == 1 and len(x.shape) == 4:
            self.keep(self.b.mean(x, self.draw.choice(((1, 2), (1,), (2, 3), (3,))), quant=self.quant()))
        elif kind == 2:
            self.keep(self.b.fully_connected(x, self.draw.randint(1, 9), keep_dims=True, quant=self.quant()))
        else:
            rows = self.b.reshape(x, (x.shape[0], x.elements // x.shape[0]))
            self.keep(self.b.fully_connected(rows, self.draw.randint(1, 9), quant=self.quant()))

    def ends(self) -> list[Tensor]:
        """The last tensor and, now and then, others: some that are read again, some that are inputs."""
        others = self.pool[:-1]
        more = self.draw.sample(others, min(len(others), self.draw.choice((0, 0, 1, 2, 3))))
        return list(dict.fromkeys((self.pool[-1], *more)))
