"""Networks of random shapes and operators, end to end: what no published model happens to have."""

from __future__ import annotations

import os

import pytest

from codegen import toolchain
from emulator.validation import validate
from refsim import boards
from refsim.int8ops.numerics import NUMERICS
from tests.system.random_networks import Maker

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]
CORES = ("generic-m0plus", "generic-m3", "generic-m4", "generic-m7", "generic-m33")
SEEDS = range(int(os.environ.get("REFSIM_RANDOM_NETWORKS", "20")))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_network_is_exact(seed: int) -> None:
    graph = Maker(seed).network()
    core, compiler = CORES[seed % len(CORES)], ("zig", "gcc")[seed // len(CORES) % 2]
    if toolchain.FINDERS[compiler]() is None:
        pytest.skip(f"{compiler} is not installed")
    numerics = NUMERICS[("tflm", "litert")[seed % 2]]
    optimize = ("latency", "sram", "balanced")[seed % 3]
    report = validate(graph, boards.find(core), toolchain=compiler, numerics=numerics, count=1, optimize=optimize)
    assert report.bit_exact, f"{report.first_mismatch}\n{graph}"
