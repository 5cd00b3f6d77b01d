from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from refsim.int8ops import gemmlowp

KERNELS = Path(__file__).resolve().parents[3] / "codegen" / "kernels"
SOURCE = """
#include "rs_gemmlowp.h"
void exponential(const int32_t *a, int32_t *y, int32_t *over, int32_t n)
{ (void)over; for (int32_t i = 0; i < n; i++) y[i] = rs_exp_on_negative_values(a[i]); }
void reciprocal(const int32_t *a, int32_t *y, int32_t *over, int32_t n)
{ for (int32_t i = 0; i < n; i++) y[i] = rs_reciprocal((uint32_t)a[i], 12, &over[i]); }
"""


@pytest.fixture(scope="module", params=["long multiply", "Armv6-M"])
def functions(request, tmp_path_factory):
    """The header compiled with the host's long multiply, and with the four products of a core that has none."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no host C compiler")
    folder = tmp_path_factory.mktemp("gemmlowp")
    (folder / "g.c").write_text(SOURCE)
    flags = "-std=c99 -Wall -Wextra -Werror -O2 -fsanitize=undefined -fsanitize-undefined-trap-on-error -shared -fPIC"
    choice = ["-D__ARM_ARCH=6", "-D__thumb__"] if request.param == "Armv6-M" else []
    command = [compiler, *flags.split(), *choice, f"-I{KERNELS}", "-o", "g.so", "g.c"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "g.so"))


def apply(function, a):
    a = a.astype(np.int32)
    y, over = np.empty_like(a), np.empty_like(a)
    function(*(v.ctypes.data_as(ctypes.c_void_p) for v in (a, y, over)), ctypes.c_int32(a.size))
    return y, over


def test_exp_equals_the_reference(functions):
    rng = np.random.default_rng(11)
    a = np.concatenate([-np.arange(2000), -rng.integers(0, 31 << 26, 500_000), -(np.arange(124) << 24), [-(31 << 26)]])
    np.testing.assert_array_equal(apply(functions.exponential, a)[0], gemmlowp.exp_on_negative_values(a))


def test_reciprocal_equals_the_reference(functions):
    rng = np.random.default_rng(12)
    x = np.concatenate([np.exp2(rng.uniform(19, 31, 300_000)).astype(np.int64), 1 << np.arange(19, 31), [2**31 - 1]])
    wanted, over = gemmlowp.reciprocal(x, 12)
    found = apply(functions.reciprocal, x)
    np.testing.assert_array_equal(found[0], wanted)
    np.testing.assert_array_equal(found[1], over)
