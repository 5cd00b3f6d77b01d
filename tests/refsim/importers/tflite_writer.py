"""Writes small TensorFlow Lite files for tests: valid ones, and ones that are wrong in a single place.

The layout is the plainest that the format allows: each table directly after its vtable, what it refers to behind it.
`test_tflite.py` holds it to the readers of other people.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refsim.graph import Slot
from refsim.importers import tflite_schema as schema
from refsim.importers.flatbuffer import FORMATS

Fields = Sequence[tuple[Slot, Any]]


@dataclass(frozen=True)
class T:
    """A tensor; `data` makes it constant, `more` sets further fields of its table by their schema names."""

    name: str
    shape: tuple[int, ...]
    type: str = "INT8"
    scale: tuple[float, ...] = (0.5,)
    zero_point: tuple[int, ...] = (0,)
    axis: int = 0
    data: bytes | NDArray[Any] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class L:
    """A layer; options are (slot, value) pairs of its options table."""

    operator: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Fields = ()
    options_type: int | None = None
    custom: str = ""


@dataclass(frozen=True)
class M:
    """A model of one subgraph, repeated `subgraphs` times; `outside` puts constants behind the flatbuffer."""

    tensors: tuple[T, ...]
    layers: tuple[L, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int = 1
    outside: bool = False

    def tensor(self, index: int, **changes: Any) -> M:
        return replace(self, tensors=_replaced(self.tensors, index, changes))

    def layer(self, index: int, **changes: Any) -> M:
        return replace(self, layers=_replaced(self.layers, index, changes))

    def __bytes__(self) -> bytes:
        inside = _file(self, 0)
        return _file(self, len(inside)) + b"".join(map(_data, self.tensors)) if self.outside else inside


def _replaced(items: tuple[Any, ...], index: int, changes: Mapping[str, Any]) -> tuple[Any, ...]:
    return (*items[:index], replace(items[index], **changes), *items[index + 1 :])


def _file(model: M, outside: int) -> bytes:
    codes = list(dict.fromkeys((layer.operator, layer.custom) for layer in model.layers))
    subgraph = [
        (schema.SUBGRAPH["tensors"], [_tensor(t, i + 1) for i, t in enumerate(model.tensors)]),
        (schema.SUBGRAPH["inputs"], model.inputs),
        (schema.SUBGRAPH["outputs"], model.outputs),
        (schema.SUBGRAPH["operators"], [_layer(layer, codes) for layer in model.layers]),
    ]
    return flatbuffer(
        [
            (Slot(0, "uint32"), 3),  # version
            (schema.MODEL["operator_codes"], [_code(*code) for code in codes]),
            (schema.MODEL["subgraphs"], [subgraph] * model.subgraphs),
            (schema.MODEL["buffers"], [[], *_buffers(model, outside)]),
        ],
        schema.IDENTIFIER,
    )


def _data(tensor: T) -> bytes:
    data = b"" if tensor.data is None else tensor.data
    return data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()


def _buffers(model: M, outside: int) -> list[Fields]:
    if not model.outside:
        return [[(schema.BUFFER["data"], _data(t))] if t.data is not None else [] for t in model.tensors]
    sizes = [len(_data(t)) for t in model.tensors]
    return [
        [(schema.BUFFER["offset"], outside + sum(sizes[:i])), (schema.BUFFER["size"], size)] if size else []
        for i, size in enumerate(sizes)
    ]


def _tensor(tensor: T, buffer: int) -> Fields:
    quantization = [
        (schema.QUANTIZATION["scale"], tensor.scale),
        (schema.QUANTIZATION["zero_point"], tensor.zero_point),
        (schema.QUANTIZATION["quantized_dimension"], tensor.axis),
    ]
    values = {
        "shape": tensor.shape,
        "type": schema.TENSOR_TYPES.index(tensor.type) if tensor.type in schema.TENSOR_TYPES else int(tensor.type),
        "buffer": buffer,
        "name": tensor.name,
        "quantization": quantization if tensor.scale else [],
    }
    return [(schema.TENSOR[name], value) for name, value in {**values, **tensor.more}.items()]


def _code(operator: str, custom: str) -> Fields:
    number = schema.OPERATORS.index(operator)
    fields = [
        (schema.OPERATOR_CODE["deprecated_builtin_code"], min(number, 127)),
        (schema.OPERATOR_CODE["builtin_code"], number),
    ]
    return [*fields, (schema.OPERATOR_CODE["custom_code"], custom)] if custom else fields


def _layer(layer: L, codes: Sequence[tuple[str, str]]) -> Fields:
    fields = [
        (schema.OPERATOR["opcode_index"], codes.index((layer.operator, layer.custom))),
        (schema.OPERATOR["inputs"], layer.inputs),
        (schema.OPERATOR["outputs"], layer.outputs),
    ]
    if not layer.options:
        return fields
    kind = schema.OPTIONS[layer.operator] if layer.options_type is None else layer.options_type
    return [
        *fields,
        (schema.OPERATOR["builtin_options_type"], kind),
        (schema.OPERATOR["builtin_options"], layer.options),
    ]


def flatbuffer(root: Fields, identifier: bytes) -> bytes:
    """A file of tables; a field's value is a number, str, bytes, numbers, nested fields, or a list of nested fields."""
    out = bytearray(4) + identifier
    struct.pack_into("<I", out, 0, _table(out, root))
    return bytes(out)


def _pad(out: bytearray, alignment: int, ahead: int = 0) -> None:
    out.extend(bytes(-(len(out) + ahead) % alignment))


def _table(out: bytearray, fields: Fields) -> int:
    _pad(out, 4)
    vtable, slots = len(out), max((slot.index + 1 for slot, _ in fields), default=0)
    out.extend(bytes(4 + 2 * slots))
    _pad(out, 4)
    start = len(out)
    out.extend(struct.pack("<i", start - vtable))
    children = []
    for slot, value in fields:
        form = "<" + FORMATS.get(slot.type, "I")
        _pad(out, struct.calcsize(form))
        struct.pack_into("<H", out, vtable + 4 + 2 * slot.index, len(out) - start)
        if slot.type not in FORMATS:
            children.append((len(out), slot.type, value))
        out.extend(struct.pack(form, value if slot.type in FORMATS else 0))
    struct.pack_into("<HH", out, vtable, 4 + 2 * slots, len(out) - start)
    for position, kind, value in children:
        struct.pack_into("<I", out, position, _child(out, kind, value) - position)
    return start


def _child(out: bytearray, kind: str, value: Any) -> int:
    if kind == "table":
        return _table(out, value)
    if kind == "table[]":
        return _tables(out, value)
    if kind in ("string", "bytes"):
        raw = value.encode() + b"\0" if kind == "string" else value
        return _vector(out, len(raw) - (kind == "string"), raw, 16)
    form = FORMATS[kind.removesuffix("[]")]
    return _vector(out, len(value), struct.pack(f"<{len(value)}{form}", *value), struct.calcsize("<" + form))


def _vector(out: bytearray, count: int, raw: bytes, alignment: int) -> int:
    _pad(out, max(alignment, 4), ahead=4)
    start = len(out)
    out.extend(struct.pack("<I", count) + raw)
    return start


def _tables(out: bytearray, tables: Sequence[Fields]) -> int:
    start = _vector(out, len(tables), bytes(4 * len(tables)), 4)
    for k, fields in enumerate(tables):
        position = start + 4 + 4 * k
        struct.pack_into("<I", out, position, _table(out, fields) - position)
    return start


def _ramp(*shape: int) -> NDArray[np.int8]:
    return (np.arange(np.prod(shape)) * 37 % 255 - 127).astype(np.int8).reshape(shape)


TINY = M(
    tensors=(
        T("image", (1, 4, 4, 2), scale=(0.5,), zero_point=(-1,)),
        T("w0", (3, 1, 1, 2), scale=(0.25, 0.125, 0.0625), zero_point=(0, 0, 0), data=_ramp(3, 1, 1, 2)),
        T("b0", (3,), "INT32", (0.125, 0.0625, 0.03125), (0, 0, 0), data=np.array([5, -6, 7], np.int32)),
        T("features", (1, 4, 4, 3), scale=(2.0,), zero_point=(3,)),
        T("shape", (2,), "INT32", (), (), data=np.array([1, 48], np.int32)),
        T("flat", (1, 48), scale=(2.0,), zero_point=(3,)),
        T("w1", (2, 48), scale=(0.0078125,), data=_ramp(2, 48)),
        T("b1", (2,), "INT32", (0.015625,), data=np.array([100, -200], np.int32)),
        T("logits", (1, 2), scale=(4.0,), zero_point=(-7,)),
        T("classes", (1, 2), scale=(0.00390625,), zero_point=(-128,)),
    ),
    layers=(
        L("CONV_2D", (0, 1, 2), (3,), ((Slot(0, "int8"), 1), (Slot(1, "int32"), 1), (Slot(2, "int32"), 1))),
        L("RESHAPE", (3, 4), (5,), ((Slot(0, "int32[]"), (1, 48)),)),
        L("FULLY_CONNECTED", (5, 6, 7), (8,), ((Slot(0, "int8"), 0),)),
        L("SOFTMAX", (8,), (9,), ((Slot(0, "float32"), 1.0),)),
    ),
    inputs=(0,),
    outputs=(9,),
)
"""A convolution with per-channel weights, a constant parameter, a matrix product and a softmax."""
