"""Graphs made in Python, float32 or int8, by the same calls.

    b = Builder("example")
    x = b.input((1, 49, 10, 1))
    x = b.conv2d(x, 64, (10, 4), stride=2, activation="relu")
    graph = b.build(x)

is a float32 graph, ready for `quantize`. Where the input has a quantisation, so has every tensor: `quant=(scale,
zero_point)` says it for operators that compute, those that only move values keep their input's. Weights left out are
seeded. Weights given as real numbers are quantised as `quantize` would; int8 weights come with their `weight_scale`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from refsim.errors import UsageError
from refsim.graph import DTYPES, Array, Call, Graph, Node, Quant, Shape, Tensor
from refsim.int8ops import operators
from refsim.int8ops.fixedpoint import ACTIVATIONS
from refsim.int8ops.strided_slice import as_operands
from refsim.int8ops.window import SAME, VALID
from refsim.parameters import Given, parameters, seeded_values, seeded_weights
from refsim.quantize import FIXED, SHARING

__all__ = ["Builder", "seeded_values", "seeded_weights"]

Affine = Quant | tuple[float, int] | None  # None: float32, or what the operator keeps or prescribes
Pair = int | tuple[int, int]  # both, or (height, width)
Index = slice | int  # here, because Builder has a method of that name

PADDINGS = {"same": SAME, "valid": VALID}
ACTIVATION_CODES = {name: code for code, (name, _, _) in ACTIVATIONS.items()}


class Builder:
    """Collects tensors and nodes; every method returns the Tensor to go on with, `build` the Graph.

    All methods raise UsageError for arguments that make no sense, and what the operator raises for others.
    """

    def __init__(self, name: str, seed: int = 0) -> None:
        self._name, self._seed = name, seed
        self._places: dict[Tensor, int] = {}
        self._tensors: list[Tensor] = []
        self._nodes: list[Node] = []
        self._inputs: list[int] = []

    def input(self, shape: Shape, quant: Affine = None, name: str = "") -> Tensor:
        """A graph input: int8 where `quant` is given, else float32."""
        self._inputs.append(len(self._tensors))
        dtype = "float32" if quant is None else "int8"
        return self._new(Tensor(name or f"input_{len(self._inputs) - 1}", tuple(shape), dtype, _quant(quant)))

    def constant(self, data: ArrayLike, quant: Affine = None, name: str = "") -> Tensor:
        """A constant of the array's own type (float64 becomes float32)."""
        array = np.array(data)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        label = name or f"constant_{len(self._tensors)}"
        if array.dtype.name not in DTYPES:
            raise UsageError(f"constant '{label}' is of type {array.dtype}: expected one of {', '.join(DTYPES)}")
        array.flags.writeable = False
        return self._new(Tensor(label, array.shape, array.dtype.name, _quant(quant), array))

    def apply(
        self,
        operator: str,
        inputs: Sequence[Tensor | None],
        options: Mapping[str, Any] | None = None,
        quant: Affine = None,
        name: str = "",
        dtype: str | None = None,
    ) -> Tensor:
        """Any operator of one output; inputs and options as TFLite has them (constant axes, perms... are inputs)."""
        (y,) = self.apply_all(operator, inputs, options, quant, name, dtype)
        return y

    def apply_all(
        self,
        operator: str,
        inputs: Sequence[Tensor | None],
        options: Mapping[str, Any] | None = None,
        quant: Affine = None,
        name: str = "",
        dtype: str | None = None,
    ) -> tuple[Tensor, ...]:
        """The same for any number of outputs, all of one type and quantisation."""
        label = self._label(operator, name)
        if operator not in operators():
            raise UsageError(f"operator '{operator}' is not known: expected one of {', '.join(operators())}")
        op, indices = operators()[operator], [-1 if t is None else self._index(t, label) for t in inputs]
        filled = {key: slot.default for key, slot in op.options.items()} | dict(options or {})
        attributes = op.attributes(filled, inputs, ())
        operands = op.operands(indices)
        taken = tuple(None if i < 0 else self._tensors[i] for i in operands)
        shapes, x = op.infer(taken, attributes), taken[0]
        assert x is not None
        kind = dtype or x.dtype
        affine = _output_quant(operator, label, x, kind, quant)
        names = [label] if len(shapes) == 1 else [f"{label}:{n}" for n in range(len(shapes))]
        ys = tuple(Tensor(each, shape, kind, affine) for each, shape in zip(names, shapes, strict=True))
        if kind != "float32":
            op.check(Call(taken, ys, attributes))
        places = tuple(self._index(self._new(y), label) for y in ys)
        self._nodes.append(Node(op, operands, places, attributes, label))
        return ys

    def build(self, outputs: Tensor | Sequence[Tensor]) -> Graph:
        """The Graph, verified."""
        ends = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
        indices = tuple(self._index(t, "outputs") for t in ends)
        graph = Graph(self._name, tuple(self._tensors), tuple(self._nodes), tuple(self._inputs), indices)
        graph.verify()
        return graph

    def conv2d(
        self,
        x: Tensor,
        filters: int = 0,
        kernel: Pair = 1,
        *,
        weights: Array | None = None,
        weight_scale: ArrayLike | None = None,
        bias: Array | bool = True,
        stride: Pair = 1,
        dilation: Pair = 1,
        padding: str = "same",
        activation: str = "none",
        quant: Affine = None,
        name: str = "",
    ) -> Tensor:
        """CONV_2D. `filters` and `kernel`, or weights of (filters, height, width, channels). bias: (filters,)."""
        label, channels = self._label("conv2d", name), _image(x, name or "conv2d")[3]
        sizes = (filters, *_pair(kernel)) if weights is None else np.shape(weights)[:3]
        operands = self._parameters("conv2d", label, x, (*sizes, channels), Given(weights, weight_scale, bias))
        options = _window(label, padding, stride, activation, dilation)
        return self.apply("conv2d", (x, *operands), options, quant, label)

    def depthwise_conv2d(
        self,
        x: Tensor,
        kernel: Pair = 3,
        *,
        multiplier: int = 1,
        weights: Array | None = None,
        weight_scale: ArrayLike | None = None,
        bias: Array | bool = True,
        stride: Pair = 1,
        dilation: Pair = 1,
        padding: str = "same",
        activation: str = "none",
        quant: Affine = None,
        name: str = "",
    ) -> Tensor:
        """DEPTHWISE_CONV_2D. Weights of (1, height, width, channels * multiplier), bias of (channels * multiplier,)."""
        label, channels = self._label("depthwise_conv2d", name), _image(x, name or "depthwise_conv2d")[3]
        sizes = _pair(kernel) if weights is None else np.shape(weights)[1:3]
        shape = (1, *sizes, channels * multiplier)
        operands = self._parameters("depthwise_conv2d", label, x, shape, Given(weights, weight_scale, bias))
        options = _window(label, padding, stride, activation, dilation) | {"depth_multiplier": multiplier}
        return self.apply("depthwise_conv2d", (x, *operands), options, quant, label)

    def fully_connected(
        self,
        x: Tensor,
        units: int = 0,
        *,
        weights: Array | None = None,
        weight_scale: ArrayLike | None = None,
        bias: Array | bool = True,
        activation: str = "none",
        keep_dims: bool = False,
        quant: Affine = None,
        name: str = "",
    ) -> Tensor:
        """FULLY_CONNECTED over the last axis: `units`, or weights of (units, depth). bias: (units,)."""
        label = self._label("fully_connected", name)
        shape = (units if weights is None else len(weights), x.shape[-1])
        operands = self._parameters("fully_connected", label, x, shape, Given(weights, weight_scale, bias))
        options = {"activation": _activation(activation, label), "keep_num_dims": keep_dims}
        return self.apply("fully_connected", (x, *operands), options, quant, label)

    def add(self, x: Tensor, z: Tensor, activation: str = "none", quant: Affine = None, name: str = "") -> Tensor:
        label = self._label("add", name)
        return self.apply("add", (x, z), {"activation": _activation(activation, label)}, quant, label)

    def mul(self, x: Tensor, z: Tensor, activation: str = "none", quant: Affine = None, name: str = "") -> Tensor:
        label = self._label("mul", name)
        return self.apply("mul", (x, z), {"activation": _activation(activation, label)}, quant, label)

    def average_pool_2d(
        self, x: Tensor, size: Pair, stride: Pair = 0, padding: str = "valid", activation: str = "none", name: str = ""
    ) -> Tensor:
        """AVERAGE_POOL_2D; stride 0 stands for the window's size."""
        return self._pool("average_pool_2d", x, size, stride, padding, activation, name)

    def max_pool_2d(
        self, x: Tensor, size: Pair, stride: Pair = 0, padding: str = "valid", activation: str = "none", name: str = ""
    ) -> Tensor:
        """MAX_POOL_2D; stride 0 stands for the window's size."""
        return self._pool("max_pool_2d", x, size, stride, padding, activation, name)

    def mean(
        self, x: Tensor, axes: Sequence[int], keep_dims: bool = False, quant: Affine = None, name: str = ""
    ) -> Tensor:
        return self.apply("mean", (x, self._integers(axes)), {"keep_dims": keep_dims}, quant, name)

    def pad(self, x: Tensor, paddings: Sequence[tuple[int, int]], name: str = "") -> Tensor:
        """PAD with real zeros; (before, after) for each axis."""
        return self.apply("pad", (x, self._integers(paddings)), name=name)

    def reshape(self, x: Tensor, shape: Sequence[int], name: str = "") -> Tensor:
        """RESHAPE; one size may be -1."""
        return self.apply("reshape", (x,), {"new_shape": tuple(shape)}, name=name)

    def transpose(self, x: Tensor, perm: Sequence[int], name: str = "") -> Tensor:
        return self.apply("transpose", (x, self._integers(perm)), name=name)

    def concatenation(self, xs: Sequence[Tensor], axis: int = -1, name: str = "") -> Tensor:
        return self.apply("concatenation", xs, {"axis": axis}, name=name)

    def slice(self, x: Tensor, begin: Sequence[int], size: Sequence[int], name: str = "") -> Tensor:
        """SLICE; a size of -1 reaches to the end."""
        return self.apply("slice", (x, self._integers(begin), self._integers(size)), name=name)

    def split(self, x: Tensor, parts: int, axis: int = -1, name: str = "") -> tuple[Tensor, ...]:
        """SPLIT into equal parts along one axis."""
        return self.apply_all("split", (self._integers(axis), x), {"num_splits": parts}, name=name)

    def strided_slice(self, x: Tensor, *index: Index, name: str = "") -> Tensor:
        """STRIDED_SLICE, as NumPy's x[index]: slices, or integers that leave their axis out; missing axes are whole."""
        operands, masks = as_operands(index, len(x.shape))
        return self.apply("strided_slice", (x, *map(self._integers, operands)), masks, name=name)

    def softmax(self, x: Tensor, beta: float = 1.0, name: str = "") -> Tensor:
        return self.apply("softmax", (x,), {"beta": beta}, name=name)

    def relu(self, x: Tensor, quant: Affine = None, name: str = "") -> Tensor:
        return self.apply("relu", (x,), quant=quant, name=name)

    def relu6(self, x: Tensor, quant: Affine = None, name: str = "") -> Tensor:
        return self.apply("relu6", (x,), quant=quant, name=name)

    def quantize(self, x: Tensor, quant: Affine, name: str = "") -> Tensor:
        """QUANTIZE: float32 or int8 to int8."""
        return self.apply("quantize", (x,), quant=quant, name=name, dtype="int8")

    def dequantize(self, x: Tensor, name: str = "") -> Tensor:
        """DEQUANTIZE: int8 to float32."""
        return self.apply("dequantize", (x,), name=name, dtype="float32")

    def _pool(
        self, operator: str, x: Tensor, size: Pair, stride: Pair, padding: str, activation: str, name: str
    ) -> Tensor:
        label, (height, width) = self._label(operator, name), _pair(size)
        _image(x, label)
        options = _window(label, padding, stride or size, activation)
        return self.apply(operator, (x,), options | {"filter_h": height, "filter_w": width}, name=label)

    def _label(self, operator: str, name: str) -> str:
        return name or f"{operator}_{len(self._nodes)}"

    def _new(self, tensor: Tensor) -> Tensor:
        self._places[tensor] = len(self._tensors)
        self._tensors.append(tensor)
        return tensor

    def _index(self, tensor: Tensor, label: str) -> int:
        if tensor not in self._places:
            raise UsageError(f"'{label}': tensor '{tensor.name}' does not belong to this builder, '{self._name}'")
        return self._places[tensor]

    def _integers(self, values: ArrayLike) -> Tensor:
        return self.constant(np.asarray(values, np.int32))

    def _parameters(self, operator: str, label: str, x: Tensor, shape: Shape, given: Given) -> list[Tensor | None]:
        seed = (self._seed, len(self._tensors))
        weights, bias = parameters(operator, label, x, shape, given, seed)
        held: list[Tensor | None] = [self.constant(*weights, f"{label}/weights")]
        return [*held, None if bias is None else self.constant(*bias, f"{label}/bias")]


def _quant(quant: Affine) -> Quant | None:
    """(scale, zero_point) with the scale rounded to float32."""
    if quant is None or isinstance(quant, Quant):
        return quant
    return Quant((float(np.float32(quant[0])),), (quant[1],))


def _output_quant(operator: str, label: str, x: Tensor, dtype: str, given: Affine) -> Quant | None:
    if dtype == "float32":
        if given is not None:
            raise UsageError(f"'{label}': quant was given for a float32 output; leave it out, or give the input one")
        return None
    chosen = _quant(given) or FIXED.get(operator) or (x.quant if operator in SHARING else None)
    if chosen is None:
        raise UsageError(f"'{label}': its output is {dtype} and needs quant=(scale, zero_point), none was given")
    return chosen


def _image(x: Tensor, label: str) -> Shape:
    if len(x.shape) != 4:
        raise UsageError(f"'{label}': input '{x.name}' has shape {x.shape}: expected (batch, height, width, channels)")
    return x.shape


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _activation(name: str, label: str) -> int:
    if name not in ACTIVATION_CODES:
        raise UsageError(f"'{label}': activation '{name}' is not known: expected one of {', '.join(ACTIVATION_CODES)}")
    return ACTIVATION_CODES[name]


def _window(label: str, padding: str, stride: Pair, activation: str, dilation: Pair | None = None) -> dict[str, int]:
    """Options that sliding windows have in common; dilation only where the operator has it."""
    if padding not in PADDINGS:
        raise UsageError(f"'{label}': padding '{padding}' is not known: expected one of {', '.join(PADDINGS)}")
    stride_h, stride_w = _pair(stride)
    options = {"padding": PADDINGS[padding], "stride_h": stride_h, "stride_w": stride_w}
    if dilation is not None:
        options |= dict(zip(("dilation_h", "dilation_w"), _pair(dilation), strict=True))
    return options | {"activation": _activation(activation, label)}
