"""How fast firmware is emulated with its memory: `python tests/bench/firmware.py --results DIR [--core cortex-m7]`.

The images are those of golden/measured/silicon.csv, from a checkout or a bare clone of mlcommons/tiny_results_v1.2.
Nothing here is asserted; run it on an idle machine. Emulation alone is timed, then the pricing of what ran.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from emulator import firmware
from emulator.calibrate import SILICON, subjects

SECONDS, CALLS = 1.0, 3  # of an image, at least: the shortest ones take milliseconds, and first ones translate code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--core", default="")
    options = parser.parse_args()
    for subject in subjects(options.results, SILICON, options.core, ""):
        prepared = firmware.prepare(subject.firmware, subject.board)
        prepared.boot(5_000_000)
        machine, took = prepared.machine, list[float]()
        while sum(took) < SECONDS or len(took) < CALLS:
            before, start = machine.instructions, time.perf_counter()
            prepared.call(subject.entry, (), 10**10)
            took.append(time.perf_counter() - start)
        best = min(took)
        rate = (machine.instructions - before) / best / 1e6
        start = time.perf_counter()
        prepared.clock.cost(prepared.clock.now())
        priced = time.perf_counter() - start
        print(
            f"{subject.board.name:14} {subject.network:10} {best:6.3f} s, {rate:6.1f} M instructions/s, "
            f"pricing {priced:.2f} s"
        )


if __name__ == "__main__":
    main()
