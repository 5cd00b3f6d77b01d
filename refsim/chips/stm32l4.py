"""The STM32L4+ family: Cortex-M4 with the ART accelerator in front of flash."""

from __future__ import annotations

from dataclasses import replace

from refsim.board import ENERGY, KIB, M4, MIB, AccessPath, Bank, Board, Cache, flash, ram
from refsim.fitted import Fitted

_LATER_BLOCKS = (
    "ST RM0432 section 2.2: SRAM2 and SRAM3; one cycle a burst: fitted to pqm4's cycles (golden/measured/pqm.csv), "
    "whose stack is in SRAM3; mupq/pqm4 pull request 193: loads from SRAM1 are faster"
)
_ACCELERATOR = (
    "ST RM0432 section 3.3: adaptive real-time memory accelerator, 64-bit flash words, 5 wait states at 120 MHz"
)

NUCLEO_L4R5ZI = Board(
    "nucleo-l4r5zi",
    M4,
    120_000_000,
    flash(2 * MIB, "ST DS12023, RM0432 section 3.3"),
    ram("sram", 0x2000_0000, 640 * KIB, "ST RM0432 section 2.2: SRAM1, SRAM2, SRAM3 contiguous"),
    (ram("sram2-alias", 0x1000_0000, 64 * KIB, "ST RM0432 section 2.2: SRAM2 on the code bus"),),
    0.365,
    f"{ENERGY}: 0.32 to 0.41 (1.8 V, LDO)",
    ("clock: ST DS12023",),
    caches=(
        Cache("icache", 1 * KIB, 32, 32, f"{_ACCELERATOR}: 32 lines of four words"),
        Cache("dcache", 256, 8, 32, f"{_ACCELERATOR}: 8 lines of four words, which come one by one"),
    ),
    paths=(
        # Four words of a line, 5 wait states each, of which the prefetch hides 2 behind the word before.
        AccessPath(
            "fetch", 0x0800_0000, 0x0820_0000, 8, 14, "flash_fetch", _ACCELERATOR, cache="icache", next_wait=12,
        ),
        AccessPath("read", 0x0800_0000, 0x0820_0000, 8, 5, "flash_read", _ACCELERATOR, cache="dcache"),
    ),
    banks=(
        Bank(0x2003_0000, 0x2004_0000, 1, _LATER_BLOCKS),
        Bank(0x2004_0000, 0x200A_0000, 1, _LATER_BLOCKS),
    ),
    cycles_error_pct=3.0,
)  # fmt: skip

NUCLEO_L4R5ZI_20MHZ = replace(
    NUCLEO_L4R5ZI,
    name="nucleo-l4r5zi-20mhz",
    clock_hz=20_000_000,
    nj_per_cycle=None,
    nj_source="",
    sources=("mupq/pqm4 common/hal-opencm3.c: 20 MHz, no wait states",),
    note="the board of nucleo-l4r5zi at 20 MHz without flash wait states, as pqm4 measures",
    caches=(),
    paths=(),
)

FITTED = (
    Fitted(
        "flash_fetch.next_wait", 8, 20, 4, "cycles a line",
        "four flash words at 5 wait states, less what the prefetch hides of each behind the word before: 0 to 3",
        (NUCLEO_L4R5ZI.name,), ("ad_max", "ic", "kws", "vww"),
    ),
)  # fmt: skip

BOARDS = (NUCLEO_L4R5ZI, NUCLEO_L4R5ZI_20MHZ)
