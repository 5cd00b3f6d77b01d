"""The STM32H7 family: Cortex-M7 with caches, flash and SRAM on AXI."""

from __future__ import annotations

from refsim.board import ENERGY, KIB, M7, MIB, AccessPath, Board, Cache, flash, ram
from refsim.chips.stm32f7 import L1
from refsim.fitted import Fitted

# Cycles of a line fill until the pipeline goes on, for the H7A3 at 280 MHz, whose AXI bus runs at the core's clock:
# flash with 6 wait states [RM0455 section 4.3, VOS0], AXI SRAM; the AHB SRAMs are not measured and count as AXI SRAM.
FLASH_LINE = 14
SRAM_LINE = 5

# The H743's bus runs at half the core's 480 MHz, and flash there has 4 wait states, 2 less [RM0433 section 4.3, VOS0].
HALF_RATE = 2
FEWER_WAITS = 2

MEASURED = ("nucleo-h7a3zi",)
NETWORKS = ("ad", "ad_max", "ic", "ic_minram", "kws", "vww")
FITTED = (
    Fitted("flash_read.wait", 9, 20, 1, "cycles", "a cache line from flash", MEASURED, NETWORKS),
    Fitted("data_cache.wait", 3, 12, 1, "cycles", "a cache line from AXI SRAM", MEASURED, NETWORKS),
)

FLASH, AXI, AHB = (0x0800_0000, 0x0820_0000), (0x2400_0000, 0x2500_0000), (0x3000_0000, 0x3801_0000)
FILL = "line fills fitted to MLPerf Tiny v1.2 rows of nucleo-h7a3zi"
DERIVED = "not measured: the line fills of nucleo-h7a3zi, by wait states and bus clock"


def _line(kind: str, to: tuple[int, int], wait: int, cause: str, source: str) -> AccessPath:
    cache = "icache" if kind == "fetch" else "dcache"
    return AccessPath(kind, *to, 32, wait, cause, source, cache=cache, buffered=False)


def _paths(flash_line: int, rate: int, source: str) -> tuple[AccessPath, ...]:
    """What the caches fetch; `rate` is core cycles a bus cycle."""
    return (
        _line("fetch", FLASH, rate * flash_line, "instruction_cache", source),
        _line("fetch", AXI, rate * SRAM_LINE, "instruction_cache", source),
        _line("read", FLASH, rate * flash_line, "flash_read", source),
        _line("read", AXI, rate * SRAM_LINE, "data_cache", source),
        _line("write", AXI, rate * SRAM_LINE, "data_cache", source),
        _line("read", AHB, rate * SRAM_LINE, "data_cache", DERIVED),
        _line("write", AHB, rate * SRAM_LINE, "data_cache", DERIVED),
    )


CACHES = (
    Cache("icache", 16 * KIB, 32, 2, f"ST DS12110, DS13195; {L1}", random=True),
    Cache("dcache", 16 * KIB, 32, 4, f"ST DS12110, DS13195; {L1}", random=True),
)

NUCLEO_H743ZI = Board(
    "nucleo-h743zi",
    M7,
    480_000_000,
    flash(2 * MIB, "ST DS12110, RM0433 section 4.3"),
    ram("axi-sram", 0x2400_0000, 512 * KIB, "ST RM0433 section 2.3; the survey's limit of 512 KB"),
    (
        ram("itcm", 0x0000_0000, 64 * KIB, "ST RM0433 section 2.3"),
        ram("dtcm", 0x2000_0000, 128 * KIB, "ST RM0433 section 2.3"),
        ram("sram1-3", 0x3000_0000, 288 * KIB, "ST RM0433 section 2.3"),
        ram("sram4", 0x3800_0000, 64 * KIB, "ST RM0433 section 2.3"),
    ),
    sources=("clock: ST DS12110, revision V",),
    note="the chip has about 1 MB of SRAM in several regions; code is linked to the 512 KB of AXI SRAM",
    caches=CACHES,
    paths=_paths(FLASH_LINE - FEWER_WAITS, HALF_RATE, DERIVED),
    cycles_error_pct=13.0,  # the core's 5, and half of the 16 % that flash and caches take in networks of the zoo
)

NUCLEO_H7A3ZI = Board(
    "nucleo-h7a3zi",
    M7,
    280_000_000,
    flash(2 * MIB, "ST DS13195, RM0455 section 4.3"),
    ram("axi-sram", 0x2400_0000, 1 * MIB, "ST RM0455 section 2.3: AXI-SRAM1, 2 and 3 contiguous"),
    (
        ram("itcm", 0x0000_0000, 64 * KIB, "ST RM0455 section 2.3"),
        ram("dtcm", 0x2000_0000, 128 * KIB, "ST RM0455 section 2.3"),
        ram("ahb-sram", 0x3000_0000, 128 * KIB, "ST RM0455 section 2.3"),
        ram("srd-sram", 0x3800_0000, 32 * KIB, "ST RM0455 section 2.3"),
    ),
    0.515,
    f"{ENERGY}: 0.44 to 0.59 (3.0 to 3.3 V, SMPS)",
    ("clock: ST DS13195",),
    caches=CACHES,
    paths=_paths(FLASH_LINE, 1, FILL),
    cycles_error_pct=5.0,
)

BOARDS = (NUCLEO_H743ZI, NUCLEO_H7A3ZI)
