"""The RP2040: two Cortex-M0+ (one is emulated) that run from serial flash behind a cache."""

from __future__ import annotations

from refsim.board import KIB, M0PLUS, MIB, AccessPath, Board, Cache, Region, flash, ram

CLOCKS_PER_BIT = 2  # clk_sys / 2 [pico-sdk, PICO_FLASH_SPI_CLKDIV of the Pico board]
# A read without its command byte: 6 clocks of address, 2 of mode bits, 4 to wait, 8 of data for 32 bits on 4 lines
# [Winbond W25Q16JV, 8.2.10; pico-sdk, boot2_w25q080: continuous read, one 32-bit word at a time].
WORD = (6 + 2 + 4 + 8) * CLOCKS_PER_BIT
XIP = "RP2040 datasheet 2.6.3: 16 KB, 2 ways, hit in 1 cycle; a word at a time from flash: derived, not measured"
FETCHED = f"{XIP}: 20 clocks of the flash at half the core's clock"

RP2040 = Board(
    "rp2040",
    M0PLUS,
    133_000_000,
    flash(2 * MIB, "Raspberry Pi Pico datasheet: W25Q16JV; RP2040 datasheet 2.2: XIP", base=0x1000_0000),
    ram("sram", 0x2000_0000, 264 * KIB, "RP2040 datasheet 2.6.2: SRAM0 to SRAM5 contiguous"),
    (Region("rom", 0x0000_0000, 16 * KIB, False, "RP2040 datasheet 2.6.1"),),
    sources=("clock: RP2040 datasheet, 1: up to 133 MHz",),
    note="latency of the flash derived from its protocol: not compared with silicon",
    caches=(Cache("xip", 16 * KIB, 4, 2, XIP),),
    paths=(
        AccessPath("fetch", 0x1000_0000, 0x1100_0000, 4, WORD, "instruction_cache", FETCHED, cache="xip"),
        AccessPath("read", 0x1000_0000, 0x1100_0000, 4, WORD, "flash_read", FETCHED, cache="xip"),
    ),
)

BOARDS = (RP2040,)
