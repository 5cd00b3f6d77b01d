"""Executes Graphs on arrays and Programs on bytes. Slow and plain: what it computes is the definition.

`run` answers for a Graph. `run_program` executes the same nodes through the views of a Program in one byte arena, so
a wrong plan gives a wrong answer before any C exists: rows that a step has not been promised are filled with noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from refsim.errors import UsageError
from refsim.graph import DTYPES, Array, Graph, Rows, Tensor
from refsim.int8ops.numerics import TFLM, Numerics
from refsim.memsim.program import Program, Step, View

Values = Mapping[int, Array]


def random_inputs(graph: Graph, seed: int) -> tuple[Array, ...]:
    """Seeded inputs over the whole range of each type; floats from -1 to 1."""
    bits = np.random.PCG64(seed)
    return tuple(_random(graph.tensors[i], bits) for i in graph.inputs)


def _random(tensor: Tensor, bits: np.random.PCG64) -> Array:
    raw = bits.random_raw(tensor.elements) >> np.uint64(40)  # 24 bits: exact in float32
    if tensor.dtype == "float32":
        return (raw.astype(np.float32) / np.float32(1 << 23) - np.float32(1)).reshape(tensor.shape)
    kind = DTYPES[tensor.dtype]
    if tensor.dtype == "bool":
        return np.asarray(raw & 1, np.bool_).reshape(tensor.shape)
    info = np.iinfo(kind)
    span = np.uint64(min(int(info.max) - int(info.min) + 1, 1 << 24))
    values = (raw % span).astype(np.int64) + max(int(info.min), -(1 << 23))
    return np.asarray(values.astype(kind).reshape(tensor.shape))


def checked_inputs(graph: Graph, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The inputs, contiguous. Raises UsageError unless each has its tensor's shape and type."""
    if len(inputs) != len(graph.inputs):
        raise UsageError(f"'{graph.name}' takes {len(graph.inputs)} inputs: got {len(inputs)}")
    for n, (array, i) in enumerate(zip(inputs, graph.inputs, strict=True)):
        tensor = graph.tensors[i]
        if tuple(array.shape) != tensor.shape or array.dtype != DTYPES[tensor.dtype]:
            raise UsageError(f"input_{n} ('{tensor.name}') is {array.dtype}{list(array.shape)}: expected {tensor}")
    return tuple(np.ascontiguousarray(array) for array in inputs)


def run(
    graph: Graph,
    inputs: Sequence[Array],
    numerics: Numerics = TFLM,
    on_node: Callable[[int], None] | None = None,
) -> Values:
    """Tensor index -> value, for the inputs and everything that nodes compute.

    `on_node` is called with each node's position when it is done. Raises UsageError for inputs of another shape.
    """
    values: dict[int, Array] = dict(zip(graph.inputs, checked_inputs(graph, inputs), strict=True))
    for n, node in enumerate(graph.nodes):
        operands = [None if i < 0 else _operand(graph, values, i) for i in node.inputs]
        answers = node.operator.reference(graph.call(node), operands, numerics)
        values.update(zip(node.outputs, answers, strict=True))
        if on_node is not None:
            on_node(n)
    return values


def outputs(graph: Graph, values: Values) -> tuple[Array, ...]:
    """The graph's outputs, in model order."""
    return tuple(values[i] for i in graph.outputs)


def _operand(graph: Graph, values: Values, tensor: int) -> Array:
    data = graph.tensors[tensor].data
    return values[tensor] if data is None else data


class Arena:
    """The bytes that a Program runs in, and access to tensors' rows through views."""

    def __init__(self, program: Program, seed: int = 0) -> None:
        self.program = program
        noise = np.random.PCG64(seed).random_raw(program.arena_bytes // 8 + 1)
        self.noise = noise.view(np.uint8)[: program.arena_bytes]
        self.bytes = self.noise.copy()

    def _rows(self, view: View, rows: Rows) -> Iterator[tuple[int, slice]]:
        tensor = self.program.graph.tensors[view.tensor]
        for row in range(*rows):
            start = self.program.row_address(view, row)
            yield row, slice(start, start + tensor.row_bytes)

    def read(self, view: View, rows: Rows | None = None) -> Array:
        """The whole tensor, with noise in place of rows outside `rows`."""
        tensor = self.program.graph.tensors[view.tensor]
        held = np.resize(self.noise, max(tensor.nbytes, 1))[: tensor.nbytes].reshape(tensor.rows, -1).copy()
        for row, where in self._rows(view, rows or (0, tensor.rows)):
            held[row] = self.bytes[where]
        return np.asarray(held.reshape(-1).view(DTYPES[tensor.dtype]).reshape(tensor.shape))

    def write(self, view: View, value: Array, rows: Rows | None = None) -> None:
        tensor = self.program.graph.tensors[view.tensor]
        source = np.ascontiguousarray(value).reshape(-1).view(np.uint8).reshape(tensor.rows, -1)
        for row, where in self._rows(view, rows or (0, tensor.rows)):
            self.bytes[where] = source[row]

    def scribble(self, buffer: int) -> None:
        """Fill a scratch buffer with noise, as a kernel may."""
        start = self.program.placed.offsets[buffer]
        end = start + self.program.buffers[buffer].nbytes
        self.bytes[start:end] = self.noise[start:end]


def run_program(program: Program, inputs: Sequence[Array], numerics: Numerics = TFLM) -> tuple[Array, ...]:
    """The graph's outputs, computed step by step in an arena of exactly the planned size."""
    arena = Arena(program)
    for view, value in zip(program.inputs, checked_inputs(program.graph, inputs), strict=True):
        arena.write(view, value)
    for step in program.steps():
        for rows in step.intervals():
            _execute(program, arena, step, rows, numerics)
    return tuple(arena.read(view) for view in program.outputs)


def _execute(program: Program, arena: Arena, step: Step, rows: Rows, numerics: Numerics) -> None:
    node = program.graph.nodes[step.node]
    call = program.graph.call(node)
    operands: list[Array | None] = []
    for i, (tensor, view) in enumerate(zip(call.inputs, step.reads, strict=True)):
        if view is not None:
            operands.append(arena.read(view, node.operator.input_rows(call, i, rows)))
        else:
            operands.append(None if tensor is None else tensor.data)
    with np.errstate(all="ignore"):  # noise may be any float
        answers = node.operator.reference(call, operands, numerics)
    if step.scratch is not None:
        arena.scribble(step.scratch)
    for view, answer in zip(step.writes, answers, strict=True):
        arena.write(view, answer, rows)
