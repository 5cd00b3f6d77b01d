"""UARTs and the ITM's stimulus port: what is written to them is printed; their status registers say ready.

Nothing is ever received.
"""

from __future__ import annotations

from emulator.devices.chips import UartKind
from emulator.devices.console import Console
from emulator.devices.registers import Ready, Registers
from emulator.machine import Machine
from refsim.errors import Fault

ITM = 0xE000_0000
ITM_ENABLED, ITM_CONTROL = ITM + 0xE00, ITM + 0xE80  # TER, TCR: a debugger has set them, since one prints
LONGEST = 1 << 16  # bytes that one transfer by DMA may send: MAXCNT has 16 bits


def add_uart(machine: Machine, console: Console, base: int, kind: UartKind) -> Registers:
    """A UART at `base`."""

    def stored(offset: int, size: int, value: int) -> None:
        if offset == kind.data:
            console.write(bytes([value & 0xFF]))
        elif kind.dma_start and offset == kind.dma_start and value & 1:
            _send(machine, console, registers, kind)

    rules = [Ready(base + kind.status, always=kind.ready)]
    size = 0x1000 if kind.dma_start else 0x400
    registers = Registers(machine, base, size, rules=rules, steady=True, stored=stored)  # `stored` sends from it
    return registers


def _send(machine: Machine, console: Console, registers: Registers, kind: UartKind) -> None:
    """A transfer by DMA; what is not memory is not sent."""
    count = min(registers[kind.dma_count], LONGEST)
    try:
        console.write(machine.read(registers[kind.dma_pointer], count))
    except Fault:
        return
    for event in kind.dma_done:
        registers[event] = 1


def add_itm(machine: Machine, console: Console) -> Registers:
    """The ITM; port 0 prints, the others are ready too and print nothing [ARMv7-M ARM, C1.7]."""

    def stored(offset: int, size: int, value: int) -> None:
        if offset == 0:
            console.write((value & 0xFFFF_FFFF).to_bytes(4, "little")[:size])

    ports = [Ready(ITM + 4 * n, always=1) for n in range(32)]
    reset = {ITM_ENABLED: 1, ITM_CONTROL: 1}
    return Registers(machine, ITM, 0x1000, rules=ports, reset=reset, steady=True, stored=stored)
