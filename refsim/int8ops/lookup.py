"""Operators that map each int8 element on its own: one table of 256 bytes is all that their C needs.

So a new one (LOGISTIC, TANH, HARD_SWISH, ...) has only its arithmetic in its file, and any numerics is exact in C.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from refsim.graph import Array, Call, KernelCall, Operator, Rows, Shape, Tensor
from refsim.int8ops.fixedpoint import Int64
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import per_tensor


class Lookup(Operator):
    """int8 to int8, element by element. Subclasses say what becomes of a value in `transfer`."""

    @abstractmethod
    def transfer(self, call: Call, q: Int64, numerics: Numerics) -> Array:
        """Output values of the input values `q`."""

    def infer(self, inputs: Sequence[Tensor | None], attributes: Any) -> tuple[Shape, ...]:
        assert inputs[0] is not None
        return (inputs[0].shape,)

    def check(self, call: Call) -> None:
        per_tensor(self.tflite, call.x, "int8")
        per_tensor(self.tflite, call.y, "int8")

    def reference(self, call: Call, values: Sequence[Array | None], numerics: Numerics) -> tuple[Array, ...]:
        assert values[0] is not None
        return (self.transfer(call, values[0].astype(np.int64), numerics),)

    def input_rows(self, call: Call, index: int, rows: Rows) -> Rows:
        return rows

    def overwrites(self, call: Call) -> tuple[int, ...]:
        return (0,)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        return table_call(call, self.transfer(call, np.arange(-128, 128), numerics))


def table_call(call: Call, transferred: Array) -> KernelCall:
    """A call of the kernel `lookup`; `transferred` are the results of the input bytes read as -128 to 127."""
    table = np.roll(np.asarray(transferred).astype(np.uint8).view(np.int8), 128)  # indexed by the unsigned byte
    return KernelCall("lookup", ("x",), literals={"row_bytes": call.y.row_bytes}, constants={"table": table})
