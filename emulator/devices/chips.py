"""What firmware of a chip family polls and prints to: ready bits, UARTs, names of peripherals. One table a family.

Offsets and bits are those of the reference manual named at each family; addresses are those of its memory map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from emulator.devices.registers import Ready


@dataclass(frozen=True, slots=True)
class UartKind:
    """Registers of a UART by offset: bytes written to `data` are sent, `status` always has the bits `ready`."""

    data: int
    status: int
    ready: int
    dma_start: int = 0  # writing 1 here sends `dma_count` bytes from `dma_pointer`; 0: there is no such register
    dma_pointer: int = 0
    dma_count: int = 0
    dma_done: tuple[int, ...] = ()  # events that read 1 afterwards


@dataclass(frozen=True, slots=True)
class Family:
    """Devices of one chip family. `reset`: address -> value; `names`: base -> peripheral, `page` bytes apart."""

    source: str
    uart: UartKind
    uarts: Mapping[int, str]
    ready: Sequence[Ready] = ()
    reset: Mapping[int, int] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    extra: Sequence[tuple[int, int]] = ()  # (base, bytes) of devices outside the peripheral region
    page: int = 0x400


# ISR at 0x1C: TXE 7, TC 6, TEACK 21, REACK 22, TXFE 23; TDR at 0x28.
NEW_USART = UartKind(data=0x28, status=0x1C, ready=0x00E0_00C0)
# SR at 0: TXE 7, TC 6; DR at 4.
OLD_USART = UartKind(data=0x04, status=0x00, ready=0xC0)
# FR at 0x18: TXFE 7, RXFE 4; DR at 0.
PL011 = UartKind(data=0x00, status=0x18, ready=0x90)
# EVENTS_TXDRDY 0x11C, TXD 0x51C; UARTE: TASKS_STARTTX 0x008, TXD.PTR 0x544, .MAXCNT 0x548, EVENTS_ENDTX 0x120,
# EVENTS_TXSTARTED 0x150, EVENTS_TXSTOPPED 0x158.
NRF_UART = UartKind(0x51C, 0x11C, 1, 0x008, 0x544, 0x548, (0x120, 0x150, 0x158))

APB1_USARTS = {0x4000_4400: "USART2", 0x4000_4800: "USART3", 0x4000_4C00: "UART4", 0x4000_5000: "UART5"}
TIMERS = {0x4000_0000: "TIM2", 0x4000_0400: "TIM3", 0x4000_0800: "TIM4", 0x4000_0C00: "TIM5", 0x4000_1000: "TIM6"}
WATCHDOGS = {0x4000_2800: "RTC", 0x4000_2C00: "WWDG", 0x4000_3000: "IWDG"}


def _follow(register: int, *pairs: tuple[int, int]) -> tuple[Ready, ...]:
    """In one register, the second bit of each pair follows the first."""
    return tuple(Ready(register, mask=1 << on, shift=is_on - on) for on, is_on in pairs)


def _ports(base: int) -> dict[int, str]:
    return {base + 0x400 * n: f"GPIO{letter}" for n, letter in enumerate("ABCDEFGHIJK")}


def _clocks(rcc: int, enabled: Sequence[tuple[int, int]], switch: Ready, backup: int, low: int) -> tuple[Ready, ...]:
    """RCC: oscillators and PLLs are ready at once, the clock switch is done, as are LSE (`backup`) and LSI (`low`)."""
    return (*_follow(rcc, *enabled), switch, *_follow(rcc + backup, (0, 1)), *_follow(rcc + low, (0, 1)))


STM32L4 = Family(
    "ST RM0432: RCC CR, CFGR, BDCR, CSR, CRRCR",
    NEW_USART,
    {0x4001_3800: "USART1", **APB1_USARTS, 0x4000_8000: "LPUART1"},
    (
        *_clocks(
            0x4002_1000,
            ((0, 1), (8, 10), (16, 17), (24, 25), (26, 27), (28, 29)),
            Ready(0x4002_1008, mask=0x3, shift=2),
            0x90,
            0x94,
        ),
        *_follow(0x4002_1098, (0, 1)),
    ),
    {0x4002_1000: 0x63},
    {
        **TIMERS, **WATCHDOGS, **_ports(0x4800_0000), 0x4000_7000: "PWR", 0x4001_0000: "SYSCFG", 0x4001_0400: "EXTI",
        0x4002_0000: "DMA1", 0x4002_0400: "DMA2", 0x4002_1000: "RCC", 0x4002_2000: "FLASH", 0x4002_3000: "CRC",
        0x5004_0000: "ADC", 0x5006_0800: "RNG", 0x4000_5400: "I2C1", 0x4001_3000: "SPI1", 0x4001_2C00: "TIM1",
    },
)  # fmt: skip

STM32G0 = Family(
    "ST RM0444: RCC CR, CFGR, BDCR, CSR",
    NEW_USART,
    {
        0x4001_3800: "USART1", **APB1_USARTS, 0x4001_3C00: "USART6", 0x4000_8000: "LPUART1", 0x4000_8400: "LPUART2",
    },
    _clocks(0x4002_1000, ((8, 10), (16, 17), (24, 25)), Ready(0x4002_1008, mask=0x7, shift=3), 0x5C, 0x60),
    {0x4002_1000: 0x500},
    {
        **TIMERS, **WATCHDOGS, **_ports(0x5000_0000), 0x4000_7000: "PWR", 0x4001_0000: "SYSCFG", 0x4002_0000: "DMA1",
        0x4002_1000: "RCC", 0x4002_1800: "EXTI", 0x4002_2000: "FLASH", 0x4002_3000: "CRC", 0x4000_5400: "I2C1",
        0x4001_3000: "SPI1", 0x4001_2C00: "TIM1",
    },
)  # fmt: skip

_HIGH_PERFORMANCE = {
    **TIMERS, **WATCHDOGS, **_ports(0x4002_0000), 0x4000_7000: "PWR", 0x4001_3800: "SYSCFG", 0x4001_3C00: "EXTI",
    0x4002_3000: "CRC", 0x4002_3800: "RCC", 0x4002_3C00: "FLASH", 0x4002_6000: "DMA1", 0x4002_6400: "DMA2",
    0x4002_B000: "DMA2D", 0x4000_5400: "I2C1", 0x4001_3000: "SPI1", 0x4001_0000: "TIM1",
}  # fmt: skip
_HIGH_PERFORMANCE_READY = (
    *_clocks(
        0x4002_3800,
        ((0, 1), (16, 17), (24, 25), (26, 27), (28, 29)),
        Ready(0x4002_3808, mask=0x3, shift=2),
        0x70,
        0x74,
    ),
    Ready(0x4000_7004, 0x4000_7000, mask=0x3_0000, always=1 << 14),  # overdrive, and its switch; VOSRDY
)
_HIGH_PERFORMANCE_UARTS = {0x4001_1000: "USART1", **APB1_USARTS, 0x4001_1400: "USART6"}

STM32F4 = Family(
    "ST RM0402 and RM0033: RCC CR, CFGR, BDCR, CSR; PWR CR, CSR",
    OLD_USART,
    _HIGH_PERFORMANCE_UARTS,
    _HIGH_PERFORMANCE_READY,
    {0x4002_3800: 0x83},
    _HIGH_PERFORMANCE,
)

STM32F7 = Family(
    "ST RM0385: RCC CR, CFGR, BDCR, CSR; PWR CR1, CSR1",
    NEW_USART,
    {**_HIGH_PERFORMANCE_UARTS, 0x4000_7800: "UART7", 0x4000_7C00: "UART8"},
    _HIGH_PERFORMANCE_READY,
    {0x4002_3800: 0x83},
    _HIGH_PERFORMANCE,
    extra=((0x1FF0_0000, 0x1_0000),),
)

STM32H7 = Family(
    "ST RM0433 and RM0455: RCC CR, CFGR, BDCR, CSR; PWR CSR1, D3CR (SRDCR)",
    NEW_USART,
    {
        0x4001_1000: "USART1", **APB1_USARTS, 0x4001_1400: "USART6", 0x4000_7800: "UART7", 0x4000_7C00: "UART8",
        0x4001_1800: "UART9", 0x4001_1C00: "USART10", 0x5800_0C00: "LPUART1",
    },
    (
        *_clocks(
            0x5802_4400,
            ((0, 2), (7, 8), (12, 13), (16, 17), (24, 25), (26, 27), (28, 29)),
            Ready(0x5802_4410, mask=0x7, shift=3),
            0x70,
            0x74,
        ),
        Ready(0x5802_4804, 0x5802_4818, mask=0xC000, always=1 << 13),  # ACTVOS follows VOS; ACTVOSRDY
        Ready(0x5802_4818, always=1 << 13),  # VOSRDY
    ),
    {0x5802_4400: 0x5, 0x5802_4818: 0x4000},
    {
        **TIMERS, **_ports(0x5802_0000), 0x5800_0400: "SYSCFG", 0x5800_0000: "EXTI", 0x5802_4400: "RCC",
        0x5802_4800: "PWR", 0x5200_2000: "FLASH", 0x4002_0000: "DMA1", 0x4002_0400: "DMA2", 0x5200_0000: "MDMA",
        0x5200_4000: "FMC", 0x5802_6400: "HSEM", 0x4000_5400: "I2C1", 0x4001_3000: "SPI1", 0x4001_0000: "TIM1",
    },
    extra=((0x1FF0_0000, 0x1_0000), (0x1FF1_0000, 0x1_0000)),
)  # fmt: skip

STM32U5 = Family(
    "ST RM0456: RCC CR, CFGR1, BDCR; PWR VOSR, SVMSR, CR3; ICACHE SR",
    NEW_USART,
    {0x4001_3800: "USART1", **APB1_USARTS, 0x4600_2400: "LPUART1"},
    (
        *_clocks(
            0x4602_0C00,
            ((0, 2), (4, 5), (8, 10), (12, 13), (16, 17), (24, 25), (26, 27), (28, 29)),
            Ready(0x4602_0C1C, mask=0x3, shift=2),
            0xF0,
            0xF0,
        ),
        *_follow(0x4602_0CF0, (7, 11), (26, 27)),
        Ready(0x4602_080C, mask=1 << 18, shift=-4, always=1 << 15),  # BOOSTRDY follows BOOSTEN; VOSRDY
        Ready(0x4602_083C, 0x4602_080C, mask=0x3_0000, always=1 << 15),  # ACTVOS follows VOS; ACTVOSRDY
        Ready(0x4602_083C, 0x4602_0808, mask=1 << 1),  # REGS follows REGSEL
        Ready(0x4003_0404, always=1 << 1),  # BSYENDF: an invalidation of the cache is over
    ),
    {0x4602_0C00: 0x35},
    {
        **TIMERS, **_ports(0x4202_0000), 0x4602_0800: "PWR", 0x4602_0C00: "RCC", 0x4002_2000: "FLASH",
        0x4003_0400: "ICACHE", 0x4003_1400: "DCACHE1", 0x4600_0400: "SYSCFG", 0x4602_2000: "EXTI",
        0x4002_0000: "GPDMA1", 0x4000_2C00: "WWDG", 0x4000_3000: "IWDG", 0x4600_7800: "RTC", 0x4002_3000: "CRC",
        0x420C_0800: "RNG", 0x4000_5400: "I2C1", 0x4001_3000: "SPI1", 0x4001_2C00: "TIM1",
    },
    extra=((0x0BFA_0000, 0x1_0000),),
)  # fmt: skip

NRF52 = Family(
    "Nordic nRF52840 product specification: CLOCK, NVMC, UART, UICR",
    NRF_UART,
    {0x4000_2000: "UARTE0", 0x4002_8000: "UARTE1"},
    (
        Ready(0x4000_0100, 0x4000_0000, mask=1),  # EVENTS_HFCLKSTARTED follows TASKS_HFCLKSTART
        Ready(0x4000_0104, 0x4000_0008, mask=1),  # EVENTS_LFCLKSTARTED follows TASKS_LFCLKSTART
        Ready(0x4000_040C, always=0x1_0001),  # HFCLKSTAT: the crystal runs
        Ready(0x4000_0418, always=0x1_0000),  # LFCLKSTAT: running
        Ready(0x4001_E400, always=1),  # NVMC READY
    ),
    {0x1000_1200: 18, 0x1000_1204: 18, 0x1000_1208: 0xFFFF_FFFF},  # UICR PSELRESET, APPROTECT: as programmed
    {
        0x4000_0000: "CLOCK", 0x4001_E000: "NVMC", 0x5000_0000: "GPIO", 0x4000_8000: "TIMER0", 0x4000_9000: "TIMER1",
        0x4000_B000: "RTC0", 0x4001_1000: "RTC1", 0x4000_D000: "RNG", 0x4000_6000: "GPIOTE", 0x4002_4000: "RTC2",
        0x1000_0000: "FICR", 0x1000_1000: "UICR",
    },
    extra=((0x1000_0000, 0x2000),),
    page=0x1000,
)  # fmt: skip

RP2040 = Family(
    "RP2040 datasheet: RESETS, XOSC, PLL, CLOCKS, PL011 UART",
    PL011,
    {0x4003_4000: "UART0", 0x4003_8000: "UART1"},
    (
        Ready(0x4000_C008, always=0x01FF_FFFF),  # RESET_DONE
        Ready(0x4002_4004, always=0x8000_1000),  # XOSC STATUS: stable, enabled
        Ready(0x4002_8000, always=1 << 31),  # PLL_SYS CS: locked
        Ready(0x4002_C000, always=1 << 31),  # PLL_USB CS: locked
    ),
    {},
    {
        0x4000_8000: "CLOCKS", 0x4000_C000: "RESETS", 0x4001_4000: "IO_BANK0", 0x4001_C000: "PADS_BANK0",
        0x4002_4000: "XOSC", 0x4002_8000: "PLL_SYS", 0x4002_C000: "PLL_USB", 0x4005_4000: "TIMER",
        0x4005_8000: "WATCHDOG", 0x5000_0000: "DMA", 0x5010_0000: "USB", 0xD000_0000: "SIO", 0x1800_0000: "XIP_SSI",
        0x1400_0000: "XIP_CTRL", 0x4000_0000: "SYSINFO",
    },
    extra=((0x1400_0000, 0x1_0000), (0x1800_0000, 0x1_0000), (0xD000_0000, 0x1_0000)),
    page=0x4000,
)  # fmt: skip

NOTHING = Family("no chip", OLD_USART, {})

BY_BOARD: Mapping[str, Family] = {
    "nucleo-l4r5zi": STM32L4,
    "nucleo-l4r5zi-20mhz": STM32L4,
    "nucleo-g0b1re": STM32G0,
    "stm32f412": STM32F4,
    "nucleo-f207zg-30mhz": STM32F4,
    "disco-f746ng": STM32F7,
    "nucleo-h743zi": STM32H7,
    "nucleo-h7a3zi": STM32H7,
    "nucleo-u575zi": STM32U5,
    "nrf52840-dk": NRF52,
    "rp2040": RP2040,
}


def family(board: str) -> Family:
    """The family of a board's chip; one without devices for boards that are not in the table."""
    return BY_BOARD.get(board, NOTHING)
