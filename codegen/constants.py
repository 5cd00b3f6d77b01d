"""The constant arrays of a model as C, equal ones stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from refsim.graph import Array

C_TYPES = {"i1": "int8_t", "u1": "uint8_t", "i2": "int16_t", "u2": "uint16_t", "i4": "int32_t", "u4": "uint32_t"}
PER_LINE = 20
HOLDS = {"w": "weights", "w_single": "weights", "scale": "multipliers"}  # by role; others are called what they are


@dataclass
class Constants:
    """Names arrays as they are asked for; then prints the header and the source that hold them.

    `parts` has, by C name, the bytes of each array by what they hold.
    """

    prefix: str
    held: dict[str, tuple[str, Array]] = field(default_factory=dict)
    parts: dict[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for _, array in self.held.values())

    def name(self, role: str, array: Array) -> str:
        """The C name of an array; the same one for equal type and bytes."""
        array = np.ascontiguousarray(array)
        if array.dtype == np.float32:
            array = array.view(np.uint32)
        key = hashlib.sha256(array.dtype.str.encode() + array.tobytes()).hexdigest()
        if key not in self.held:
            name = f"{self.prefix}_constant_{len(self.held):03d}_{role}"
            self.held[key], self.parts[name] = (name, array), parts(role, array)
        return self.held[key][0]

    def _declarations(self) -> list[tuple[str, Array]]:
        return [
            (f"const {C_TYPES[array.dtype.str[1:]]} {name}[{max(array.size, 1)}]", array)
            for name, array in self.held.values()
        ]

    def header(self) -> bytes:
        guard = f"{self.prefix.upper()}_WEIGHTS_H"
        lines = [f"extern {text};" for text, _ in self._declarations()]
        return "\n".join(
            [f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", "", *lines, "", "#endif", ""]
        ).encode()

    def source(self) -> bytes:
        lines = [
            b"/* Constants as the kernels want them: packed, padded, zero points folded into biases. */",
            b'#include "weights.h"',
        ]
        for text, array in self._declarations():
            lines += [b"", f"{text} __attribute__((aligned(4))) = {{".encode(), _values(array), b"};"]
        return b"\n".join(lines) + b"\n"


def _values(array: Array) -> bytes:
    """PER_LINE values a line."""
    flat = array.reshape(-1) if array.size else np.zeros(1, array.dtype)
    if flat.dtype != np.uint32 and flat.min() >= -(1 << 15) and flat.max() < 1 << 15:
        return _short_values(flat.astype(np.int16))
    suffix = "u," if flat.dtype == np.uint32 else ","
    cells = [" (-2147483647 - 1)," if v == -(2**31) else f" {v}{suffix}" for v in flat.tolist()]
    return "\n".join("   " + "".join(cells[i : i + PER_LINE]) for i in range(0, len(cells), PER_LINE)).encode()


def _short_values(flat: NDArray[np.int16]) -> bytes:
    """The same for int16. Weights are most of what is printed, and a table is ten times as fast as formatting."""
    rows = -(-flat.size // PER_LINE)
    cells = np.zeros(rows * PER_LINE, np.uint64)
    cells[: flat.size] = _texts()[flat.view(np.uint16)]
    begin = np.full((rows, 1), np.frombuffer(b"\n   ".ljust(8, b"\0"), np.uint64))
    return np.hstack([begin, cells.reshape(rows, -1)]).tobytes().translate(None, b"\0")[1:]


@cache
def _texts() -> NDArray[np.uint64]:
    """By the bits of an int16: its text in eight bytes, of which those not needed are zero."""
    values = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
    rest = np.abs(values.astype(np.int32))
    text = np.zeros((1 << 16, 8), np.uint8)
    text[:, 0], text[:, 1], text[:, 7] = ord(" "), ord("-") * (values < 0), ord(",")
    for column in range(6, 1, -1):
        text[:, column] = np.where((rest > 0) | (column == 6), ord("0") + rest % 10, 0)
        rest //= 10
    return text.view(np.uint64)[:, 0]


def parts(role: str, array: Array) -> Mapping[str, int]:
    """Bytes of an array by what they hold. A `channel` table has {bias, multiplier, shift} a row, or biases alone."""
    if role != "channel":
        return {HOLDS.get(role, role): array.nbytes}
    biases = array.nbytes // (array.shape[1] if array.ndim == 2 else 1)
    return {"biases": biases, "multipliers": array.nbytes - biases}
