"""The STM32L4+ family: Cortex-M4 with the ART accelerator in front of flash."""

from __future__ import annotations

from refsim.board import AccessPath, Board, Cache, ENERGY, KIB, M4, MIB, flash, ram

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
        Cache("icache", 1024, 32, 32, "ST RM0432"),
        Cache("dcache", 256, 32, 8, "ST RM0432"),
    ),
    paths=(
        AccessPath("fetch", 0x0800_0000, 0x1000_0000, 8, 5, "flash_fetch", "todo", cache="icache"),
        AccessPath("read", 0x0800_0000, 0x1000_0000, 8, 16, "flash_read", "todo", cache="dcache"),
    ),
)

BOARDS = (NUCLEO_L4R5ZI,)
