"""The verbs of this package: run, operators, boards. Nothing heavy is imported before a verb runs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsim import files
from refsim.cli import HOLDS, Command, print_json
from refsim.errors import UsageError

if TYPE_CHECKING:
    from refsim.boards import Board
    from refsim.graph import Array, Graph


def natural(text: str) -> int:
    """An argument that counts: 0, 1, 2, ..."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 up")
    return int(text)


def positive(text: str) -> int:
    """An argument that counts from 1."""
    if (value := natural(text)) == 0:
        raise argparse.ArgumentTypeError("'0' is not a whole number from 1 up")
    return value


def add_numerics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--numerics", default="tflm", metavar="N", help="whose answer: tflm (default) or litert")


def add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=natural, default=0, metavar="S", help="of random inputs (default 0)")


def load_model(model: str) -> Graph:
    """MODEL of the command line: a file, or zoo:NAME."""
    if model.startswith("zoo:"):
        from refsim import zoo

        return zoo.find(model)
    from refsim import importers

    return importers.load(model)


def _configure_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, or zoo:NAME")
    parser.add_argument("--input", metavar="F.npz", help="input_0, input_1, ... in model order; default: seeded random")
    parser.add_argument("-o", "--output", metavar="F.npz", help="where output_0, output_1, ... go")
    parser.add_argument("--all-tensors", action="store_true", help="write every intermediate as tensor_<index> too")
    add_numerics(parser)
    add_seed(parser)


def _run(arguments: argparse.Namespace) -> int:
    from refsim import interpreter
    from refsim.int8ops import numerics

    rules = numerics.find(arguments.numerics)
    graph = load_model(arguments.model)
    if arguments.input:
        inputs = read_inputs(Path(arguments.input), graph)
    else:
        inputs = interpreter.random_inputs(graph, arguments.seed)
    values = interpreter.run(graph, inputs, rules)
    answers = {f"output_{n}": value for n, value in enumerate(interpreter.outputs(graph, values))}
    if arguments.output:
        everything = _intermediates(graph, values) if arguments.all_tensors else {}
        given = {f"input_{n}": value for n, value in enumerate(inputs)}
        files.write(arguments.output, npz({**given, **answers, **everything}))
    report = {
        "model": arguments.model,
        "numerics": rules.name,
        "outputs": [_described(*pair) for pair in answers.items()],
    }
    if arguments.json:
        print_json(report)
    else:
        for row in report["outputs"]:
            print(f"{row['name']} {row['dtype']}{row['shape']} crc32 {row['crc32']}: {row['values']}")
    return HOLDS


def _described(name: str, value: Array) -> dict[str, Any]:
    from zlib import crc32

    shown = value.reshape(-1)[:16].tolist()
    return {
        "name": name,
        "dtype": str(value.dtype),
        "shape": list(value.shape),
        "crc32": f"{crc32(value.tobytes()):08x}",
        "values": [v if abs(v) <= 3.5e38 else str(v) for v in shown],
    }


def _intermediates(graph: Graph, values: Mapping[int, Array]) -> dict[str, Array]:
    import json

    import numpy as np

    names = {str(i): graph.tensors[i].name for i in values}
    return {**{f"tensor_{i}": value for i, value in values.items()}, "names": np.array(json.dumps(names))}


def npz(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of an .npz file."""
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def read_inputs(path: Path, graph: Graph) -> tuple[Array, ...]:
    """input_0, input_1, ... of an .npz file. Raises UsageError when it is none, or lacks one."""
    import numpy as np

    expected = f"expected an .npz file with input_0 to input_{len(graph.inputs) - 1}"
    if path.exists() and not path.is_file():
        raise UsageError(f"'{path}' is not a regular file: {expected}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            missing = [f"input_{n}" for n in range(len(graph.inputs)) if f"input_{n}" not in stored.files]
            if missing:
                raise UsageError(
                    f"'{path}' has no {missing[0]}: {expected}, it holds {', '.join(stored.files) or 'nothing'}"
                )
            return tuple(np.asarray(stored[f"input_{n}"]) for n in range(len(graph.inputs)))
    except UsageError:
        raise
    except Exception as error:  # a damaged file raises a dozen kinds, zlib's and tokenize's among them
        raise UsageError(f"'{path}' cannot be read as arrays ({type(error).__name__}): {expected}") from None


def _nothing(parser: argparse.ArgumentParser) -> None:
    pass


def _operators(arguments: argparse.Namespace) -> int:
    from refsim.int8ops import operators

    rows = [{"name": o.name, "tflite": o.tflite, "summary": _summary(o)} for o in operators().values()]
    if arguments.json:
        print_json({"operators": rows})
    else:
        for row in rows:
            print(f"{row['tflite']:<20} {row['summary']}")
    return HOLDS


def _summary(operator: object) -> str:
    return (type(operator).__doc__ or "").strip().split("\n")[0]


def _boards(arguments: argparse.Namespace) -> int:
    from refsim.boards import BOARDS

    if arguments.json:
        print_json({"boards": [_board(board) for board in BOARDS.values()]})
        return HOLDS
    for b in BOARDS.values():
        clock = f"{b.clock_hz / 1e6:g} MHz" if b.clock_hz else "no clock"
        sizes = f"{b.sram.size // 1024:>6} KiB SRAM {b.flash.size // 1024:>6} KiB flash"
        print(f"{b.name:<16} {b.core.name:<15} {clock:>9} {sizes}")
    return HOLDS


def _board(board: Board) -> dict[str, Any]:
    return {
        "name": board.name,
        "core": board.core.name,
        "clock_hz": board.clock_hz,
        "sram": board.sram.size,
        "flash": board.flash.size,
        "nj_per_cycle": board.nj_per_cycle,
        "sources": list(board.sources),
        "note": board.note,
    }


COMMANDS = (
    Command(
        "run",
        "the bit-exact reference: what the network answers",
        _configure_run,
        _run,
        ("refsim run model.tflite --seed 3", "refsim run model.tflite --input in.npz -o out.npz --numerics litert"),
    ),
    Command("operators", "the operators that models may use", _nothing, _operators),
    Command("boards", "the boards that code can be generated and timed for", _nothing, _boards),
)
