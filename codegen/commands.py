"""The verbs of this package: analyze, generate. Nothing heavy is imported before it runs."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

from refsim import files
from refsim.cli import FAILED, HOLDS, Command, console, print_json
from refsim.commands import add_numerics, load_model
from refsim.errors import UsageError

if TYPE_CHECKING:
    from codegen.analysis import Analysis
    from codegen.versus import Contender
    from refsim.memsim.budget import Shortfall

DEFAULT_BOARD = "nucleo-l4r5zi"
# Those of refsim.memsim.planners, whose import would load numpy for --help.
PLANNER_NAMES = ("smallest", "greedy_by_size", "first_fit", "tflm_greedy", "linear", "hill_climb", "optimal")


def add_board(parser: argparse.ArgumentParser) -> None:
    text = f"a name that 'refsim boards' prints, or FILE.py:NAME (default {DEFAULT_BOARD})"
    parser.add_argument("--board", default=DEFAULT_BOARD, metavar="B", help=text)


def add_planner(parser: argparse.ArgumentParser) -> None:
    text = f"memory planner: {', '.join(PLANNER_NAMES)} (default {PLANNER_NAMES[0]}, the best of the fast ones)"
    parser.add_argument("--planner", default=PLANNER_NAMES[0], metavar="P", help=text)
    add_optimize(parser)


def add_optimize(parser: argparse.ArgumentParser) -> None:
    text = "latency (default), sram (stream rows wherever that saves memory), or balanced (where it costs little)"
    parser.add_argument("--optimize", default="latency", metavar="O", help=text)
    text = "none, or some of order,inplace,overlap,patch,stream: overrides what --optimize would choose from"
    parser.add_argument("--transforms", metavar="LIST", help=text)


def nbytes(text: str) -> int:
    """An argument that is a size: 65536, 64K, 64KB or 64KiB, 1M..., where K is 1024 bytes."""
    match = re.fullmatch(r"([0-9]{1,12})(?:([km])(?:i?b)?)?", text.strip(), re.ASCII | re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size: expected bytes, such as 65536, 64K or 64KiB")
    return int(match[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[(match[2] or "").lower()]


def add_budget(parser: argparse.ArgumentParser) -> None:
    text = "fail above so many bytes of {}, as above the board's: 65536, 64K, 1M (K is 1024)"
    parser.add_argument(
        "--sram", type=nbytes, metavar="BYTES", help=text.format("SRAM") + "; only validate counts stack"
    )
    parser.add_argument("--flash", type=nbytes, metavar="BYTES", help=text.format("flash"))


def stage(text: str) -> tuple[int, int]:
    """N:P of --patches."""
    match = re.fullmatch(r"([0-9]{1,6}):([0-9]{1,6})", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}': expected N:P, layers and patches a side, as in 15:4")
    return int(match[1]), int(match[2])


def _configure_analyze(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, or zoo:NAME")
    text = "say whether it fits there: a name that 'refsim boards' prints, or FILE.py:NAME"
    parser.add_argument("--board", metavar="B", help=text)
    text = "refsim, tflm, cmsis-nn, x-cube-ai or tinyengine; may be repeated (default: all)"
    parser.add_argument("--runtime", action="append", metavar="R", help=text)
    add_planner(parser)
    add_numerics(parser)
    text = "what measures refsim's flash: zig (clang, the default when it is there) or gcc (arm-none-eabi-gcc)"
    parser.add_argument("--toolchain", metavar="T", help=text)
    add_budget(parser)
    text = "a plan to look at beside ours, in --svg and --html: a runtime, or a value of --optimize or --transforms"
    parser.add_argument("--versus", action="append", default=[], metavar="V", help=text + "; may be repeated")
    text = "count the first N layers of the model in PxP patches as MCUNetV2 does, in the JSON's figures"
    parser.add_argument("--patches", type=stage, metavar="N:P", help=text)
    parser.add_argument("--svg", metavar="F.svg", help="write the picture of refsim's memory plan there")
    parser.add_argument("--html", metavar="F.html", help="write all of it there as one page, with pictures")


def _analyze(arguments: argparse.Namespace) -> int:
    from codegen.analysis import analyze
    from codegen.versus import contender
    from refsim import boards
    from refsim.int8ops import numerics

    board = boards.find(arguments.board) if arguments.board else None
    rules = numerics.find(arguments.numerics)
    graph = load_model(arguments.model)
    rivals = [contender(text, graph, rules) for text in dict.fromkeys(arguments.versus)]
    found = analyze(
        graph,
        board,
        arguments.runtime,
        numerics=rules,
        optimize=arguments.optimize,
        transforms=arguments.transforms,
        toolchain=arguments.toolchain,
        planner=arguments.planner,
        sram=arguments.sram,
        flash=arguments.flash,
        stage=arguments.patches,
    )
    shortfall = _shortfall(found, arguments)
    _write(found, rivals, shortfall, arguments)
    _answer(found, rivals, shortfall, arguments)
    return HOLDS if found.holds else FAILED


def _shortfall(found: Analysis, arguments: argparse.Namespace) -> Shortfall | None:
    from codegen.analysis import OWN
    from codegen.fitting import shortfall
    from refsim.int8ops import numerics

    own = found.needs.get(OWN)
    if own is None or found.program is None:
        return None
    rules = numerics.find(arguments.numerics)
    return shortfall(found.budget, found.graph, found.program, *own.least, model=arguments.model, numerics=rules)


def _write(
    found: Analysis, rivals: list[Contender], shortfall: Shortfall | None, arguments: argparse.Namespace
) -> None:
    """The files that were asked for."""
    if arguments.svg is not None:
        files.write(arguments.svg, _drawn(found, rivals, arguments).encode())
    if arguments.html is not None:
        from codegen.html import html
        from codegen.report_page import analysis_page

        options = options_of(arguments)
        files.write(arguments.html, html(analysis_page(found, arguments.model, options, rivals, shortfall)))


def options_of(arguments: argparse.Namespace) -> str:
    """What refsim was asked to do, for titles."""
    return f"--transforms {arguments.transforms}" if arguments.transforms else f"--optimize {arguments.optimize}"


def _drawn(found: Analysis, rivals: list[Contender], arguments: argparse.Namespace) -> str:
    from codegen.report_page import compared
    from refsim.memsim.picture import program_svg

    if found.program is None:
        raise UsageError(
            f"--svg '{arguments.svg}': there is no memory plan to draw, as refsim cannot take '{found.model}'"
        )
    return compared(found, options_of(arguments), rivals) if rivals else program_svg(found.program, found.model)


def _answer(
    found: Analysis, rivals: list[Contender], shortfall: Shortfall | None, arguments: argparse.Namespace
) -> None:
    if arguments.json:
        from codegen.analysis import as_json
        from refsim.memsim import budget

        told = {"budget": budget.as_json(shortfall) if shortfall else None}
        beside = {"versus": {rival.name: rival.sram for rival in rivals}} if rivals else {}
        print_json({**as_json(found), **told, **beside, "model": arguments.model})
        return
    from codegen.analysis_table import print_analysis

    print_analysis(found, console(), shortfall)
    for rival in rivals:
        print(f"versus {rival.name}: SRAM {rival.sram:,} bytes, at most {rival.most:,} of them in use")
    for need in found.needs.values():
        if need.without_flash:
            print(f"{need.runtime}: flash is not known: {need.without_flash}", file=sys.stderr)


def _configure_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, or zoo:NAME")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="a new or empty folder, or an earlier result"
    )
    add_board(parser)
    add_numerics(parser)
    text = "what the Makefile uses: gcc (arm-none-eabi-gcc, the default) or zig (clang)"
    parser.add_argument("--toolchain", default="gcc", metavar="T", help=text)
    add_planner(parser)


def _generate(arguments: argparse.Namespace) -> int:
    from codegen.build import generate
    from refsim import boards
    from refsim.int8ops import numerics

    board, rules = boards.find(arguments.board), numerics.find(arguments.numerics)
    graph = load_model(arguments.model)
    made = generate(
        graph,
        board,
        arguments.output,
        numerics=rules,
        toolchain=arguments.toolchain,
        planner=arguments.planner,
        optimize=arguments.optimize,
        transforms=arguments.transforms,
    )
    names = sorted(made.sources.files)
    if arguments.json:
        print_json(
            {
                "model": arguments.model,
                "board": board.name,
                "numerics": rules.name,
                "folder": arguments.output,
                "entry": made.sources.entry,
                "arena": made.program.arena_bytes,
                "constants": made.sources.constant_bytes,
                "files": [*names, "memory.svg"],
            }
        )
    else:
        print(f"{arguments.output}: {len(names)} files, call {made.sources.entry}(arena) as model.h says")
        print(f"arena {made.program.arena_bytes:,} bytes, constants {made.sources.constant_bytes:,} bytes")
    return HOLDS


COMMANDS = (
    Command(
        "analyze",
        "parameters, MACs, peak SRAM and flash, per layer and for several runtimes",
        _configure_analyze,
        _analyze,
        (
            "refsim analyze zoo:mcunet-vww0 --board stm32f412",
            "refsim analyze model.tflite --runtime refsim --runtime tflm --json",
            "refsim analyze zoo:mcunet-vww0 --sram 64K --optimize sram --versus tflm --html report.html",
        ),
    ),
    Command(
        "generate",
        "C sources that build by themselves, with header, Makefile and CMakeLists.txt",
        _configure_generate,
        _generate,
        ("refsim generate model.tflite --board nucleo-l4r5zi -o generated",),
    ),
)
