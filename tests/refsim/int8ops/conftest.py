"""Two engines as live oracles of single operators: one-op models built in memory, run by TFLM and by LiteRT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from refsim.graph import DTYPES, Call, Operator, Tensor
from refsim.int8ops.numerics import TFLM

OPTIONS_TABLES = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
}
VERSIONS = {"RESHAPE": 1, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RELU": 2, "RELU6": 2}
PREPEND = {
    "int8": "PrependInt8Slot",
    "int32": "PrependInt32Slot",
    "float32": "PrependFloat32Slot",
    "bool": "PrependBoolSlot",
}
Values = Sequence[np.ndarray]


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _vector(fb: Any, array: np.ndarray) -> int:
    return int(fb.CreateNumpyVector(np.ascontiguousarray(array)))


def _offsets(fb: Any, offsets: Sequence[int]) -> int:
    fb.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        fb.PrependUOffsetTRelative(offset)
    return int(fb.EndVector())


def _table(fb: Any, slots: int, fields: Sequence[tuple[str, int, Any]]) -> int:
    """A table of `fields`: (builder method, slot, value); offsets have to exist before."""
    fb.StartObject(slots)
    for method, slot, value in fields:
        getattr(fb, method)(slot, value, None)
    return int(fb.EndObject())


def _tensor(fb: Any, tensor: Tensor, buffer: int) -> int:
    import tflite

    name, shape = fb.CreateString(tensor.name), _vector(fb, np.array(tensor.shape, np.int32))
    fields = [
        ("PrependUOffsetTRelativeSlot", 0, shape),
        ("PrependInt8Slot", 1, getattr(tflite.TensorType, tensor.dtype.upper())),
        ("PrependUint32Slot", 2, buffer),
        ("PrependUOffsetTRelativeSlot", 3, name),
    ]
    if tensor.quant is not None:
        scale = _vector(fb, np.array(tensor.quant.scale, np.float32))
        zero_point = _vector(fb, np.array(tensor.quant.zero_point, np.int64))
        quant = _table(
            fb,
            7,
            [
                ("PrependUOffsetTRelativeSlot", 2, scale),
                ("PrependUOffsetTRelativeSlot", 3, zero_point),
                ("PrependInt32Slot", 6, tensor.quant.axis),
            ],
        )
        fields.append(("PrependUOffsetTRelativeSlot", 4, quant))
    return _table(fb, 10, fields)


def _operator(fb: Any, operator: Operator, inputs: Sequence[int], outputs: Sequence[int], options: Any) -> int:
    import tflite

    fields = []
    for key, value in options.items():
        slot = operator.options[key]
        if slot.type.endswith("[]"):
            fields.append(("PrependUOffsetTRelativeSlot", slot.index, _vector(fb, np.array(value, np.int32))))
        else:
            fields.append((PREPEND[slot.type], slot.index, value))
    table = _table(fb, 12, fields)
    kind = getattr(
        tflite.BuiltinOptions, OPTIONS_TABLES.get(operator.tflite, _camel(operator.tflite) + "Options"), None
    )
    ins, outs = _vector(fb, np.array(inputs, np.int32)), _vector(fb, np.array(outputs, np.int32))
    union = [] if kind is None else [("PrependUint8Slot", 3, kind), ("PrependUOffsetTRelativeSlot", 4, table)]
    return _table(fb, 13, [("PrependUOffsetTRelativeSlot", 1, ins), ("PrependUOffsetTRelativeSlot", 2, outs), *union])


def build(
    operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor], options: Mapping[str, Any]
) -> bytes:
    """A TFLite file of one operator; constant inputs go into its buffers, the others are the model's inputs."""
    import flatbuffers
    import tflite

    fb = flatbuffers.Builder(1024)
    tensors = [t for t in (*inputs, *outputs) if t is not None]
    index = {id(t): i for i, t in enumerate(tensors)}
    blobs = [np.zeros(0, np.uint8)]
    buffer = {}
    for t in tensors:
        if t.data is not None:
            buffer[id(t)] = len(blobs)
            blobs.append(np.ascontiguousarray(t.data).view(np.uint8).reshape(-1))
    buffers = [
        _table(fb, 3, [("PrependUOffsetTRelativeSlot", 0, _vector(fb, blob))] if blob.size else []) for blob in blobs
    ]
    table = [_tensor(fb, t, buffer.get(id(t), 0)) for t in tensors]
    ins, outs = [-1 if t is None else index[id(t)] for t in inputs], [index[id(t)] for t in outputs]
    node = _operator(fb, operator, ins, outs, options)
    given = [i for t, i in zip(inputs, ins, strict=True) if t is not None and t.data is None]
    given_vector, outs_vector = _vector(fb, np.array(given, np.int32)), _vector(fb, np.array(outs, np.int32))
    table_vector, node_vector = _offsets(fb, table), _offsets(fb, [node])
    subgraph = _table(
        fb,
        5,
        [
            ("PrependUOffsetTRelativeSlot", 0, table_vector),
            ("PrependUOffsetTRelativeSlot", 1, given_vector),
            ("PrependUOffsetTRelativeSlot", 2, outs_vector),
            ("PrependUOffsetTRelativeSlot", 3, node_vector),
        ],
    )
    number = getattr(tflite.BuiltinOperator, operator.tflite)
    code = _table(
        fb,
        4,
        [
            ("PrependInt8Slot", 0, min(number, 127)),
            ("PrependInt32Slot", 2, _version(operator, inputs)),
            ("PrependInt32Slot", 3, number),
        ],
    )
    codes, graphs, all_buffers = _offsets(fb, [code]), _offsets(fb, [subgraph]), _offsets(fb, buffers)
    model = _table(
        fb,
        8,
        [
            ("PrependUint32Slot", 0, 3),
            ("PrependUOffsetTRelativeSlot", 1, codes),
            ("PrependUOffsetTRelativeSlot", 2, graphs),
            ("PrependUOffsetTRelativeSlot", 4, all_buffers),
        ],
    )
    fb.Finish(model, b"TFL3")
    return bytes(fb.Output())


def _version(operator: Operator, inputs: Sequence[Tensor | None]) -> int:
    weights = inputs[1] if operator.tflite == "FULLY_CONNECTED" else None
    if weights is not None and weights.quant is not None and weights.quant.per_channel:
        return 12
    return VERSIONS.get(operator.tflite, 2)


def run_tflm(model: bytes, values: Values) -> list[np.ndarray]:
    import tflite
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=4 << 20)
    for i, value in enumerate(values):
        interpreter.set_input(value, i)
    interpreter.invoke()
    outputs = tflite.Model.GetRootAs(model, 0).Subgraphs(0).OutputsLength()
    return [np.array(interpreter.get_output(i)) for i in range(outputs)]


def run_litert(model: bytes, values: Values) -> list[np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), values, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [np.array(interpreter.get_tensor(detail["index"])) for detail in interpreter.get_output_details()]


@cache
def _engines() -> Mapping[str, Any]:
    pytest.importorskip("tflite_micro")
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("tflite")
    return {"tflm": run_tflm, "litert": run_litert}


@dataclass(frozen=True)
class Single:
    """One application of an operator, as our call and as a model file."""

    operator: Operator
    call: Call
    values: tuple[np.ndarray | None, ...]
    model: bytes

    def given(self) -> list[np.ndarray]:
        """Values of the inputs that are not constants."""
        pairs = zip(self.call.inputs, self.values, strict=True)
        return [v for t, v in pairs if t is not None and t.data is None and v is not None]


def single(
    operator: Operator,
    inputs: Sequence[Tensor | None],
    outputs: Sequence[Tensor],
    options: Mapping[str, Any],
    values: Values,
) -> Single:
    """`inputs` as a model file has them; `values` for those that are not constants, in order."""
    filled = {slot: options.get(slot, operator.options[slot].default) for slot in operator.options}
    attributes = operator.attributes(filled, inputs, outputs)
    kept = [inputs[i] if i >= 0 else None for i in operator.operands(range(len(inputs)))]
    rest = iter(values)
    each = {id(t): t.data if t.data is not None else next(rest) for t in inputs if t is not None}
    call = Call(tuple(kept), tuple(outputs), attributes)
    values = tuple(None if t is None else np.asarray(each[id(t)], DTYPES[t.dtype]) for t in kept)
    return Single(operator, call, values, build(operator, inputs, outputs, options))


@pytest.fixture(scope="session")
def oracles() -> Any:
    """`oracles.run(engine, model, values)`; skips the test where the engines are not installed."""
    engines = _engines()
    return SimpleNamespace(run=lambda name, model, values: engines[name](model, values), single=single)


def rows_suffice(operator: Operator, call: Call, values: Sequence[np.ndarray | None], seed: int) -> None:
    """Other bytes in the rows that `input_rows` leaves out do not change the output rows asked for."""
    random = np.random.default_rng(seed)
    begin = int(random.integers(call.y.rows))
    end = int(random.integers(begin + 1, call.y.rows + 1))
    noisy = []
    for index, (tensor, value) in enumerate(zip(call.inputs, values, strict=True)):
        if tensor is None or value is None or tensor.data is not None:
            noisy.append(value)
            continue
        low, high = operator.input_rows(call, index, (begin, end))
        assert 0 <= low < high <= tensor.rows
        lines = random.integers(-128, 128, (tensor.rows, tensor.row_bytes)).astype(np.int8)
        lines[low:high] = value.reshape(tensor.rows, -1)[low:high]
        noisy.append(lines.reshape(tensor.shape))
    wanted, found = (operator.reference(call, v, TFLM)[0].reshape(call.y.rows, -1) for v in (values, noisy))
    np.testing.assert_array_equal(found[begin:end], wanted[begin:end])


@pytest.fixture(scope="session")
def check_rows() -> Any:
    return rows_suffice
