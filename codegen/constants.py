"""The constant arrays of a model as C, equal ones stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from refsim.graph import Array

C_TYPES = {"i1": "int8_t", "u1": "uint8_t", "i2": "int16_t", "u2": "uint16_t", "i4": "int32_t", "u4": "uint32_t"}
PER_LINE = 20
# By byte, the text of each int8 value, filled up with zeros: (256, 6).
_CELLS = np.array([f" {v - 256 * (v > 127)}," for v in range(256)], "S6").view(np.uint8).reshape(256, 6)
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
            "/* Constants as the kernels want them: packed, padded, zero points folded into biases. */",
            '#include "weights.h"',
        ]
        for text, array in self._declarations():
            lines += ["", f"{text} __attribute__((aligned(4))) = {{", *_rows(array), "};"]
        return ("\n".join(lines) + "\n").encode()


def _rows(array: Array) -> Iterator[str]:
    """PER_LINE values a line."""
    flat = array.reshape(-1) if array.size else np.zeros(1, array.dtype)
    if flat.dtype != np.uint32 and flat.min() >= -128 and flat.max() <= 127:
        yield _bytes_as_text(flat.astype(np.int8))
        return
    suffix = "u," if flat.dtype == np.uint32 else ","
    cells = [" (-2147483647 - 1)," if v == -(2**31) else f" {v}{suffix}" for v in flat.tolist()]
    for i in range(0, len(cells), PER_LINE):
        yield "   " + "".join(cells[i : i + PER_LINE])


def _bytes_as_text(flat: Array) -> str:
    """The rows of small values. Weights are most of what is printed, and a table is six times as fast as formatting."""
    rows = -(-flat.size // PER_LINE)
    cells = np.zeros((rows * PER_LINE, _CELLS.shape[1]), np.uint8)
    cells[: flat.size] = _CELLS[flat.view(np.uint8)]
    margin = np.tile(np.frombuffer(b"\n   ", np.uint8), (rows, 1))
    text = np.concatenate([margin, cells.reshape(rows, -1)], axis=1).tobytes()
    return text.translate(None, b"\0")[1:].decode()


def parts(role: str, array: Array) -> Mapping[str, int]:
    """Bytes of an array by what they hold. A `channel` table has {bias, multiplier, shift} a row, or biases alone."""
    if role != "channel":
        return {HOLDS.get(role, role): array.nbytes}
    biases = array.nbytes // (array.shape[1] if array.ndim == 2 else 1)
    return {"biases": biases, "multipliers": array.nbytes - biases}
