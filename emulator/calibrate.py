"""Estimated against measured cycles of published firmware: `python -m emulator.calibrate --results DIR`.

The images are those of github mlcommons/tiny_results_v1.2, read from a checkout or a bare clone; they are under their
owners' licences and are never copied into this repository. The measured cycles are in golden/measured/silicon.csv.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from emulator import image
from emulator.profiler import Profile, profile
from refsim import boards
from refsim.errors import ImageError, RefsimError

SILICON = Path(__file__).parents[1] / "golden" / "measured" / "silicon.csv"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured network on one board."""

    board: str
    network: str
    measured: int  # cycles
    estimate: Profile

    @property
    def error_pct(self) -> float:
        return 100 * (self.estimate.cycles / self.measured - 1)


def rows(results: Path, silicon: Path = SILICON, core: str = "", network: str = "") -> Iterator[Row]:
    """Profile the images of silicon.csv, or those of one core and network. Raises ImageError for a missing image."""
    with silicon.open(newline="") as lines:
        for line in csv.DictReader(lines):
            if core in ("", line["core"]) and network in ("", line["network"]):
                yield _row(results, line)


def _row(results: Path, line: Mapping[str, str]) -> Row:
    board = boards.find(line["board"])
    firmware = image.parse(_bytes(results, line["image"]), line["image"], int(line["base"], 16))
    estimate = profile(firmware, board, int(line["entry"], 16))
    return Row(line["board"], line["network"], int(line["cycles"]), estimate)


def _bytes(results: Path, path: str) -> bytes:
    """A file of the checkout, or of the newest commit when `results` is a git directory without a work tree."""
    if (results / path).is_file():
        return (results / path).read_bytes()
    command = ["git", f"--git-dir={results}", "show", f"HEAD:{path}"]
    found = subprocess.run(command, capture_output=True, check=False)
    if found.returncode:
        raise ImageError(f"'{results}' has no '{path}': expected a checkout of mlcommons/tiny_results_v1.2")
    return found.stdout


def main() -> int:
    """Print measured and estimated cycles and the error, a row per network."""
    parser = argparse.ArgumentParser(prog="python -m emulator.calibrate", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="a checkout of mlcommons/tiny_results_v1.2")
    parser.add_argument("--silicon", type=Path, default=SILICON, help="measured cycles as CSV")
    parser.add_argument("--core", default="", help="only this core, as cortex-m4")
    options = parser.parse_args()
    try:
        for row in rows(options.results, options.silicon, options.core):
            e = row.estimate
            state = "uncalibrated" if e.cycles_error_pct is None else f"calibrated to {e.cycles_error_pct} %"
            print(
                f"{row.board:14} {row.network:10} measured {row.measured:>10} estimated {e.cycles:>10} "
                f"error {row.error_pct:+6.1f} % ({state})"
            )
    except (RefsimError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
