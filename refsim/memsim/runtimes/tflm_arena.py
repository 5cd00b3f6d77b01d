"""TensorFlow Lite Micro's arena from the first allocation to the last: head, tail, and the least that suffices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from refsim.graph import Call, Graph, Tensor
from refsim.memsim.plan import LiveRange, Plan, make_plan
from refsim.memsim.planners.tflm_greedy import tflm_greedy
from refsim.memsim.runtimes.footprint import rounded_up
from refsim.memsim.runtimes.tflm_structs import MOST_SCRATCH, PER_BUFFER, Kernel, Target

ALIGNMENT = 16  # MicroArenaBufferAlignment()
NOTHING = Kernel((0, 0), (0, 0), "")

Scratch = Callable[[str, Call], tuple[int, ...]]  # of an operator's name and a call: bytes of each request


@dataclass
class Arena:
    """The two-ended allocator: `tail` and `head` bytes in use, temporaries above the head, `needed` the most so far.

    Persistent allocations are only held against the head, temporaries against the tail, as in
    single_arena_buffer_allocator.cc.
    """

    head: int = 0
    tail: int = 0
    temporary: int = 0
    needed: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)

    def persist(self, kind: str, nbytes: int, alignment: int = ALIGNMENT) -> None:
        before, self.tail = self.tail, rounded_up(self.tail + nbytes, alignment)
        self.by_kind[kind] = self.by_kind.get(kind, 0) + self.tail - before
        self.needed = max(self.needed, self.head + self.tail)

    def borrow(self, nbytes: int, alignment: int) -> None:
        self.temporary = rounded_up(self.temporary, alignment) + nbytes
        self.needed = max(self.needed, self.temporary + self.tail)

    def reserve(self, head: int) -> None:
        """Set the head; temporaries are given back."""
        self.head = self.temporary = head
        self.needed = max(self.needed, self.head + self.tail)


@dataclass(frozen=True, eq=False)
class Allocation:
    """`minimum` bytes of arena let AllocateTensors succeed; `arena_used_bytes()` answers `plan.nbytes` + `tail`."""

    plan: Plan
    tail: int
    minimum: int
    by_kind: Mapping[str, int]


def allocate(graph: Graph, target: Target, kernels: Mapping[str, Kernel], scratch: Scratch) -> Allocation:
    """Everything that MicroInterpreter::AllocateTensors allocates, in its order."""
    arena = Arena()
    asked = ((n, scratch(node.operator.name, graph.call(node))) for n, node in enumerate(graph.nodes))
    requests = [(n, size) for n, sizes in asked for size in sizes]
    plan = make_plan(tuple(live_ranges(graph, requests)), tflm_greedy)
    _start(arena, graph, target)
    _nodes(arena, graph, target, kernels, [n for n, _ in requests])
    _plan(arena, graph, target, plan, len(requests))
    _ends(arena, graph, target)
    return Allocation(plan, arena.tail, rounded_up(arena.needed, ALIGNMENT), arena.by_kind)


def live_ranges(graph: Graph, requests: list[tuple[int, int]]) -> Iterator[LiveRange]:
    """Tensors by index, then scratch: TFLM's order, on which ties depend. Inputs live from 0, node n runs at n + 1."""
    first = dict.fromkeys(graph.inputs, 0) | {t: n + 1 for t, n in graph.producers.items()}
    for i in sorted(first):
        uses = [first[i], *(n + 1 for n in graph.consumers.get(i, ()))]
        last = len(graph.nodes) if i in graph.outputs else max(uses)
        tensor = graph.tensors[i]
        if tensor.nbytes and tensor.data is None:
            yield LiveRange(tensor.name, rounded_up(tensor.nbytes, ALIGNMENT), first[i], last)
    for n, size in requests:
        name = f"scratch of {graph.nodes[n].name or graph.nodes[n].operator.name}"
        yield LiveRange(name, rounded_up(size, ALIGNMENT), n + 1, n + 1)


def _start(arena: Arena, graph: Graph, target: Target) -> None:
    """Allocators, planner, and the arrays of tensors and nodes."""
    arena.persist("framework", target.arena_allocator, target.pointer)
    arena.persist("framework", target.planner, target.pointer)
    arena.persist("framework", target.micro_allocator, target.pointer)
    arena.persist("framework", target.builtin_allocator, target.pointer)
    arena.reserve(target.scratch_request * MOST_SCRATCH)
    arena.persist("framework", target.subgraph, target.pointer)
    arena.persist("tensors", target.eval_tensor * len(graph.tensors), target.pointer)
    arena.persist("nodes", target.node * len(graph.nodes), target.pointer)


def _nodes(arena: Arena, graph: Graph, target: Target, kernels: Mapping[str, Kernel], requests: list[int]) -> None:
    """Options of every node, then its kernel's Init, then its Prepare: three passes."""
    used = [kernels.get(node.operator.name, NOTHING) for node in graph.nodes]
    for kernel in used:
        size = kernel.builtin[target.column]
        arena.persist("options", size, 1 if size % 4 else 4)
    for kernel in used:
        if kernel.user[target.column]:
            arena.persist("kernels", kernel.user[target.column])
    for n, kernel in enumerate(used):
        call = graph.call(graph.nodes[n])
        _borrow(arena, target, call, kernel.before)
        for size in _channel_arrays(call, kernel):
            arena.persist("kernels", size)
        _borrow(arena, target, call, kernel.after)
        asked = sum(1 for other in requests if other <= n)
        arena.reserve(target.scratch_request * (MOST_SCRATCH + asked))


def _channel_arrays(call: Call, kernel: Kernel) -> tuple[int, ...]:
    weights = call.inputs[1] if kernel.channels else None
    if weights is None or weights.quant is None:
        return ()
    channels = call.y.shape[-1]
    return (4 * channels,) * 2 if kernel.channels == "always" or weights.quant.per_channel else ()


def _borrow(arena: Arena, target: Target, call: Call, tensors: str) -> None:
    """Temporary TfLiteTensors, with their quantisation, until the node is prepared."""
    for letter in tensors:
        for tensor in _meant(call, letter):
            arena.borrow(target.tensor, target.pointer)
            if tensor is not None and tensor.quant is not None:
                arena.borrow(target.affine, target.pointer)
                arena.borrow(4 + 4 * len(tensor.quant.scale), 4)


def _meant(call: Call, letter: str) -> tuple[Tensor | None, ...]:
    if letter == "y":
        return (call.y,)
    if letter == "p":
        return (None,)
    if letter == "*":
        return call.inputs
    place = "xwb".index(letter)
    present = call.inputs[place] if place < len(call.inputs) else None
    return () if present is None else (present,)


def _plan(arena: Arena, graph: Graph, target: Target, plan: Plan, requests: int) -> None:
    """Scratch handles, then what planning borrows, then the plan itself."""
    if requests:
        arena.persist("scratch_handles", target.scratch_handle * requests, target.pointer)
    arena.borrow(target.pointer, target.pointer)  # offset of the one subgraph
    arena.borrow(target.allocation_info * (len(graph.tensors) + requests), target.pointer)
    arena.tail, exact = rounded_up(arena.tail, ALIGNMENT), arena.tail  # the planner gets whole blocks only
    arena.borrow(PER_BUFFER * len(plan.ranges), ALIGNMENT)
    arena.tail = exact
    arena.reserve(rounded_up(plan.nbytes, ALIGNMENT))


def _ends(arena: Arena, graph: Graph, target: Target) -> None:
    """Pointers to the inputs' and outputs' tensors, the tensors, and their quantisation."""
    for ends in (graph.inputs, graph.outputs):
        arena.persist("io", target.pointer * len(ends))
        for i in ends:
            arena.persist("io", target.tensor, target.pointer)
            quant = graph.tensors[i].quant
            if quant is not None:
                arena.persist("io", target.affine, target.pointer)
                arena.persist("io", 4 + 4 * len(quant.scale), 4)
