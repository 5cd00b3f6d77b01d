"""Networks of random shapes and operators, end to end: what no published model happens to have."""

from __future__ import annotations

import os
from random import Random

import pytest

from codegen import toolchain
from emulator.validation import validate
from refsim import boards
from refsim.graph import Graph
from refsim.int8ops.numerics import NUMERICS
from refsim.memsim.transforms import NAMES, OPTIMIZE
from tests.system.random_graphs import Grower
from tests.system.random_networks import Maker

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]
CORES = ("generic-m0plus", "generic-m3", "generic-m4", "generic-m7", "generic-m33")
COMPILERS = ("zig", "gcc")
SEEDS = range(int(os.environ.get("REFSIM_RANDOM_NETWORKS", "24")))


def drawn(seed: int) -> Graph:
    """Large tensors in a row, or small ones in every arrangement."""
    return Maker(seed).network() if seed % 2 else Grower(seed).graph()


def allowed(draw: Random) -> dict[str, str]:
    """What may be done to a program: a word of `--optimize`, or some of the transformations by name."""
    if draw.randrange(3) == 0:
        return {"optimize": draw.choice(tuple(OPTIMIZE))}
    some = draw.sample(NAMES, draw.randint(0, len(NAMES)))
    return {"transforms": ",".join(some) or "none"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_network_is_exact(seed: int) -> None:
    graph, how = drawn(seed), allowed(Random(seed))
    core, compiler = CORES[seed % len(CORES)], COMPILERS[seed // len(CORES) % len(COMPILERS)]
    if toolchain.FINDERS[compiler]() is None:
        pytest.skip(f"{compiler} is not installed")
    numerics = NUMERICS[("tflm", "litert")[seed % 3 // 2]]
    report = validate(graph, boards.find(core), toolchain=compiler, numerics=numerics, count=1, **how)
    assert report.bit_exact, f"{how}, {core}, {compiler}: {report.first_mismatch}\n{graph}"
