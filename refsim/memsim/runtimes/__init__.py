"""Models of how other runtimes use memory, one a file: Graph -> Footprint. None of them plans for us."""

from __future__ import annotations

from collections.abc import Mapping

from refsim.memsim.runtimes.cmsis_nn import cmsis_nn
from refsim.memsim.runtimes.footprint import Footprint, Runtime
from refsim.memsim.runtimes.tflm import tflm
from refsim.memsim.runtimes.tinyengine import tinyengine
from refsim.memsim.runtimes.x_cube_ai import x_cube_ai

__all__ = ["RUNTIMES", "Footprint", "Runtime"]

RUNTIMES: Mapping[str, Runtime] = {
    "tflm": tflm,
    "cmsis-nn": cmsis_nn,
    "x-cube-ai": x_cube_ai,
    "tinyengine": tinyengine,
}
