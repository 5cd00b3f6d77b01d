"""TensorFlow Lite Micro's default planner: largest first, and of equals the one that was added last.

Source: tensorflow/tflite-micro @90b983c2, micro/memory_planner/greedy_memory_planner.cc. Its array of buffers is
filled from the end and then sorted by a stable sort, which turns equals round.
"""

from __future__ import annotations

from collections.abc import Sequence

from refsim.memsim.plan import LiveRange, place


def tflm_greedy(ranges: Sequence[LiveRange]) -> tuple[int, ...]:
    """Offsets in bytes. The order of `ranges` is that in which TFLM adds them: tensors by index, then scratch."""
    return place(ranges, sorted(range(len(ranges)), key=lambda i: (-ranges[i].nbytes, -i)))
