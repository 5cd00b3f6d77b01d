"""The foreign engines whose answers are the goldens: tflite-micro, and LiteRT's reference kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = Sequence[Array]
ARENA = 8 << 20  # bytes; kPreserveAllTensors gives every tensor a place of its own


def tflm(model: bytes, sets: Sequence[Inputs]) -> list[list[Array]]:
    """tflite-micro's outputs for each input set."""
    interpreter, invoke = _tflm(model, preserve=False)
    outputs = _output_count(model)
    answers = []
    for inputs in sets:
        invoke(inputs)
        answers.append([np.array(interpreter.get_output(n)) for n in range(outputs)])
    return answers


def litert(model: bytes, sets: Sequence[Inputs]) -> list[list[Array]]:
    """LiteRT's outputs under OpResolverType.BUILTIN_REF for each input set."""
    interpreter, invoke = _litert(model, preserve=False)
    outputs = [details["index"] for details in interpreter.get_output_details()]
    answers = []
    for inputs in sets:
        invoke(inputs)
        answers.append([np.array(interpreter.get_tensor(index)) for index in outputs])
    return answers


def tflm_tensors(model: bytes, inputs: Inputs, indices: Sequence[int], arena: int = ARENA) -> dict[int, Array]:
    """Tensors by index after one inference of tflite-micro (kPreserveAllTensors). An unknown index would crash it."""
    interpreter, invoke = _tflm(model, preserve=True, arena=arena)
    invoke(inputs)
    return {index: np.array(interpreter.GetTensor(index, 0)["tensor_data"]) for index in indices}


def litert_tensors(model: bytes, inputs: Inputs, indices: Sequence[int]) -> dict[int, Array]:
    """Tensors by index after one inference of LiteRT (experimental_preserve_all_tensors)."""
    interpreter, invoke = _litert(model, preserve=True)
    invoke(inputs)
    return {index: np.array(interpreter.get_tensor(index)) for index in indices}


ENGINES: Mapping[str, Callable[[bytes, Sequence[Inputs]], list[list[Array]]]] = {"tflm": tflm, "litert": litert}


def versions() -> dict[str, str]:
    """The engines as the goldens name them."""
    return {
        "tflm": f"tflite-micro=={version('tflite-micro')}",
        "litert": f"ai-edge-litert=={version('ai-edge-litert')}, OpResolverType.BUILTIN_REF",
    }


def _tflm(model: bytes, preserve: bool, arena: int = ARENA) -> tuple[Any, Callable[[Inputs], None]]:
    from tflite_micro.python.tflite_micro import runtime

    config = runtime.InterpreterConfig
    chosen = config.kPreserveAllTensors if preserve else config.kAllocationRecording
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena, intrepreter_config=chosen)

    def invoke(inputs: Inputs) -> None:
        for n, value in enumerate(inputs):
            interpreter.set_input(np.ascontiguousarray(value), n)
        interpreter.invoke()

    return interpreter, invoke


def _litert(model: bytes, preserve: bool) -> tuple[Any, Callable[[Inputs], None]]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=preserve,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    indices = [details["index"] for details in interpreter.get_input_details()]

    def invoke(inputs: Inputs) -> None:
        for index, value in zip(indices, inputs, strict=True):
            interpreter.set_tensor(index, value)
        interpreter.invoke()

    return interpreter, invoke


def _output_count(model: bytes) -> int:
    import tflite

    return int(tflite.Model.GetRootAs(model, 0).Subgraphs(0).OutputsLength())
