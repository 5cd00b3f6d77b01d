"""The STM32F2 family: Cortex-M3 with the ART accelerator in front of flash."""

from __future__ import annotations

from refsim.board import KIB, M3, MIB, Bank, Board, flash, ram

NUCLEO_F207ZG_30MHZ = Board(
    "nucleo-f207zg-30mhz",
    M3,
    30_000_000,
    flash(1 * MIB, "ST DS6329 (STM32F207xG)"),
    ram("sram", 0x2000_0000, 128 * KIB, "ST RM0033 section 2.3: SRAM1 of 112 KB and SRAM2 of 16 KB, contiguous"),
    sources=("mupq/pqm3 common/hal-opencm3.c: 30 MHz, no wait states",),
    note="at 30 MHz without flash wait states, as pqm3 measures",
    banks=(
        Bank(
            0x2001_C000,
            0x2002_0000,
            1,
            "ST RM0033 section 2.3: SRAM2; one cycle a burst: fitted to pqm3's cycles (golden/measured/pqm.csv); "
            "mupq/pqm4 commit 'Shrink RAM from 128 KiB to 112 KiB': SRAM2 is slower",
        ),
    ),
    cycles_error_pct=4.0,
)

BOARDS = (NUCLEO_F207ZG_30MHZ,)
