"""What a network computes: tensors, and nodes that apply operators to them.

Everything here is immutable. `Operator` and `Node` stand in one file because they refer to each other.

Textual form (`str(graph)`), one line a node, in which tests are written:

    graph kws (%0: int8[1,49,10,1]) -> (%34)
      %22: int8[1,25,5,64] = conv2d(%0, %17, %3) {stride=(2, 2), ...}
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from refsim.errors import GraphError

if TYPE_CHECKING:
    from refsim.int8ops.numerics import Numerics

Array = NDArray[Any]
Shape = tuple[int, ...]
Rows = tuple[int, int]  # half-open interval

DTYPES: Mapping[str, Any] = {
    "int4": np.int8,  # one value a byte once unpacked
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "float32": np.float32,
    "bool": np.bool_,
}


@dataclass(frozen=True, slots=True)
class Quant:
    """Affine quantisation, real = scale * (q - zero_point); per channel along `axis` when several scales."""

    scale: tuple[float, ...]  # float32 values, held exactly
    zero_point: tuple[int, ...]
    axis: int = 0

    @property
    def per_channel(self) -> bool:
        return len(self.scale) > 1


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A named value; `data` is there when it is constant."""

    name: str
    shape: Shape
    dtype: str
    quant: Quant | None = None
    data: Array | None = None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return int(np.dtype(DTYPES[self.dtype]).itemsize)

    @property
    def nbytes(self) -> int:
        return self.elements * self.itemsize

    @property
    def rows(self) -> int:
        """Rows that a Program can address: N*H of a 4-D tensor, all but the last axis of others."""
        return math.prod(self.shape[:2] if len(self.shape) == 4 else self.shape[:-1])

    @property
    def row_bytes(self) -> int:
        return self.nbytes // self.rows if self.rows else 0

    @property
    def scale(self) -> float:
        """The one scale of a per-tensor quantised tensor."""
        assert self.quant is not None, f"tensor '{self.name}' is not quantised"
        return self.quant.scale[0]

    @property
    def zero_point(self) -> int:
        assert self.quant is not None, f"tensor '{self.name}' is not quantised"
        return self.quant.zero_point[0]

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Call:
    """One application of an operator: the tensors on both sides and the attributes."""

    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    attributes: Any

    @property
    def x(self) -> Tensor:
        first = self.inputs[0]
        assert first is not None
        return first

    @property
    def y(self) -> Tensor:
        return self.outputs[0]


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a TFLite options table keeps an attribute: vtable slot, type, and the value when absent."""

    index: int
    type: str  # int8 (enums), int32, float32, bool, int32[]
    default: Any = 0


@dataclass(frozen=True, slots=True)
class Window:
    """Where a tensor lies inside another: its row r is in row first_row + r, from byte `first_byte` of that row on."""

    first_row: int
    first_byte: int


@dataclass(frozen=True, slots=True)
class KernelCall:
    """How an operator's C kernel is called for one node: the fields of `struct rs_<kernel>`.

    `views` names the field that takes each input in turn (None: the input is not passed as a view, because
    it is constant and appears in `constants`); outputs go to `outputs`. `constants` become arrays in flash.
    `scratch` bytes of the arena are given to the field `scratch` (4-byte aligned) when not zero.
    """

    kernel: str
    views: tuple[str | None, ...]
    outputs: tuple[str, ...] = ("y",)
    literals: Mapping[str, int] = field(default_factory=dict)
    constants: Mapping[str, Array] = field(default_factory=dict)
    scratch: int = 0


class Operator(ABC):
    """The semantics of one operator. One file of `refsim.int8ops` each, ending in `OPERATOR = ...`.

    `name` is the stem of all its files (conv2d.py, conv2d.h, test_conv2d.py, golden/reference/conv2d);
    `tflite` is its name in TFLite's schema; `options` says where its options table keeps what; `most_operands` how
    many inputs a node of it may have.
    """

    name: ClassVar[str]
    tflite: ClassVar[str]
    options: ClassVar[Mapping[str, Slot]] = {}
    most_operands: ClassVar[int] = 1

    def attributes(self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> Any:
        """Attributes from a decoded options table; constant operands (axes, paddings) are folded in.

        Raises ModelError or UnsupportedError for options that make no sense.
        """
        return None

    def operands(self, inputs: Sequence[int]) -> tuple[int, ...]:
        """The inputs that stay operands of the Node once constant parameters became attributes."""
        return tuple(inputs)

    @abstractmethod
    def infer(self, inputs: Sequence[Tensor | None], attributes: Any) -> tuple[Shape, ...]:
        """Output shapes."""

    def check(self, call: Call) -> None:  # noqa: B027 - most operators accept what infer accepts
        """Raise UnsupportedError when types or quantisation are not those that TFLite defines."""

    @abstractmethod
    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        """The answer, bit for bit. `values` holds an array for each input, constants included."""

    def macs(self, call: Call) -> int:
        """Multiply-accumulates with weights, as papers count them: of convolutions and matrices only."""
        return 0

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        """Rows of input `index` that output rows `rows` are computed from (all of them unless overridden)."""
        tensor = call.inputs[index]
        assert tensor is not None
        return (0, tensor.rows)

    def is_view(self, call: Call) -> bool:
        """True when the output is the input's very bytes, so that no code needs to run."""
        return False

    def outputs_within(self, call: Call) -> tuple[Window | None, ...]:
        """Per output, where its bytes are in input 0; None where they have to be computed or copied.

        A Program may then leave the node out (`memsim.inplace`).
        """
        return (None,) * len(call.outputs)

    def inputs_within(self, call: Call) -> tuple[Window | None, ...]:
        """Per input, where its bytes are in output 0, which is nothing but them; None where they are not."""
        return (None,) * len(call.inputs)

    def overwrites(self, call: Call) -> tuple[int, ...]:
        """Inputs whose bytes the output may replace, element for element, while the kernel runs.

        It has read an element of such an input, for the last time, before it writes the output's of the same place.
        """
        return ()

    @abstractmethod
    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        """The C kernel's arguments for this call."""


@dataclass(frozen=True, slots=True)
class Node:
    """An operator applied to tensors, by index into `Graph.tensors`; -1 for an absent optional input."""

    operator: Operator
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Any = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A tensor is the box from row `top` and column `left` on of tensor `whole`, which nobody computes in one piece."""

    whole: int
    top: int
    left: int


@dataclass(frozen=True, eq=False)
class Graph:
    """Tensors and the nodes in an order in which they can run.

    `eliminated` records what passes removed: tensor index -> why, so that a report can say so. `parts` says of which
    tensors of the model the graph's own are parts (`memsim.patch`).
    """

    name: str
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    eliminated: Mapping[int, str] = field(default_factory=dict)
    parts: Mapping[int, Part] = field(default_factory=dict)

    def whole_of(self, tensor: int) -> int:
        """The model's tensor that this one is, or is a part of."""
        return self.parts[tensor].whole if tensor in self.parts else tensor

    def call(self, node: Node) -> Call:
        return Call(
            tuple(None if i < 0 else self.tensors[i] for i in node.inputs),
            tuple(self.tensors[i] for i in node.outputs),
            node.attributes,
        )

    def activations(self, node: Node) -> Iterator[int]:
        """Indices of the node's inputs that are computed or given at run time."""
        return (i for i in node.inputs if i >= 0 and self.tensors[i].data is None)

    @cached_property
    def producers(self) -> Mapping[int, int]:
        """Tensor index -> position of the node that computes it."""
        return {t: n for n, node in enumerate(self.nodes) for t in node.outputs}

    @cached_property
    def consumers(self) -> Mapping[int, tuple[int, ...]]:
        """Tensor index -> positions of the nodes that read it, in order."""
        found: dict[int, list[int]] = {}
        for n, node in enumerate(self.nodes):
            for t in dict.fromkeys(i for i in node.inputs if i >= 0):
                found.setdefault(t, []).append(n)
        return {t: tuple(ns) for t, ns in found.items()}

    @cached_property
    def macs(self) -> int:
        return sum(node.operator.macs(self.call(node)) for node in self.nodes)

    @cached_property
    def parameters(self) -> int:
        """Elements of the constant operands, each counted once."""
        used = {i for node in self.nodes for i in node.inputs if i >= 0 and self.tensors[i].data is not None}
        return sum(self.tensors[i].elements for i in used)

    def verify(self) -> None:
        """Raise GraphError unless every tensor is written once, before it is read, with the shape inferred.

        And every output depends on an input: one that does not is a constant, which no code computes.
        """
        known = {i for i, t in enumerate(self.tensors) if t.data is not None}
        varying = set(self.inputs)
        if clash := known & set(self.inputs):
            raise GraphError(f"graph '{self.name}': input %{min(clash)} is a constant")
        known |= set(self.inputs)
        for n, node in enumerate(self.nodes):
            where = f"graph '{self.name}', node {n} ({node.operator.name})"
            for i in (*node.inputs, *node.outputs):
                if not -1 <= i < len(self.tensors):
                    raise GraphError(f"{where}: there is no tensor %{i}")
            if missing := [i for i in node.inputs if i >= 0 and i not in known]:
                raise GraphError(f"{where}: reads %{missing[0]} before anything computes it")
            if again := [i for i in node.outputs if i in known]:
                raise GraphError(f"{where}: writes %{again[0]}, which already has a value")
            call = self.call(node)
            shapes = node.operator.infer(call.inputs, node.attributes)
            for tensor, shape in zip(call.outputs, shapes, strict=True):
                if tensor.shape != shape:
                    raise GraphError(f"{where}: '{tensor.name}' has shape {tensor.shape}, its inputs give {shape}")
            known.update(node.outputs)
            if varying & set(node.inputs):
                varying.update(node.outputs)
        if missing := [i for i in self.outputs if i not in known]:
            raise GraphError(f"graph '{self.name}': nothing computes output %{missing[0]}")
        if fixed := [i for i in self.outputs if i not in varying]:
            raise GraphError(f"graph '{self.name}': output %{fixed[0]} depends on no input")

    def __str__(self) -> str:
        head = ", ".join(f"%{i}: {self.tensors[i]}" for i in self.inputs)
        lines = [f"graph {self.name} ({head}) -> ({', '.join(f'%{i}' for i in self.outputs)})"]
        for node in self.nodes:
            left = ", ".join(f"%{i}: {self.tensors[i]}" for i in node.outputs)
            right = ", ".join(f"%{i}" if i >= 0 else "_" for i in node.inputs)
            lines.append(f"  {left} = {node.operator.name}({right}){_braces(node.attributes)}")
        return "\n".join(lines) + "\n"


def _braces(attributes: Any) -> str:
    if attributes is None:
        return ""
    return " {" + ", ".join(f"{f.name}={getattr(attributes, f.name)}" for f in fields(attributes)) + "}"
