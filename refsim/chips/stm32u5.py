"""The STM32U5 family: Cortex-M33 behind an instruction cache that also serves data in flash."""

from __future__ import annotations

from refsim.board import AccessPath, Board, Cache, ENERGY, KIB, M33, MIB, flash, ram

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
    caches=(Cache("icache", 8 * KIB, 16, 2, "ST RM0456: 8 KB, 2-way, 16-byte lines"),),
    paths=(
        AccessPath("fetch", 0x0800_0000, 0x1000_0000, 16, 7, "instruction_cache", "todo", cache="icache"),
        AccessPath("read", 0x0800_0000, 0x1000_0000, 16, 7, "flash_read", "todo", cache="icache"),
    ),
)

BOARDS = (NUCLEO_U575ZI,)
