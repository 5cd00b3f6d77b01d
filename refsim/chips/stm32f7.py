"""The STM32F7 family: Cortex-M7 with caches, flash on two buses."""

from __future__ import annotations

from refsim.board import KIB, M7_SINGLE, MIB, AccessPath, Board, Cache, Region, flash, ram
from refsim.fitted import Fitted

CHANCE = (
    "replacement by chance: the manual names none, and it fits the measured rows better than the least recently used"
)
L1 = f"Arm DDI 0489F, 5.9: lines of 32 bytes, 2 and 4 ways, allocated on read and write, critical word first; {CHANCE}"

# Cycles of a line fill until the pipeline goes on. Flash at 216 MHz: an access is 8 [RM0385 section 3.3.2: 7 wait
# states] and reads the 256 bits of a line; the rest is the AXI bus. SRAM lies behind the bridge from AXI to AHB.
FLASH_LINE = 13
SRAM_LINE = 7

BOARDS_MEASURED = ("disco-f746ng",)
NETWORKS = ("ad", "ad_max", "ic", "kws", "vww")
FITTED = (
    Fitted("flash_read.wait", 9, 20, 1, "cycles", "a cache line from flash", BOARDS_MEASURED, NETWORKS),
    Fitted("data_cache.wait", 3, 12, 1, "cycles", "a cache line from SRAM", BOARDS_MEASURED, NETWORKS),
)

AXI, ITCM, SRAM = (0x0800_0000, 0x0810_0000), (0x0020_0000, 0x0030_0000), (0x2001_0000, 0x2005_0000)
FILL = "line fills fitted to MLPerf Tiny v1.2 rows of the board"
ART = "ST RM0385 section 3.3.2: accelerator of 64 lines of 256 bits and prefetch, on the ITCM interface; not measured"


def _line(kind: str, to: tuple[int, int], wait: float, cause: str) -> AccessPath:
    cache = "icache" if kind == "fetch" else "dcache"
    return AccessPath(kind, *to, 32, wait, cause, FILL, cache=cache, buffered=False)


DISCO_F746NG = Board(
    "disco-f746ng",
    M7_SINGLE,
    216_000_000,
    flash(1 * MIB, "ST DS10916, RM0385 section 3.3: AXIM interface"),
    ram("sram", 0x2000_0000, 320 * KIB, "ST RM0385 section 2.3: DTCM 64 KB, SRAM1 240 KB, SRAM2 16 KB contiguous"),
    (
        Region("flash-itcm", 0x0020_0000, 1 * MIB, False, "ST RM0385 section 3.3: ITCM interface to flash"),
        ram("itcm", 0x0000_0000, 16 * KIB, "ST RM0385 section 2.3"),
    ),
    sources=("clock: ST DS10916",),
    caches=(
        Cache("icache", 4 * KIB, 32, 2, f"ST DS10916; {L1}", random=True),
        Cache("dcache", 4 * KIB, 32, 4, f"ST DS10916; {L1}", random=True),
        Cache("art", 2 * KIB, 32, 64, ART),
    ),
    paths=(
        _line("fetch", AXI, FLASH_LINE, "instruction_cache"),
        _line("fetch", SRAM, SRAM_LINE, "instruction_cache"),
        _line("read", AXI, FLASH_LINE, "flash_read"),
        _line("read", SRAM, SRAM_LINE, "data_cache"),
        _line("write", SRAM, SRAM_LINE, "data_cache"),
        AccessPath("fetch", *ITCM, 32, 7, "flash_fetch", ART, cache="art", next_wait=0),
        AccessPath("read", *ITCM, 32, 7, "data_cache", ART, cache="art"),
    ),
    cycles_error_pct=5.0,
)

BOARDS = (DISCO_F746NG,)
