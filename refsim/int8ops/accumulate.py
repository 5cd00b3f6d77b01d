"""Exact accumulators and their requantisation, fast. Compiled by numba at first use, which keeps imports light.

`matmul` rests on floating point being exact for integers below 2^24 (float32) and 2^53 (float64).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refsim.int8ops import fixedpoint
from refsim.int8ops.numerics import Requantize

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]


@cache
def compiled(function: Callable[..., None]) -> Callable[..., None]:
    from numba import njit

    fast: Callable[..., None]
    try:
        fast = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba may write neither beside this file nor at home: compile in every process
        fast = njit(nogil=True)(function)
    return fast


def matmul(x: Int8, w: Int8) -> NDArray[Any]:
    """x [M, K] times w [N, K] transposed, exactly, as floats."""
    largest = 128 * int(np.abs(w.astype(np.int32)).sum(axis=1).max(initial=0))
    kind = np.float32 if largest < 1 << 24 else np.float64
    product: NDArray[Any] = np.matmul(x.astype(kind), w.astype(kind).T)
    return product


def depthwise(x: Int8, w: Int8, stride: tuple[int, int], dilation: tuple[int, int], out: Int32) -> None:
    """out [N, OH, OW, C] = sum over taps of x [N, H, W, C], padded already, times w [KH, KW, C]."""
    compiled(_depthwise)(x, w.astype(np.int32), stride[0], stride[1], dilation[0], dilation[1], out)


def _depthwise(x: Any, w: Any, stride_h: int, stride_w: int, dilation_h: int, dilation_w: int, out: Any) -> None:
    for n in range(out.shape[0]):
        for oy in range(out.shape[1]):
            for ox in range(out.shape[2]):
                acc = out[n, oy, ox]
                acc[:] = 0
                for ky in range(w.shape[0]):
                    for kx in range(w.shape[1]):
                        pixel = x[n, oy * stride_h + ky * dilation_h, ox * stride_w + kx * dilation_w]
                        tap = w[ky, kx]
                        for c in range(acc.shape[0]):
                            acc[c] += np.int32(pixel[c]) * tap[c]


def requantize(
    acc: NDArray[Any], bias: Int32, real: ArrayLike, zero_point: int, bounds: tuple[int, int], rule: Requantize
) -> Int8:
    """acc [M, C] (integers of any type) + bias [C], wrapped to int32, to int8; `real` [C] or one for all channels."""
    if rule != "two-roundings":
        whole = (acc.astype(np.int64) + bias).astype(np.int32)
        scaled: Int8 = fixedpoint.requantize(whole, real, zero_point, bounds, rule)
        return scaled
    multipliers, shifts = (np.broadcast_to(v, bias.shape).copy() for v in fixedpoint.quantize_multipliers(real))
    y = np.empty(acc.shape, np.int8)
    compiled(_requantize)(acc, bias, multipliers, shifts, zero_point, bounds[0], bounds[1], y)
    return y


def _requantize(
    acc: Any, bias: Any, multipliers: Any, shifts: Any, zero_point: int, low: int, high: int, y: Any
) -> None:
    left = np.maximum(shifts, 0).astype(np.int64)
    right = np.maximum(-shifts, 0).astype(np.int64)
    mask = (np.int64(1) << right) - 1
    for i in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            total = np.int32((np.int64(acc[i, c]) + np.int64(bias[c])) << left[c])
            doubled = (np.int64(total) * np.int64(multipliers[c]) + (1 << 30)) >> 31
            quotient = doubled >> right[c]
            if (doubled & mask[c]) > (mask[c] >> 1) + (doubled < 0):
                quotient += 1
            y[i, c] = min(max(quotient + zero_point, low), high)
