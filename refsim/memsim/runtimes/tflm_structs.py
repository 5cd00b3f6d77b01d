"""Sizes of TensorFlow Lite Micro's records, and how each kernel's Init and Prepare use the arena.

Source: tensorflow/tflite-micro @90b983c2, micro/*.h and micro/kernels/{,cmsis_nn/}*. Sizes of CORTEX_M were measured
with arm-none-eabi-g++ 12.2.1 for Cortex-M4, where enumerations take one byte; those of HOST follow from the
declarations with eight-byte pointers and four-byte enumerations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Bytes of each record; `column` chooses among the sizes of a Kernel."""

    column: int
    pointer: int
    arena_allocator: int
    planner: int
    micro_allocator: int
    builtin_allocator: int
    subgraph: int
    eval_tensor: int
    node: int
    tensor: int
    affine: int
    scratch_handle: int
    scratch_request: int
    allocation_info: int


CORTEX_M = Target(0, 4, 36, 44, 36, 8, 8, 12, 32, 32, 12, 4, 12, 24)
CORTEX_M_RECORDING = Target(0, 4, 52, 44, 124, 8, 8, 12, 32, 32, 12, 4, 12, 24)  # what TFLM's own benchmarks run
HOST_RECORDING = Target(1, 8, 104, 72, 272, 16, 24, 24, 64, 64, 24, 8, 16, 32)  # what the Python package runs

PER_BUFFER = 40  # bytes of the greedy planner's work arrays, on either target
MOST_SCRATCH = 12  # requests for which there is always room: kMaxScratchBuffersPerOp

Sizes = tuple[int, int]  # on Cortex-M, on the host


@dataclass(frozen=True, slots=True)
class Kernel:
    """What one operator allocates, in this order; 0 for what it does not have.

    `builtin` its decoded options, `user` its own data; then, in Prepare, temporary tensors `before`, two arrays of an
    int32 per output channel where `channels` says so, and temporary tensors `after`. Temporary tensors are named
    x, w, b (inputs 0, 1, 2), y (output), p (a constant parameter, which is no operand of a Node), * (every input).
    """

    builtin: Sizes
    user: Sizes
    before: str
    channels: str = ""  # "always", or "per_channel" for weights that have several scales
    after: str = ""


_CONVOLUTION = Kernel((28, 28), (56, 80), "yxw", "always", "xwby")
_POOLING = Kernel((40, 40), (32, 32), "xy")

KERNELS: Mapping[str, Kernel] = {
    "conv2d": _CONVOLUTION,
    "depthwise_conv2d": _CONVOLUTION,
    "fully_connected": Kernel((5, 32), (48, 72), "xwby", "per_channel"),
    "average_pool_2d": _POOLING,
    "max_pool_2d": _POOLING,
    "add": Kernel((2, 8), (60, 60), "xwy"),
    "mul": Kernel((1, 4), (36, 36), "xwy"),
    "softmax": Kernel((4, 4), (56, 80), "xy"),
    "reshape": Kernel((36, 36), (0, 0), "xy"),
    "pad": Kernel((0, 0), (56, 56), "xpy"),
    "mean": Kernel((1, 1), (44, 44), "xypxpy"),
    "transpose": Kernel((0, 0), (0, 0), "xpy"),
    "concatenation": Kernel((8, 8), (24, 80), "xy*"),
    "slice": Kernel((0, 0), (0, 0), "xppy"),
    "split": Kernel((4, 4), (0, 0), "p"),
    "strided_slice": Kernel((24, 24), (84, 84), "xpppy"),
    "quantize": Kernel((0, 0), (32, 32), "xy"),
    "dequantize": Kernel((0, 0), (32, 32), "xy"),
    "relu": Kernel((0, 0), (28, 28), "xy"),
    "relu6": Kernel((0, 0), (8, 8), "xy"),
}

# With CMSIS-NN; the package for the host has none, so the host's sizes are those of the declarations.
CMSIS_NN_USER: Mapping[str, Sizes] = {
    "conv2d": (60, 80),
    "depthwise_conv2d": (60, 80),
    "fully_connected": (72, 96),
    "average_pool_2d": (36, 36),
    "max_pool_2d": (36, 36),
    "softmax": (64, 88),
}
