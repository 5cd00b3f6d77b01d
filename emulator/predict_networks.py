"""Networks of the kinds that architecture searches try, drawn at random: what predictions are fitted to and judged on.

int8 from the start, with seeded weights and quantisations like those of calibrated models: activations behind a ReLU
begin at their lowest value, others somewhere in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from refsim.builder import Builder
from refsim.graph import Graph, Tensor

MOST_MACS = 24_000_000  # so that a network takes seconds, not minutes
TENSOR = 120_000  # elements, at most

RELU6 = (6 / 255, -128)


def network(seed: int, most_macs: int = MOST_MACS) -> Graph:
    """The network of a seed; those with more MACs are drawn again."""
    for attempt in range(1000):
        draw = Random(f"{seed} {attempt}")
        graph = draw.choice(FAMILIES)(Drawn(f"drawn {seed}", draw))
        if graph.macs <= most_macs and all(graph.tensors[i].elements <= TENSOR for n in graph.nodes for i in n.outputs):
            return graph
    raise AssertionError(f"no network of at most {most_macs} MACs in 1000 attempts")


class Drawn:
    """A builder with a random generator: layers of random shapes, in the house style of one network."""

    def __init__(self, name: str, draw: Random) -> None:
        self.draw, self.b = draw, Builder(name, draw.randrange(1 << 30))
        self.padding_apart = draw.random() < 0.4  # PAD in front of VALID convolutions
        self.activation = draw.choice(("relu", "relu6", "relu6"))
        self.step = draw.choice((8, 8, 8, 4, 4, 2, 1))  # of widths

    def linear(self) -> tuple[float, int]:
        return self.draw.randint(40, 200) / 2048, self.draw.randint(-40, 40)

    def quant(self, activation: str) -> tuple[float, int]:
        """Of a layer's output; one ReLU in eight leaves room below 0, as where a tensor is shared."""
        if activation == "none":
            return self.linear()
        return RELU6 if self.draw.randrange(8) else (7 / 255, self.draw.randint(-127, -90))

    def width(self, least: int, most: int) -> int:
        return max(self.step, self.draw.randint(least, most) // self.step * self.step)

    def image(self, least: int = 32, most: int = 160, channels: Sequence[int] = (3, 3, 3, 1)) -> Tensor:
        size = self.draw.randint(least // 4, most // 4) * 4 + self.draw.choice((0, 0, 0, 1, 2))
        other = size if self.draw.random() < 0.8 else self.draw.randint(least // 4, most // 4) * 4
        return self.b.input(
            (1, size, other, self.draw.choice(channels)), quant=(1 / 128, self.draw.choice((-128, 0, -1)))
        )

    def _padded(self, x: Tensor, kernel: int, stride: int) -> tuple[Tensor, str]:
        if not self.padding_apart:
            return x, "same"
        side = (kernel // 2, kernel // 2)
        return self.b.pad(x, ((0, 0), side, side, (0, 0))), "valid"

    def conv(self, x: Tensor, filters: int, kernel: int = 1, stride: int = 1, activation: str = "none") -> Tensor:
        x, padding = self._padded(x, kernel, stride) if kernel > 1 else (x, "same")
        quant = self.quant(activation)
        return self.b.conv2d(x, filters, kernel, stride=stride, padding=padding, activation=activation, quant=quant)

    def depthwise(self, x: Tensor, kernel: int, stride: int = 1, activation: str = "relu6") -> Tensor:
        x, padding = self._padded(x, kernel, stride)
        quant = self.quant(activation)
        return self.b.depthwise_conv2d(x, kernel, stride=stride, padding=padding, activation=activation, quant=quant)

    def fully_connected(self, x: Tensor, units: int, activation: str = "none") -> Tensor:
        return self.b.fully_connected(x, units, activation=activation, quant=self.quant(activation))

    def classified(self, x: Tensor, classes: int) -> Tensor:
        """Pooling, a classifier, and in most networks a SOFTMAX."""
        kind = self.draw.randrange(4)
        if kind == 0:
            x = self.b.average_pool_2d(x, (x.shape[1], x.shape[2]))
            x = self.b.reshape(x, (1, x.shape[3]))
        elif kind == 1:
            x = self.b.mean(x, (1, 2), quant=x.quant)
        elif kind == 2:
            x = self.b.transpose(x, (0, 3, 1, 2))
            x = self.b.mean(self.b.mean(x, (3,), quant=x.quant), (2,), quant=x.quant)
        elif x.elements <= 2048:
            x = self.b.reshape(x, (1, x.elements))
        else:
            x = self.b.mean(x, (1, 2), keep_dims=True, quant=x.quant)
            x = self.b.reshape(self.b.conv2d(x, classes, 1, quant=self.linear()), (1, classes))
            return self.b.softmax(x) if self.draw.random() < 0.5 else x
        x = self.fully_connected(x, classes)
        return self.b.softmax(x) if self.draw.random() < 0.6 else x

    def classes(self) -> int:
        return self.draw.choice((2, 10, 12, 35, 100, self.draw.randint(2, 200)))


def bottlenecks(d: Drawn) -> Graph:
    """MobileNetV2, ProxylessNAS and MCUNet: inverted bottlenecks, some with squeeze-and-excite."""
    x = d.image()
    x = d.conv(x, d.width(8, 32), 3, 2, d.activation)
    excite = d.draw.random() < 0.15
    channels = d.width(8, 24)
    for stage in range(d.draw.randint(2, 6)):
        expansion, kernel = d.draw.choice((1, 3, 3, 4, 4, 5, 6)), d.draw.choice((3, 3, 5, 7))
        for n in range(d.draw.randint(1, 4)):
            stride = 2 if n == 0 and (stage or d.draw.random() < 0.5) and min(x.shape[1:3]) > 3 else 1
            kernel = d.draw.choice((kernel, kernel, 3, 5, 7))
            x = inverted(d, x, channels, expansion, kernel, stride, excite)
        channels = d.width(channels, int(channels * 1.8) + 4)
    if d.draw.random() < 0.5:
        x = d.conv(x, d.width(64, 320), 1, 1, d.activation)
    return d.b.build(d.classified(x, d.classes()))


def inverted(d: Drawn, x: Tensor, channels: int, expansion: int, kernel: int, stride: int, excite: bool) -> Tensor:
    y = d.conv(x, x.shape[3] * expansion, 1, 1, d.activation) if expansion != 1 else x
    y = d.depthwise(y, kernel, stride, d.activation)
    if excite:
        gate = d.b.mean(y, (1, 2), keep_dims=True, quant=y.quant)
        gate = d.conv(gate, max(4, y.shape[3] // 4), 1, 1, "relu")
        y = d.b.mul(y, d.conv(gate, y.shape[3], 1, 1, "relu6"), quant=y.quant)
    y = d.conv(y, channels)
    return d.b.add(x, y, quant=d.linear()) if y.shape == x.shape else y


def residual(d: Drawn) -> Graph:
    """ResNets of basic blocks or bottlenecks."""
    x = d.image(24, 64)
    channels, narrow = d.width(8, 24), d.draw.random() < 0.3
    x = d.conv(x, channels, d.draw.choice((3, 3, 5, 7)), d.draw.choice((1, 2)), "relu")
    if d.draw.random() < 0.3:
        x = d.b.max_pool_2d(x, 3, stride=2, padding="same")
    for stage in range(d.draw.randint(1, 4)):
        for n in range(d.draw.randint(1, 2)):
            stride = 2 if stage and n == 0 and min(x.shape[1:3]) > 2 else 1
            y = d.conv(x, channels, 1 if narrow else 3, 1 if narrow else stride, "relu")
            if narrow:
                y = d.conv(y, channels, 3, stride, "relu")
            y = d.conv(y, channels * 2 if narrow else channels, 1 if narrow else 3)
            shortcut = x if x.shape == y.shape else d.conv(x, y.shape[3], 1, stride)
            x = d.b.add(y, shortcut, activation="relu", quant=d.quant("relu"))
        channels = d.width(channels, channels * 2)
    return d.b.build(d.classified(x, d.classes()))


def separable(d: Drawn) -> Graph:
    """DS-CNN for keyword spotting and MobileNetV1 for images: depthwise and pointwise in turn."""
    if d.draw.random() < 0.5:
        frames = (d.draw.choice((25, 49, 49, 98)), d.draw.choice((10, 10, 40)))
        x = d.b.input((1, *frames, 1), quant=(0.5, 83))
        kernel, stride = d.draw.choice((((10, 4), (2, 2)), ((10, 4), (2, 1)), ((8, 4), 2), (3, 2)))
        x = d.b.conv2d(x, d.width(16, 112), kernel, stride=stride, activation="relu", quant=RELU6)
    else:
        x = d.conv(d.image(32, 128), d.width(8, 32), 3, 2, d.activation)
    channels = x.shape[3]
    for _ in range(d.draw.randint(2, 8)):
        stride = d.draw.choice((1, 1, 2)) if min(x.shape[1:3]) > 4 else 1
        x = d.depthwise(x, d.draw.choice((3, 3, 3, 5)), stride, d.activation)
        channels = d.draw.choice((channels, channels, d.width(channels, min(256, 2 * channels))))
        x = d.conv(x, channels, 1, 1, d.activation)
    return d.b.build(d.classified(x, d.classes()))


def autoencoder(d: Drawn) -> Graph:
    """FULLY_CONNECTED only: anomaly detection, and classifiers of features."""
    size = d.draw.choice((640, 320, 128, 561, d.draw.randint(16, 800)))
    x = d.b.input((1, size), quant=(0.1, d.draw.randint(-20, 90)))
    hidden = d.draw.choice((128, 64, 256, d.draw.randint(9, 200)))
    for _ in range(d.draw.randint(1, 5)):
        x = d.fully_connected(x, hidden, "relu")
    if d.draw.random() < 0.6:
        for units in (8, hidden, hidden):
            x = d.fully_connected(x, units, "relu")
        return d.b.build(d.fully_connected(x, size))
    return d.b.build(d.b.softmax(d.fully_connected(x, d.classes())))


def plain(d: Drawn) -> Graph:
    """Convolutions and pools in turn, as in LeNet and VGG."""
    x = d.image(20, 64)
    for _ in range(d.draw.randint(1, 4)):
        for _ in range(d.draw.randint(1, 2)):
            x = d.conv(x, d.width(4, 48), d.draw.choice((3, 3, 5)), 1, "relu")
        if min(x.shape[1:3]) >= 4:
            pool = d.draw.choice((d.b.max_pool_2d, d.b.max_pool_2d, d.b.average_pool_2d))
            size, stride = d.draw.choice(((2, 2), (2, 2), (3, 2)))
            x = pool(x, size, stride, d.draw.choice(("same", "valid")))
    if x.elements > 6000:
        return d.b.build(d.classified(x, d.classes()))
    x = d.b.reshape(x, (1, x.elements))
    if d.draw.random() < 0.6:
        x = d.fully_connected(x, d.draw.randint(16, 128), "relu")
    return d.b.build(d.b.softmax(d.fully_connected(x, d.classes())))


def joined(d: Drawn) -> Graph:
    """Branches of several kernels, concatenated: Inception, SqueezeNet, DenseNet."""
    x = d.conv(d.image(32, 80), d.width(8, 24), 3, 2, "relu")
    quant = RELU6
    for _ in range(d.draw.randint(1, 4)):
        if min(x.shape[1:3]) > 6 and d.draw.random() < 0.5:
            x = d.b.max_pool_2d(x, 3, stride=2, padding="same")
        y = d.b.conv2d(x, d.width(8, 24), 1, activation="relu", quant=quant)
        ends = [
            d.b.conv2d(y, d.width(8, 32), k, activation="relu", quant=quant) for k in (1, 3, 5)[: d.draw.randint(2, 3)]
        ]
        x = d.b.concatenation(ends, axis=3)
    return d.b.build(d.classified(x, d.classes()))


FAMILIES: tuple[Callable[[Drawn], Graph], ...] = (
    *(bottlenecks,) * 5,
    *(residual,) * 2,
    *(separable,) * 3,
    autoencoder,
    plain,
    joined,
)
