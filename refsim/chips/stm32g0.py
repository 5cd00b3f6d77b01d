"""The STM32G0 family: Cortex-M0+ and flash of 64 bits with a prefetch and a small instruction cache."""

from __future__ import annotations

from refsim.board import KIB, M0PLUS, AccessPath, Board, Cache, flash, ram

WAIT_STATES = 2  # above 48 MHz [RM0444 section 3.3.4]; seen in the firmware's FLASH_ACR
ACCELERATOR = "ST RM0444 section 3.3.5: 64-bit lines, prefetch, instruction cache of 16 bytes, on from reset"
HELD = f"{ACCELERATOR}; with the line in use and the prefetched one, four lines are at hand"
WORDS = f"ST RM0444 section 3.3.4: {WAIT_STATES} wait states at 64 MHz, data not cached"

NUCLEO_G0B1RE = Board(
    "nucleo-g0b1re",
    M0PLUS,
    64_000_000,
    flash(512 * KIB, "ST DS13560, RM0444 section 3.3"),
    ram("sram", 0x2000_0000, 144 * KIB, "ST DS13560, RM0444 section 2.2: parity check off"),
    sources=("clock: ST DS13560",),
    caches=(Cache("lines", 32, 8, 4, HELD),),
    paths=(
        AccessPath(
            "fetch",
            0x0800_0000,
            0x1000_0000,
            8,
            WAIT_STATES,
            "flash_fetch",
            ACCELERATOR,
            cache="lines",
            next_wait=0,
            prefetch=1 + WAIT_STATES,
        ),
        AccessPath("read", 0x0800_0000, 0x1000_0000, 8, WAIT_STATES, "flash_read", WORDS, buffered=False),
    ),
    cycles_error_pct=2.0,
)

BOARDS = (NUCLEO_G0B1RE,)
