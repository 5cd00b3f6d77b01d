"""TensorFlow Lite Micro with its reference kernels.

Source: tensorflow/tflite-micro @90b983c2, micro/; the arena is followed allocation by allocation (tflm_arena.py).
With HOST_RECORDING head, tail and the least arena are those of the Python package, to the byte.

Flash is the .tflite file and the runtime's code. The file is an estimate, since a Graph has none: constants, PER_SCALE
for each scale, PER_TENSOR and its name for each tensor. The code is flash_fit's constant for Table 3 of
arXiv:2403.19076, whose ten rows it meets within 0.08 %, 0.09 % when a row is left out.

Known misses: variables, offline plans in metadata, control flow, compressed tensors, tables of int16 SOFTMAX.
"""

from __future__ import annotations

from collections.abc import Mapping

from refsim.graph import Call, Graph
from refsim.memsim.runtimes.footprint import Footprint
from refsim.memsim.runtimes.tflm_arena import Scratch, allocate
from refsim.memsim.runtimes.tflm_structs import CORTEX_M, KERNELS, Kernel, Target

NAME = "tflm"
CODE = 99_211  # 96.9 KiB; with the true size of the file 96.5 to 97 KiB in the five rows whose file is known
STATIC = 1500  # measured: .data 1.07 KB, .bss 276 to 600 B, of firmware built with CMSIS-NN for Cortex-M4
PER_TENSOR = 156  # bytes of a .tflite file for each tensor beside constants, scales and its name
PER_SCALE = 12  # a float32 and an int64 zero point


def tflm(graph: Graph, target: Target = CORTEX_M) -> Footprint:
    """What TFLM takes; `sram` is `arena_used_bytes()`, for a target of tflm_structs."""
    return footprint(NAME, graph, target, KERNELS, scratch, CODE)


def footprint(
    name: str, graph: Graph, target: Target, kernels: Mapping[str, Kernel], requests: Scratch, code: int
) -> Footprint:
    """The arena that these kernels need on this target, and the flash with `code` bytes of runtime."""
    allocation = allocate(graph, target, kernels, requests)
    parts = file_parts(graph)
    detail = {
        "head": allocation.plan.nbytes,
        "tail": allocation.tail,
        "minimum_arena": allocation.minimum,
        **{f"tail_{kind}": nbytes for kind, nbytes in allocation.by_kind.items()},
        "model_file": sum(parts.values()),
        "code": code,
    }
    unknown = sorted({node.operator.name for node in graph.nodes} - set(kernels))
    notes = (f"nothing is counted for the records of {', '.join(unknown)}",) if unknown else ()
    computes = (-1, *(node.outputs[0] for node in graph.nodes))  # step 0 takes the inputs
    sram = detail["head"] + detail["tail"]
    flash = {**parts, "code": code}
    return Footprint(name, sram, flash, detail, allocation.plan, STATIC, notes, computes)


def file_parts(graph: Graph) -> Mapping[str, int]:
    """About the bytes of the .tflite file: the released MCUNet files within 0.3 %, those of MLPerf Tiny within 9 %."""
    roles = {i: role for node in graph.nodes for i, role in zip(node.inputs[1:], ROLES, strict=False)}
    found = {"weights": 0, "biases": 0, "other_constants": 0, "quantisation": 0, "file_structure": 0}
    for i, tensor in enumerate(graph.tensors):
        if tensor.data is not None:
            found[roles.get(i, "other_constants")] += tensor.nbytes // (2 if tensor.dtype == "int4" else 1)
        found["quantisation"] += PER_SCALE * len(tensor.quant.scale) if tensor.quant else 0
        found["file_structure"] += PER_TENSOR + len(tensor.name)
    return found


def scratch(operator: str, call: Call) -> tuple[int, ...]:
    """Bytes of the node's requests, in order: MEAN's accumulators and indices, unpacked int4 weights."""
    if operator == "mean":
        return (4 * call.y.elements, 4 * len(call.x.shape), 4 * len(call.attributes.axes))
    weights = call.inputs[1] if operator in UNPACKS_INT4 else None
    return (weights.elements,) if weights is not None and weights.dtype == "int4" else ()


ROLES = ("weights", "biases")  # of a node's second and third input, where they are constant
UNPACKS_INT4 = frozenset({"conv2d", "depthwise_conv2d", "fully_connected"})
