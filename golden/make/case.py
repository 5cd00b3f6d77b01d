"""A golden before its engines have answered: a model, its input sets, and the answers that a wrong rule would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from golden.make.draws import Draws, input_sets
from golden.make.model import Model

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A golden to be.

    sets: the inputs of each inference.
    rules: per rounding rule the answers that it would give (one array an output, input sets along the leading axis),
        so that the manifest can say how often each engine contradicts that rule.
    engines: those that accept the model.
    """

    name: str
    description: str
    model: Model
    sets: Sequence[Sequence[Array]]
    rules: Mapping[str, Sequence[Array]] = field(default_factory=dict)
    engines: tuple[str, ...] = ("tflm", "litert")


def seed(op: str, name: str) -> int:
    return crc32(f"{op}/{name}".encode())


def draws(op: str, name: str) -> Draws:
    """The stream of one case; cases can be added and dropped without moving the others."""
    return Draws(seed(op, name))


def ordinary(name: str, description: str, model: Model, stream: Draws, count: int = 2) -> Case:
    """A case of int8 inputs: random ones, then the edges of `input_sets`."""
    inputs = [model.operands[n] for n in model.inputs]
    sets = input_sets(stream, [x.shape for x in inputs], [x.zero_point for x in inputs], count)
    return Case(name, description, model, sets)


def every_int8() -> Array:
    """All 256 values, int8[1,256]."""
    return np.arange(-128, 128).astype(np.int8).reshape(1, 256)
