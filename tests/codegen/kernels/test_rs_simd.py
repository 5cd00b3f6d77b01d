"""The DSP instructions by name: their emulation on the host and the instructions themselves, both as defined."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

Function = Callable[[int, int, int], int]
MASK = 0xFFFFFFFF


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def bottom(word: int) -> int:
    return signed(word, 16)


def top(word: int) -> int:
    return signed(word >> 16, 16)


def extended(word: int) -> int:
    """Bytes 0 and 2 as halves."""
    return (signed(word, 8) & 0xFFFF) | (signed(word >> 16, 8) & 0xFFFF) << 16


# The Architecture Reference Manual's definitions on words a, b, c; results modulo 2^32.
DEFINITIONS: Mapping[str, Function] = {
    "rs_smlad(a, b, (int32_t)c)": lambda a, b, c: bottom(a) * bottom(b) + top(a) * top(b) + c,
    "rs_smlabb(a, b, (int32_t)c)": lambda a, b, c: bottom(a) * bottom(b) + c,
    "rs_smlabt(a, b, (int32_t)c)": lambda a, b, c: bottom(a) * top(b) + c,
    "rs_smlatb(a, b, (int32_t)c)": lambda a, b, c: top(a) * bottom(b) + c,
    "rs_smlatt(a, b, (int32_t)c)": lambda a, b, c: top(a) * top(b) + c,
    "rs_smmlar(a, b, (int32_t)c)": lambda a, b, c: ((signed(a, 32) * signed(b, 32) + 2**31) >> 32) + c,
    "rs_sxtb16(a)": lambda a, b, c: extended(a),
    "rs_sxtb16_ror8(a)": lambda a, b, c: extended(a >> 8 | a << 24),
    "rs_pack_bottom(a, b)": lambda a, b, c: (a & 0xFFFF) | b << 16,
    "rs_pack_top(a, b)": lambda a, b, c: a >> 16 | (b & 0xFFFF0000),
    "rs_pack_mixed(a, b)": lambda a, b, c: (a & 0xFFFF) | (b & 0xFFFF0000),
    "rs_saturate8((int32_t)a)": lambda a, b, c: max(-128, min(127, signed(a, 32))),
}
SOURCE = (
    '#include "rs_simd.h"\nuint32_t probe(int32_t which, uint32_t a, uint32_t b, uint32_t c);\n'
    "uint32_t probe(int32_t which, uint32_t a, uint32_t b, uint32_t c)\n{\n    (void)c;\n    switch (which) {\n"
    + "".join(f"    case {i}: return (uint32_t){call};\n" for i, call in enumerate(DEFINITIONS))
    + "    default: return 0;\n    }\n}\n"
)
EDGES = [0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x80007FFF, 0x7FFF8000, 0x80000000, 0x7FFFFFFF, 0xFFFFFFFF, 0x80818283, 0x7F80]


def words() -> list[tuple[int, int, int]]:
    raw = np.random.PCG64(1).random_raw(600).astype(np.uint32).reshape(-1, 3)
    return [*((a, b, c) for a, b, c in raw.tolist()), *((a, b, 0x80000000) for a, b in product(EDGES, EDGES))]


def check(probe: Callable[[int, int, int, int], int]) -> None:
    for index, (call, definition) in enumerate(DEFINITIONS.items()):
        for a, b, c in words():
            assert probe(index, a, b, c) & MASK == definition(a, b, c) & MASK, (call, hex(a), hex(b), hex(c))


def test_the_emulation_is_as_defined(tmp_path: Path, harness: ModuleType) -> None:
    file, library = tmp_path / "probe.c", tmp_path / "probe.so"
    file.write_text(SOURCE)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-DRS_EMULATE_DSP"]
    subprocess.run([harness.host_compiler(), *flags, f"-I{harness.KERNELS}", file, "-o", library], check=True)
    probe = ctypes.CDLL(str(library)).probe
    probe.argtypes, probe.restype = [ctypes.c_int32, *[ctypes.c_uint32] * 3], ctypes.c_uint32
    check(probe)


@pytest.mark.toolchain
@pytest.mark.parametrize("name", ["zig", "gcc"])
def test_the_instructions_are_as_defined(name: str, harness: ModuleType) -> None:
    machine = harness.machine_with_probe(name, "cortex-m4", SOURCE)
    entry = machine.image.address("probe")
    check(lambda which, a, b, c: machine.call(entry, (which, a, b, c)))
