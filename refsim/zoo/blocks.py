"""Layers that the image networks share, in the form of mcunet's released files.

An explicit PAD stands in front of every convolution, zero wide before a 1x1, and the convolution itself is VALID; the
mean over the image is taken in two steps behind a TRANSPOSE. Passes remove the pads. Source: mit-han-lab/mcunet
@9c164f8, tinynas/; the files' structure: its released .tflite and tinyengine @47bb283, assets/vww.tflite.

That file ends in a FULLY_CONNECTED with one scale. Those for ImageNet do not: TFLM's arenas and flash as published are
met when the classifier is a 1x1 CONV_2D with a scale for each class, and are else missed by 8 and 24 KiB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from refsim.builder import Builder
from refsim.graph import Graph, Tensor

CLASSES = 1000  # of ImageNet


@dataclass(frozen=True, slots=True)
class Block:
    """An inverted bottleneck: expansion of the channels, depthwise kernel, stride."""

    expansion: int
    kernel: int
    stride: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Inverted bottlenecks with the same output channels; all but the first may have a shortcut."""

    channels: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Bottlenecks:
    """A network of inverted bottlenecks: stem (3x3, stride 2), stages, a last 1x1 where `mix` is not 0, and the
    operator of the classifier (one of CLASSIFIERS)."""

    resolution: int
    stem: int
    stages: tuple[Stage, ...]
    mix: int = 0
    classes: int = CLASSES
    classifier: str = "conv2d"


def stages(text: str) -> tuple[Stage, ...]:
    """Stages from "16: 6k5/2 4k3 | 24: ...": output channels, then expansion, kernel and stride (1 unless given)."""
    return tuple(_stage(part) for part in text.split("|"))


def _stage(text: str) -> Stage:
    channels, blocks = text.split(":")
    return Stage(int(channels), tuple(_block(word) for word in blocks.split()))


def _block(word: str) -> Block:
    shape, _, stride = word.partition("/")
    expansion, kernel = shape.split("k")
    return Block(int(expansion), int(kernel), int(stride or 1))


def divisible(channels: float, step: int = 8) -> int:
    """The multiple of `step` nearest to `channels`, at least `step` and not below nine tenths of it (MobileNetV2)."""
    nearest = max(step, int(channels + step / 2) // step * step)
    return nearest if nearest >= 0.9 * channels else nearest + step


def begin(name: str, resolution: int, channels: int = 3) -> tuple[Builder, Tensor]:
    """A builder seeded by the network's name, and its image."""
    b = Builder(name, crc32(name.encode()))
    return b, b.input((1, resolution, resolution, channels), name="image")


def conv(b: Builder, x: Tensor, filters: int, kernel: int = 1, stride: int = 1, activation: str = "none") -> Tensor:
    """PAD of kernel // 2 on each side, CONV_2D."""
    return b.conv2d(padded(b, x, kernel), filters, kernel, stride=stride, padding="valid", activation=activation)


def depthwise(b: Builder, x: Tensor, kernel: int, stride: int = 1, activation: str = "relu6") -> Tensor:
    """PAD of kernel // 2 on each side, DEPTHWISE_CONV_2D."""
    return b.depthwise_conv2d(padded(b, x, kernel), kernel, stride=stride, padding="valid", activation=activation)


def padded(b: Builder, x: Tensor, kernel: int) -> Tensor:
    sides = (kernel // 2, kernel // 2)
    return b.pad(x, ((0, 0), sides, sides, (0, 0)))


def inverted_bottleneck(b: Builder, x: Tensor, channels: int, block: Block, shortcut: bool) -> Tensor:
    """1x1 expansion unless it is 1, depthwise, 1x1 projection; the block's input is added where `shortcut` holds."""
    inner = x.shape[3] * block.expansion
    y = conv(b, x, inner, activation="relu6") if block.expansion != 1 else x
    y = depthwise(b, y, block.kernel, block.stride)
    y = conv(b, y, channels)
    return b.add(y, x) if shortcut else y


def classified(b: Builder, x: Tensor, classes: int) -> Tensor:
    """Mean over the image in two steps, FULLY_CONNECTED: (1, classes)."""
    x = b.transpose(x, (0, 3, 1, 2))
    x = b.mean(b.mean(x, (3,)), (2,))
    return b.fully_connected(x, classes)


def classified_by_convolution(b: Builder, x: Tensor, classes: int) -> Tensor:
    """Mean over the image in two steps, 1x1 CONV_2D, RESHAPE: (1, classes)."""
    x = b.transpose(x, (0, 3, 1, 2))
    x = b.mean(b.mean(x, (3,), keep_dims=True), (2,), keep_dims=True)
    x = b.conv2d(b.transpose(x, (0, 2, 3, 1)), classes, padding="valid")
    return b.reshape(x, (1, classes))


CLASSIFIERS: Mapping[str, Callable[[Builder, Tensor, int], Tensor]] = {
    "fully_connected": classified,
    "conv2d": classified_by_convolution,
}


def bottlenecks(name: str, net: Bottlenecks, resolution: int | None = None) -> Graph:
    """The float32 graph of a network of inverted bottlenecks."""
    b, x = begin(name, resolution or net.resolution)
    x = conv(b, x, net.stem, 3, 2, "relu6")
    for stage in net.stages:
        x = _run_stage(b, x, stage)
    if net.mix:
        x = conv(b, x, net.mix, activation="relu6")
    return b.build(CLASSIFIERS[net.classifier](b, x, net.classes))


def _run_stage(b: Builder, x: Tensor, stage: Stage) -> Tensor:
    for n, block in enumerate(stage.blocks):
        shortcut = n > 0 and block.stride == 1 and x.shape[3] == stage.channels
        x = inverted_bottleneck(b, x, stage.channels, block, shortcut)
    return x


def widened(channels: Sequence[int], blocks: Sequence[str]) -> tuple[Stage, ...]:
    """Stages from their output channels and their blocks, given apart."""
    return tuple(_stage(f"{c}: {text}") for c, text in zip(channels, blocks, strict=True))
