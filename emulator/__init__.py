"""Runs generated code and firmware images on an emulated Cortex-M: answers, cycles, faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.machine import Machine
    from emulator.prediction import predict
    from emulator.validation import validate

__all__ = ["Machine", "predict", "validate"]

_LAZY = {"Machine": "emulator.machine", "predict": "emulator.prediction", "validate": "emulator.validation"}


def __getattr__(name: str) -> Any:
    """Import Unicorn and numba only when somebody asks for them."""
    if name not in _LAZY:
        raise AttributeError(f"module 'emulator' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
