"""SPLIT: the input cut into equal parts along one axis, each an output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from refsim.errors import ModelError, UnsupportedError
from refsim.graph import Call, KernelCall, Shape, Slot, Tensor
from refsim.int8ops.numerics import Numerics
from refsim.int8ops.operand import constant
from refsim.int8ops.slicing import Cut, Slicing

LARGEST_COUNT = 16  # outputs for which the C kernel has fields


@dataclass(frozen=True, slots=True)
class Attributes:
    axis: int  # from the front
    parts: int


class Split(Slicing):
    """In the file the axis is input 0 and the value input 1; the Node's one operand is the value."""

    name = "split"
    tflite = "SPLIT"
    options: ClassVar[Mapping[str, Slot]] = {"num_splits": Slot(0, "int32")}
    dtypes = ("int8", "int16", "int32", "float32")

    def attributes(
        self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Attributes:
        (axis,), x, parts = constant("SPLIT", "axis", inputs, 0), inputs[1], int(options["num_splits"])
        assert x is not None
        rank = len(x.shape)
        if not -rank <= axis < rank or parts < 1 or x.shape[axis] % parts != 0:
            raise ModelError(
                f"SPLIT of '{x.name}' ({x}) into {parts} along axis {axis}: expected equal parts of an axis"
            )
        return Attributes(axis % rank, parts)

    def operands(self, inputs: Sequence[int]) -> tuple[int, ...]:
        return tuple(inputs[1:2])

    def check(self, call: Call) -> None:
        super().check(call)
        if len(call.outputs) > LARGEST_COUNT:
            raise UnsupportedError(f"SPLIT into {len(call.outputs)} tensors: expected {LARGEST_COUNT} at most")

    def cuts(self, shape: Shape, attributes: Attributes) -> tuple[Cut, ...]:
        axis, rank = attributes.axis, len(shape)
        size = shape[axis] // attributes.parts
        sizes = (*shape[:axis], size, *shape[axis + 1 :])
        begins = ((0,) * axis + (part * size,) + (0,) * (rank - axis - 1) for part in range(attributes.parts))
        return tuple(Cut(begin, sizes, (1,) * rank, tuple(range(rank))) for begin in begins)

    def lower(self, call: Call, numerics: Numerics) -> KernelCall:
        size, walks = call.x.itemsize, self.walks(call)
        second = walks[min(1, len(walks) - 1)]
        literals = {
            **{"parts": len(walks), "part_rows": second.first_row, "part_bytes": second.first_column * size},
            **walks[0].literals(size),
        }
        return KernelCall("split", ("x",), tuple(f"y{i}" for i in range(len(walks))), literals)


OPERATOR = Split()
