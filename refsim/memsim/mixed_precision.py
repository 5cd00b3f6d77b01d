"""8, 4 and 2 bits for activations and weights, so that a network fits flash and SRAM: the rules of Rusci et al.

Source: "Memory-driven mixed low precision quantization for enabling deep network inference on microcontrollers", MLSys
2020; mrusci/training-mixed-precision-quantized-networks @3199780, quantization/quant_auto.py, in our own words. The
rules decide from sizes alone; what the bits cost in accuracy is not their business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refsim.errors import UnsupportedError, UsageError
from refsim.graph import Graph, Node

WIDEST, NARROWEST = 8, 2  # bits
MARGIN = 0.05  # layers within this share of the largest one count as large
SCHEMES = ("per_layer", "per_channel")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Elements that a layer reads and writes, its weights, and its output channels."""

    name: str
    x: int
    y: int
    weights: int
    channels: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """Bits of every layer's output and weights; `cuts` are the layers whose weights were halved, in order."""

    layers: tuple[Sizes, ...]
    outputs: tuple[int, ...]
    weights: tuple[int, ...]
    cuts: tuple[int, ...]
    scheme: str

    def activation_bytes(self, layer: int) -> float:
        """Input and output of a layer, which live together."""
        return _activation_bytes(self.layers, self.outputs, layer)

    @property
    def sram(self) -> float:
        return max((self.activation_bytes(n) for n in range(len(self.layers))), default=0.0)

    @property
    def flash(self) -> int:
        return _flash(self.layers, self.outputs, self.weights, self.scheme)


def layer_sizes(graph: Graph) -> tuple[Sizes, ...]:
    """The layers with weights, in order. PAD, pooling and the like are not layers here, as in the paper."""
    found = []
    for node in graph.nodes:
        if node.operator.name in ("conv2d", "depthwise_conv2d", "fully_connected"):
            found.append(_sizes(graph, node))
    return tuple(found)


def _sizes(graph: Graph, node: Node) -> Sizes:
    """What a PAD in front adds does not count: the image is read where it lies."""
    call = graph.call(node)
    source = node.inputs[0]
    before = graph.producers.get(source)
    if before is not None and graph.nodes[before].operator.name == "pad":
        source = graph.nodes[before].inputs[0]
    weights = call.inputs[1]
    assert weights is not None
    name = node.name or call.y.name
    return Sizes(name, graph.tensors[source].elements, call.y.elements, weights.elements, call.y.shape[-1])


def assign(layers: Sequence[Sizes], flash: int, sram: int, scheme: str = "per_channel") -> Assignment:
    """Bits under which the layers take at most `flash` and `sram` bytes.

    Raises UnsupportedError when NARROWEST bits do not suffice, UsageError for an unknown scheme.
    """
    layers = tuple(layers)
    if scheme not in SCHEMES:
        raise UsageError(f"quantisation scheme '{scheme}' is not known: expected one of {', '.join(SCHEMES)}")
    outputs = _cut_activations(layers, sram)
    weights, cuts = _cut_weights(layers, outputs, flash, scheme)
    return Assignment(layers, outputs, weights, cuts, scheme)


def _cut_activations(layers: Sequence[Sizes], sram: int) -> tuple[int, ...]:
    """Output bits, by sweeps forwards and backwards until one defers nothing.

    On the way forwards a layer may halve its output, on the way back its input, which is the previous one's output.
    """
    bits, order, forward, deferred = [WIDEST] * len(layers), list(range(len(layers))), True, [0]
    while deferred:
        deferred = [n for n in order if not _fitted(layers, bits, n, sram, forward)]
        forward = not forward
        order.reverse()
    return tuple(bits)


def _fitted(layers: Sequence[Sizes], bits: list[int], n: int, sram: int, forward: bool) -> bool:
    """Halve layer `n`'s output or input in `bits` until it fits; False where the other sweep has to do it."""
    while _activation_bytes(layers, bits, n) > sram:
        output = _cuts_output(layers, bits, n)
        if output != forward:
            return False
        bits[n if output else n - 1] //= 2
    return True


def _cuts_output(layers: Sequence[Sizes], bits: Sequence[int], n: int) -> bool:
    """Which side to halve: the one with more bits, of equals the one with more bytes; the network's ends stay 8 bit.

    Raises UnsupportedError when neither can be.
    """
    x, y, last = _input_bits(bits, n), bits[n], len(layers) - 1
    narrow_x, narrow_y = n == 0 or x == NARROWEST, n == last or y == NARROWEST
    if narrow_x and narrow_y:
        need = round(_activation_bytes(layers, bits, n))
        raise UnsupportedError(
            f"layer '{layers[n].name}' needs {need} bytes of SRAM at {NARROWEST} bits; use a smaller input or more SRAM"
        )
    if n == 0 or n == last:
        return n == 0
    return y > x or (x == y and layers[n].x <= layers[n].y)


def _input_bits(outputs: Sequence[int], n: int) -> int:
    return outputs[n - 1] if n else WIDEST


def _activation_bytes(layers: Sequence[Sizes], outputs: Sequence[int], n: int) -> float:
    return (layers[n].x * _input_bits(outputs, n) + layers[n].y * outputs[n]) / 8


def _cut_weights(
    layers: Sequence[Sizes], outputs: Sequence[int], flash: int, scheme: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Weight bits, and the layers in the order in which they were halved: each time the first of the large ones."""
    bits, cuts = [WIDEST] * len(layers), []
    while (needed := _flash(layers, outputs, bits, scheme)) > flash:
        sizes = [layer.weights * b for layer, b in zip(layers, bits, strict=True)]
        left = [n for n, b in enumerate(bits) if b > NARROWEST]
        if not left:
            raise UnsupportedError(
                f"the weights need {needed} bytes of flash at {NARROWEST} bits, and {flash} are given;"
                " use a narrower network"
            )
        large = max(sizes[n] for n in left) / sum(sizes) - MARGIN
        chosen = next(n for n in left if sizes[n] / sum(sizes) > large)
        bits[chosen] //= 2
        cuts.append(chosen)
    return tuple(bits), tuple(cuts)


def _flash(layers: Sequence[Sizes], outputs: Sequence[int], weights: Sequence[int], scheme: str) -> int:
    packed = sum(-(-layer.weights * b // 8) for layer, b in zip(layers, weights, strict=True))
    return packed + sum(_quantisation(layers, outputs, weights, scheme, n) for n in range(len(layers)))


def _quantisation(layers: Sequence[Sizes], outputs: Sequence[int], weights: Sequence[int], scheme: str, n: int) -> int:
    """Bytes of bias, zero points and multipliers.

    With less than 8 bits multipliers go by channel ("integer channel-normalisation"), but for the last layer's.
    """
    channels, last = layers[n].channels, n == len(layers) - 1
    if scheme == "per_channel":
        return 7 * channels + 4 if last else 10 * channels + 8
    by_channel = min(outputs[n], weights[n]) < WIDEST and not last
    return 9 * channels + 12 if by_channel else 4 * channels + 20
