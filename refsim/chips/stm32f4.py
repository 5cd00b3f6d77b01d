"""The STM32F4 family: Cortex-M4 with the ART accelerator in front of flash."""

from __future__ import annotations

from refsim.board import KIB, M4, MIB, AccessPath, Board, Cache, flash, ram

WAIT = 3  # from 90 to 100 MHz at 2.7 to 3.6 V [ST RM0402, 3.4.1]
ART = "ST RM0402 section 3.4.2: 64 lines of 128 bits for code, 8 for data, prefetch of the next line; not measured"

STM32F412 = Board(
    "stm32f412",
    M4,
    100_000_000,
    flash(1 * MIB, "ST DS11139 (STM32F412xG)"),
    ram("sram", 0x2000_0000, 256 * KIB, "ST DS11139"),
    sources=("clock: ST DS11139",),
    caches=(Cache("icache", 1 * KIB, 16, 64, ART), Cache("dcache", 128, 16, 8, ART)),
    paths=(
        AccessPath(
            "fetch", 0x0800_0000, 0x0810_0000, 16, WAIT, "flash_fetch", ART, cache="icache", next_wait=0,
            prefetch=WAIT + 1,
        ),
        AccessPath("read", 0x0800_0000, 0x0810_0000, 16, WAIT, "flash_read", ART, cache="dcache"),
    ),
    cycles_error_pct=6.0,  # the core's 3, and half of the 6 % that flash takes in networks of the zoo
)  # fmt: skip

BOARDS = (STM32F412,)
