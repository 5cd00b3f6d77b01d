"""SLICE: a box of the input, by its first element and its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refsim.errors import ModelError
from refsim.graph import Shape, Tensor
from refsim.int8ops.operand import constant
from refsim.int8ops.slicing import Cut, Slicing


@dataclass(frozen=True, slots=True)
class Attributes:
    begin: Shape
    sizes: Shape


class Slice(Slicing):
    """A size of -1 in the file reaches to the end of the axis."""

    name = "slice"
    tflite = "SLICE"

    def attributes(
        self, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Attributes:
        x, begin, sizes = inputs[0], constant("SLICE", "begin", inputs, 1), constant("SLICE", "size", inputs, 2)
        assert x is not None
        if not len(begin) == len(sizes) == len(x.shape):
            raise ModelError(f"SLICE of '{x.name}' ({x}) from {begin} by {sizes}: expected two numbers an axis")
        spans = zip(x.shape, begin, sizes, strict=True)
        return Attributes(begin, tuple(length - first if size == -1 else size for length, first, size in spans))

    def cuts(self, shape: Shape, attributes: Attributes) -> tuple[Cut, ...]:
        rank = len(attributes.begin)
        return (Cut(attributes.begin, attributes.sizes, (1,) * rank, tuple(range(rank))),)


OPERATOR = Slice()
