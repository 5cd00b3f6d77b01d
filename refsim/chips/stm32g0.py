"""The STM32G0 family: Cortex-M0+ with prefetch and a small instruction cache."""

from __future__ import annotations

from refsim.board import AccessPath, Board, KIB, M0PLUS, flash, ram

NUCLEO_G0B1RE = Board(
    "nucleo-g0b1re",
    M0PLUS,
    64_000_000,
    flash(512 * KIB, "ST DS13560, RM0444 section 3.3"),
    ram("sram", 0x2000_0000, 144 * KIB, "ST DS13560, RM0444 section 2.2: parity check off"),
    sources=("clock: ST DS13560",),
    caches=(),
    paths=(
        AccessPath(
            "read",
            0x0800_0000,
            0x1000_0000,
            4,
            2,
            "flash_read",
            "ST RM0444 section 3.3.4: 2 wait states at 64 MHz",
            buffered=False,
        ),
    ),
)

BOARDS = (NUCLEO_G0B1RE,)
