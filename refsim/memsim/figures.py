"""The figures by which papers compare networks, from shapes alone: activations, what training keeps, patches.

They are nobody's memory; what a runtime takes is in `memsim.runtimes`.
"""

from __future__ import annotations

from dataclasses import dataclass

from refsim.errors import UsageError
from refsim.graph import Graph
from refsim.memsim.activations import peak_activation
from refsim.memsim.receptive_field import patched_stage
from refsim.memsim.training_memory import saved_activations, trained_parameters


@dataclass(frozen=True, slots=True)
class Patches:
    """A stage of `layers` layers in `patches` x `patches` patches, by MCUNetV2's count.

    `input_side` is the side of the image's patch in pixels; `rest` the peak in elements of the layers behind.
    """

    layers: int
    patches: int
    input_side: int
    macs: int
    patched_macs: int
    rest: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Elements at the peak (`memsim.activations`), and without a depthwise layer's output beside its input; trained
    parameters, and bytes that training keeps of each image (`memsim.training_memory`)."""

    peak: int
    peak_in_place: int
    trained_parameters: int
    saved_bytes: int
    patches: Patches | None = None


def figures(graph: Graph, stage: tuple[int, int] | None = None) -> Figures:
    """`stage`: (layers, patches a side). Raises UsageError where the layers cannot be cut so."""
    return Figures(
        peak_activation(graph),
        peak_activation(graph, in_place_depthwise=True),
        trained_parameters(graph),
        saved_activations(graph),
        _patches(graph, *stage) if stage else None,
    )


def _patches(graph: Graph, layers: int, patches: int) -> Patches:
    if not 0 < layers <= len(graph.nodes) or patches < 1:
        raise UsageError(
            f"--patches {layers}:{patches}: expected 1 to {len(graph.nodes)} layers of '{graph.name}', and patches > 0"
        )
    found = patched_stage(graph, layers, patches)
    rest = peak_activation(graph, in_place_depthwise=True, first=layers)
    return Patches(layers, patches, found.input_side, found.macs, found.patched_macs, rest)
