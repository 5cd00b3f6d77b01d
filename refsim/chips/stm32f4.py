"""The STM32F4 family: Cortex-M4 with the ART accelerator in front of flash."""

from __future__ import annotations

from refsim.board import KIB, M4, MIB, Board, flash, ram

STM32F412 = Board(
    "stm32f412",
    M4,
    100_000_000,
    flash(1 * MIB, "ST DS11139 (STM32F412xG)"),
    ram("sram", 0x2000_0000, 256 * KIB, "ST DS11139"),
    sources=("clock: ST DS11139",),
)

BOARDS = (STM32F412,)
