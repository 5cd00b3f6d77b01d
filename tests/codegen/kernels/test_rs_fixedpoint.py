"""The C fixed-point arithmetic equals the reference's, on the host, on a core without long multiply, and with DSP."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from refsim.int8ops import fixedpoint

Probe = Callable[..., int]
SOURCE = """
#include "rs_requantize.h"
int32_t probe(int32_t which, int32_t x, int32_t multiplier, int32_t shift);
int32_t probe(int32_t which, int32_t x, int32_t multiplier, int32_t shift)
{
    switch (which) {
    case 0: return rs_doubling_high_multiply(x, multiplier);
    case 1: return rs_rounding_divide_by_pot(x, shift);
    case 2: return rs_multiply(x, multiplier, shift);
    case 3: return rs_requantize(x, multiplier, shift, 0, -3, -100, 90);
    case 4: return rs_requantize(x, (int32_t)((uint32_t)multiplier << 1), -shift, 1, -3, -128, 127);
    case 5: return rs_requantize(x, (int32_t)((uint32_t)multiplier << 1), -shift, 1, -128, -128, 127);
    case 6: return rs_requantize(x, (int32_t)((uint32_t)multiplier << 1), -shift, 1, 5, -20, 127);
    default: return rs_requantize(x, (int32_t)((uint32_t)multiplier << 1), -shift, 1, 5, -20, 30);
    }
}
"""
FORMS = {3: (-3, -100, 90), 4: (-3, -128, 127), 5: (-128, -128, 127), 6: (5, -20, 127), 7: (5, -20, 30)}
EDGES = [0, 1, -1, 2, -2, 3, -3, 2**30, -(2**30), 2**31 - 1, -(2**31), 2**31 - 2, 1 << 16, -(1 << 16), 0xFFFF]


def numbers(seed: int, count: int) -> list[int]:
    """32-bit numbers of all magnitudes."""
    raw = np.random.PCG64(seed).random_raw(2 * count).astype(np.int64)
    return [*EDGES, *((raw[:count].astype(np.int32) >> (raw[count:] % 32)).tolist())]


def check(probe: Probe) -> None:
    xs, others = numbers(1, 150), numbers(2, 150)
    for x, other, index in zip(xs, others, range(len(xs)), strict=True):
        shift = index % 32
        assert probe(0, x, other, 0) == fixedpoint.doubling_high_multiply(x, other)
        assert probe(1, x, 0, shift) == fixedpoint.rounding_divide_by_pot(x, shift)
        check_multiplier(probe, x, 2**30 + abs(other) % 2**30, shift)


def check_multiplier(probe: Probe, x: int, multiplier: int, shift: int) -> None:
    """Left and right shifts; the fast form within its bounds: right shifts, nothing that overflows."""
    for signed in (shift, -shift):
        scaled = int(fixedpoint.multiply(x, multiplier, signed))
        assert probe(2, x, multiplier, signed) == scaled, (x, multiplier, signed)
        for which, (zero, low, high) in FORMS.items():
            if which == 3 or (-22 <= signed <= -1 and abs(x) < 1 << 29):
                expected = max(low, min(high, scaled + zero))
                assert probe(which, x, multiplier, signed) == expected, (which, x, multiplier, signed)


def test_halves_are_rounded_away_from_zero_in_every_form(tmp_path: Path, harness: ModuleType) -> None:
    probe = host(tmp_path, harness, [])
    for x in range(-70, 70):
        for shift in (1, 2, 3):
            check_multiplier(probe, x, 2**30, shift)
            check_multiplier(probe, x, 2**31 - 1, shift)


def host(folder: Path, harness: ModuleType, flags: list[str]) -> Probe:
    file, library = folder / "probe.c", folder / "probe.so"
    file.write_text(SOURCE)
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-fsanitize=undefined"]
    trap = ["-fsanitize-undefined-trap-on-error", f"-I{harness.KERNELS}"]
    subprocess.run([harness.host_compiler(), *strict, *trap, *flags, file, "-o", library], check=True)
    probe = ctypes.CDLL(str(library)).probe
    probe.argtypes, probe.restype = [ctypes.c_int32] * 4, ctypes.c_int32
    return lambda *arguments: int(probe(*arguments))


@pytest.mark.parametrize("flags", [[], ["-DRS_EMULATE_DSP"]], ids=["portable", "dsp"])
def test_the_host_computes_what_the_reference_does(flags: list[str], tmp_path: Path, harness: ModuleType) -> None:
    check(host(tmp_path, harness, flags))


@pytest.mark.toolchain
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4"])
@pytest.mark.parametrize("name", ["zig", "gcc"])
def test_cores_compute_what_the_reference_does(name: str, core: str, harness: ModuleType) -> None:
    machine = harness.machine_with_probe(name, core, SOURCE)
    entry = machine.image.address("probe")

    def probe(*arguments: int) -> int:
        answer = machine.call(entry, arguments)
        return answer - (1 << 32) if answer >> 31 else answer

    check(probe)
