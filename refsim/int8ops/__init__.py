"""The operators. One file each; a file that ends in `OPERATOR = ...` is found here, so adding it adds the operator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from refsim.graph import Operator


@cache
def operators() -> Mapping[str, Operator]:
    """Every operator by its own name (`conv2d`)."""
    modules = (import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__))
    found: list[Operator] = [module.OPERATOR for module in modules if hasattr(module, "OPERATOR")]
    return {operator.name: operator for operator in sorted(found, key=lambda operator: operator.name)}


@cache
def by_tflite() -> Mapping[str, Operator]:
    """Every operator by its TFLite name (`CONV_2D`)."""
    return {operator.tflite: operator for operator in operators().values()}
