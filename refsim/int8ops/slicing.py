"""What SLICE, SPLIT and STRIDED_SLICE share: each output is a regular pick of the input's elements, moved unchanged."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from refsim.errors import ModelError
from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Tensor, Window
from refsim.int8ops.layout import Walk, places, walk, window
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import has_type


@dataclass(frozen=True, slots=True)
class Cut:
    """On each axis of the input `sizes` elements, `strides` apart, from `begin` on; `kept` axes stay in the output.

    The others have one element. Strides may be negative; on axes of one element they are 1.
    """

    begin: Shape
    sizes: Shape
    strides: tuple[int, ...]
    kept: tuple[int, ...]

    @property
    def shape(self) -> Shape:
        return tuple(self.sizes[axis] for axis in self.kept)

    @property
    def dense(self) -> bool:
        return all(stride == 1 for stride in self.strides)

    def of(self, x: Array) -> Array:
        """A copy of the elements, in the output's shape."""
        spans = zip(self.begin, self.sizes, self.strides, strict=True)
        index = np.ix_(*(np.arange(size) * stride + first for first, size, stride in spans))
        return np.ascontiguousarray(x[index]).reshape(self.shape)

    def inside(self, shape: Shape) -> bool:
        """Whether an input of this shape has all these elements, and there are any."""
        spans = zip(self.begin, self.sizes, self.strides, shape, strict=True)
        return len(self.begin) == len(shape) and all(
            size > 0 and 0 <= first < length and 0 <= first + (size - 1) * stride < length
            for first, size, stride, length in spans
        )


class Slicing(Operator):
    """Source: kernels/slice.cc, split.cc and strided_slice.cc, which copy elements whatever their quantisation."""

    dtypes: ClassVar[tuple[str, ...]] = ("int8", "int16", "int32", "float32", "bool")

    @abstractmethod
    def cuts(self, shape: Shape, attributes: Any) -> tuple[Cut, ...]:
        """What each output takes of an input of this shape."""

    def operands(self, inputs: Sequence[int]) -> tuple[int, ...]:
        return tuple(inputs[:1])

    def infer(self, inputs: Sequence[Tensor | None], attributes: Any) -> tuple[Shape, ...]:
        x = inputs[0]
        assert x is not None
        cuts = self.cuts(x.shape, attributes)
        if not all(cut.inside(x.shape) for cut in cuts):
            raise ModelError(f"{self.tflite} of '{x.name}' ({x}) by {attributes}: expected elements that it has")
        return tuple(cut.shape for cut in cuts)

    def check(self, call: Call) -> None:
        has_type(self.tflite, call.x, *self.dtypes)
        for tensor in call.outputs:
            has_type(self.tflite, tensor, call.x.dtype)
        places(len(call.x.shape))

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        x = values[0]
        assert x is not None
        return tuple(cut.of(x) for cut in self.cuts(call.x.shape, call.attributes))

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        """From the first to the last row that any output takes."""
        spans = [steps.rows_of(rows) for steps in self.walks(call)]
        return min(low for low, _ in spans), max(high for _, high in spans)

    def is_view(self, call: Call) -> bool:
        return call.y.elements == call.x.elements and all(c.dense for c in self.cuts(call.x.shape, call.attributes))

    def outputs_within(self, call: Call) -> tuple[Window | None, ...]:
        cuts = self.cuts(call.x.shape, call.attributes)
        pairs = zip(call.outputs, cuts, strict=True)
        return tuple(window(y, call.x, cut.begin, cut.sizes) if cut.dense else None for y, cut in pairs)

    def walks(self, call: Call) -> tuple[Walk, ...]:
        cuts = self.cuts(call.x.shape, call.attributes)
        return tuple(walk(call.x.shape, cut.shape, cut.kept, cut.begin, cut.strides) for cut in cuts)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        """One output; see kernels/slice.h."""
        (steps,) = self.walks(call)
        first = {"first_row": steps.first_row, "first_byte": steps.first_column * call.x.itemsize}
        return KernelCall("slice", ("x",), literals={**first, **steps.literals(call.x.itemsize)})
