"""ST's X-CUBE-AI (STEdgeAI): closed, so this is a guess with fitted numbers, not its algorithm.

What is public: one pool for activations with inputs and outputs in it, and an optimisation for memory that lets a
layer's output take its input's bytes. The guess: every layer may do so, buffers pack without waste, a depthwise layer
has scratch in proportion to its weights, and what a plan needs on top of that grows with it.

    SRAM = BASE + GROWTH * pool,    pool = most bytes live at one layer, BYTES_PER_DEPTHWISE_WEIGHT included

The numbers are fitted to the eleven rows of Table 3 of arXiv:2403.19076 (X-CUBE-AI 7.3.0, STM32H743, "balanced");
x_cube_ai_fit.py fits them again and says how far off a row is that was left out. Flash is weights, and a bias and a
float scale for each output channel, as TinyEngine's, and flash_fit's constant for code and tables: the eleven rows
within 2.9 %, when left out within 3.2 % and 1.3 % on average. What the constant stands for grows with the network, from
73 to 96 KiB and 108 in one row; nothing public says how.

Known misses: other versions, other options, operators that it would split or copy.
"""

from __future__ import annotations

from collections.abc import Sequence

from refsim.graph import Graph
from refsim.memsim.plan import LiveRange, Plan, make_plan
from refsim.memsim.planners.smallest import smallest
from refsim.memsim.runtimes.footprint import Footprint
from refsim.memsim.runtimes.tinyengine_layers import Layer, layers, model_parts

NAME = "x-cube-ai"
BASE = 30426.0  # bytes
GROWTH = 1.0785
BYTES_PER_DEPTHWISE_WEIGHT = 3.0
CODE = 87_385  # 85.3 KiB, by flash_fit


def x_cube_ai(graph: Graph) -> Footprint:
    """What X-CUBE-AI takes, about."""
    chain = layers(graph, joined=True)
    plan = make_plan(_ranges(graph, chain, BYTES_PER_DEPTHWISE_WEIGHT), smallest)
    pool, parts = plan.lower_bound, model_parts(chain)
    sram = round(BASE + GROWTH * pool)
    detail = {"pool": pool, "overhead": sram - pool, "model_size": sum(parts.values()), "code": CODE}
    note = "X-CUBE-AI is closed: its figures are estimates, fitted to Table 3 of arXiv:2403.19076"
    return Footprint(NAME, sram, {**parts, "code": CODE}, detail, plan, notes=(note,))


def pool_bytes(graph: Graph, bytes_per_weight: float) -> int:
    """The most bytes live at one layer."""
    ranges = _ranges(graph, layers(graph, joined=True), bytes_per_weight)
    return Plan(ranges, (0,) * len(ranges)).lower_bound


def _ranges(graph: Graph, chain: Sequence[Layer], bytes_per_weight: float) -> tuple[LiveRange, ...]:
    """At each layer the output and the inputs that end there share bytes: the larger side is live, the other is not."""
    last = {i: n for n, layer in enumerate(chain) for i in layer.inputs}
    spans: dict[int, tuple[int, int, int]] = {}  # tensor -> bytes, first, last
    scratch: list[LiveRange] = []
    for n, layer in enumerate(chain):
        for i in layer.inputs:
            spans.setdefault(i, (layer.x_bytes, 0, last[i]))  # an input of the network
        ending = [i for i in dict.fromkeys(layer.inputs) if last[i] == n]
        covered = sum(spans[i][0] for i in ending) < layer.y_bytes
        for i in ending if covered else ():
            nbytes, first, _ = spans[i]
            spans[i] = (nbytes, first, n - 1)
        first = n if covered or not ending else n + 1
        spans[layer.output] = (layer.y_bytes, first, last.get(layer.output, len(chain) - 1))
        if layer.kind == "depthwise" and bytes_per_weight:
            scratch.append(LiveRange(f"scratch of {layer.name}", round(bytes_per_weight * layer.weights), n, n))
    held = (LiveRange(graph.tensors[i].name, b, first, end) for i, (b, first, end) in spans.items() if first <= end)
    return (*held, *scratch)
