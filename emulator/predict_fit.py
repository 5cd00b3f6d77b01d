"""Regenerates the coefficients of `emulator.prediction`: python -m emulator.predict_fit

Random networks are compiled with clang and run on every board of the catalogue; for every path of every kernel the
cycles of its layers are then fitted by what is counted for them, in least squares of relative errors and without
negative coefficients. The stated error is that of cross validation: of networks that the fit had not seen.

    --boards NAME...  only those; the others keep their coefficients
    --judge N         instead of fitting, compare N other networks with what is stored (each on one board in turn)
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen import toolchain
from emulator.predict_features import FEATURES
from emulator.predict_samples import Sample, Task, samples, tasks
from emulator.prediction import DATA, OTHER
from refsim import boards
from refsim.board import Board
from refsim.memsim import work

SEEDS = (*range(-60, 0), *range(100))
JUDGED = 1_000_000  # seeds of networks that predictions are judged by: from here on
FOLDS = 5
ODD = 0.1  # weight of layers that searches seldom try
LEAST = 50.0  # cycles of a layer, below which its relative error does not matter

Floats = NDArray[np.float64]
Fitted = dict[str, Floats]


def fitted(found: Sequence[Sample]) -> Fitted:
    """Cycles of each feature, by path."""
    by_path: dict[str, list[Sample]] = {}
    for sample in found:
        by_path.setdefault(sample.counted[0], []).append(sample)
    return {path: _coefficients(path, mine) for path, mine in by_path.items()}


def _coefficients(path: str, mine: Sequence[Sample]) -> Floats:
    """A layer's error counts by its share of its network as well as by itself."""
    counts = np.array([sample.counted[1] for sample in mine], np.float64)
    cycles = np.array([sample.cycles for sample in mine], np.float64)
    whole = np.array([sample.whole for sample in mine], np.float64)
    usual = np.array([1.0 if sample.seed >= 0 else ODD for sample in mine])
    weights = usual / np.sqrt(np.maximum(cycles, LEAST) * whole)
    a, b = counts * weights[:, None], cycles * weights
    size = np.sqrt(np.square(a).sum(axis=0))
    size[size == 0] = 1
    line = longest_line(boards.find(mine[0].board))
    most = np.array([line if name.endswith("_lines") else np.inf for name in FEATURES[path]])
    found: Floats = bounded(a / size, b, most * size) / size
    return found


def longest_line(board: Board) -> float:
    """Cycles that bringing a line to a cache may take at most: twice what its words wait."""
    lines = {c.name: c.line for c in board.caches}
    waits = [p.wait * max(1, lines.get(p.cache, 0) // p.width) for p in board.paths]
    return 2 * max(waits, default=0.0)


def bounded(a: Floats, b: Floats, most: Floats) -> Floats:
    """The same as `non_negative`, where what would become more than `most` stays there."""
    x, open_ = np.zeros(a.shape[1]), np.ones(a.shape[1], bool)
    while open_.any():
        x[open_] = non_negative(a[:, open_], b - a[:, ~open_] @ x[~open_])
        above = open_ & (x > most)
        if not above.any():
            break
        x[above], open_ = most[above], open_ & ~above
    return x


def non_negative(a: Floats, b: Floats) -> Floats:
    """The x >= 0 that minimises |a x - b|: Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23."""
    gram, target = a.T @ a, a.T @ b
    x, free = np.zeros(len(target)), np.zeros(len(target), bool)
    tolerance = 1e-9 * max(1.0, float(np.abs(target).max(initial=0)))
    for _ in range(20 * len(target)):
        gradient = np.where(free, -np.inf, target - gram @ x)
        if gradient.max(initial=-np.inf) <= tolerance:
            break
        free[int(gradient.argmax())] = True
        x, free = _feasible(gram, target, x, free)
    return x


def _feasible(gram: Floats, target: Floats, x: Floats, free: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """Solve for the free ones; those that would become negative stop at 0 and are free no more."""
    while True:
        solved = np.zeros_like(x)
        solved[free] = np.linalg.lstsq(gram[np.ix_(free, free)], target[free], rcond=1e-12)[0]
        below = free & (solved <= 0)
        if not below.any():
            return solved, free
        step = float((x[below] / (x[below] - solved[below])).min())
        x = x + step * (solved - x)
        free = free & (x > 1e-15)
        x = np.where(free, x, 0.0)


def predicted(fit: Mapping[str, Floats], sample: Sample) -> float:
    return float(fit[sample.counted[0]] @ np.array(sample.counted[1], np.float64)) if sample.counted[0] in fit else 0.0


def errors(fit: Mapping[str, Floats], found: Iterable[Sample]) -> dict[int, float]:
    """By network, (predicted - cycles) / cycles in percent."""
    sums: dict[int, list[float]] = {}
    for sample in found:
        both = sums.setdefault(sample.seed, [0.0, 0.0])
        both[0] += predicted(fit, sample)
        both[1] += sample.cycles
    return {seed: 100 * (p / c - 1) for seed, (p, c) in sums.items()}


def cross_validated(found: Sequence[Sample]) -> dict[int, float]:
    """Errors of the networks that searches try, each predicted by what the others say."""
    result: dict[int, float] = {}
    for fold in range(FOLDS):
        fit = fitted([sample for sample in found if sample.seed < 0 or sample.seed % FOLDS != fold])
        result |= errors(fit, (sample for sample in found if sample.seed >= 0 and sample.seed % FOLDS == fold))
    return result


def board_data(found: Sequence[Sample]) -> dict[str, Any]:
    """What is stored of a board."""
    off = np.abs(list(cross_validated(found).values()))
    fit = fitted(found)
    return {
        "error_pct": round(float(off.mean()), 2),
        "worst_pct": round(float(off.max()), 2),
        "networks": len(off),
        "paths": {path: _path_data(path, fit, found) for path in sorted(fit)} | {OTHER: _other(found)},
    }


def _path_data(path: str, fit: Fitted, found: Sequence[Sample]) -> dict[str, Any]:
    mine = [sample for sample in found if sample.counted[0] == path]
    share = np.array([sample.cycles / sample.whole for sample in mine])
    off = np.array([abs(predicted(fit, sample) / max(sample.cycles, 1) - 1) for sample in mine])
    cycles = {name: _rounded(value) for name, value in zip(FEATURES[path], fit[path], strict=True) if value}
    return {"layers": len(mine), "error_pct": round(100 * float(off @ share / share.sum()), 2), "cycles": cycles}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _other(found: Sequence[Sample]) -> dict[str, Any]:
    """The instructions that `memsim.work` estimates, at this board's cycles for its elementwise kernels."""
    mine = [s for s in found if s.counted[0] in ("add", "mul", "lookup")]
    elements = sum(4 * c[2] + c[3] for c in (s.counted[1] for s in mine))
    each = sum(s.cycles for s in mine) / elements / work.ELEMENT if elements else 1.0
    cycles = {"call": _rounded(each * work.CALL), "value": _rounded(each * work.ELEMENT)}
    return {"layers": 0, "error_pct": None, "cycles": cycles}


def fit_boards(names: Sequence[str], seeds: Sequence[int], jobs: int) -> dict[str, Any]:
    """What is stored of each board."""
    by_board: dict[str, list[Sample]] = {name: [] for name in names}
    work_list = tasks(seeds, names)
    for n, found in enumerate(samples(work_list, jobs)):
        for sample in found:
            by_board[sample.board].append(sample)
        if n % 20 == 19:
            print(f"{n + 1} of {len(work_list)} programs measured", file=sys.stderr)
    return {name: board_data(found) for name, found in by_board.items()}


def judge(names: Sequence[str], count: int, jobs: int, path: Path) -> dict[tuple[str, int], float]:
    """Errors of `count` networks that nothing was fitted to, by board and seed; each is run on one board in turn."""
    stored = json.loads(path.read_text("utf-8"))["boards"]
    fits = {name: _stored(stored[name]) for name in names}
    work_list = [Task(JUDGED + n, (names[n % len(names)],)) for n in range(count)]
    found: dict[tuple[str, int], float] = {}
    for mine in samples(work_list, jobs):
        name = mine[0].board
        found |= {(name, seed): off for seed, off in errors(fits[name], mine).items()}
    return found


def _stored(data: Mapping[str, Any]) -> Fitted:
    return {
        path: np.array([known["cycles"].get(name, 0.0) for name in FEATURES[path]], np.float64)
        for path, known in data["paths"].items()
    }


def _print_judged(found: Mapping[tuple[str, int], float], names: Sequence[str]) -> None:
    for name in (*names, ""):
        off = np.abs([e for (board, _), e in found.items() if name in ("", board)])
        if off.size:
            print(f"{name or 'all':18} {off.size:4} networks  mean {off.mean():5.2f} %  worst {off.max():5.2f} %")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m emulator.predict_fit", description=__doc__.split("\n\n")[1])
    parser.add_argument("--boards", nargs="+", default=list(boards.BOARDS), metavar="NAME")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--judge", type=int, default=0, metavar="N")
    parser.add_argument("--file", type=Path, default=Path(__file__).with_name(DATA))
    given = parser.parse_args(arguments)
    names = [boards.find(name).name for name in given.boards]
    if given.judge:
        _print_judged(judge(names, given.judge, given.jobs, given.file), names)
        return
    old = json.loads(given.file.read_text("utf-8"))["boards"] if given.file.exists() else {}
    made = {**old, **fit_boards(names, SEEDS, given.jobs)}
    kept = {name: made[name] for name in boards.BOARDS if name in made}
    compiler = toolchain.find("zig").version
    source = f"emulated runs of {len(SEEDS)} random networks, python -m emulator.predict_fit"
    text = json.dumps({"source": source, "toolchain": compiler, "numerics": "tflm", "boards": kept}, indent=1)
    given.file.write_text(text + "\n", "utf-8")
    for name in names:
        print(
            f"{name:18} mean {kept[name]['error_pct']:5.2f} %  worst {kept[name]['worst_pct']:5.2f} % (not fitted to)"
        )


if __name__ == "__main__":
    main()
