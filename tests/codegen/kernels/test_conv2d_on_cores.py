"""Convolutions of every number of steps that rs_dot.h has a text for, compiled for cores and executed."""

from __future__ import annotations

import pytest

from emulator.validation import validate
from refsim import boards
from refsim.builder import Builder

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("board", ["generic-m4", "generic-m7"])
@pytest.mark.parametrize("toolchain", ["zig", "gcc"])
def test_every_number_of_steps_compiles_and_is_exact(toolchain: str, board: str, channels: int) -> None:
    """GCC 12 found no registers for some numbers of steps where each had an assembly statement of its own."""
    b = Builder("steps", seed=channels)
    x = b.input((1, 2, 2, channels), quant=(0.1, 0))
    ys = [b.conv2d(x, 2, (1, width), quant=(0.1, 0)) for width in range(1, 14)]
    report = validate(b.build(b.concatenation(ys, axis=3)), boards.find(board), toolchain=toolchain, count=1)
    assert report.bit_exact
