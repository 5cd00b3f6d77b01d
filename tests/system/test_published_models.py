"""The published models, end to end: exact on every tensor, on every core that is offered, with both compilers."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen import toolchain
from emulator.validation import validate
from refsim import boards, importers

pytestmark = [pytest.mark.toolchain, pytest.mark.slow]
MODELS = ("mlperf_ad", "mlperf_ic", "mlperf_kws", "mlperf_sww", "mlperf_vww", "mcunet_vww1")
BOARDS = ("nucleo-l4r5zi", "disco-f746ng", "generic-m0plus")

# Executed instructions per multiply-accumulate on the M4, and bytes of code: at most. The best that others reach is
# 3.2 (TFLM with CMSIS-NN on vww), 2.4 (the same on ic) and 3.0 (TinyEngine on mcunet_vww1).
LIMITS = {"mlperf_vww": (2.6, 65536), "mlperf_ic": (2.2, 65536), "mcunet_vww1": (2.6, 98304)}


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("model", MODELS)
def test_every_tensor_is_exact(shared_models: Path, model: str, board: str, compiler: str) -> None:
    if toolchain.FINDERS[compiler]() is None:
        pytest.skip(f"{compiler} is not installed")
    graph = importers.load(shared_models / f"{model}.tflite")
    found = validate(graph, boards.find(board), toolchain=compiler, count=1)
    assert found.bit_exact, found.first_mismatch
    t = found.tensors
    assert t.compared + t.eliminated == t.total == sum(len(node.outputs) for node in graph.nodes)
    assert found.fits
    if board == "nucleo-l4r5zi" and model in LIMITS:
        per_mac, code = LIMITS[model]
        assert found.instructions <= per_mac * found.macs
        assert found.flash.code <= code


def test_litert_numerics_are_exact_where_they_differ(shared_models: Path) -> None:
    from refsim.int8ops.numerics import LITERT

    graph = importers.load(shared_models / "mlperf_ad.tflite")
    assert validate(graph, boards.find("nucleo-l4r5zi"), numerics=LITERT, count=2).bit_exact
