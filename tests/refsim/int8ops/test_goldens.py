"""Every operator against the stored answers of foreign engines: zero differences, and proof that they could differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest

from refsim import int8ops
from refsim.graph import Array, Graph
from refsim.importers.tflite import read_tflite
from refsim.int8ops import fixedpoint, operators
from refsim.int8ops.numerics import LITERT, NUMERICS, TFLM, Numerics
from refsim.interpreter import outputs, run

REFERENCE = Path(__file__).resolve().parents[3] / "golden" / "reference"
MANIFESTS: Mapping[str, Any] = {
    path.parent.name: json.loads(path.read_text()) for path in sorted(REFERENCE.glob("*/manifest.json"))
}
EXACT = "exact"
DOUBLE = "two-roundings"
SINGLE = "two-roundings of a float32 multiplier"
# The one rule that all probes of an operator leave standing, for tflite-micro and for LiteRT.
STANDING: Mapping[str, tuple[str, str]] = {
    "conv2d": (DOUBLE, DOUBLE),
    "depthwise_conv2d": (DOUBLE, DOUBLE),
    "fully_connected": (DOUBLE, EXACT),
    "add": (DOUBLE, DOUBLE),
    "mul": (DOUBLE, "two-roundings of a multiplier from float32 arithmetic"),
    "mean": ("folded", "folded"),
    "average_pool_2d": ("half-away", "half-away"),
    "quantize": (DOUBLE, DOUBLE),
    "relu": (DOUBLE, SINGLE),
    "relu6": ("clamp only", SINGLE),
}


@dataclass(frozen=True)
class Golden:
    op: str
    name: str

    @property
    def entry(self) -> Mapping[str, Any]:
        entry: Mapping[str, Any] = MANIFESTS[self.op]["cases"][self.name]
        return entry

    def graph(self) -> Graph:
        return read_tflite((REFERENCE / self.op / f"{self.name}.tflite").read_bytes(), self.name)

    def arrays(self) -> Mapping[str, Array]:
        with np.load(REFERENCE / self.op / f"{self.name}.npz") as stored:
            return dict(stored)


GOLDENS = [Golden(op, name) for op, manifest in MANIFESTS.items() for name in manifest["cases"]]
ANSWERS = [pytest.param(g, e, id=f"{g.op}/{g.name}-{e}") for g in GOLDENS for e in g.entry["engines"]]


def differences(golden: Golden, engine: str, numerics: Numerics) -> Iterator[tuple[str, int, int]]:
    """(output and input set, elements, elements that differ) of our answers against the engine's stored ones."""
    graph, arrays = golden.graph(), golden.arrays()
    for n in range(golden.entry["sets"]):
        given = [arrays[f"input_{k}"][n] for k in range(len(graph.inputs))]
        for k, ours in enumerate(outputs(graph, run(graph, given, numerics))):
            theirs = arrays[f"{engine}_output_{k}"][n]
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            wrong = ours.view(np.uint8) != theirs.view(np.uint8) if ours.dtype == np.float32 else ours != theirs
            yield f"output_{k} of input set {n}", ours.size, int(np.count_nonzero(wrong))


def wrong_elements(op: str, engine: str, numerics: Numerics) -> int:
    probes = [golden for golden in GOLDENS if golden.op == op and "contradicts" in golden.entry]
    return sum(count for golden in probes for _, _, count in differences(golden, engine, numerics))


@pytest.mark.parametrize(("golden", "engine"), ANSWERS)
def test_reference_gives_the_engines_answer_to_the_bit(golden: Golden, engine: str) -> None:
    compared = list(differences(golden, engine, NUMERICS[engine]))
    found = [f"{where}: {wrong} of {size}" for where, size, wrong in compared if wrong]
    assert compared and not found, f"{golden.entry['description']}: {'; '.join(found)}"


def test_every_operator_has_goldens() -> None:
    assert set(MANIFESTS) == set(operators())


@pytest.mark.parametrize("op", MANIFESTS)
def test_files_are_those_that_the_manifest_names(op: str) -> None:
    stored = {path.name: path for path in (REFERENCE / op).iterdir() if path.name != "manifest.json"}
    named = {name: digest for case in MANIFESTS[op]["cases"].values() for name, digest in case["sha256"].items()}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in stored.items()} == named


@pytest.mark.parametrize("op", MANIFESTS)
def test_manifest_names_the_pinned_engines_and_its_generator(op: str, root: Path) -> None:
    assert MANIFESTS[op]["oracles"] == {"tflm": TFLM.oracle, "litert": LITERT.oracle}
    assert (root / MANIFESTS[op]["generator"]).is_file()


@pytest.mark.parametrize("op", STANDING)
def test_probes_leave_one_rounding_rule_standing(op: str) -> None:
    counts = [case["contradicts"] for case in MANIFESTS[op]["cases"].values() if "contradicts" in case]
    for engine, expected in zip(("tflm", "litert"), STANDING[op], strict=True):
        standing = [rule for rule in counts[0] if not any(case[rule][engine] for case in counts)]
        assert standing == [expected], f"{engine} is compatible with {standing}"


@pytest.mark.parametrize("op", ["conv2d", "depthwise_conv2d", "quantize", "relu"])
@pytest.mark.parametrize("engine", ["tflm", "litert"])
def test_goldens_refuse_a_single_rounding(op: str, engine: str) -> None:
    assert wrong_elements(op, engine, replace(NUMERICS[engine], requantize="exact")) > 100


def test_goldens_refuse_the_other_engines_fully_connected() -> None:
    assert wrong_elements("fully_connected", "tflm", replace(TFLM, fc_requantize="exact")) > 1000
    assert wrong_elements("fully_connected", "litert", replace(LITERT, fc_requantize="two-roundings")) > 1000


def _half_up(x: Any, exponent: Any) -> Any:
    exponent = np.asarray(exponent, np.int64)
    return (np.asarray(x, np.int64) + ((np.int64(1) << exponent) >> 1)) >> exponent


def _one_rounding(x: Any, multiplier: Any, shift: Any) -> Any:
    real = np.ldexp(np.asarray(multiplier, np.float64), np.asarray(shift, np.int64) - 31)
    return fixedpoint.multiply_exact(x, real)


MUTANTS: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "halves up": ("rounding_divide_by_pot", _half_up),
    "one rounding": ("multiply", _one_rounding),
}


@pytest.mark.parametrize("op", ["add", "mul", "mean"])
@pytest.mark.parametrize("mutant", MUTANTS)
def test_goldens_refuse_a_mutant_of_the_shared_arithmetic(
    op: str, mutant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wrong_elements(op, "tflm", TFLM) == 0
    name, wrong = MUTANTS[mutant]
    original = getattr(fixedpoint, name)
    for info in iter_modules(int8ops.__path__):
        module = import_module(f"{int8ops.__name__}.{info.name}")
        if getattr(module, name, None) is original:
            monkeypatch.setattr(module, name, wrong)
    assert wrong_elements(op, "tflm", TFLM) > 100
