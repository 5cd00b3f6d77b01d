"""Encodings of the instructions that the tests of the emulator are written in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codegen import toolchain as toolchains
from emulator.placed import place
from emulator.timing import UNITS
from refsim.board import Board

# By arm-none-eabi-as 12.2 (-mcpu=cortex-m7); bytes in memory order.
ENCODINGS = {
    "nop": "00bf",
    "movs r0, #1": "0120",
    "adds r0, r1, r2": "8818",
    "adds r1, #4": "0431",
    "adds r2, r0, #1": "421c",
    "subs r0, #1": "0138",
    "cmp r0, #0": "0028",
    "add.w r3, r4, r5": "04eb0503",
    "add.w r3, r4, r5, lsl #2": "04eb8503",
    "eor.w r6, r6, r7": "86ea0706",
    "lsl.w r3, r4, #2": "4fea8403",
    "sxtb16 r3, r4": "2ffa84f3",
    "sxtb16 r5, r6": "2ffa86f5",
    "sxtab16 r3, r4, r5": "24fa85f3",
    "ssat r3, #8, r4": "04f30703",
    "mul r3, r4, r5": "04fb05f3",
    "muls r3, r4, r3": "6343",
    "mla r3, r4, r5, r3": "04fb0533",
    "mls r3, r4, r5, r3": "04fb1533",
    "smull r3, r4, r5, r6": "85fb0634",
    "smlal r3, r4, r5, r6": "c5fb0634",
    "smlad r3, r4, r5, r3": "24fb0533",
    "smlad r6, r4, r5, r6": "24fb0566",
    "smlald r3, r4, r5, r6": "c5fbc634",
    "smmulr r3, r4, r5": "54fb15f3",
    "sdiv r3, r4, r5": "94fbf5f3",
    "ldr r0, [r1]": "0868",
    "ldr r2, [r1, #4]": "4a68",
    "ldr r3, [r1, #8]": "8b68",
    "ldr r5, [r4]": "2568",
    "ldr r1, [r1]": "0968",
    "ldr r2, [r0]": "0268",
    "ldrb r0, [r1]": "0878",
    "ldr.w r0, [r1, r2]": "51f80200",
    "ldr r0, [r1], #4": "51f8040b",
    "ldr r2, [r1], #4": "51f8042b",
    "ldr r2, [r3], #4": "53f8042b",
    "ldr r0, [pc, #4]": "0148",
    "ldr r2, [pc, #8]": "024a",
    "str r0, [r1]": "0860",
    "str r2, [r1, #4]": "4a60",
    "str r0, [r1], #4": "41f8040b",
    "str r2, [r3], #4": "43f8042b",
    "strb r0, [r1]": "0870",
    "str r0, [r1, r2]": "8850",
    "ldrd r0, r1, [r2]": "d2e90001",
    "strd r0, r1, [r2]": "c2e90001",
    "ldmia r4!, {r0, r1, r2}": "07cc",
    "stmia r4!, {r0, r1, r2}": "07c4",
    "push {r4, r5, lr}": "30b5",
    "pop {r4, r5}": "30bc",
    "pop {r4, pc}": "10bd",
    "push {r4, lr}": "10b5",
    "it eq": "08bf",
    "ite eq": "0cbf",
    "bx lr": "7047",
    "blx r3": "9847",
    "bx r3": "1847",
    "tbb [pc, r0]": "dfe800f0",
    "ldr.w pc, [r0]": "d0f800f0",
    "vadd.f32 s0, s1, s2": "30ee810a",
    "vfma.f32 s0, s1, s2": "a0ee810a",
    "vmul.f32 s3, s4, s5": "62ee221a",
    "vdiv.f32 s0, s1, s2": "80ee810a",
    "vldr s0, [r1]": "91ed000a",
    "vldmia r1, {s0, s1, s2}": "91ec030a",
    "vldr d0, [r1]": "91ed000b",
    "uxtb.w r3, r4": "5ffa84f3",
    "ubfx r3, r4, #1, #2": "c4f34103",
    "mul r0, r1, r2": "01fb02f0",
    "add.w r0, r1, r2, lsl #3": "01ebc200",
    "ldr.w r2, [r1, #4]": "d1f80420",
    "ldr.w r2, [r1, #8]": "d1f80820",
    "ldr.w r0, [r1]": "d1f80000",
    "adds.w r2, r0, #1": "10f10102",
    "add.w r2, r0, #1": "00f10102",
    "add.w r5, r6, r7": "06eb0705",
    "eor.w r2, r0, r1": "80ea0102",
    "smlad r0, r1, r2, r0": "21fb0200",
    "smlad r2, r0, r1, r3": "20fb0132",
    "ldrb.w r0, [r1]": "91f80000",
    "str.w r0, [r1]": "c1f80000",
    "str.w r2, [r1, #4]": "c1f80420",
    "add.w r0, r1, r2": "01eb0200",
    "eor.w r0, r1, r2": "81ea0200",
    "ldr.w r5, [r0]": "d0f80050",
    "sxtb16 r0, r1": "2ffa81f0",
    "ssat r0, #8, r1": "01f30700",
    "ubfx r2, r0, #1, #2": "c0f34102",
    "add.w r2, r3, r0, lsl #2": "03eb8002",
    "movw r0, #1234": "40f2d240",
    "movt r0, #1234": "c0f2d240",
    "moveq r0, r1": "0846",
    "bne .-2": "fdd1",
    "bne .-4": "fcd1",
    "bne .+4": "00d1",
    "beq .+4": "00d0",
    "b .+4": "00e0",
    "bl .+4": "00f000f8",
    "cbz r0, .+4": "00b1",
}


NEUTRAL = bytes.fromhex("0beb0b0b")  # add.w r11, r11, r11: nothing below waits for it


@pytest.fixture(scope="session")
def assemble() -> Callable[..., bytes]:
    """The bytes of instructions written in assembly; each must be in the table above."""
    return lambda *texts: bytes.fromhex("".join(ENCODINGS[text] for text in texts))


@pytest.fixture(scope="session")
def cost(assemble: Callable[..., bytes]) -> Callable[..., float]:
    """Cycles of straight-line code on a core's model: cost(module, "adds r0, r1, r2", ...).

    `at` is its address; `left` and `entered` say that a jump ends it, or begins it. Else ADD.W r11 comes before it.
    """

    def cycles(model: Any, *texts: str, at: int = 0x0800_0100, left: bool = False, entered: bool = False) -> float:
        code = place(at, assemble(*texts))
        charges = model.block(code, () if entered else place(at - 4, NEUTRAL), entered)
        charges += model.block((), code, True) if left and code[-1].instruction.jumps else []
        return float(sum(charge.units for charge in charges) / UNITS)

    return cycles


PROGRAMS = Path(__file__).parent / "firmware"
SCRIPT = """ENTRY(reset)
SECTIONS
{{
  .text 0x{flash:08x} : {{ KEEP(*(.vectors)) KEEP(*(.text.kept)) *(.text .text.*) *(.rodata .rodata.*) . = ALIGN(4); }}
  data_load = .;
  .data 0x{sram:08x} : AT(data_load) {{ data_start = .; *(.data .data.*) . = ALIGN(4); data_end = .; }}
  .bss (NOLOAD) : {{ bss_start = .; *(.bss .bss.* COMMON) . = ALIGN(4); bss_end = .; _ebss = .; }}
  stack_top = 0x{top:08x};
  /DISCARD/ : {{ *(.ARM.exidx* .ARM.extab* .comment .note*) }}
}}
"""


@pytest.fixture(scope="session")
def firmware() -> Callable[..., Path]:
    """The ELF of a program of firmware/programs.c: firmware(board, "hello"). Skips without the compiler."""

    def build(board: Board, program: str, toolchain: str = "zig", stack: int = 0) -> Path:
        compiler = toolchains.FINDERS[toolchain]()
        if compiler is None:
            pytest.skip(f"{toolchain} is not installed")
        old = board.name == "stm32f412"
        status, data = (0, 4) if old else (28, 40)
        lines = [f"PROGRAM {program}", "UART 0x40004400", f"UART_STATUS {status}", f"UART_DATA {data}"]
        lines += ["BASELINE"] * (not board.core.thumb2) + ["FLOATS"] * (board.core.fpu != "none")
        sources = {path.name: path.read_bytes() for path in PROGRAMS.iterdir()}
        sources["chosen.h"] = "".join(f"#define {line}\n" for line in lines).encode()
        top = board.sram.base + stack if stack else board.sram.end
        script = SCRIPT.format(flash=board.flash.base, sram=board.sram.base, top=top)
        return compiler.build(sources, board.core.name, script)

    return build
