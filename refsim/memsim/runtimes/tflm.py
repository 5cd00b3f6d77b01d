"""TensorFlow Lite Micro with its reference kernels.

Source: tensorflow/tflite-micro @90b983c2, micro/; the arena is followed allocation by allocation (tflm_arena.py).
With HOST_RECORDING head, tail and the least arena are those of the Python package, to the byte.

Known misses: variables, offline plans in metadata, control flow, compressed tensors, tables of int16 SOFTMAX. The
file's size is an estimate, since a Graph has no file; so is the code, from the flash that Table 3 of arXiv:2403.19076
prints.
"""

from __future__ import annotations

from collections.abc import Mapping

from refsim.graph import Call, Graph
from refsim.memsim.runtimes.footprint import KIB, Footprint
from refsim.memsim.runtimes.tflm_arena import Scratch, allocate
from refsim.memsim.runtimes.tflm_structs import CORTEX_M, KERNELS, Kernel, Target

NAME = "tflm"
CODE = int(96.9 * KIB)  # Table 3's flash less the .tflite file: 96.5 to 97 KiB in the five rows whose file is known
CODE_CMSIS_NN = CODE + 18 * KIB  # 15 to 19 KiB more in Table 3
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
    model = file_bytes(graph)
    detail = {
        "head": allocation.plan.nbytes,
        "tail": allocation.tail,
        "minimum_arena": allocation.minimum,
        **{f"tail_{kind}": nbytes for kind, nbytes in allocation.by_kind.items()},
        "model_file": model,
        "code": code,
    }
    unknown = sorted({node.operator.name for node in graph.nodes} - set(kernels))
    notes = (f"nothing is counted for the records of {', '.join(unknown)}",) if unknown else ()
    return Footprint(name, detail["head"] + detail["tail"], model + code, detail, allocation.plan, STATIC, notes)


def file_bytes(graph: Graph) -> int:
    """About the size of the .tflite file: the released MCUNet files within 0.3 %, those of MLPerf Tiny within 9 %."""
    total = 0
    for tensor in graph.tensors:
        constant = 0 if tensor.data is None else tensor.nbytes // (2 if tensor.dtype == "int4" else 1)
        scales = len(tensor.quant.scale) if tensor.quant else 0
        total += constant + PER_SCALE * scales + PER_TENSOR + len(tensor.name)
    return total


def scratch(operator: str, call: Call) -> tuple[int, ...]:
    """Bytes of the node's requests, in order: MEAN's accumulators and indices, unpacked int4 weights."""
    if operator == "mean":
        return (4 * call.y.elements, 4 * len(call.x.shape), 4 * len(call.attributes.axes))
    weights = call.inputs[1] if operator in UNPACKS_INT4 else None
    return (weights.elements,) if weights is not None and weights.dtype == "int4" else ()


UNPACKS_INT4 = frozenset({"conv2d", "depthwise_conv2d", "fully_connected"})
