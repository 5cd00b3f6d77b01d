"""What following memory costs, by board: `python tests/bench/memory_model.py --results DIR [--core cortex-m33]`.

Million instructions a second of processor time, emulation alone: with no access path, with the fetches only, and with
fetches and data. The images are those of golden/measured/silicon.csv, from a checkout or a bare clone of
mlcommons/tiny_results_v1.2. Nothing here is asserted; run it on an idle machine.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from emulator import firmware
from emulator.calibrate import SILICON, Subject, subjects
from refsim.board import Board

CALLS = 5
BOOT = 5_000_000  # instructions


def variants(board: Board) -> dict[str, Board]:
    fetches = tuple(path for path in board.paths if path.kind == "fetch")
    return {"no path": replace(board, paths=()), "fetches": replace(board, paths=fetches), "all": board}


def rate(subject: Subject, board: Board) -> float:
    """The fastest of several calls, in million instructions a second."""
    prepared = firmware.prepare(subject.firmware, board)
    prepared.boot(BOOT)
    best, executed = float("inf"), 0
    for _ in range(CALLS):
        before, start = prepared.machine.instructions, time.process_time()
        prepared.call(subject.entry, (), 10**10)
        best = min(best, time.process_time() - start)
        executed = prepared.machine.instructions - before
    return executed / best / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--core", default="")
    options = parser.parse_args()
    for subject in subjects(options.results, SILICON, options.core):
        told = ", ".join(f"{name} {rate(subject, board):4.0f}" for name, board in variants(subject.board).items())
        print(f"{subject.board.name:14} {subject.network:10} {told} M/s", flush=True)


if __name__ == "__main__":
    main()
