"""Plans to look at side by side: of refsim under other options, and of other runtimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codegen.build import make_program
from refsim.errors import InputError, UsageError
from refsim.graph import Graph
from refsim.int8ops.numerics import Numerics
from refsim.memsim.occupancy import INPUT, OUTPUT, Layer, Occupancy, layer_of, of_plan, of_program
from refsim.memsim.plan import Plan
from refsim.memsim.program import Program
from refsim.memsim.runtimes import RUNTIMES, Footprint
from refsim.memsim.transforms import NAMES, OPTIMIZE

OWN = "refsim"


@dataclass(frozen=True, eq=False)
class Contender:
    """Somebody's plan; `base` bytes of SRAM are in use throughout, besides those of the plan. `sram` is both."""

    name: str
    occupancy: Occupancy
    base: int = 0

    @property
    def sram(self) -> int:
        return self.occupancy.nbytes + self.base

    @property
    def most(self) -> int:
        """Bytes in use at the worst moment."""
        return self.occupancy.most + self.base


def contender(text: str, graph: Graph, numerics: Numerics) -> Contender:
    """What `--versus` names: a runtime, a value of --optimize, or one of --transforms. Raises UsageError."""
    if text in RUNTIMES:
        return _runtime(text, graph)
    if text in OPTIMIZE:
        return own(f"--optimize {text}", make_program(graph, numerics, optimize=text))
    if text != "none" and not set(text.split(",")) <= set(NAMES):
        known = f"a runtime ({', '.join(RUNTIMES)}), an --optimize ({', '.join(OPTIMIZE)}) or --transforms"
        raise UsageError(f"--versus '{text}' is not known: expected {known} (none, or some of {','.join(NAMES)})")
    return own(f"--transforms {text}", make_program(graph, numerics, transforms=text))


def own(options: str, program: Program, base: int = 0) -> Contender:
    """refsim's plan under these options."""
    return Contender(f"{OWN} {options}".rstrip(), of_program(program), base)


def _runtime(name: str, graph: Graph) -> Contender:
    try:
        found: Footprint = RUNTIMES[name](graph)
    except InputError as error:
        raise UsageError(f"--versus '{name}': it cannot take this model: {error}") from None
    if not found.computes:
        raise UsageError(f"--versus '{name}': nobody outside knows its plan, only about how much it takes")
    return of_runtime(name, graph, found.plan, found.computes, found.sram + found.static)


def of_runtime(name: str, graph: Graph, plan: Plan, computes: Sequence[int], sram: int) -> Contender:
    """A runtime's plan, whose steps compute these tensors of the graph; what else of `sram` it takes is held always."""
    layers = tuple(_layer(graph, tensor) for tensor in computes)
    return Contender(name, of_plan(plan, layers, _kinds(graph)), max(0, sram - plan.nbytes))


def _layer(graph: Graph, tensor: int) -> Layer:
    node = graph.producers.get(tensor)
    return Layer("inputs", "inputs") if node is None else layer_of(graph, graph.nodes[node])


def _kinds(graph: Graph) -> Mapping[str, str]:
    ends = ((OUTPUT, graph.outputs), (INPUT, graph.inputs))
    return {graph.tensors[i].name: kind for kind, tensors in ends for i in tensors}
