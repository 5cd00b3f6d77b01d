"""TensorFlow Lite Micro with CMSIS-NN's kernels: the same arena, with their scratch.

Sources: tensorflow/tflite-micro @90b983c2, micro/kernels/cmsis_nn/*; ARM-software/CMSIS-NN @99f736a6,
Source/*/arm_*_get_buffer_sizes_s8.c, the branches of cores with the DSP extension and no MVE, built with GCC.
The CMSIS-NN column of Table 3 of arXiv:2403.19076 is taken to be this: an inference from its numbers. Flash is as
tflm.py has it, with a constant of its own for the code: ten rows within 0.23 %, 0.26 % when a row is left out.

Known misses: int16 activations, whose buffers are not counted; armclang, which adds 4 bytes per input channel to
1x1 convolutions; Helium cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from refsim.graph import Call, Graph
from refsim.memsim.runtimes.footprint import Footprint, rounded_up
from refsim.memsim.runtimes.tflm import footprint, scratch as reference_scratch
from refsim.memsim.runtimes.tflm_structs import CMSIS_NN_USER, CORTEX_M, KERNELS, Kernel, Target

NAME = "cmsis-nn"
CODE = 117_847  # 115.1 KiB, by flash_fit
CMSIS_NN_KERNELS: Mapping[str, Kernel] = {
    name: replace(kernel, user=CMSIS_NN_USER.get(name, kernel.user)) for name, kernel in KERNELS.items()
}


def cmsis_nn(graph: Graph, target: Target = CORTEX_M) -> Footprint:
    """What TFLM with CMSIS-NN takes; `sram` is `arena_used_bytes()`."""
    return footprint(NAME, graph, target, CMSIS_NN_KERNELS, scratch, CODE)


def scratch(operator: str, call: Call) -> tuple[int, ...]:
    """Bytes of the node's requests."""
    if operator not in _SIZES:
        return reference_scratch(operator, call)
    nbytes = _SIZES[operator](call)
    return (nbytes,) if nbytes else ()


def _conv2d(call: Call) -> int:
    """Two columns of int16, a multiple of four values each; none for 1x1."""
    a, weights = call.attributes, call.inputs[1]
    assert weights is not None
    _, height, width, depth = weights.shape
    unpadded = a.pad_top == a.pad_left == 0 and a.dilation_h == a.dilation_w == 1
    if unpadded and height == width == 1 and call.x.shape[3] == depth:
        return 0
    return 2 * 2 * rounded_up(height * width * call.x.shape[3], 4)


def _depthwise_conv2d(call: Call) -> int:
    """The weights' window as int16 for every channel; none for 3x3 with little padding, or in the plain kernel."""
    a, weights = call.attributes, call.inputs[1]
    assert weights is not None
    _, height, width, channels = weights.shape
    plain = call.x.shape[3] != channels or call.x.shape[0] != 1 or (a.dilation_h, a.dilation_w) != (1, 1)
    if plain or (height == width == 3 and a.pad_top <= 1 and a.pad_left <= 1):
        return 0
    return 2 * height * width * channels


def _fully_connected(call: Call) -> int:
    """None: kernel sums are kept on cores with MVE only."""
    return 0


def _average_pool_2d(call: Call) -> int:
    return 4 * call.x.shape[3]


_SIZES = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "fully_connected": _fully_connected,
    "average_pool_2d": _average_pool_2d,
}
