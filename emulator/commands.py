"""The verbs of this package: validate, profile, doctor. Nothing heavy is imported before one runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codegen.commands import add_board, add_budget, add_planner, options_of
from refsim import files
from refsim.cli import FAILED, HOLDS, Command, console, print_json
from refsim.commands import add_numerics, add_seed, load_model, natural, positive
from refsim.errors import UsageError

if TYPE_CHECKING:
    from refsim.graph import Graph
    from refsim.memsim.budget import Shortfall
    from refsim.memsim.program import Program
    from refsim.report import Report

DEFAULT_MODEL = "zoo:ds-cnn"
MODEL_SUFFIXES = (".tflite", ".onnx")


def add_toolchain(parser: argparse.ArgumentParser) -> None:
    text = "zig (clang, the default when it is there) or gcc (arm-none-eabi-gcc)"
    parser.add_argument("--toolchain", metavar="T", help=text)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading the model", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _configure_validate(parser: argparse.ArgumentParser) -> None:
    text = f"a .tflite file, or zoo:NAME (default {DEFAULT_MODEL})"
    parser.add_argument("model", metavar="MODEL", nargs="?", default=DEFAULT_MODEL, help=text)
    add_board(parser)
    text = "random inputs, besides all lowest, all highest and all zero point (default 3)"
    parser.add_argument("--count", type=natural, default=3, metavar="N", help=text)
    add_seed(parser)
    add_numerics(parser)
    add_toolchain(parser)
    add_planner(parser)
    add_budget(parser)
    parser.add_argument("--csv", metavar="F.csv", help="write the layers there too")
    parser.add_argument("--html", metavar="F.html", help="write all of it there as one page, with pictures")


def _validate(arguments: argparse.Namespace) -> int:
    from codegen.build import make_program
    from codegen.fitting import shortfall
    from emulator.inputs import inputs_for
    from emulator.validation import validate_program
    from refsim import boards, report
    from refsim.int8ops import numerics
    from refsim.memsim import budget

    board, rules = boards.find(arguments.board), numerics.find(arguments.numerics)
    limits = budget.budget_of(board, arguments.sram, arguments.flash)
    with progress() as show:
        graph = load_model(arguments.model)
        show("planning memory", 0, 1)
        program = make_program(graph, rules, arguments.planner, arguments.optimize, arguments.transforms)
        found = validate_program(
            graph,
            program,
            budget.limited(board, limits),
            inputs_for(graph, arguments.count, arguments.seed),
            numerics=rules,
            toolchain=arguments.toolchain,
            progress=show,
        )
        needs = found.sram.total, found.flash.total
        short = shortfall(limits, graph, program, *needs, model=arguments.model, numerics=rules)
    if arguments.csv is not None:
        files.write(arguments.csv, report.as_csv(found).encode())
    if arguments.html is not None:
        files.write(arguments.html, _page(found, graph, program, short, arguments))
    if arguments.json:
        told = budget.as_json(short) if short else None
        print_json({**report.as_json(found), "budget": told, "model": arguments.model})
    else:
        report.print_report(found, console(), tuple(budget.sentences(short)) if short else ())
    return HOLDS if found.holds else FAILED


def _page(
    found: Report, graph: Graph, program: Program, short: Shortfall | None, arguments: argparse.Namespace
) -> bytes:
    """The page of --html."""
    from codegen.analysis import analyze
    from codegen.html import html
    from emulator.validation_page import validation_page
    from refsim import boards
    from refsim.int8ops import numerics
    from refsim.memsim import budget

    analysis = analyze(
        graph,
        boards.find(arguments.board),
        numerics=numerics.find(arguments.numerics),
        toolchain=arguments.toolchain,
        sram=arguments.sram,
        flash=arguments.flash,
        program=program,
    )
    told = tuple(budget.sentences(short)) if short else ()
    return html(validation_page(found, analysis, arguments.model, options_of(arguments), told))


def _configure_profile(parser: argparse.ArgumentParser) -> None:
    text = "a .tflite file or zoo:NAME, whose generated code is measured, or firmware: ELF, Intel HEX or raw binary"
    parser.add_argument("subject", metavar="MODEL/IMAGE", help=text)
    add_board(parser)
    add_seed(parser)
    add_numerics(parser)
    add_toolchain(parser)
    add_planner(parser)
    _configure_looks(parser)
    _configure_firmware(parser)


def _configure_firmware(parser: argparse.ArgumentParser) -> None:
    firmware = parser.add_argument_group("for firmware, instead of the options above but --board")
    text = "measure this function after boot, a symbol or an address (default: all from reset to the end)"
    firmware.add_argument("--entry", metavar="S", help=text)
    text = "call this function after boot, before --entry; may be repeated"
    firmware.add_argument("--call", metavar="S", action="append", default=[], help=text)
    firmware.add_argument("--base", metavar="A", help="where a raw binary lies (default: the board's flash)")
    text = "with --entry: stop the reset handler after so many (default 20000000)"
    firmware.add_argument("--boot-instructions", type=natural, default=20_000_000, metavar="N", help=text)
    text = "give up after so many, or after so many idle cycles (default 2000000000)"
    firmware.add_argument("--max-instructions", type=positive, default=2_000_000_000, metavar="N", help=text)
    text = "give up after so many seconds on this computer (default: never)"
    firmware.add_argument("--timeout", type=_seconds, metavar="S", help=text)


def _seconds(text: str) -> float:
    """An argument that is a time."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds above 0")
    return value


def _configure_looks(parser: argparse.ArgumentParser) -> None:
    closer = parser.add_argument_group("for a closer look")
    text = "list the instructions of function F: how often each ran, its cycles, and what it waited for"
    closer.add_argument("--annotate", metavar="F", help=text)
    text = "write a trace for ui.perfetto.dev: layers, functions, SRAM in use"
    closer.add_argument("--trace", metavar="F.json", help=text)
    text = "write the cycles of each chain of calls for flame graph tools, or as a picture (F.svg)"
    closer.add_argument("--flame", metavar="F.txt", help=text)


def _profile(arguments: argparse.Namespace) -> int:
    return (_profile_model if _is_model(arguments.subject) else _profile_firmware)(arguments)


def _is_model(subject: str) -> bool:
    """True for what the zoo has, for files called like models, and for others that begin as a .tflite file does.

    Raises UsageError where there is no such file.
    """
    if subject.startswith("zoo:") or subject.lower().endswith(MODEL_SUFFIXES):
        return True
    if not os.path.exists(subject):  # Path's own fails where a name is too long
        raise UsageError(f"'{subject}' is not there: expected a .tflite file, zoo:NAME, or a firmware image")
    try:
        if not Path(subject).is_file():  # to open a pipe is to wait for it
            return False
        with Path(subject).open("rb") as file:
            return file.read(8)[4:] == b"TFL3"
    except OSError:
        return False  # what is wrong with it, the reader of images says


def _profile_model(arguments: argparse.Namespace) -> int:
    from emulator import closer_look, model_profiler
    from refsim import boards
    from refsim.int8ops import numerics

    subject = arguments.subject
    foreign = {"--entry": arguments.entry, "--base": arguments.base, "--call": arguments.call or None}
    if given := [flag for flag, value in foreign.items() if value is not None]:
        raise UsageError(f"{given[0]} is for firmware images: '{subject}' is a model, run as a whole; leave it out")
    board, rules = boards.find(arguments.board), numerics.find(arguments.numerics)
    wanted = closer_look.wanted(arguments)
    with progress() as show:
        found = model_profiler.profile_model(
            load_model(subject),
            board,
            numerics=rules,
            toolchain=arguments.toolchain,
            planner=arguments.planner,
            optimize=arguments.optimize,
            transforms=arguments.transforms,
            seed=arguments.seed,
            follow_calls=wanted.calls,
            progress=show,
        )
        seen = closer_look.look(wanted, found.profile.observed, found.sources)
    if arguments.json:
        print_json({**model_profiler.as_json(found), "model": subject, **closer_look.as_json(seen)})
    else:
        model_profiler.print_profile(found, console())
        closer_look.print_look(seen, console())
    return HOLDS


def _profile_firmware(arguments: argparse.Namespace) -> int:
    from emulator import closer_look, profiler
    from emulator.firmware import FirmwareFault
    from refsim import boards

    board, wanted = boards.find(arguments.board), closer_look.wanted(arguments)
    try:
        with progress() as show:
            show("running the firmware", 0, 1)
            found = profiler.profile_file(
                arguments.subject,
                board,
                entry=arguments.entry,
                base=arguments.base,
                calls=arguments.call,
                boot_instructions=arguments.boot_instructions,
                max_instructions=arguments.max_instructions,
                timeout=arguments.timeout,
                follow_calls=wanted.calls,
            )
            seen = closer_look.look(wanted, found.observed)
    except FirmwareFault as fault:
        if not arguments.json:
            profiler.print_output(fault.output, console())
            raise
        print_json({"fault": str(fault), "output": fault.output})
        return _failed(str(fault))
    if arguments.json:
        print_json({**profiler.as_json(found), **closer_look.as_json(seen)})
    else:
        profiler.print_profile(found, console())
        closer_look.print_look(seen, console())
    if found.outcome.fault is not None:
        return _failed(found.outcome.fault)
    return HOLDS if found.outcome.holds else FAILED


def _failed(sentence: str) -> int:
    print("error: " + " ".join(sentence.split()), file=sys.stderr)
    return FAILED


def _configure_doctor(parser: argparse.ArgumentParser) -> None:
    pass


def _doctor(arguments: argparse.Namespace) -> int:
    from emulator.doctor import diagnose

    found = diagnose()
    if arguments.json:
        print_json(found)
    else:
        _print_doctor(found)
    return HOLDS if found["usable"] else FAILED


def _print_doctor(found: dict[str, Any]) -> None:
    for row in found["toolchains"]:
        print(f"{row['name']:<10} {row['version'] or 'not found: ' + row['remedy']}")
    for name, version in found["packages"].items():
        print(f"{name:<10} {version or 'not installed'}")
    cache = found["cache"]
    print(f"{'cache':<10} {cache['folder']}: {cache['files']} objects, {cache['bytes']:,} bytes")
    print("ready" if found["usable"] else "no compiler: 'refsim validate' cannot work; 'refsim run' can")


COMMANDS = (
    Command(
        "validate",
        "reference against generated code on an emulated board: exact? how fast? does it fit?",
        _configure_validate,
        _validate,
        (
            "refsim validate",
            "refsim validate model.tflite --board disco-f746ng --toolchain gcc --json",
            "refsim validate zoo:mcunet-vww0 --sram 64K --html report.html",
        ),
    ),
    Command(
        "profile",
        "where the cycles of a model, of firmware, or of one of its functions go",
        _configure_profile,
        _profile,
        (
            "refsim profile zoo:mcunet-vww0 --board disco-f746ng --optimize sram --trace trace.json",
            "refsim profile zoo:ds-cnn --board nucleo-l4r5zi --annotate ds_cnn_layer_001_depthwise_conv2d",
            "refsim profile firmware.elf --board nucleo-l4r5zi --timeout 60",
            "refsim profile firmware.elf --board nucleo-l4r5zi --call model_init --entry model_run",
            "refsim profile firmware.bin --board nucleo-l4r5zi --base 0x08000000 --entry 0x0800668c",
        ),
    ),
    Command("doctor", "compilers, versions and caches of this machine", _configure_doctor, _doctor),
)
