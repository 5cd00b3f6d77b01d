"""TensorFlow Lite file -> Graph.

Tensors keep the file's indices. Constant parameters that an operator takes as attributes (axes, perm, paddings) stay
in `Graph.tensors` but are no operands. Nodes carry the name of their first output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from refsim.errors import GraphError, InputError, ModelError, UnsupportedError
from refsim.graph import Call, Graph, Node, Operator, Shape, Tensor
from refsim.importers.flatbuffer import Flatbuffer, Table
from refsim.importers.tflite_schema import (
    CONTROL_FLOW,
    CUSTOM,
    IDENTIFIER,
    MODEL,
    MOVES_FLOATS,
    OPERATOR,
    OPERATOR_CODE,
    OPERATORS,
    OPTIONS,
    SUBGRAPH,
)
from refsim.importers.tflite_tensors import FIXED_SHAPE, is_dynamic, open_axes, quoted, read_tensors
from refsim.int8ops import by_tflite

__all__ = ["IDENTIFIER", "read_tflite"]

QUANTISED = frozenset(("int4", "int8", "uint8", "int16"))
FULL_INTEGER = (
    "quantise it with tf.lite.TFLiteConverter: optimizations=[tf.lite.Optimize.DEFAULT], a representative_dataset,"
    " and target_spec.supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8]"
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator of the file, its indices checked; `str()` is how sentences call it."""

    model: str
    number: int
    tflite: str
    name: str
    table: Table
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def __str__(self) -> str:
        return f"layer {self.number} ({self.tflite} {quoted(self.name)}) of model '{self.model}'"


def read_tflite(data: bytes, name: str) -> Graph:
    """The network in the bytes of a .tflite file, verified; `name` becomes the Graph's.

    Constants are read-only views of `data` where they can be. Every read is checked, so damaged bytes end in
    ModelError; what is valid and not to be had here ends in UnsupportedError.
    """
    if not data:
        raise ModelError(f"model '{name}' is an empty file; expected a .tflite file")
    file = Flatbuffer(data, name)
    model = file.root(IDENTIFIER)
    subgraph = _only_subgraph(name, model)
    entries: tuple[Table, ...] = subgraph.read(SUBGRAPH["tensors"])
    tensors = read_tensors(file, entries, model.read(MODEL["buffers"]))
    layers = _layers(name, model, subgraph, tensors)
    for layer in layers:
        _refuse_unknown(layer)
    for layer in layers:
        _refuse_float(layer, tensors)
    ends = _ends(name, subgraph, tensors, entries)
    nodes = tuple(_node(layer, tensors, entries) for layer in layers)
    graph = Graph(name, tensors, nodes, *ends)
    _verify(graph)
    return graph


def _only_subgraph(name: str, model: Table) -> Table:
    subgraphs: tuple[Table, ...] = model.read(MODEL["subgraphs"])
    if not subgraphs:
        raise ModelError(f"model '{name}' has no subgraph, so it computes nothing; convert it again")
    if len(subgraphs) > 1:
        raise UnsupportedError(
            f"model '{name}' has {len(subgraphs)} subgraphs (control flow or several signatures), and refsim reads"
            " one; convert one signature without tf.cond and tf.while_loop"
        )
    return subgraphs[0]


def _ends(
    name: str, subgraph: Table, tensors: Sequence[Tensor], entries: Sequence[Table]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Inputs and outputs of the network."""
    inputs: tuple[int, ...] = subgraph.read(SUBGRAPH["inputs"])
    outputs: tuple[int, ...] = subgraph.read(SUBGRAPH["outputs"])
    for what, indices in (("input", inputs), ("output", outputs)):
        for i in indices:
            if not 0 <= i < len(tensors):
                raise _no_tensor(f"model '{name}' names tensor {i} as an {what}", tensors)
    if not outputs:
        raise ModelError(f"model '{name}' has no outputs, so it computes nothing; convert it again")
    if repeated := [i for i, n in Counter(inputs).items() if n > 1]:
        raise ModelError(f"model '{name}' names tensor {repeated[0]} as an input more than once; convert it again")
    for i in inputs:
        _refuse_unusable(tensors[i], f"model '{name}'")
        if axes := open_axes(entries[i]):
            raise UnsupportedError(
                f"input {quoted(tensors[i].name)} of model '{name}' is dynamic along axis {axes[0]}: {FIXED_SHAPE}"
            )
    return inputs, outputs


def _no_tensor(claim: str, tensors: Sequence[Tensor]) -> ModelError:
    return ModelError(f"{claim}, and the file has tensors 0 to {len(tensors) - 1}; convert it again")


def _layers(name: str, model: Table, subgraph: Table, tensors: Sequence[Tensor]) -> tuple[Layer, ...]:
    codes = tuple(_tflite_name(code) for code in model.read(MODEL["operator_codes"]))
    tables: tuple[Table, ...] = subgraph.read(SUBGRAPH["operators"])
    return tuple(_layer(name, n, table, codes, tensors) for n, table in enumerate(tables))


def _tflite_name(code: Table) -> str:
    """The operator's name; numbers above 127 stand in a later field than the first ones did."""
    number = max(code.read(OPERATOR_CODE["deprecated_builtin_code"]), code.read(OPERATOR_CODE["builtin_code"]))
    if number == CUSTOM:
        return f"custom operator {quoted(code.read(OPERATOR_CODE['custom_code']))}"
    return OPERATORS[number] if 0 <= number < len(OPERATORS) else f"operator number {number}"


def _layer(name: str, number: int, table: Table, codes: Sequence[str], tensors: Sequence[Tensor]) -> Layer:
    where = f"layer {number} of model '{name}'"
    opcode = table.read(OPERATOR["opcode_index"])
    if opcode >= len(codes):
        raise ModelError(f"{where} refers to operator code {opcode}, and the file has {len(codes)}; convert it again")
    inputs: tuple[int, ...] = table.read(OPERATOR["inputs"])
    outputs: tuple[int, ...] = table.read(OPERATOR["outputs"])
    for lowest, indices in ((-1, inputs), (0, outputs)):
        if wrong := [i for i in indices if not lowest <= i < len(tensors)]:
            raise _no_tensor(f"{where} refers to tensor {wrong[0]}", tensors)
    if not outputs:
        raise ModelError(f"{where} ({codes[opcode]}) has no outputs; convert it again")
    return Layer(name, number, codes[opcode], tensors[outputs[0]].name, table, inputs, outputs)


def _refuse_unknown(layer: Layer) -> None:
    if layer.tflite in by_tflite():
        return
    if layer.tflite in CONTROL_FLOW:
        raise UnsupportedError(f"{layer} is control flow, which refsim does not have; convert the model without it")
    raise UnsupportedError(f"{layer} is not an operator of refsim, which has {', '.join(sorted(by_tflite()))}")


def _refuse_float(layer: Layer, tensors: Sequence[Tensor]) -> None:
    used = (i for i in (*layer.inputs, *layer.outputs) if i >= 0)
    if layer.tflite not in MOVES_FLOATS and any(tensors[i].dtype == "float32" for i in used):
        raise UnsupportedError(f"{layer} computes in float32, and refsim computes in int8 and int16; {FULL_INTEGER}")


def _node(layer: Layer, tensors: Sequence[Tensor], entries: Sequence[Table]) -> Node:
    operator = by_tflite()[layer.tflite]
    outputs = tuple(tensors[i] for i in layer.outputs)
    with _explained(layer):
        operands = operator.operands(layer.inputs)
        inputs = _picked(tensors, operands)
    if len(operands) > operator.most_operands:
        raise ModelError(f"{layer} has {len(operands)} operands: expected {operator.most_operands} at most")
    for tensor in (*inputs, *outputs):
        if tensor is not None:
            _refuse_unusable(tensor, str(layer))
    with _explained(layer):
        attributes = operator.attributes(_options(layer, operator), _picked(tensors, layer.inputs), outputs)
        shapes = operator.infer(inputs, attributes)
    _refuse_other_shapes(layer, outputs, shapes, entries)
    with _explained(layer):
        operator.check(Call(inputs, outputs, attributes))
    return Node(operator, operands, layer.outputs, attributes, layer.name)


def _picked(tensors: Sequence[Tensor], indices: Sequence[int]) -> tuple[Tensor | None, ...]:
    return tuple(None if i < 0 else tensors[i] for i in indices)


def _options(layer: Layer, operator: Operator) -> Mapping[str, Any]:
    """The layer's options by the operator's names; TFLite writes no table where all have their defaults."""
    table: Table | None = layer.table.read(OPERATOR["builtin_options"])
    written = layer.table.read(OPERATOR["builtin_options_type"])
    if table is None or not written or not operator.options:
        return {name: slot.default for name, slot in operator.options.items()}
    if written != OPTIONS[layer.tflite]:
        raise ModelError(
            f"its options are of type {written}, expected {OPTIONS[layer.tflite]}; convert the model again"
        )
    return {name: table.read(slot) for name, slot in operator.options.items()}


@contextmanager
def _explained(layer: Layer) -> Iterator[None]:
    """Name the layer in what its operator complains about.

    Operators are written for calls that make sense; only a foreign file can make another, and only here.
    """
    try:
        yield
    except InputError as error:
        raise type(error)(f"{layer}: {error}") from error
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, GraphError) as error:
        raise ModelError(f"{layer} has operands, shapes or options that contradict each other; convert it again") from (
            error
        )


def _refuse_unusable(tensor: Tensor, where: str) -> None:
    """An activation or weight that no operator could use, whatever it is."""
    what = f"tensor {quoted(tensor.name)} in {where}"
    if 0 in tensor.shape:
        raise UnsupportedError(f"{what} has the dynamic or empty shape {tensor.shape}; {FIXED_SHAPE}")
    if tensor.dtype not in QUANTISED:
        return
    if tensor.quant is None:
        raise ModelError(f"{what} is {tensor.dtype} without scale and zero point; quantise the model again")
    if tensor.quant.per_channel and tensor.data is None:
        raise UnsupportedError(f"{what} is an activation with a scale per channel; refsim has that for weights only")


def _refuse_other_shapes(
    layer: Layer, outputs: Sequence[Tensor], shapes: Sequence[Shape], entries: Sequence[Table]
) -> None:
    written = tuple(t.shape for t in outputs)
    if written == tuple(shapes):
        return
    if any(is_dynamic(entries[i]) for i in (*layer.inputs, *layer.outputs) if i >= 0):
        raise UnsupportedError(f"{layer} has dynamic dimensions, for which the file holds placeholders; {FIXED_SHAPE}")
    raise ModelError(f"{layer} writes {_listed(written)}, and its inputs give {_listed(shapes)}; convert it again")


def _listed(shapes: Sequence[Shape]) -> str:
    return " and ".join(map(str, shapes)) or "nothing"


def _verify(graph: Graph) -> None:
    try:
        graph.verify()
    except GraphError as error:
        raise ModelError(f"model '{graph.name}' is not a network that can run: {error}; convert it again") from error
