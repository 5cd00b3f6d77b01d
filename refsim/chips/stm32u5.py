"""The STM32U5 family: Cortex-M33 behind an instruction cache that also serves data in flash."""

from __future__ import annotations

from refsim.board import ENERGY, KIB, M33, MIB, AccessPath, Board, Cache, flash, ram
from refsim.fitted import Fitted

FLASH_READ = 5  # cycles of 128 bits: 4 wait states at 160 MHz, range 1 [RM0456 section 7.3.3, latency table]
REFILL = 2  # cycles that a miss takes beyond those of the flash, to look the line up and to ask for it
CACHED = "ST RM0456, ICACHE: 8 KB, 2-way, 16-byte lines, critical word first, behind it all of the C-bus: code and data"
SERVED = "ST RM0456 sections 7.3.3 (wait states) and 7.3.4 (prefetch of the next 128 bits, on in ST's start-up code)"


def _flash(kind: str, cause: str) -> AccessPath:
    """A line that follows the last one comes from the flash's prefetch."""
    return AccessPath(
        kind, 0x0800_0000, 0x1000_0000, 16, REFILL + FLASH_READ, cause, SERVED, cache="icache", next_wait=REFILL
    )


NUCLEO_U575ZI = Board(
    "nucleo-u575zi",
    M33,
    160_000_000,
    flash(2 * MIB, "ST DS13737, RM0456 section 7.3"),
    ram("sram", 0x2000_0000, 768 * KIB, "ST RM0456 section 2.3: SRAM1, SRAM2, SRAM3 contiguous"),
    (ram("sram4", 0x2800_0000, 16 * KIB, "ST RM0456 section 2.3"),),
    0.155,
    f"{ENERGY}: 0.14 to 0.17 (1.8 V, SMPS)",
    ("clock: ST DS13737",),
    caches=(Cache("icache", 8 * KIB, 16, 2, CACHED),),
    paths=(_flash("fetch", "instruction_cache"), _flash("read", "flash_read")),
    cycles_error_pct=3.5,
)

BOARDS = (NUCLEO_U575ZI,)
FITTED = (
    Fitted(
        "flash_read.wait", FLASH_READ + 1, FLASH_READ + 3, 1, "cycles",
        "a line of the ICACHE from flash: its read and the refill",
        ("nucleo-u575zi",), ("ad", "ad_max", "ic", "kws", "vww"),
    ),
)  # fmt: skip
