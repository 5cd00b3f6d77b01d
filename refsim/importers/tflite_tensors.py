"""The tensors of a TensorFlow Lite file: shapes, types, quantisation, and constants as views of the file's bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import DTYPES, Array, Quant, Shape, Tensor
from refsim.importers.flatbuffer import Flatbuffer, Table
from refsim.importers.tflite_schema import BUFFER, QUANTIZATION, TENSOR, TENSOR_TYPES

MOST_BYTES = 2**31 - 1  # of one tensor, and of all activations together
MOST_AXES = 8
ZERO_POINTS: Mapping[str, tuple[int, int]] = {
    "int4": (-8, 7),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**31), 2**31 - 1),
}
FIXED_SHAPE = "give the converter a concrete function whose input signature has every dimension"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the file's tensor list, and how sentences call it."""

    file: Flatbuffer
    index: int
    table: Table
    name: str

    def __str__(self) -> str:
        return f"tensor {self.index} ({quoted(self.name)}) of model '{self.file.name}'"


def quoted(name: str) -> str:
    """A name from the file, short enough for one line."""
    return f"'{name}'" if len(name) <= 80 else f"'{name[:40]}...{name[-37:]}'"


def read_tensors(file: Flatbuffer, entries: Sequence[Table], buffers: Sequence[Table]) -> tuple[Tensor, ...]:
    """Every tensor, in the file's order. Raises ModelError or UnsupportedError."""
    named = (Entry(file, i, t, t.read(TENSOR["name"]) or f"tensor_{i}") for i, t in enumerate(entries))
    tensors = tuple(_tensor(entry, buffers) for entry in named)
    total = sum(t.nbytes for t in tensors if t.data is None)
    if total > MOST_BYTES:
        raise UnsupportedError(
            f"the activations of model '{file.name}' take {total} bytes together,"
            f" and refsim handles up to {MOST_BYTES}; use a smaller input"
        )
    return tensors


def is_dynamic(entry: Table) -> bool:
    """True when the converter left a dimension open and wrote a placeholder into the shape."""
    return any(n < 0 for n in entry.read(TENSOR["shape_signature"]))


def open_axes(entry: Table) -> tuple[int, ...]:
    """Axes after the batch that the converter left open and filled with 1: the network of the file is then not the
    one that anybody runs."""
    pairs = zip(entry.read(TENSOR["shape_signature"]), entry.read(TENSOR["shape"]), strict=False)
    return tuple(axis for axis, (signed, size) in enumerate(pairs) if axis and signed < 0 and size == 1)


def _tensor(entry: Entry, buffers: Sequence[Table]) -> Tensor:
    _refuse_special(entry)
    dtype = _dtype(entry)
    shape = _shape(entry, dtype)
    data = _constant(entry, shape, dtype, buffers)
    return Tensor(entry.name, shape, dtype, _quant(entry, shape, dtype), data)


def _refuse_special(entry: Entry) -> None:
    if entry.table.has(TENSOR["sparsity"]):
        raise UnsupportedError(f"{entry} is sparse, which refsim does not have; convert the model without sparsity")
    if entry.table.read(TENSOR["is_variable"]):
        raise UnsupportedError(
            f"{entry} is a variable that keeps its value between runs, which refsim does not have;"
            " pass the state in and out of the model as an input and an output"
        )
    if entry.table.read(TENSOR["external_buffer"]):
        raise UnsupportedError(f"{entry} keeps its data in another file; expected all weights in the .tflite file")


def _dtype(entry: Entry) -> str:
    number = entry.table.read(TENSOR["type"])
    name = TENSOR_TYPES[number].lower() if 0 <= number < len(TENSOR_TYPES) else f"number {number}"
    if name not in DTYPES:
        raise UnsupportedError(f"{entry} has the element type {name}; refsim has {', '.join(DTYPES)}")
    return name


def _shape(entry: Entry, dtype: str) -> Shape:
    shape: Shape = entry.table.read(TENSOR["shape"])
    if len(shape) > MOST_AXES:
        raise UnsupportedError(f"{entry} has {len(shape)} dimensions; refsim has up to {MOST_AXES}")
    if any(n < 0 for n in shape):
        raise UnsupportedError(f"{entry} has the dynamic shape {shape}; {FIXED_SHAPE}")
    nbytes = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if nbytes > MOST_BYTES:
        raise UnsupportedError(
            f"{entry} has the shape {shape}, which takes {nbytes} bytes; refsim handles up to {MOST_BYTES} a tensor"
        )
    return shape


def _quant(entry: Entry, shape: Shape, dtype: str) -> Quant | None:
    table: Table | None = entry.table.read(TENSOR["quantization"])
    if table is None or dtype not in ZERO_POINTS:
        return None
    if table.read(QUANTIZATION["details_type"]):
        raise UnsupportedError(f"{entry} is quantised in a custom or blockwise way; refsim has per tensor and per axis")
    scale: tuple[float, ...] = table.read(QUANTIZATION["scale"])
    if not scale:
        return None
    zero_point: tuple[int, ...] = table.read(QUANTIZATION["zero_point"])
    axis: int = table.read(QUANTIZATION["quantized_dimension"])
    _check_quant(entry, dtype, scale, zero_point)
    if len(scale) == 1:
        return Quant(scale, zero_point)  # the axis means nothing then, and published files hold any number there
    if not 0 <= axis < len(shape) or shape[axis] != len(scale):
        raise ModelError(f"{entry} has {len(scale)} scales along axis {axis}, which its shape {shape} does not have")
    return Quant(scale, zero_point, axis)


def _check_quant(entry: Entry, dtype: str, scale: tuple[float, ...], zero_point: tuple[int, ...]) -> None:
    if len(scale) != len(zero_point):
        raise ModelError(f"{entry} has {len(scale)} scales and {len(zero_point)} zero points, expected as many of both")
    if bad := [s for s in scale if not (math.isfinite(s) and s > 0)]:
        raise ModelError(f"{entry} has the scale {bad[0]:g}, expected a finite number above zero; quantise it again")
    low, high = ZERO_POINTS[dtype]
    if outside := [z for z in zero_point if not low <= z <= high]:
        raise ModelError(f"{entry} has the zero point {outside[0]}, expected {low} to {high} for {dtype}")


def _constant(entry: Entry, shape: Shape, dtype: str, buffers: Sequence[Table]) -> Array | None:
    """The tensor's data, read-only, or None when its buffer is empty."""
    number = entry.table.read(TENSOR["buffer"])
    if number >= len(buffers) and (number or buffers):
        raise ModelError(f"{entry} refers to buffer {number}, and the file has {len(buffers)}")
    raw = _raw(entry, buffers[number]) if buffers else memoryview(b"")
    if not raw:
        return None
    elements = math.prod(shape)
    item = np.dtype(DTYPES[dtype]).newbyteorder("<")
    expected = (elements + 1) // 2 if dtype == "int4" else elements * item.itemsize
    if len(raw) != expected:
        raise ModelError(f"{entry} has {len(raw)} bytes of data, expected {expected} for {dtype} of shape {shape}")
    if dtype == "int4":
        return _unpacked(entry.file, raw, elements).reshape(shape)
    return _aligned(entry.file, np.frombuffer(raw, item)).reshape(shape)


def _raw(entry: Entry, buffer: Table) -> memoryview:
    """A buffer's bytes: inside the flatbuffer, or at `offset` of the file (values up to 1 are placeholders)."""
    data: memoryview = memoryview(buffer.read(BUFFER["data"]))
    offset, size = buffer.read(BUFFER["offset"]), buffer.read(BUFFER["size"])
    if data or offset <= 1:
        return data
    entry.file.require(offset, size)
    return memoryview(entry.file.data)[offset : offset + size]


def _aligned(file: Flatbuffer, values: Array) -> Array:
    """The same values where native code may read them whole; writers align, but the format does not force them to."""
    if values.flags.aligned and values.dtype.isnative:
        return values
    file.spend(values.nbytes)
    values = values.astype(values.dtype.newbyteorder("="))
    values.flags.writeable = False
    return values


def _unpacked(file: Flatbuffer, raw: memoryview, elements: int) -> Array:
    """int4 values, two a byte, the first in the low half, as int8."""
    file.spend(2 * len(raw))
    packed = np.frombuffer(raw, np.int8)
    values = np.empty(2 * len(raw), np.int8)
    values[0::2] = (packed << 4) >> 4
    values[1::2] = packed >> 4
    values = values[:elements]
    values.flags.writeable = False
    return values
