"""Estimated against measured cycles of published firmware: `python -m emulator.calibrate --results DIR`.

The images are those of github mlcommons/tiny_results_v1.2, read from a checkout or a bare clone; they are under their
owners' licences and are never copied into this repository. The measured cycles are in golden/measured/silicon.csv.
For each core its rows are printed with two errors: that of the estimate, and that of an estimate whose free parameters
(`refsim.fitted`) were fitted to the other networks alone.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import pkgutil
import subprocess
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emulator import image, leave_one_out
from emulator.image import Image
from emulator.leave_one_out import Response
from emulator.profiler import Profile, profile
from emulator.timing import MODELS
from refsim import boards, chips, files, fitted
from refsim.board import Board
from refsim.errors import ImageError, RefsimError
from refsim.fitted import Fitted

SILICON = Path(__file__).parents[1] / "golden" / "measured" / "silicon.csv"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured network on one board."""

    board: str
    core: str
    network: str
    measured: int  # cycles
    estimate: Profile

    @property
    def error_pct(self) -> float:
        return 100 * (self.estimate.cycles / self.measured - 1)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A free parameter as it is now; `home`: the module that declares it."""

    home: str
    fitted: Fitted
    value: float

    @property
    def key(self) -> Hashable:
        return self.home, self.fitted.name, self.fitted.boards


@dataclass(frozen=True, slots=True)
class Result:
    """A row's errors in percent; `left_out_pct` None: no refit was asked for."""

    board: str
    core: str
    network: str
    measured: int
    estimated: int
    error_pct: float
    left_out_pct: float | None


@dataclass(frozen=True, slots=True)
class Subject:
    """An image of silicon.csv, ready to run."""

    board: Board
    core: str
    network: str
    measured: int
    firmware: Image
    entry: int

    def run(self, board: Board) -> Row:
        estimate = profile(self.firmware, board, self.entry)
        return Row(board.name, self.core, self.network, self.measured, estimate)


def subjects(results: Path, silicon: Path = SILICON, core: str = "", network: str = "") -> Iterator[Subject]:
    """The images of silicon.csv, or those of one core and network. Raises ImageError for a missing one."""
    with silicon.open(newline="") as lines:
        for line in csv.DictReader(lines):
            if core in ("", line["core"]) and network in ("", line["network"]):
                yield _subject(results, line)


def _subject(results: Path, line: Mapping[str, str]) -> Subject:
    firmware = image.parse(_bytes(results, line["image"]), line["image"], int(line["base"], 16))
    board = boards.find(line["board"])
    return Subject(board, line["core"], line["network"], int(line["cycles"]), firmware, int(line["entry"], 16))


def rows(results: Path, silicon: Path = SILICON, core: str = "", network: str = "") -> Iterator[Row]:
    """Profile the images of silicon.csv, or those of one core and network. Raises ImageError for a missing image."""
    for subject in subjects(results, silicon, core, network):
        yield subject.run(subject.board)


def _bytes(results: Path, path: str) -> bytes:
    """A file of the checkout, or of the newest commit when `results` is a git directory without a work tree."""
    if (results / path).is_file():
        return (results / path).read_bytes()
    command = ["git", f"--git-dir={results}", "show", f"HEAD:{path}"]
    found = subprocess.run(command, capture_output=True, check=False)
    if found.returncode:
        raise ImageError(f"'{results}' has no '{path}': expected a checkout of mlcommons/tiny_results_v1.2")
    return found.stdout


def parameters(core: str, on: Iterable[Board]) -> list[Parameter]:
    """The free parameters of a core and of these boards' chips."""
    module = importlib.import_module(MODELS[core])
    found = [Parameter(MODELS[core], f, float(getattr(module, f.name))) for f in getattr(module, "FITTED", ())]
    known = {board.name: board for board in on}
    for chip in pkgutil.iter_modules(chips.__path__, f"{chips.__name__}."):
        for f in getattr(importlib.import_module(chip.name), "FITTED", ()):
            mine = [known[name] for name in f.boards if name in known]
            found += [Parameter(chip.name, f, fitted.value(mine[0], f.name))] if mine else []
    return found


@contextmanager
def _constant(module: str, name: str, value: float) -> Iterator[None]:
    """Another value of a core's constant, for a run."""
    home = importlib.import_module(module)
    before = getattr(home, name)
    setattr(home, name, type(before)(value))
    try:
        yield
    finally:
        setattr(home, name, before)


def _moved(subject: Subject, parameter: Parameter, value: float) -> Row:
    """The subject's row with another value of a parameter."""
    if parameter.home in MODELS.values():
        with _constant(parameter.home, parameter.fitted.name, value):
            return subject.run(subject.board)
    return subject.run(fitted.substituted(subject.board, parameter.fitted.name, value))


def response(subject: Subject, free: Sequence[Parameter]) -> Response:
    """A subject's estimate, and its slopes: a run for each parameter, one step away."""
    estimate = subject.run(subject.board).estimate.cycles
    slopes: dict[Hashable, float] = {}
    for p in free:
        if subject.board.name in p.fitted.boards or not p.fitted.boards:
            step = p.fitted.step if p.value + p.fitted.step <= p.fitted.high else -p.fitted.step
            slopes[p.key] = (_moved(subject, p, p.value + step).estimate.cycles - estimate) / step
    return Response(subject.board.name, subject.network, subject.measured, estimate, slopes)


def judged(mine: Sequence[Subject], free: Sequence[Parameter], *, refit: bool) -> list[Result]:
    """The errors of one core's subjects."""
    found = [response(subject, free if refit else ()) for subject in mine]
    left_out: Sequence[float | None] = [None] * len(found)
    if refit:
        left_out = leave_one_out.errors_pct(found, {p.key: p.fitted for p in free}, {p.key: p.value for p in free})
    return [
        Result(r.board, s.core, r.network, r.measured, r.estimate, 100 * (r.estimate / r.measured - 1), without)
        for r, s, without in zip(found, mine, left_out, strict=True)
    ]


def mean(errors: Iterable[float | None]) -> float | None:
    """The mean absolute error, None where one is unknown."""
    known = list(errors)
    return sum(abs(e or 0.0) for e in known) / len(known) if known and None not in known else None


def _print_core(core: str, found: Sequence[Result], free: Sequence[Parameter]) -> None:
    own = sum(p.home in MODELS.values() for p in free)
    by_board = {b: sum(b in p.fitted.boards for p in free) for b in dict.fromkeys(r.board for r in found)}
    told = ", ".join(f"{board} {count}" for board, count in by_board.items())
    print(f"{core}: {own} free parameters of the core; of boards: {told}")
    for p in free:
        f = p.fitted
        print(f"  {f.name} = {p.value:g} {f.unit} (from {f.low:g} to {f.high:g}): {f.mechanism}")
    print(f"  {'board':14} {'network':10} {'measured':>12} {'estimated':>12} {'error':>8} {'left out':>9}")
    for r in found:
        cycles = f"{r.measured:12,} {r.estimated:12,}"
        print(f"  {r.board:14} {r.network:10} {cycles} {r.error_pct:+7.2f} % {_pct(r.left_out_pct)}".rstrip())
    fit, left = mean(r.error_pct for r in found), mean(r.left_out_pct for r in found)
    print(f"  {'mean absolute error':51} {fit:7.2f} % {'' if left is None else f'{left:7.2f} %'}".rstrip(), flush=True)


def _pct(error: float | None) -> str:
    return "" if error is None else f"{error:+7.2f} %"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulator.calibrate", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="a checkout of mlcommons/tiny_results_v1.2")
    parser.add_argument("--silicon", type=Path, default=SILICON, help="measured cycles as CSV")
    parser.add_argument("--core", default="", choices=("", *MODELS), metavar="C", help="only this core, as cortex-m4")
    parser.add_argument("--fast", action="store_true", help="no refits: one run a row")
    parser.add_argument("--chart", metavar="F.svg", help="draw the errors there")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    return parser.parse_args()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Judge every core, and print as the options say. Returns what --json prints."""
    given = list(subjects(options.results, options.silicon, options.core))
    judgement: dict[str, Any] = {}
    everything: list[Result] = []
    for core in dict.fromkeys(s.core for s in given):
        mine = [s for s in given if s.core == core]
        free = parameters(core, {s.board.name: s.board for s in mine}.values())
        found = judged(mine, free, refit=not options.fast)
        everything += found
        if not options.json:
            _print_core(core, found, free)
        judgement[core] = {
            "parameters": [{**asdict(p.fitted), "value": p.value, "declared_in": p.home} for p in free],
            "rows": [asdict(r) for r in found],
            "mean_error_pct": mean(r.error_pct for r in found),
            "mean_left_out_pct": mean(r.left_out_pct for r in found),
        }
    if options.chart:
        from emulator.accuracy_chart import chart

        files.write(options.chart, chart(everything).encode())
    return judgement


def main() -> int:
    """Print measured and estimated cycles and the errors, a row per network. Exit status as of `refsim`."""
    options = _options()
    try:
        found = run(options)
    except (RefsimError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
