from __future__ import annotations

import re

import numpy as np
import pytest

from codegen.constants import PER_LINE, Constants

BOUNDS = {"int8": (-128, 127), "int16": (-(2**15), 2**15 - 1), "int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1)}


@pytest.mark.parametrize("dtype", [*BOUNDS, "float32"])
@pytest.mark.parametrize("count", [1, PER_LINE - 1, PER_LINE, PER_LINE + 1, 1000])
@pytest.mark.parametrize("small", [False, True])
def test_what_is_printed_reads_back_as_the_array(dtype: str, count: int, small: bool) -> None:
    low, high = BOUNDS.get(dtype, (0, 1000))
    low, high = (max(low, -128), min(high, 127)) if small else (low, high)
    values = np.linspace(low, high, count).astype(np.int64).clip(low, high).astype(dtype)
    held = Constants("p")
    held.name("w", values)
    body = held.source().decode().split("{", 1)[1].rsplit("}", 1)[0]
    lines = body.strip("\n").splitlines()
    assert all(len(re.findall(",", line)) == PER_LINE for line in lines[:-1])
    assert all(line.startswith("    ") and line.endswith(",") for line in lines)
    words = [word.strip() for word in body.replace("(-2147483647 - 1)", str(-(2**31))).split(",")[:-1]]
    assert all(word.endswith("u") == (dtype in ("uint32", "float32")) for word in words)
    read = np.array([int(word.rstrip("u")) for word in words])
    assert np.array_equal(read, values.view(np.uint32) if dtype == "float32" else values)


def test_no_values_are_one_zero() -> None:
    held = Constants("p")
    held.name("w", np.zeros(0, np.int8))
    assert "[1] __attribute__((aligned(4))) = {\n    0,\n};" in held.source().decode()
