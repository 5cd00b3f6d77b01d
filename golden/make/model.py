"""Small .tflite models, written with the schema's own generated functions so that none of our decoding is in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

Array = NDArray[Any]

# The option table of each operator, and the lowest version of it that takes int8.
OPERATORS: Mapping[str, tuple[str, int]] = {
    "CONV_2D": ("Conv2DOptions", 3),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", 3),
    "FULLY_CONNECTED": ("FullyConnectedOptions", 4),
    "ADD": ("AddOptions", 2),
    "MUL": ("MulOptions", 2),
    "AVERAGE_POOL_2D": ("Pool2DOptions", 2),
    "MAX_POOL_2D": ("Pool2DOptions", 2),
    "MEAN": ("ReducerOptions", 2),
    "PAD": ("PadOptions", 2),
    "SOFTMAX": ("SoftmaxOptions", 2),
    "RESHAPE": ("ReshapeOptions", 1),
    "TRANSPOSE": ("TransposeOptions", 2),
    "QUANTIZE": ("QuantizeOptions", 2),
    "DEQUANTIZE": ("DequantizeOptions", 2),
    "CONCATENATION": ("ConcatenationOptions", 2),
    "STRIDED_SLICE": ("StridedSliceOptions", 2),
    "SLICE": ("SliceOptions", 2),
    "SPLIT": ("SplitOptions", 2),
    "RELU": ("", 2),
    "RELU6": ("", 2),
}
TYPES = {
    "int8": tflite.TensorType.INT8,
    "int32": tflite.TensorType.INT32,
    "float32": tflite.TensorType.FLOAT32,
}


@dataclass(frozen=True)
class Operand:
    """A tensor. `scale` holds float32 values, empty when not quantised; zero points of weights are all 0."""

    shape: tuple[int, ...]
    scale: tuple[float, ...] = ()
    zero_point: int = 0
    axis: int = 0
    data: Array | None = None
    dtype: str = "int8"

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Step:
    """An operator applied to operands by index (-1: absent); `options` by the schema's field names (StrideW)."""

    tflite: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    operands: tuple[Operand, ...]
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def quantised(
    shape: Sequence[int], scale: float | Sequence[float], zero_point: int = 0, data: Array | None = None, axis: int = 0
) -> Operand:
    """An int8 operand (int32 when `data` is), per channel when several scales are given."""
    scales = (scale,) if isinstance(scale, float | np.floating) else tuple(scale)
    dtype = "int8" if data is None else str(data.dtype)
    return Operand(tuple(shape), tuple(float(np.float32(s)) for s in scales), zero_point, axis, data, dtype)


def plain(data: Sequence[int] | Array) -> Operand:
    """A constant int32 operand without quantisation: axes, paddings, permutations, shapes."""
    array = np.asarray(data, np.int32)
    return Operand(array.shape, data=array, dtype="int32")


def one_step(
    name: str,
    operands: Sequence[Operand | None],
    y: Operand | Sequence[Operand],
    options: Mapping[str, Any] | None = None,
) -> Model:
    """A model of one operator with the output y, or several; operands without data become the model's inputs, None is
    an absent operand."""
    ys = (y,) if isinstance(y, Operand) else tuple(y)
    present = [operand for operand in operands if operand is not None]
    numbers, outputs = iter(range(len(present))), tuple(range(len(present), len(present) + len(ys)))
    step = Step(name, tuple(-1 if o is None else next(numbers) for o in operands), outputs, options or {})
    inputs = tuple(n for n, operand in enumerate(present) if operand.data is None)
    return Model((*present, *ys), (step,), inputs, outputs)


def parallel(name: str, pairs: Sequence[tuple[Operand, Operand]], options: Mapping[str, Any] | None = None) -> Model:
    """A model of several unary operators side by side, each with an input and an output of its own."""
    count = len(pairs)
    steps = tuple(Step(name, (n,), (count + n,), options or {}) for n in range(count))
    operands = (*(x for x, _ in pairs), *(y for _, y in pairs))
    return Model(operands, steps, tuple(range(count)), tuple(range(count, 2 * count)))


def serialise(model: Model) -> bytes:
    """The .tflite file; equal models give equal bytes."""
    b = flatbuffers.Builder(1024)
    codes = list(dict.fromkeys(step.tflite for step in model.steps))
    constants = [operand.data for operand in model.operands if operand.data is not None]
    buffers = [_buffer(b, None), *(_buffer(b, data) for data in constants)]
    tensors = _tensors(b, model.operands)
    steps = [_step(b, step, codes.index(step.tflite)) for step in model.steps]
    ends = [b.CreateNumpyVector(np.array(list(e), np.int32)) for e in (model.inputs, model.outputs)]
    tensor_vector, step_vector = _offsets(b, tensors), _offsets(b, steps)
    graph_name = b.CreateString("main")
    graph = {
        "Tensors": tensor_vector,
        "Inputs": ends[0],
        "Outputs": ends[1],
        "Operators": step_vector,
        "Name": graph_name,
    }
    graphs = _offsets(b, [_table(b, "SubGraph", graph)])
    code_vector = _offsets(b, [_operator_code(b, name) for name in codes])
    buffer_vector = _offsets(b, buffers)
    description = b.CreateString("golden")
    fields = {"Version": 3, "OperatorCodes": code_vector, "Subgraphs": graphs, "Description": description}
    b.Finish(_table(b, "Model", {**fields, "Buffers": buffer_vector}), b"TFL3")
    return bytes(b.Output())


def _table(b: flatbuffers.Builder, name: str, fields: Mapping[str, Any]) -> int:
    getattr(tflite, f"{name}Start")(b)
    for key, value in fields.items():
        getattr(tflite, f"{name}Add{key}")(b, value)
    return int(getattr(tflite, f"{name}End")(b))


def _offsets(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def _buffer(b: flatbuffers.Builder, data: Array | None) -> int:
    if data is None:
        return _table(b, "Buffer", {})
    raw = data.astype(data.dtype.newbyteorder("<")).tobytes()
    b.StartVector(1, len(raw), 16)  # the schema asks for 16-byte alignment of constant data
    b.head -= len(raw)
    b.Bytes[b.head : b.head + len(raw)] = raw
    return _table(b, "Buffer", {"Data": b.EndVector()})


def _tensors(b: flatbuffers.Builder, operands: Sequence[Operand]) -> list[int]:
    buffer, offsets = 0, []
    for n, operand in enumerate(operands):
        buffer += operand.data is not None
        offsets.append(_tensor(b, operand, f"t{n}", buffer if operand.data is not None else 0))
    return offsets


def _tensor(b: flatbuffers.Builder, operand: Operand, name: str, buffer: int) -> int:
    shape = b.CreateNumpyVector(np.array(operand.shape, np.int32))
    fields = {"Shape": shape, "Type": TYPES[operand.dtype], "Buffer": buffer, "Name": b.CreateString(name)}
    if operand.scale:
        scales = b.CreateNumpyVector(np.array(operand.scale, np.float32))
        zeros = b.CreateNumpyVector(np.full(len(operand.scale), operand.zero_point, np.int64))
        quantisation = {"Scale": scales, "ZeroPoint": zeros, "QuantizedDimension": operand.axis}
        fields["Quantization"] = _table(b, "QuantizationParameters", quantisation)
    return _table(b, "Tensor", fields)


def _step(b: flatbuffers.Builder, step: Step, code: int) -> int:
    fields: dict[str, Any] = {"OpcodeIndex": code}
    fields["Inputs"] = b.CreateNumpyVector(np.array(step.inputs, np.int32))
    fields["Outputs"] = b.CreateNumpyVector(np.array(step.outputs, np.int32))
    table, _ = OPERATORS[step.tflite]
    if table:
        vectors = {k: b.CreateNumpyVector(np.asarray(v, np.int32)) for k, v in step.options.items() if np.ndim(v)}
        fields["BuiltinOptions"] = _table(b, table, {**step.options, **vectors})
        fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, table)
    return _table(b, "Operator", fields)


def _operator_code(b: flatbuffers.Builder, name: str) -> int:
    code = getattr(tflite.BuiltinOperator, name)
    fields = {"DeprecatedBuiltinCode": min(code, 127), "BuiltinCode": code, "Version": OPERATORS[name][1]}
    return _table(b, "OperatorCode", fields)
