from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

KERNELS = Path(__file__).resolve().parents[3] / "codegen" / "kernels"
SOURCE = """
#include "rs_softfloat.h"
void divide(const uint32_t *a, const uint32_t *b, uint32_t *y, int32_t n)
{ for (int32_t i = 0; i < n; i++) y[i] = rs_float_divide(a[i], b[i]); }
void scale(const uint32_t *a, const uint32_t *b, uint32_t *y, int32_t n)
{ for (int32_t i = 0; i < n; i++) y[i] = rs_float_scale((int32_t)a[i], b[i]); }
void nearest(const uint32_t *a, const uint32_t *b, uint32_t *y, int32_t n)
{ (void)b; for (int32_t i = 0; i < n; i++) y[i] = (uint32_t)rs_float_round(a[i]); }
"""
BITS = st.integers(0, 2**32 - 1)
POSITIVE = st.integers(1, 0x7F7FFFFF)  # finite


@pytest.fixture(scope="module", params=["integers", "FPU"])
def functions(request, tmp_path_factory):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no host C compiler")
    folder = tmp_path_factory.mktemp("softfloat")
    (folder / "s.c").write_text(SOURCE)
    flags = "-std=c99 -Wall -Wextra -Werror -O2 -fsanitize=undefined -fsanitize-undefined-trap-on-error -shared -fPIC"
    choice = ["-DRS_EMULATE_DSP"] if request.param == "FPU" else []
    command = [compiler, *flags.split(), *choice, f"-I{KERNELS}", "-o", "s.so", "s.c"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "s.so"))


def apply(function, a, b):
    a, b = (np.ascontiguousarray(v).astype(np.uint32) for v in np.broadcast_arrays(a, b))
    y = np.empty_like(a)
    pointers = [v.ctypes.data_as(ctypes.c_void_p) for v in (a, b, y)]
    function(*pointers, ctypes.c_int32(a.size))
    return y


def floats(bits):
    return np.atleast_1d(np.asarray(bits, np.uint32)).view(np.float32)


def same(found, wanted):
    """Equal bits; any NaN for a NaN."""
    nan = np.isnan(wanted)
    np.testing.assert_array_equal(np.isnan(floats(found)), nan)
    np.testing.assert_array_equal(found[~nan], wanted[~nan].view(np.uint32))


def mixed(rng, count):
    """Bit patterns of every kind of number: any exponent, denormals, mantissas of few bits (ties), neighbours."""
    sparse = rng.integers(0, 256, count) << 23 | rng.integers(0, 16, count) << rng.integers(0, 20, count)
    dense = rng.integers(0, 2**31, count)
    denormal = rng.integers(1, 2**23, count) >> rng.integers(0, 23, count)
    return np.concatenate([sparse, dense, np.maximum(denormal, 1), sparse ^ 1]).astype(np.uint32)


@given(st.lists(st.tuples(BITS, POSITIVE), min_size=1, max_size=50))
@example([(0, 1), (0x80000000, 1), (0x7F800000, 1), (0xFFC00000, 1), (1, 0x7F7FFFFF), (0x7F7FFFFF, 1)])
def test_division_is_ieee(functions, pairs):
    a, b = np.array(pairs, np.uint32).T
    with np.errstate(all="ignore"):
        same(apply(functions.divide, a, b), floats(a.copy()) / floats(b.copy()))


def test_division_is_ieee_on_a_million_pairs(functions):
    rng = np.random.default_rng(9)
    a, b = mixed(rng, 250_000), rng.permutation(mixed(rng, 250_000))
    usable = (b > 0) & (b < 0x7F800000)
    a, b = a[usable] | rng.integers(0, 2, usable.sum(), np.uint32) << 31, b[usable]
    with np.errstate(all="ignore"):
        same(apply(functions.divide, a, b), floats(a) / floats(b))


def test_products_with_small_integers_are_ieee(functions):
    rng = np.random.default_rng(10)
    scale = mixed(rng, 500)
    scale = scale[scale < 0x7F800000]
    steps, scales = (v.ravel() for v in np.meshgrid(np.arange(-255, 256), scale))
    with np.errstate(all="ignore"):
        wanted = steps.astype(np.float32) * floats(scales.astype(np.uint32))
    same(apply(functions.scale, steps.astype(np.int32).view(np.uint32), scales), wanted)


def test_rounding_is_half_away_from_zero_up_to_512(functions):
    halves = np.arange(-1100, 1101).astype(np.float32) / 2
    x = np.concatenate([halves, *(np.nextafter(halves, np.float32(side)) for side in (-np.inf, np.inf))])
    x = np.concatenate([x, np.array([np.inf, -np.inf, 1e30, -3e9, 1e-45, 0.0, -0.0], np.float32)])
    wide = np.clip(x.astype(float), -512, 512)
    wanted = np.sign(wide) * np.floor(np.abs(wide) + 0.5)
    found = apply(functions.nearest, x.view(np.uint32), np.uint32(0)).view(np.int32)
    np.testing.assert_array_equal(found, wanted.astype(np.int32))
    assert apply(functions.nearest, np.array([0x7FC00000, 0xFFC00001]), np.uint32(0)).tolist() == [0, 0]
