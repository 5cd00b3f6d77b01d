"""The constant arrays of a model as C, equal ones stored once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from refsim.graph import Array

C_TYPES = {"i1": "int8_t", "u1": "uint8_t", "i2": "int16_t", "u2": "uint16_t", "i4": "int32_t", "u4": "uint32_t"}
PER_LINE = 20


@dataclass
class Constants:
    """Names arrays as they are asked for; then prints the header and the source that hold them."""

    prefix: str
    held: dict[str, tuple[str, Array]] = field(default_factory=dict)

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
            self.held[key] = (f"{self.prefix}_constant_{len(self.held):03d}_{role}", array)
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
            values = ["(-2147483647 - 1)" if v == -(2**31) else str(v) for v in array.reshape(-1).tolist()] or ["0"]
            suffix = "u" if array.dtype.str[1:] == "u4" else ""
            rows = (values[i : i + PER_LINE] for i in range(0, len(values), PER_LINE))
            lines += ["", f"{text} __attribute__((aligned(4))) = {{"]
            lines += ["    " + ", ".join(v + suffix for v in row) + "," for row in rows]
            lines.append("};")
        return ("\n".join(lines) + "\n").encode()
