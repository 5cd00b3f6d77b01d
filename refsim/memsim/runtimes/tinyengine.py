"""TinyEngine: generated code over one arena, depthwise convolutions in place, the first layers by patches.

Source: mit-han-lab/tinyengine @47bb283, code_generator/GeneralMemoryScheduler.py.
SRAM is what its scheduler prints as peak memory: arena, im2col buffer and kernel buffer, without stack.
Flash is what it prints as model size (weights, and a bias and a float scale of four bytes for each output channel),
and flash_fit's constant for the code: the eight MCUNet rows of Table 3 of arXiv:2403.19076 within 0.25 %, 0.29 % when a
row is left out.

Known misses: of that table, mbv2-w0.3 is printed as 61 KiB and comes out as 59.1; the printed flash of the proxyless
and mbv2 rows leaves -0.4, 1.6 and 29.5 KiB for code that takes 62.6 to 65.5 in all others. Operators that it does not
have are counted as if it had them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from refsim.errors import PlanError, UsageError
from refsim.graph import Graph
from refsim.memsim.plan import LiveRange, Plan, aligned
from refsim.memsim.runtimes.footprint import Footprint
from refsim.memsim.runtimes.tinyengine_first_fit import Rectangle, first_fit
from refsim.memsim.runtimes.tinyengine_layers import KINDS, Layer, layers, model_parts, patched

NAME = "tinyengine"
CODE = 64_897  # 63.4 KiB, by flash_fit


def tinyengine(
    graph: Graph, inplace: bool = True, as_written: bool = True, patches: int = 1, split: int = 0
) -> Footprint:
    """What TinyEngine takes. `as_written` keeps its allocator's defects, and a note says where they corrupt data.

    `patches` x `patches` tiles go through the first `split` layers, counted without PAD and RESHAPE; the image is then
    not in the arena. Raises UsageError when the network has no such layers.
    """
    chain = _split(graph, layers(graph), patches, split)
    spoilt = tuple(_spoilt(chain)) if inplace else ()
    scheduled = _in_place(chain) if inplace else chain
    rectangles = tuple(_rectangles(scheduled, split))
    offsets = first_fit(rectangles, as_written)
    arena = max((o + r.nbytes for o, r in zip(offsets, rectangles, strict=True)), default=0)
    im2col = max((layer.im2col for layer in chain), default=0)
    kernel = max((layer.kernel_buffer for layer in chain), default=0)
    parts = model_parts(chain)
    model = sum(parts.values())
    detail = {"arena": arena, "im2col": im2col, "kernel_buffer": kernel, "model_size": model, "code": CODE}
    plan = _plan(graph, rectangles, offsets)
    notes = (*spoilt, *_overlaps(plan), *_unknown(chain))
    drawn = _with_buffers(plan, arena, kernel, im2col, len(chain))
    computes = tuple(layer.output for layer in chain)
    return Footprint(
        NAME, arena + im2col + kernel, {**parts, "code": CODE}, detail, drawn, notes=notes, computes=computes
    )


def _split(graph: Graph, chain: tuple[Layer, ...], patches: int, split: int) -> tuple[Layer, ...]:
    if not split:
        return chain
    most = min(chain[split].x[:2]) if 0 < split < len(chain) else 0
    if not 1 <= patches <= most:
        raise UsageError(
            f"network '{graph.name}' cannot run {patches}x{patches} patches through its first {split} layers: it has"
            f" {len(chain)} layers, and layer {split} has {most} rows"
        )
    return patched(chain, patches, split)


def _in_place(chain: Sequence[Layer]) -> tuple[Layer, ...]:
    """A depthwise layer's output takes the number of its input, in all later layers too."""
    same: dict[int, int] = {}
    found = []
    for layer in chain:
        inputs = tuple(same.get(i, i) for i in layer.inputs)
        if layer.kind == "depthwise":
            same[layer.output] = inputs[0]
        found.append(replace(layer, inputs=inputs, output=same.get(layer.output, layer.output)))
    return tuple(found)


def _rectangles(chain: Sequence[Layer], split: int) -> Iterator[Rectangle]:
    """One for each tensor, in the order in which layers touch them.

    It lives to its last reader; without one after the layer that touches it first, to the end, or where that is the
    first layer, for this layer.
    """
    last = {i: n for n, layer in enumerate(chain) for i in layer.inputs}
    seen: set[int] = set()
    for n, layer in enumerate(chain):
        for i, nbytes in [*((i, layer.x_bytes) for i in layer.inputs), (layer.output, layer.y_bytes)]:
            if i in seen:
                continue
            seen.add(i)
            read_later = last.get(i, -1) > n
            end = last[i] + 1 if read_later else len(chain) if n else 1
            filled_by_tiles = split and n == split and i == layer.inputs[0]
            yield Rectangle(i, 0 if filled_by_tiles else n, end, nbytes, _shrinks(chain, i))


def _shrinks(chain: Sequence[Layer], tensor: int) -> int:
    found = (n for n, layer in enumerate(chain) if layer.kind == "depthwise" and layer.stride == 2)
    return max((n for n in found if chain[n].inputs[0] == chain[n].output == tensor), default=-1)


def _plan(graph: Graph, rectangles: Sequence[Rectangle], offsets: Sequence[int]) -> Plan:
    """The rectangles as live ranges; one that shrinks is two, so that the plan says what is really in use."""
    placed: list[tuple[LiveRange, int]] = []
    for r, offset in zip(rectangles, offsets, strict=True):
        name = graph.tensors[r.tensor].name if r.tensor < len(graph.tensors) else "tiles joined"
        if 0 <= r.shrinks < r.end - 1:
            placed.append((LiveRange(name, r.nbytes, r.start, r.shrinks), offset))
            placed.append((LiveRange(name, -(-r.nbytes // 4), r.shrinks + 1, r.end - 1), offset))
        else:
            placed.append((LiveRange(name, r.nbytes, r.start, r.end - 1), offset))
    return Plan(tuple(live for live, _ in placed), tuple(offset for _, offset in placed))


def _with_buffers(plan: Plan, arena: int, kernel: int, im2col: int, steps: int) -> Plan:
    """The plan with the two buffers above the arena, which live throughout."""
    buffers = (LiveRange("kernel buffer", kernel, 0, steps - 1), LiveRange("im2col buffer", im2col, 0, steps - 1))
    return Plan((*plan.ranges, *buffers), (*plan.offsets, arena, arena + aligned(kernel)))


def _overlaps(plan: Plan) -> Iterator[str]:
    try:
        plan.verify()
    except PlanError as error:
        yield f"TinyEngine's allocator would corrupt data: {error}"


def _spoilt(chain: Sequence[Layer]) -> Iterator[str]:
    """Depthwise layers that work in place although their input is needed again, or has no room for the output."""
    for n, layer in enumerate(chain):
        if layer.kind != "depthwise":
            continue
        if any(layer.inputs[0] in later.inputs for later in chain[n + 1 :]):
            yield f"TinyEngine would corrupt data: '{layer.name}' overwrites its input, which is read again"
        if layer.y_bytes > layer.x_bytes:
            yield f"TinyEngine would corrupt data: '{layer.name}' writes {layer.y_bytes} bytes over {layer.x_bytes}"


def _unknown(chain: Sequence[Layer]) -> Iterator[str]:
    if unknown := sorted({layer.kind for layer in chain} - set(KINDS.values())):
        yield f"TinyEngine has no kernel for {', '.join(unknown)}"
