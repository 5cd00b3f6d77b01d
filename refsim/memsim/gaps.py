"""How far planners are from the smallest arena: `python -m refsim.memsim.gaps` prints a table for every zoo network.

The live ranges are those of each runtime that plans by them; on the same ranges its own planner, ours and the exact
one are compared. Sizes are bytes of activations and scratch, rounded up to `plan.ALIGNMENT`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from refsim import files, zoo
from refsim.cli import BAD_INPUT, HOLDS, INTERRUPTED, Parser
from refsim.errors import InputError, UsageError
from refsim.graph import Graph
from refsim.int8ops.numerics import TFLM
from refsim.memsim.lifetime import live_ranges, lower, whole_tensor_program
from refsim.memsim.plan import LiveRange, Plan, Slack
from refsim.memsim.planners import DEFAULT, PLANNERS, with_slack
from refsim.memsim.planners.optimal import TIME_LIMIT_S, Certificate, solve
from refsim.memsim.runtimes.cmsis_nn import cmsis_nn
from refsim.memsim.runtimes.footprint import Footprint
from refsim.memsim.runtimes.tflm import tflm
from refsim.memsim.runtimes.tinyengine import tinyengine
from refsim.passes import optimise

COMMAND = "python -m refsim.memsim.gaps"
COMPARED = ("smallest", "greedy_by_size", "first_fit", "tflm_greedy", "hill_climb")
APART = frozenset({"kernel buffer", "im2col buffer"})  # TinyEngine's, above its arena and not planned


@dataclass(frozen=True, eq=False)
class Problem:
    """Live ranges, and the offsets that the runtime gives them; None where it has no planner but ours."""

    ranges: tuple[LiveRange, ...]
    slack: Slack = field(default_factory=dict)
    own: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Arenas in bytes. `own` is the runtime's planner's; `corrupts` is True where live ranges overlap in it."""

    network: str
    runtime: str
    ranges: int
    own: int
    corrupts: bool
    sizes: Mapping[str, int]  # by the names in COMPARED
    best: Certificate


def refsim_problem(graph: Graph) -> Problem:
    """refsim's program of whole tensors, nothing done to it."""
    optimised = optimise(graph, TFLM)
    return Problem(live_ranges(whole_tensor_program(optimised, lower(optimised, TFLM))))


def runtime_problem(found: Footprint) -> Problem:
    """The ranges of a runtime's plan.

    One that shrinks stands twice in the plan, whole and then what is left of it: it has to stay where it is, and slack
    lets those that begin later reach into what is free.
    """
    pieces: list[list[tuple[LiveRange, int]]] = []
    for r, offset in zip(found.plan.ranges, found.plan.offsets, strict=True):
        before = pieces[-1][-1][0] if pieces else None
        if before and (before.name, before.last + 1) == (r.name, r.first):
            pieces[-1].append((r, offset))
        elif r.name not in APART:
            pieces.append([(r, offset)])
    wholes = [(parts[0][0], parts[-1][0].last) for parts in pieces]
    ranges = tuple(LiveRange(r.name, r.nbytes, r.first, last) for r, last in wholes)
    slack = {
        (j, i): left.nbytes
        for i, parts in enumerate(pieces)
        for left, _ in parts[1:]
        for j, other in enumerate(ranges)
        if left.first <= other.first <= left.last
    }
    return Problem(ranges, slack, tuple(parts[0][1] for parts in pieces))


PROBLEMS: Mapping[str, Callable[[Graph], Problem]] = {
    "refsim": refsim_problem,
    "tflm": lambda graph: runtime_problem(tflm(graph)),
    "cmsis-nn": lambda graph: runtime_problem(cmsis_nn(graph)),
    "tinyengine": lambda graph: runtime_problem(tinyengine(graph)),
    "tinyengine, not in place": lambda graph: runtime_problem(tinyengine(graph, inplace=False)),
}


def rows(names: Iterable[str], time_limit_s: float = TIME_LIMIT_S) -> Iterator[Row]:
    """One for each network and runtime. Raises UsageError for unknown names, and where scipy is needed and absent."""
    for name in names:
        graph = zoo.load(name)
        for runtime, problem in PROBLEMS.items():
            yield row(name, runtime, problem(graph), time_limit_s)


def row(network: str, runtime: str, problem: Problem, time_limit_s: float = TIME_LIMIT_S) -> Row:
    """Every planner on one problem. Those that know no slack leave it unused."""
    plans = {name: _placed(name, problem) for name in COMPARED}
    own = plans[DEFAULT] if problem.own is None else Plan(problem.ranges, problem.own, problem.slack)
    best = solve(problem.ranges, time_limit_s, problem.slack)
    sizes = {name: plan.nbytes for name, plan in plans.items()}
    return Row(network, runtime, len(problem.ranges), own.nbytes, own.overlap() is not None, sizes, best)


def _placed(name: str, problem: Problem) -> Plan:
    planner = PLANNERS[name]
    aware = with_slack(planner)
    offsets = aware(problem.ranges, problem.slack) if aware else planner(problem.ranges)
    plan = Plan(problem.ranges, offsets, problem.slack)
    plan.verify()
    return plan


HEADS = (
    *("network", "runtime", "ranges", "its own", *COMPARED, "optimal", "lower bound", "gap", "proven"),
    *("own above optimal", "s"),
)
SUMMARY_HEADS = ("runtime", "problems", "proven", "its own is optimal", "corrupts", "its own", *COMPARED)


def cells(found: Row) -> tuple[str, ...]:
    """A line of the table under HEADS; all but the last are the same on every machine, where they are proven."""
    best = found.best
    above = "corrupts" if found.corrupts else f"{found.own / best.nbytes - 1:.1%}"
    sizes = (found.own, *found.sizes.values(), best.nbytes, best.lower_bound)
    proof = (f"{best.gap:.1%}", "yes" if best.proven else "no", above, f"{best.seconds:.2f}")
    return (found.network, found.runtime, str(found.ranges), *(f"{nbytes:,}" for nbytes in sizes), *proof)


def summary(found: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """One line for each runtime under SUMMARY_HEADS: by how much each planner is above the optimum, mean and most.

    Plans that corrupt data count neither as optimal nor in the mean.
    """
    for runtime in dict.fromkeys(row.runtime for row in found):
        of = [row for row in found if row.runtime == runtime]
        sound = [row for row in of if not row.corrupts]
        best = sum(row.own == row.best.nbytes for row in sound)
        counts = (len(of), sum(row.best.proven for row in of), best, len(of) - len(sound))
        own = _above((row.own, row.best.nbytes) for row in sound)
        ours = (_above((row.sizes[name], row.best.nbytes) for row in of) for name in COMPARED)
        yield (runtime, *map(str, counts), own, *ours)


def _above(pairs: Iterable[tuple[int, int]]) -> str:
    """Mean and most of how far the first is above the second."""
    shares = [size / best - 1 for size, best in pairs]
    return f"{sum(shares) / len(shares):.1%}, {max(shares):.1%}" if shares else ""


def document(found: Sequence[Row], words: Sequence[str]) -> str:
    """The whole of docs/planners.md, made by COMMAND with these `words`."""
    return TEXT.format(
        command=shlex.join((*COMMAND.split(), *words)),
        default=DEFAULT,
        summary="\n".join(_table(SUMMARY_HEADS, summary(found), 1)),
        rows="\n".join(_table(HEADS, map(cells, found), 2)),
    )


TEXT = """# Planners against the optimum

Made by `{command}`; not edited by hand.
Bytes of arena for activations and scratch of the zoo's networks.

*its own* is the planner of the runtime: refsim's default (`{default}`) on whole tensors, TFLM's greedy one,
TinyEngine's first fit as it is written. The columns after it are refsim's planners on the same live ranges. *optimal*
is the smallest arena that was found: a heuristic's where it meets the lower bound, else by mixed-integer programming
within a time limit. *gap* is how much of it might still be saved. *corrupts*: in TinyEngine's own plan tensors overlap
that are both needed.

Above the optimum, mean and most:

{summary}

Each problem; *s* is the exact planner's time in seconds:

{rows}
"""


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]], words: int) -> Iterator[str]:
    """Markdown; the first `words` columns are aligned to the left."""
    marks = ["---" if n < words else "--:" for n in range(len(heads))]
    for line in (heads, marks, *lines):
        yield f"| {' | '.join(line)} |"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog=COMMAND, description="Planners against the smallest arena, for every network of the zoo.")
    parser.add_argument("-o", "--output", metavar="F.md", help="write the table there instead of printing it")
    parser.add_argument("--network", action="append", metavar="NAME", help="of the zoo; may be repeated (default: all)")
    text = f"seconds for the exact planner, for each problem (default {TIME_LIMIT_S:g})"
    parser.add_argument("--time-limit", type=float, default=TIME_LIMIT_S, metavar="S", help=text)
    found = parser.parse_args(argv)
    if not 0 < found.time_limit < float("inf"):
        raise UsageError(f"--time-limit {found.time_limit:g}: expected seconds above 0; give for example 60")
    return found


def _found(names: Sequence[str], time_limit_s: float) -> Iterator[Row]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    for name in track(names, "planning", console=console, transient=True, disable=not console.is_terminal):
        yield from rows([name], time_limit_s)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status."""
    try:
        arguments = _arguments(argv)
        names = arguments.network or list(zoo.NETWORKS)
        text = document(list(_found(names, arguments.time_limit)), sys.argv[1:] if argv is None else argv)
        if arguments.output:
            files.write(arguments.output, text.encode())
        else:
            print(text, end="")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    return HOLDS


if __name__ == "__main__":
    sys.exit(main())
