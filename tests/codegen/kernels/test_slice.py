from __future__ import annotations

from itertools import product

import numpy as np

from refsim.graph import DTYPES, Call, Quant, Tensor
from refsim.int8ops import slice as box, strided_slice


def tensor(name, shape, dtype):
    return Tensor(name, tuple(shape), dtype, Quant((0.5,), (3,)) if dtype in ("int8", "int16") else None)


def values(rng, x):
    raw = rng.integers(0, 2, x.shape) if x.dtype == "bool" else rng.integers(-128, 128, x.shape)
    return raw.astype(DTYPES[x.dtype])


def case(rng, operator, x, attributes):
    (shape,) = operator.infer((x,), attributes)
    call = Call((x,), (tensor("y", shape, x.dtype),), attributes)
    operator.check(call)
    return operator, call, [values(rng, x)]


def boxes(rng, x):
    begin = [int(rng.integers(length)) for length in x.shape]
    sizes = [int(rng.integers(1, length - first + 1)) for length, first in zip(x.shape, begin, strict=True)]
    return case(rng, box.OPERATOR, x, box.Attributes(tuple(begin), tuple(sizes)))


def strides(rng, x):
    """Random spans of every axis: forwards, backwards, or one element whose axis is left out."""
    spans = []
    for length in x.shape:
        stride = int(rng.choice([-3, -2, -1, 1, 1, 1, 2, 3]))
        first = int(rng.integers(length))
        most = (length - 1 - first if stride > 0 else first) // abs(stride) + 1
        spans.append((first, int(rng.integers(1, most + 1)), stride))
    kept = [axis for axis, (_, size, _) in enumerate(spans) if size > 1 or rng.integers(3)]
    begin, sizes, steps = (tuple(int(n) for n in part) for part in zip(*spans, strict=True))
    steps = tuple(1 if size == 1 else step for size, step in zip(sizes, steps, strict=True))
    return case(rng, strided_slice.OPERATOR, x, strided_slice.Cut(begin, sizes, steps, tuple(kept)))


def tensors(rng, count):
    for rank, dtype in product((1, 2, 3, 4), ("int8", "int16", "int32", "float32", "bool")):
        for _ in range(count):
            yield tensor("x", [int(n) for n in rng.integers(1, 7, rank)], dtype)


def test_boxes_of_every_rank_and_type(check_kernels):
    rng = np.random.default_rng(41)
    check_kernels([boxes(rng, x) for x in tensors(rng, 8)])


def test_strides_of_both_signs_and_axes_left_out(check_kernels):
    rng = np.random.default_rng(42)
    check_kernels([strides(rng, x) for x in tensors(rng, 12)])


def test_neighbours_move_together():
    x = tensor("x", (1, 6, 4, 8), "int8")
    rows = box.OPERATOR.lower(case(np.random.default_rng(0), box.OPERATOR, x, whole_rows())[1], None).literals
    assert (rows["run"], rows["out_w"], rows["out_c"], rows["first_row"]) == (32, 1, 1, 2)


def whole_rows():
    return box.Attributes((0, 2, 0, 0), (1, 3, 4, 8))
