"""What the kernel of CONV_2D does for a layer, counted: closed forms of its loops; and what others share with it.

`conv2d` gives the path that the kernel takes and as many numbers as FEATURES has names for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from math import exp
from typing import NamedTuple

from emulator.predict_layers import Layer
from emulator.predict_traits import Counted, Traits, bounds, pairable, scales_suit
from refsim.graph import Array, Call, Graph, Tensor
from refsim.int8ops.conv2d import in_fours, in_pairs, live_channels
from refsim.int8ops.convolution import Channels, channels

# Per pair of pixels: `channels` pairs of output channels, `steps` of four products each, more than eight in a `loop`
# that `turns`; `rolled`: they are many, and the compiler keeps the loop over them; an `odd` channel alone; outputs
# rounded `away` from zero, held to `clamps`, requantised in the `slow` way; lines of caches that miss.
PRODUCTS = (
    *("call", "pair", "channels", "steps", "loop", "turns", "rolled", "odd", "odd_steps", "away", "clamps", "slow"),
    *("still", "weight_lines", "code_lines", "sram_lines"),
)
UNROLLED = (8, 4, 3)  # turns of the loop over channels that clang writes out, at most, by clamps of an output
CODE = {
    "conv2d.pointwise": 350,
    "conv2d.window": 900,
    "conv2d.bytes": 900,
    "conv2d.short": 900,
}  # bytes beside the products
STEP, SCALED = 48, 190  # bytes of code of four products for two pixels and two channels, and of scaling and storing
# Of windows: quads `widened`, kernel rows that lie inside the image, at its `edge` or `outside`, quads `filled`; pixels
# and kernel rows where padding is to the `left`, `above`, to the `right`: code that is there takes time all the same.
GATHERED = ("widened", "row", "edge", "outside", "filled", "left", "above", "right")
# Where weights do not pair: output `channels` one by one, `steps` of four products each. Such layers are rare, so of
# their windows only what is long is counted; `words` and fours of `bytes` filled come before widening.
SINGLE = (
    *("call", "pair", "channels", "steps", "away", "clamps", "slow", "still", "weight_lines", "sram_lines"),
    *("widened", "row", "filled", "words", "bytes"),
)
FEATURES: Mapping[str, tuple[str, ...]] = {
    "conv2d.pointwise": (*PRODUCTS, "widened"),
    "conv2d.window": (*PRODUCTS, *GATHERED),
    "conv2d.bytes": (*PRODUCTS, *GATHERED, "words", "bytes"),
    "conv2d.short": (*PRODUCTS, *GATHERED, "words", "bytes"),
    "conv2d.single": SINGLE,
}


class Along(NamedTuple):
    """Along one axis, over all outputs: taps inside the input, and outputs that have all of theirs inside."""

    inside: int
    full: int


@cache
def along(size: int, outputs: int, taps: int, stride: int, before: int, dilation: int) -> Along:
    """`size` positions of input under windows of `taps`, `dilation` apart, the first from -before on."""
    starts = range(-before, outputs * stride - before, stride)
    counts = [_inside(size, start, taps, dilation) for start in starts]
    return Along(sum(counts), counts.count(taps))


def _inside(size: int, start: int, taps: int, dilation: int) -> int:
    first = -(start // dilation) if start < 0 else 0
    last = min(taps, -((start - size) // dilation))
    return max(0, last - first)


class Window(NamedTuple):
    """A window, and how many pairs of pixels and pixels a row it is computed for."""

    pairs: int
    out_w: int
    height: int
    width: int
    stride_h: int
    stride_w: int


class Outputs(NamedTuple):
    """How outputs are requantised: rounded away from zero or not, bounds that saturation does not give, the slow way;
    and how many channels are computed at all, with their weights where these are not all."""

    away: int
    clamps: int
    slow: int
    live: int
    rows: Array | None = None


def outputs_of(graph: Graph, layer: Layer, folded: bool) -> Outputs:
    """Weights are looked at only where scales are unusual, as those of channels that are always 0."""
    inputs = layer.node.inputs
    x, w, y = graph.tensors[layer.x], graph.tensors[inputs[1]], graph.tensors[layer.y]
    low, high = bounds(layer.activation, y)
    away, clamps = int(low != y.zero_point), (low > -128) + (high < 127)
    if scales_suit(x, w, y):
        return Outputs(away, clamps, 0, y.shape[3])
    found = _channels(graph, layer, folded)
    slow = int(not found.fast)
    if layer.operator != "conv2d":
        return Outputs(away, clamps, slow, y.shape[3])
    live = live_channels(found)
    rows = found.w[live] if len(live) < y.shape[3] else None
    return Outputs(away, clamps, slow, len(live), rows)


def _channels(graph: Graph, layer: Layer, folded: bool) -> Channels:
    tensors, node = graph.tensors, layer.node
    inputs = tuple(None if i < 0 else tensors[i] for i in node.inputs)
    call = Call(inputs, (tensors[layer.y],), replace(node.attributes, activation=layer.activation))
    return channels(call, _by_channel(layer, inputs[1]), call.x.zero_point if folded else 0)


def _by_channel(layer: Layer, w: Tensor | None) -> Array:
    assert w is not None and w.data is not None
    return w.data.reshape(len(w.data), -1) if layer.operator == "conv2d" else w.data.reshape(-1, w.shape[3]).T


def conv2d(graph: Graph, layer: Layer, traits: Traits) -> Counted:
    tensors, node, a = graph.tensors, layer.node, layer.node.attributes
    x, w, y = tensors[layer.x], tensors[node.inputs[1]], tensors[layer.y]
    images, in_h, in_w, in_c = x.shape
    _, out_h, out_w, out_c = y.shape
    _, kernel_h, kernel_w, _ = w.shape
    done, area = outputs_of(graph, layer, True), kernel_h * kernel_w
    unmoved = area == 1 and a.stride_h == a.stride_w == 1 and (in_h, in_w) == (out_h, out_w)
    point, rows, steps = unmoved and in_c % 4 == 0, images * out_h, (area * in_c + 3) // 4
    pairs = rows * ((out_w + 1) // 2) if point and layer.apart else (rows * out_w + 1) // 2
    path = "conv2d.pointwise" if point else _window_path(in_c, 1 if a.dilation_w > 1 else kernel_w)
    passing = 2 * (a.stride_w * kernel_h * in_c + out_c)  # bytes of x and y of two pixels
    far, lines = traits.far(x.nbytes + y.nbytes), 0.0
    gathered: tuple[float, ...] = (pairs * steps, *(0,) * 9)
    if not point:
        gathered = _gathered(x, y, layer, (kernel_h, kernel_w), pairs)
        window = Window(pairs, out_w, kernel_h, kernel_w, a.stride_h, a.stride_w)
        lines = far * _input_lines(x, window, 8 * steps * (done.live // 2) + 16 * steps, traits)
    if not (pairable(w) if done.rows is None else in_pairs(in_fours(done.rows)) is not None):
        products = _singles(pairs, steps, done, out_c, passing, far, traits)
        widened, filled = gathered[0], gathered[GATHERED.index("filled")]
        long = (filled, 0, 0) if in_c % 4 == 0 else (0, widened - filled, filled)
        return "conv2d.single", (*products[:-1], products[-1] + lines, widened, 2 * pairs * kernel_h, *long)
    products = _products(pairs, steps, done, out_c, CODE[path], passing, far, traits)
    return path, (*products[:-1], products[-1] + lines, *gathered)[: len(FEATURES[path])]


def _window_path(in_c: int, run: int) -> str:
    """Runs of up to 16 bytes are copied by moves that the compiler writes out."""
    if in_c % 4 == 0:
        return "conv2d.window"
    return "conv2d.short" if run * in_c <= 16 else "conv2d.bytes"


def _gathered(x: Tensor, y: Tensor, layer: Layer, kernel: tuple[int, int], pairs: int) -> tuple[float, ...]:
    """GATHERED, then words and bytes of rows that are copied before they are widened."""
    a, (kernel_h, kernel_w) = layer.node.attributes, kernel
    images, in_h, in_w, in_c = x.shape
    _, out_h, out_w, _ = y.shape
    runs, run = (1, kernel_w) if a.dilation_w == 1 else (kernel_w, 1)
    down = along(in_h, out_h, kernel_h, a.stride_h, layer.top, a.dilation_h)
    across = along(in_w, out_w, kernel_w, a.stride_w, layer.left, a.dilation_w)
    share = 2 * pairs / (images * out_h * out_w) * images  # a last pixel alone is computed twice
    inside = share * down.inside
    edge, whole = inside * (out_w - across.full), inside * across.full * runs
    outside = share * (out_h * kernel_h - down.inside) * out_w
    copied = inside * across.inside * in_c
    filled = max(0.0, 2 * pairs * kernel_h * kernel_w * in_c - copied)
    looked = 2 * pairs * kernel_h
    beyond = (out_w - 1) * a.stride_w - layer.left + (kernel_w - 1) * a.dilation_w >= in_w
    sides = (looked * (layer.left > 0), looked * (layer.top > 0), looked * beyond)
    if in_c % 4 == 0:
        return (copied / 4, whole, edge, outside, filled / 4, *sides, 0, 0)
    steps, size = (kernel_h * kernel_w * in_c + 3) // 4, run * in_c
    return (
        *(2 * pairs * steps, whole, edge, outside, filled / 4, *sides),
        *(whole * (size // 4), whole * (size % 4)),
    )


def _products(
    pairs: int, steps: int, done: Outputs, out_c: int, code: int, passing: int, far: float, traits: Traits
) -> tuple[float, ...]:
    half, odd = done.live // 2, done.live % 2
    turned, outputs, still = pairs * half, pairs * done.live, pairs * out_c if done.live < out_c else 0
    looped = steps > 8
    rolled = not traits.dsp or half > UNROLLED[done.clamps] - (looped and not done.clamps)
    body = SCALED + STEP * (4 + steps % 4 if looped else steps)
    code += body * (odd + (1 if rolled else half))
    weights, scratch = (8 * steps + 24) * half, 16 * steps
    used = weights + code * traits.shared + scratch * traits.joined * far
    gone = traits.flash.gone(used, passing * traits.joined * far)
    if traits.shared:
        gone = max(gone, traits.flash.clash(weights, code))
    return (
        *(1, pairs, turned, turned * steps, turned * looped, turned * looped * (steps // 4), turned * rolled),
        *(pairs * odd, pairs * odd * steps, outputs * done.away, outputs * done.clamps, outputs * done.slow, still),
        traits.flash.lines(weights) * (1 + (pairs - 1) * gone),
        traits.code.lines(code) * pairs * traits.code.gone(code),
        traits.sram.lines(scratch) * pairs * gone * far,
    )


def _singles(
    pairs: int, steps: int, done: Outputs, out_c: int, passing: int, far: float, traits: Traits
) -> tuple[float, ...]:
    """SINGLE's first half. Scratch is gone through for every channel, and so are the channel's weights between."""
    outputs, still = pairs * done.live, pairs * out_c if done.live < out_c else 0
    weights, scratch = (4 * steps + 12) * done.live, 16 * steps
    gone = traits.flash.gone(weights + scratch * traits.joined * far, passing * traits.joined * far)
    pushed = traits.sram.gone(scratch, 4 * steps * traits.joined)
    return (
        *(1, pairs, outputs, outputs * steps, outputs * done.away, outputs * done.clamps, outputs * done.slow, still),
        traits.flash.lines(weights) * (1 + (pairs - 1) * gone),
        traits.sram.lines(scratch) * outputs * pushed * far,
    )


def _input_lines(x: Tensor, window: Window, weights: int, traits: Traits) -> float:
    """Lines of x that miss: those of new columns at every pair of pixels, unless they are there from the row before;
    and those of columns seen before that the weights have driven out."""
    reach = traits.sram
    if not reach.size:
        return 0.0
    channels = x.shape[3]
    fresh = window.height * 2 * window.stride_w * channels  # bytes of a pair of pixels
    seen = window.height * max(0, window.width - window.stride_w) * channels
    gone = reach.gone(weights + seen, fresh)
    passing = gone * (weights + seen) + fresh
    again = (
        1 - exp(-passing * window.out_w / 2 / reach.size)
        if reach.random
        else float(passing * window.out_w > 2 * reach.size)
    )
    share = min(1.0, window.stride_h / window.height)
    return window.pairs * reach.lines(seen * gone + fresh * (share + (1 - share) * again))
