"""Instructions that a Program's kernel calls take, estimated: what running a chain by rows costs beyond whole tensors.

A formula per kernel follows what the C does: it counts inner steps exactly (pairs of pixels, values gathered, calls)
and weighs each by a constant. The constants are fitted to instructions executed on a Cortex-M4 (clang, -O2), node by
node, whole and by 1, 2, 4 and 8 rows; from one offset to the next a compiler differs by a few per cent of a layer, and
no formula sees that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from refsim.graph import Call, Graph, KernelCall, Rows
from refsim.memsim.stream import Schedule

CALL = 60.0  # a layer's call: the loop's turn, registers saved and restored, addresses that a literal interval folds

# CONV_2D, per pair of pixels: four products of four channels (rs_dot.h), requantising two channels of both pixels,
# widening four values of both pixels, the loop; and finding a window of both pixels where it is not a single place.
DOT, PAIR_OUTPUT, WIDEN, PAIR_LOOP, WINDOW = 13.0, 48.0, 9.0, 24.0, 250.0

# DEPTHWISE_CONV_2D: a value gathered into scratch, a channel begun in a block of rows (weights, pointers), a row of a
# channel gathered, a row of a channel computed, an output requantised, and a product.
GATHER, CHANNEL, GATHERED_ROW, OUTPUT_ROW, OUTPUT, TAP = 2.4, 60.0, 9.0, 12.0, 9.5, 1.2
FILL = 1.3  # a value of the scratch plane set to padding, once a block

ELEMENT = 14.0  # an output of any kernel that only walks over elements
POOLED = 1.8  # a value that a pooling or mean kernel reads
PRODUCT = 1.1  # a product of FULLY_CONNECTED
PASSED = 3.0  # a row of the output that MEAN and TRANSPOSE walk past because it is not asked for


class Turn(NamedTuple):
    """One kernel call: what is called, how many output rows, how many rows of input 0 they need."""

    call: Call
    kernel: KernelCall
    rows: int
    read: int


def conv2d(turn: Turn) -> float:
    p = turn.kernel.literals
    pairs = (turn.rows * p["out_w"] + 1) // 2
    steps, channels = p["depth"] // 4, (p["live"] + 1) // 2
    point = p["kernel_h"] * p["kernel_w"] * p["stride_h"] * p["stride_w"] == 1
    return pairs * (channels * (DOT * steps + PAIR_OUTPUT) + WIDEN * steps + PAIR_LOOP + (0.0 if point else WINDOW))


def depthwise_conv2d(turn: Turn) -> float:
    p = turn.kernel.literals
    blocks = -(-turn.rows // p["block_rows"])
    reach = (p["kernel_h"] - 1) * p["dilation_h"] + 1
    gathered = turn.read + (blocks - 1) * max(0, reach - p["stride_h"])
    plane = (turn.rows - blocks) * p["stride_h"] + blocks * reach
    used = (p["out_w"] - 1) * p["stride_w"] + (p["kernel_w"] - 1) * p["dilation_w"] + 1 - p["pad_left"]
    into = gathered * (GATHER * min(used, p["in_w"]) + GATHERED_ROW)
    each = OUTPUT + TAP * p["kernel_h"] * p["kernel_w"]
    out = turn.rows * (each * p["out_w"] + OUTPUT_ROW) + blocks * CHANNEL
    return p["in_c"] * into + p["out_c"] * out + FILL * plane * p["plane_w"]


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
        self.known: dict[tuple[int, int, int], float] = {}

    def extra(self, plan: Schedule) -> float:
        """Instructions that the calls of a streamed segment take beyond running each of its nodes at once."""
        nodes = {event.node for event in plan.events}
        return sum(self.instructions(e.node, e.begin, e.end) for e in plan.events) - sum(map(self.at_once, nodes))

    def whole(self) -> float:
        """Instructions of all nodes, run at once each."""
        return sum(map(self.at_once, range(len(self.graph.nodes))))

    def at_once(self, node: int) -> float:
        n = self.graph.nodes[node]
        call = self.graph.call(n)
        return 0.0 if n.operator.is_view(call) else self.instructions(node, 0, call.y.rows)

    def instructions(self, node: int, begin: int, end: int) -> float:
        """Of one kernel call, for output rows [begin, end)."""
        found = self.known.get((node, begin, end))
        if found is None:
            found = self.known[node, begin, end] = self._instructions(node, (begin, end))
        return found

    def _instructions(self, node: int, rows: Rows) -> float:
        n, kernel = self.graph.nodes[node], self.calls[node]
        call = self.graph.call(n)
        low, high = n.operator.input_rows(call, 0, rows)
        formula = FORMULAS.get(kernel.kernel, elements)
        return CALL + formula(Turn(call, kernel, rows[1] - rows[0], high - low))


def extra(graph: Graph, calls: Sequence[KernelCall], plan: Schedule) -> float:
    """`Work.extra` for a single question; who has many keeps a Work."""
    return Work(graph, calls).extra(plan)


def whole(graph: Graph, calls: Sequence[KernelCall]) -> float:
    """`Work.whole` for a single question."""
    return Work(graph, calls).whole()
