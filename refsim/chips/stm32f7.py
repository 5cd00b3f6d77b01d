"""The STM32F7 family: Cortex-M7 with caches, flash on two buses."""

from __future__ import annotations

from refsim.board import AccessPath, Board, Cache, KIB, M7_SINGLE, MIB, Region, flash, ram

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
        Cache("icache", 4 * KIB, 32, 2, ""),
        Cache("dcache", 4 * KIB, 32, 4, ""),
    ),
    paths=(
        AccessPath("fetch", 0x0800_0000, 0x1000_0000, 32, 8, "instruction_cache", "todo", cache="icache"),
        AccessPath("read", 0x0800_0000, 0x1000_0000, 32, 8, "data_cache", "todo", cache="dcache"),
        AccessPath("read", 0x2001_0000, 0x2005_0000, 32, 5, "data_cache", "todo", cache="dcache"),
        AccessPath("write", 0x2001_0000, 0x2005_0000, 32, 0, "store", "todo", cache="dcache"),
    ),
)

BOARDS = (DISCO_F746NG,)
