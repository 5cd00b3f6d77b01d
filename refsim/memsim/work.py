"""Instructions that a Program's kernel calls take, estimated: what running a chain by rows costs beyond whole tensors.

A formula per kernel follows what the C does: it counts inner steps exactly (pairs of pixels, values gathered, calls)
and weighs each by a constant. The constants are instructions, fitted to what a Cortex-M4 executed (clang, -O2) node by
node over the networks of the zoo, whole and by 1, 2, 4 and 8 rows. What they leave unexplained is the compiler: it
allocates registers otherwise from one memory plan to the next, by 2 % of a layer and seldom by 10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from refsim.graph import Call, Graph, KernelCall, Rows
from refsim.memsim.stream import Schedule

CALL = 60.0  # a layer's call: the loop's turn, registers saved and restored, addresses of its rows
CLAMPED = 3.5  # an output's bound that saturation to int8 does not give: compare and move

RING_READ, RING_WRITE = 5.5, 3.5  # a row of a channel that DEPTHWISE_CONV_2D finds in a ring, or leaves there

# CONV_2D, per pair of pixels: four products of four channels (rs_dot.h), scaling and storing two channels of both
# pixels, widening four values of both; and, unless it is 1x1, finding both windows.
DOT, PAIR, WIDEN, WINDOWS = 12.7, 43.0, 14.0, 300.0

# DEPTHWISE_CONV_2D, in scratch: a value taken there (and its zero point subtracted), a row of a channel; a channel
# begun in a block of rows, and a word of its weights; the block, and a row of padding.
TAKEN, SUBTRACTED, TAKEN_ROW, CHANNEL, WORD, BLOCK, PADDED_ROW = 2.05, 1.25, 7.0, 38.0, 3.1, 120.0, 9.0
# And from there: a kernel row of four outputs and its products, scaling four outputs, a row of outputs; a product of an
# output that is left alone.
FOUR_ROW, FOUR_TAP, FOUR, OUTPUT_ROW, ALONE_TAP = 5.0, 3.8, 25.0, 15.0, 4.2

ELEMENT = 15.0  # an output of any kernel that only walks over elements
POOLED = 1.8  # a value that a pooling kernel reads
PRODUCT = 1.1  # a product of FULLY_CONNECTED
PASSED = 7.5  # a row of the output that MEAN walks past because it is not asked for (TRANSPOSE: a third of it)


class Turn(NamedTuple):
    """One kernel call: what is called, how many output rows, how many rows of input 0 they need; and whether the input,
    and the output, are held in rings.
    """

    call: Call
    kernel: KernelCall
    rows: int
    read: int
    ring_in: bool
    ring_out: bool


def clamps(literals: Mapping[str, int]) -> int:
    """Bounds of the output inside int8's."""
    return (literals["low"] > -128) + (literals["high"] < 127)


def conv2d(turn: Turn) -> float:
    """Where a ring begins anew, the last pixel before may be without a partner: once in two calls of several rows."""
    p = turn.kernel.literals
    torn = 0.5 if (turn.ring_in or turn.ring_out) and turn.rows > 1 and p["out_w"] % 2 else 0.0
    pairs = (turn.rows * p["out_w"] + 1) // 2 + torn
    steps, channels = p["depth"] // 4, (p["live"] + 1) // 2
    point = p["kernel_h"] * p["kernel_w"] * p["stride_h"] * p["stride_w"] == 1
    each = channels * (DOT * steps + PAIR + 4 * CLAMPED * clamps(p)) + WIDEN * steps
    return pairs * (each + (0.0 if point else WINDOWS))


def depthwise_conv2d(turn: Turn) -> float:
    return gathered(turn) + computed(turn)


def gathered(turn: Turn) -> float:
    """Bringing rows to scratch, block by block; neighbouring blocks and calls take the rows between them again."""
    p = turn.kernel.literals
    blocks = -(-turn.rows // p["block_rows"])
    reach = (p["kernel_h"] - 1) * p["dilation_h"] + 1
    rows = turn.read + (blocks - 1) * max(0, reach - p["stride_h"])
    plane = (turn.rows - blocks) * p["stride_h"] + blocks * reach
    used = (p["out_w"] - 1) * p["stride_w"] + (p["kernel_w"] - 1) * p["dilation_w"] + 1 - p["pad_left"]
    value = TAKEN + (SUBTRACTED if p["subtract"] else 0.0)
    words = p["kernel_h"] * (p["kernel_w"] - 1 if p["stride_w"] == 1 else p["kernel_w"] // 2 + 1)
    row = min(used, p["in_w"]) * value + TAKEN_ROW + RING_READ * turn.ring_in
    return p["in_c"] * rows * row + PADDED_ROW * plane + blocks * (p["out_c"] * (CHANNEL + WORD * words) + BLOCK)


def computed(turn: Turn) -> float:
    """What depends on outputs alone; kernel rows outside the image are left out, except by 3x3 kernels."""
    p = turn.kernel.literals
    height, width, threes = p["kernel_h"], p["kernel_w"], p["kernel_h"] == p["kernel_w"] == 3
    taps = float(height) if threes else inside(p)
    rest = p["out_w"] % 4
    alone = rest if rest == 1 or (rest == 2 and threes) else 0
    fours = -(-(p["out_w"] - alone) // 4)
    four = taps * (FOUR_ROW + FOUR_TAP * width) + FOUR + 4 * CLAMPED * clamps(p)
    row = OUTPUT_ROW + RING_WRITE * turn.ring_out
    return turn.rows * p["out_c"] * (fours * four + alone * taps * width * ALONE_TAP + row)


def inside(p: Mapping[str, int]) -> float:
    """Kernel rows that lie inside the image, on average over the output rows."""
    tops = (y * p["stride_h"] - p["pad_top"] for y in range(p["out_h"]))
    rows = (top + ky * p["dilation_h"] for top in tops for ky in range(p["kernel_h"]))
    return sum(0 <= row < p["in_h"] for row in rows) / p["out_h"]


def fully_connected(turn: Turn) -> float:
    weights = turn.call.inputs[1]
    return PRODUCT * turn.rows * (0 if weights is None else weights.elements)


def elements(turn: Turn) -> float:
    return ELEMENT * turn.rows * turn.call.y.row_bytes


def pooled(turn: Turn) -> float:
    return elements(turn) + POOLED * turn.read * turn.call.x.row_bytes


def walked(turn: Turn) -> float:
    """Kernels that walk over all of their output, whatever rows are asked for."""
    return elements(turn) + PASSED * turn.call.y.rows


FORMULAS: Mapping[str, Callable[[Turn], float]] = {
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "fully_connected": fully_connected,
    "average_pool_2d": pooled,
    "max_pool_2d": pooled,
    "mean": walked,
    "transpose": walked,
}


class Work:
    """The estimates of one graph; `calls` are its nodes' kernel calls (`lifetime.lower`)."""

    def __init__(self, graph: Graph, calls: Sequence[KernelCall]) -> None:
        self.graph, self.calls = graph, calls
        self.known: dict[tuple[int, int, int, bool, bool], float] = {}

    def extra(self, plan: Schedule) -> float:
        """Instructions that the calls of a streamed segment take beyond running each of its nodes at once."""
        calls: dict[int, list[Rows]] = {}
        for event in plan.events:
            calls.setdefault(event.node, []).append((event.begin, event.end))
        return sum(self.by_rows(n, rows, *self.rings(plan, n)) for n, rows in calls.items())

    def by_rows(self, node: int, calls: Sequence[Rows], ring_in: bool, ring_out: bool) -> float:
        """Instructions of one node's calls beyond one call for all its rows."""
        return sum(self.instructions(node, *rows, ring_in, ring_out) for rows in calls) - self.at_once(node)

    def rings(self, plan: Schedule, node: int) -> tuple[bool, bool]:
        """Whether a node's input 0, and its output, are held in rings."""
        tensors = self.graph.tensors
        ends = (self.graph.nodes[node].inputs[0], self.graph.nodes[node].outputs[0])
        first, last = (plan.rings.get(t, tensors[t].rows) < tensors[t].rows for t in ends)
        return first, last

    def whole(self) -> float:
        """Instructions of all nodes, run at once each."""
        return sum(map(self.at_once, range(len(self.graph.nodes))))

    def at_once(self, node: int) -> float:
        n = self.graph.nodes[node]
        call = self.graph.call(n)
        return 0.0 if n.operator.is_view(call) else self.instructions(node, 0, call.y.rows, False, False)

    def instructions(self, node: int, begin: int, end: int, ring_in: bool = True, ring_out: bool = True) -> float:
        """Of one kernel call, for output rows [begin, end), from a ring and to a ring, or from and to whole tensors."""
        key = (node, begin, end, ring_in, ring_out)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self._instructions(node, (begin, end), ring_in, ring_out)
        return found

    def _instructions(self, node: int, rows: Rows, ring_in: bool, ring_out: bool) -> float:
        n, kernel = self.graph.nodes[node], self.calls[node]
        call = self.graph.call(n)
        low, high = n.operator.input_rows(call, 0, rows)
        formula = FORMULAS.get(kernel.kernel, elements)
        return CALL + formula(Turn(call, kernel, rows[1] - rows[0], high - low, ring_in, ring_out))
