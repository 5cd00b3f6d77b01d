"""The nRF52840: a Cortex-M4 with an instruction cache in front of flash."""

from __future__ import annotations

from refsim.board import KIB, M4, MIB, AccessPath, Board, Cache, flash, ram

PS = "Nordic nRF52840 PS v1.1"
MISS = 3  # at most, with the cache on [PS, CPU, W_FLASHCACHE]
READ = 2  # at most, without it [PS, CPU, W_FLASH]; the cache holds no data
CACHE = f"{PS}, NVMC, ICACHECNF; its size is not given: 2 KB and 2 ways of 16 bytes as in the nRF5340's network core"
WAITS = f"{PS}, CPU: W_FLASHCACHE 0 to 3, W_FLASH 0 to 2; derived, not measured"

NRF52840_DK = Board(
    "nrf52840-dk",
    M4,
    64_000_000,
    flash(1 * MIB, f"{PS}, memory", base=0x0000_0000),
    ram("sram", 0x2000_0000, 256 * KIB, f"{PS}, memory"),
    sources=(f"clock: {PS}, CPU",),
    note="waits are the data sheet's upper limits: not compared with silicon",
    caches=(Cache("icache", 2 * KIB, 16, 2, CACHE),),
    paths=(
        AccessPath("fetch", 0x0000_0000, 0x0010_0000, 16, MISS, "instruction_cache", WAITS, cache="icache"),
        AccessPath("read", 0x0000_0000, 0x0010_0000, 4, READ, "flash_read", WAITS, buffered=False),
    ),
    cycles_error_pct=10.0,  # the core's 3, and half of the 15 % that flash takes in networks of the zoo
)

BOARDS = (NRF52840_DK,)
