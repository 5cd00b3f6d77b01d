"""A Graph as TinyEngine's converter sees it: a chain of layers over numbered int8 tensors.

Source: mit-han-lab/tinyengine @47bb283, code_generator/{TfliteConvertor,PatchBasedUtil,InputResizer}.py,
operators/*.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from refsim.graph import Graph, Node, Shape
from refsim.memsim.runtimes.footprint import rounded_up

SKIPPED = frozenset({"quantize", "dequantize", "reshape"})  # their outputs become tensors of their own
FUSED = frozenset({"pad", "transpose"})  # their readers read their inputs
KINDS: Mapping[str, str] = {
    "conv2d": "conv",
    "fully_connected": "conv",
    "depthwise_conv2d": "depthwise",
    "add": "add",
    "average_pool_2d": "pool",
    "max_pool_2d": "pool",
    "mean": "pool",
}

Size = tuple[int, int, int]  # height, width, channels


@dataclass(frozen=True, slots=True)
class Layer:
    """One call of a kernel; tensors by number, those of constants left out. `weights` in elements.

    `kind` is one of KINDS' values, or the name of an operator that TinyEngine does not have.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    output: int
    x: Size
    y: Size
    kernel: int = 1
    stride: int = 1
    weights: int = 0

    @property
    def x_bytes(self) -> int:
        return _bytes(self.x)

    @property
    def y_bytes(self) -> int:
        return _bytes(self.y)

    @property
    def im2col(self) -> int:
        """Two columns of int16 for a convolution; two padded planes of int8 for a depthwise one."""
        if self.kind == "conv":
            return 2 * 2 * self.weights // self.y[2]
        if self.kind == "depthwise":
            padding = self.kernel // 2
            return 2 * (self.x[0] + 2 * padding) * (self.x[1] + 2 * padding)
        return 0

    @property
    def kernel_buffer(self) -> int:
        """Weights widened to int16, of convolutions larger than 1x1."""
        return 2 * self.weights if self.kind == "conv" and self.kernel > 1 else 0


def model_parts(chain: Sequence[Layer]) -> Mapping[str, int]:
    """Bytes of the weights, and of a bias and a float scale for each output channel."""
    channels = sum(layer.y[2] for layer in chain if layer.weights)
    return {"weights": sum(layer.weights for layer in chain), "biases": 4 * channels, "scales": 4 * channels}


def _bytes(size: Size) -> int:
    return rounded_up(size[0] * size[1] * size[2], 4)


def layers(graph: Graph, joined: bool = False) -> tuple[Layer, ...]:
    """PAD and TRANSPOSE fused into what follows, two MEAN made one pooling, FULLY_CONNECTED a 1x1 convolution.

    `joined` gives what skipped operators write the number of what they read, which TinyEngine does not.
    """
    source: dict[int, int] = {}  # tensor -> the tensor that stands for it
    found: list[Layer] = []
    for node in graph.nodes:
        inputs = tuple(source.get(i, i) for i in graph.activations(node))
        (output, *_), name = node.outputs, node.operator.name
        if not inputs or (name in SKIPPED and not joined):
            continue
        if name in FUSED | SKIPPED or (name == "mean" and _first_of_two(graph, node)):
            source[output] = inputs[0]
            continue
        found.append(_layer(graph, node, inputs, output))
    return tuple(found)


def _first_of_two(graph: Graph, mean: Node) -> bool:
    readers = [graph.nodes[n].operator.name for n in graph.consumers.get(mean.outputs[0], ())]
    return readers == ["mean"]


def _layer(graph: Graph, node: Node, inputs: tuple[int, ...], output: int) -> Layer:
    """Strides and depthwise kernels are taken to be square, as its generators take them."""
    kind = KINDS.get(node.operator.name, node.operator.name)
    x, y = graph.tensors[inputs[0]], graph.tensors[output]
    if kind == "pool" and len(y.shape) < 4:
        y_size: Size = (1, 1, y.elements)
    else:
        y_size = _size(y.shape)
    layer = Layer(kind, node.name or y.name, inputs, output, _size(x.shape), y_size)
    if kind not in ("conv", "depthwise"):
        return layer
    weights = graph.tensors[node.inputs[1]]
    kernel = weights.shape[1] if len(weights.shape) == 4 else 1
    return replace(layer, kernel=kernel, stride=getattr(node.attributes, "stride_h", 1), weights=weights.elements)


def _size(shape: Shape) -> Size:
    """Batches count as rows."""
    padded = (1, 1, 1, *shape)
    return math.prod(padded[:-2]), padded[-2], padded[-1]


def patched(chain: Sequence[Layer], patches: int, split: int) -> tuple[Layer, ...]:
    """The layers with the first `split` of them on one of patches x patches tiles.

    Layer `split` reads a whole tensor of its own number, which is filled tile by tile.
    """
    whole = chain[split].x
    field = receptive_field(chain[:split], max(whole[0], whole[1]) // patches)
    field_height = receptive_field(chain[:split], whole[0] // patches)
    joint = 1 + max(i for layer in chain for i in (*layer.inputs, layer.output))
    after = replace(chain[split], inputs=(joint, *chain[split].inputs[1:]))
    return (*_tiles(chain[:split], (field_height, field)), after, *chain[split + 1 :])


def receptive_field(chain: Sequence[Layer], grain: int) -> int:
    """Input rows that `grain` output rows of the chain are computed from."""
    for layer in reversed(chain):
        if layer.kind in ("conv", "depthwise"):
            grain = (grain - 1) * layer.stride + layer.kernel
    return grain


def _tiles(chain: Sequence[Layer], tile: tuple[int, int]) -> Iterator[Layer]:
    height, width = tile
    for layer in chain:
        x = (height, width, layer.x[2])
        if layer.kind in ("conv", "depthwise"):
            height, width = (-(-(n - layer.kernel + 1) // layer.stride) for n in (height, width))
        yield replace(layer, x=x, y=(height, width, layer.y[2]))
