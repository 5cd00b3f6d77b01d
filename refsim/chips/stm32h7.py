"""The STM32H7 family: Cortex-M7 with caches, flash and SRAM on AXI."""

from __future__ import annotations

from refsim.board import AccessPath, Board, Cache, ENERGY, KIB, M7, MIB, flash, ram

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
    caches=(
        Cache("icache", 16 * KIB, 32, 2, ""),
        Cache("dcache", 16 * KIB, 32, 4, ""),
    ),
    paths=(
        AccessPath("fetch", 0x0800_0000, 0x1000_0000, 32, 10, "instruction_cache", "todo", cache="icache"),
        AccessPath("read", 0x0800_0000, 0x1000_0000, 32, 10, "data_cache", "todo", cache="dcache"),
        AccessPath("read", 0x2400_0000, 0x2500_0000, 32, 5, "data_cache", "todo", cache="dcache"),
        AccessPath("write", 0x2400_0000, 0x2500_0000, 32, 0, "store", "todo", cache="dcache"),
    ),
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
    caches=(
        Cache("icache", 16 * KIB, 32, 2, ""),
        Cache("dcache", 16 * KIB, 32, 4, ""),
    ),
    paths=(
        AccessPath("fetch", 0x0800_0000, 0x1000_0000, 32, 10, "instruction_cache", "todo", cache="icache"),
        AccessPath("read", 0x0800_0000, 0x1000_0000, 32, 10, "data_cache", "todo", cache="dcache"),
        AccessPath("read", 0x2400_0000, 0x2500_0000, 32, 5, "data_cache", "todo", cache="dcache"),
        AccessPath("write", 0x2400_0000, 0x2500_0000, 32, 0, "store", "todo", cache="dcache"),
    ),
)

BOARDS = (NUCLEO_H743ZI, NUCLEO_H7A3ZI)
