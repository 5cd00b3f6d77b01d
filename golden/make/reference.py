"""Writes golden/reference: builds every model, asks the engines, stores their answers.

    python golden/make/reference.py [--op conv2d]... [-o FOLDER]

Needs the packages of `pip install 'refsim[oracles]'`. Running it again with the same versions gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from golden.make import convolutions, elementwise, fully_connected, layout, pooling, softmax  # noqa: E402
from golden.make.case import Case, seed  # noqa: E402
from golden.make.engines import ENGINES, versions  # noqa: E402
from golden.make.model import serialise  # noqa: E402

Array = NDArray[Any]
REFERENCE = ROOT / "golden" / "reference"
OPERATORS: Mapping[str, Callable[[], Iterator[Case]]] = {
    name: getattr(module, name)
    for module, names in {
        convolutions: ("conv2d", "depthwise_conv2d"),
        fully_connected: ("fully_connected",),
        elementwise: ("add", "mul", "quantize", "dequantize", "relu", "relu6"),
        pooling: ("average_pool_2d", "max_pool_2d", "mean"),
        layout: ("pad", "reshape", "transpose", "concatenation", "slice", "split", "strided_slice"),
        softmax: ("softmax",),
    }.items()
    for name in names
}


def write(op: str, folder: Path) -> int:
    """Writes FOLDER/OP anew; returns its bytes."""
    target = folder / op
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    cases = {case.name: _write_case(op, case, target) for case in OPERATORS[op]()}
    manifest = {
        "generator": f"golden/make/{OPERATORS[op].__module__.rpartition('.')[2]}.py",
        "regenerate": f"python golden/make/reference.py --op {op}",
        "oracles": versions(),
        "numpy": np.__version__,
        "seed": "PCG64(crc32('OP/CASE')).random_raw, as each case names it",
        "cases": cases,
    }
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return sum(path.stat().st_size for path in target.iterdir())


def _write_case(op: str, case: Case, target: Path) -> dict[str, Any]:
    model = serialise(case.model)
    answers = {name: _stack(ENGINES[name](model, case.sets)) for name in case.engines}
    arrays = {f"input_{n}": array for n, array in enumerate(_stack(case.sets))}
    arrays |= {f"{name}_output_{n}": y for name, ys in answers.items() for n, y in enumerate(ys)}
    files = {f"{case.name}.tflite": model, f"{case.name}.npz": npz(arrays)}
    for name, content in files.items():
        (target / name).write_bytes(content)
    entry: dict[str, Any] = {"description": case.description, "seed": seed(op, case.name), "sets": len(case.sets)}
    entry["outputs"] = sum(y.size for y in answers["tflm"])
    entry["engines"] = list(answers)
    if len(answers) > 1:
        entry["engines_differ"] = _differences(answers["tflm"], answers["litert"])
    if case.rules:
        entry["contradicts"] = {
            rule: {name: _differences(given, ys) for name, ys in answers.items()} for rule, given in case.rules.items()
        }
    return entry | {"sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}}


def npz(arrays: Mapping[str, Array]) -> bytes:
    """An .npz of fixed dates, compressed by bzip2, whose output depends on no version of zlib."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_BZIP2
            archive.writestr(entry, content.getvalue())
    return file.getvalue()


def _stack(sets: Sequence[Sequence[Array]]) -> list[Array]:
    """Per tensor one array, input sets along the leading axis."""
    return [np.stack(column) for column in zip(*sets, strict=True)]


def _differences(a: Sequence[Array], b: Sequence[Array]) -> int:
    return sum(int(np.count_nonzero(x != y)) for x, y in zip(a, b, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Regenerate golden/reference from the engines.")
    parser.add_argument("--op", action="append", choices=sorted(OPERATORS), help="only this operator (repeatable)")
    parser.add_argument("-o", "--output", type=Path, default=REFERENCE)
    options = parser.parse_args(arguments)
    for op in options.op or OPERATORS:
        print(f"{op}: {write(op, options.output)} bytes", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
