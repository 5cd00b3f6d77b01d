"""Networks in a .tflite file that are refused, each with its one sentence: what, which, expected, remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from refsim.errors import InputError, ModelError, UnsupportedError
from refsim.graph import Slot
from refsim.importers.tflite import read_tflite
from refsim.int8ops import by_tflite
from tests.refsim.importers.tflite_writer import TINY, L, M, T

Refusal = tuple[M, type[InputError], str]

FLOAT = T("f", (1, 4), "FLOAT32", ())
INT8 = T("q", (1, 4))
FULL_INTEGER = (
    "quantise it with tf.lite.TFLiteConverter: optimizations=[tf.lite.Optimize.DEFAULT], a representative_dataset,"
    " and target_spec.supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8]"
)
FIXED = "give the converter a concrete function whose input signature has every dimension"
AGAIN = "convert it again"


def one(operator: str, *tensors: T, custom: str = "") -> M:
    """A model of one layer from tensor 0 to tensor 1."""
    return M(tensors, (L(operator, (0,), (1,), custom=custom),), (0,), (1,))


def refused(data: bytes, kind: type[InputError]) -> str:
    with pytest.raises(kind) as caught:
        read_tflite(data, "m")
    assert type(caught.value) is kind
    return str(caught.value)


def supported() -> str:
    return ", ".join(sorted(by_tflite()))


MODELS: dict[str, Refusal] = {
    "two subgraphs": (
        replace(TINY, subgraphs=2),
        UnsupportedError,
        "model 'm' has 2 subgraphs (control flow or several signatures), and refsim reads one;"
        " convert one signature without tf.cond and tf.while_loop",
    ),
    "no subgraph": (
        replace(TINY, subgraphs=0),
        ModelError,
        f"model 'm' has no subgraph, so it computes nothing; {AGAIN}",
    ),
    "no outputs": (
        replace(TINY, outputs=()),
        ModelError,
        f"model 'm' has no outputs, so it computes nothing; {AGAIN}",
    ),
    "control flow": (
        one("WHILE", INT8, INT8),
        UnsupportedError,
        "layer 0 (WHILE 'q') of model 'm' is control flow, which refsim does not have; convert the model without it",
    ),
    "float model": (
        one("CONV_2D", FLOAT, FLOAT),
        UnsupportedError,
        "layer 0 (CONV_2D 'f') of model 'm' computes in float32, and refsim computes in int8 and int16;"
        f" {FULL_INTEGER}",
    ),
    "float model that begins by moving elements": (
        M((FLOAT,) * 3, (L("PAD", (0,), (1,)), L("CONV_2D", (1,), (2,))), (0,), (2,)),
        UnsupportedError,
        "layer 1 (CONV_2D 'f') of model 'm' computes in float32, and refsim computes in int8 and int16;"
        f" {FULL_INTEGER}",
    ),
    "hybrid model": (
        M((FLOAT, T("w", (4, 4), data=bytes(16)), FLOAT), (L("FULLY_CONNECTED", (0, 1, -1), (2,)),), (0,), (2,)),
        UnsupportedError,
        f"layer 0 (FULLY_CONNECTED 'f') of model 'm' computes in float32, and refsim computes in int8 and int16;"
        f" {FULL_INTEGER}",
    ),
    "sparse weights": (
        TINY.tensor(1, more={"sparsity": []}),
        UnsupportedError,
        "tensor 1 ('w0') of model 'm' is sparse, which refsim does not have; convert the model without sparsity",
    ),
    "variable tensor": (
        TINY.tensor(3, more={"is_variable": True}),
        UnsupportedError,
        "tensor 3 ('features') of model 'm' is a variable that keeps its value between runs, which refsim does not"
        " have; pass the state in and out of the model as an input and an output",
    ),
    "data in another file": (
        TINY.tensor(1, more={"external_buffer": 1}),
        UnsupportedError,
        "tensor 1 ('w0') of model 'm' keeps its data in another file; expected all weights in the .tflite file",
    ),
    "unsupported type": (
        TINY.tensor(0, type="FLOAT16"),
        UnsupportedError,
        "tensor 0 ('image') of model 'm' has the element type float16;"
        " refsim has int4, int8, uint8, int16, int32, int64, float32, bool",
    ),
    "unknown type": (
        TINY.tensor(0, type="99"),
        UnsupportedError,
        "tensor 0 ('image') of model 'm' has the element type number 99;"
        " refsim has int4, int8, uint8, int16, int32, int64, float32, bool",
    ),
    "dynamic shape": (
        TINY.tensor(0, shape=(1, -1, -1, 2)),
        UnsupportedError,
        f"tensor 0 ('image') of model 'm' has the dynamic shape (1, -1, -1, 2); {FIXED}",
    ),
    "placeholders that fit nothing": (
        TINY.tensor(0, shape=(1, 2, 2, 2), more={"shape_signature": (1, -1, -1, 2)}),
        UnsupportedError,
        f"layer 0 (CONV_2D 'features') of model 'm' has dynamic dimensions, for which the file holds placeholders;"
        f" {FIXED}",
    ),
    "placeholders of open dimensions": (
        TINY.tensor(0, more={"shape_signature": (1, -1, 4, 2)}, shape=(1, 1, 4, 2)),
        UnsupportedError,
        f"input 'image' of model 'm' is dynamic along axis 1: {FIXED}",
    ),
    "zero dimension": (
        TINY.tensor(0, shape=(0, 4, 4, 2)),
        UnsupportedError,
        f"tensor 'image' in model 'm' has the dynamic or empty shape (0, 4, 4, 2); {FIXED}",
    ),
    "too many dimensions": (
        TINY.tensor(0, shape=(1,) * 9),
        UnsupportedError,
        "tensor 0 ('image') of model 'm' has 9 dimensions; refsim has up to 8",
    ),
    "huge tensor": (
        TINY.tensor(0, shape=(1, 65536, 65536, 2)),
        UnsupportedError,
        "tensor 0 ('image') of model 'm' has the shape (1, 65536, 65536, 2), which takes 8589934592 bytes;"
        " refsim handles up to 2147483647 a tensor",
    ),
    "huge activations": (
        TINY.tensor(0, shape=(2**30,)).tensor(3, shape=(2**30,)),
        UnsupportedError,
        "the activations of model 'm' take 2147483700 bytes together, and refsim handles up to 2147483647;"
        " use a smaller input",
    ),
    "shape that the inputs do not give": (
        TINY.tensor(3, shape=(1, 4, 4, 4)),
        ModelError,
        f"layer 0 (CONV_2D 'features') of model 'm' writes (1, 4, 4, 4), and its inputs give (1, 4, 4, 3); {AGAIN}",
    ),
    "no quantisation": (
        TINY.tensor(3, scale=()),
        ModelError,
        "tensor 'features' in layer 0 (CONV_2D 'features') of model 'm' is int8 without scale and zero point;"
        " quantise the model again",
    ),
    "scales without zero points": (
        TINY.tensor(1, zero_point=(0,)),
        ModelError,
        "tensor 1 ('w0') of model 'm' has 3 scales and 1 zero points, expected as many of both",
    ),
    "scales along no axis": (
        TINY.tensor(1, axis=3),
        ModelError,
        "tensor 1 ('w0') of model 'm' has 3 scales along axis 3, which its shape (3, 1, 1, 2) does not have",
    ),
    "activation per channel": (
        TINY.tensor(3, scale=(1.0, 2.0, 3.0), zero_point=(0, 0, 0), axis=3),
        UnsupportedError,
        "tensor 'features' in layer 0 (CONV_2D 'features') of model 'm' is an activation with a scale per channel;"
        " refsim has that for weights only",
    ),
    "custom quantisation": (
        TINY.tensor(3, more={"quantization": [(Slot(4, "uint8"), 1)]}),
        UnsupportedError,
        "tensor 3 ('features') of model 'm' is quantised in a custom or blockwise way;"
        " refsim has per tensor and per axis",
    ),
    "too little data": (
        TINY.tensor(1, data=bytes(5)),
        ModelError,
        "tensor 1 ('w0') of model 'm' has 5 bytes of data, expected 6 for int8 of shape (3, 1, 1, 2)",
    ),
    "int4 data of the wrong size": (
        TINY.tensor(1, type="INT4", data=bytes(6)),
        ModelError,
        "tensor 1 ('w0') of model 'm' has 6 bytes of data, expected 3 for int4 of shape (3, 1, 1, 2)",
    ),
    "no such buffer": (
        TINY.tensor(1, more={"buffer": 11}),
        ModelError,
        "tensor 1 ('w0') of model 'm' refers to buffer 11, and the file has 11",
    ),
    "layer reads no such tensor": (
        TINY.layer(0, inputs=(0, 1, 10)),
        ModelError,
        f"layer 0 of model 'm' refers to tensor 10, and the file has tensors 0 to 9; {AGAIN}",
    ),
    "layer writes no such tensor": (
        TINY.layer(0, outputs=(-1,)),
        ModelError,
        f"layer 0 of model 'm' refers to tensor -1, and the file has tensors 0 to 9; {AGAIN}",
    ),
    "layer without outputs": (
        TINY.layer(0, outputs=()),
        ModelError,
        f"layer 0 of model 'm' (CONV_2D) has no outputs; {AGAIN}",
    ),
    "layer without its inputs": (
        TINY.layer(3, inputs=()),
        ModelError,
        f"layer 3 (SOFTMAX 'classes') of model 'm' has operands, shapes or options that contradict each other; {AGAIN}",
    ),
    "output that is no tensor": (
        replace(TINY, outputs=(-1,)),
        ModelError,
        f"model 'm' names tensor -1 as an output, and the file has tensors 0 to 9; {AGAIN}",
    ),
    "input twice": (
        replace(TINY, inputs=(0, 0)),
        ModelError,
        f"model 'm' names tensor 0 as an input more than once; {AGAIN}",
    ),
    "input that is a constant": (
        replace(TINY, inputs=(0, 1)),
        ModelError,
        f"model 'm' is not a network that can run: graph 'm': input %1 is a constant; {AGAIN}",
    ),
    "cycle": (
        M((INT8,) * 3, (L("ADD", (0, 2), (1,)), L("ADD", (0, 1), (2,))), (0,), (2,)),
        ModelError,
        "model 'm' is not a network that can run: graph 'm', node 0 (add): reads %2 before anything computes it;"
        f" {AGAIN}",
    ),
    "tensor written twice": (
        M((INT8,) * 2, (L("ADD", (0, 0), (1,)), L("ADD", (0, 0), (1,))), (0,), (1,)),
        ModelError,
        "model 'm' is not a network that can run: graph 'm', node 1 (add): writes %1, which already has a value;"
        f" {AGAIN}",
    ),
    "output that nothing computes": (
        replace(TINY, layers=TINY.layers[:2]),
        ModelError,
        f"model 'm' is not a network that can run: graph 'm': nothing computes output %9; {AGAIN}",
    ),
    "options of another operator": (
        TINY.layer(0, options_type=9),
        ModelError,
        "layer 0 (CONV_2D 'features') of model 'm': its options are of type 9, expected 1; convert the model again",
    ),
}


@pytest.mark.parametrize("case", MODELS)
def test_refused_model(case: str) -> None:
    model, kind, sentence = MODELS[case]
    assert refused(bytes(model), kind) == sentence


@pytest.mark.parametrize("scale", (0.0, -0.5, float("nan"), float("inf"), float("-inf")))
def test_scale_that_is_no_step(scale: float) -> None:
    assert refused(bytes(TINY.tensor(3, scale=(scale,))), ModelError) == (
        f"tensor 3 ('features') of model 'm' has the scale {scale:g}, expected a finite number above zero;"
        " quantise it again"
    )


@pytest.mark.parametrize(
    ("dtype", "zero_point", "limits"),
    (
        ("INT8", 128, "-128 to 127 for int8"),
        ("INT8", -129, "-128 to 127 for int8"),
        ("UINT8", -1, "0 to 255 for uint8"),
        ("INT16", 2**15, "-32768 to 32767 for int16"),
        ("INT4", 8, "-8 to 7 for int4"),
        ("INT32", 2**40, "-2147483648 to 2147483647 for int32"),
    ),
)
def test_zero_point_outside_its_type(dtype: str, zero_point: int, limits: str) -> None:
    assert refused(bytes(TINY.tensor(3, type=dtype, zero_point=(zero_point,))), ModelError) == (
        f"tensor 3 ('features') of model 'm' has the zero point {zero_point}, expected {limits}"
    )


def test_unsupported_operator_is_named_with_its_layer_and_what_there_is() -> None:
    model = M((INT8, T("a/b", (1, 4)), T("c", (1, 4))), (L("ADD", (0, 0), (1,)), L("LSTM", (1,), (2,))), (0,), (2,))
    assert refused(bytes(model), UnsupportedError) == (
        f"layer 1 (LSTM 'c') of model 'm' is not an operator of refsim, which has {supported()}"
    )


def test_custom_operator_is_named() -> None:
    assert refused(bytes(one("CUSTOM", INT8, INT8, custom="ethos-u")), UnsupportedError) == (
        f"layer 0 (custom operator 'ethos-u' 'q') of model 'm' is not an operator of refsim, which has {supported()}"
    )


def test_long_names_are_shortened() -> None:
    sentence = refused(bytes(TINY.tensor(3, name="n" * 500, scale=(0.0,))), ModelError)
    assert f"('{'n' * 40}...{'n' * 37}')" in sentence and len(sentence) < 200


def test_quantising_float_input_is_no_float_model() -> None:
    model = M((FLOAT, INT8), (L("QUANTIZE", (0,), (1,)),), (0,), (1,))
    assert read_tflite(bytes(model), "m").nodes[0].operator.tflite == "QUANTIZE"


def test_data_behind_the_flatbuffer_is_checked_against_the_end_of_the_file() -> None:
    outside = bytearray(bytes(replace(TINY, outside=True)))
    with pytest.raises(ModelError, match="damaged or cut short"):
        read_tflite(bytes(outside[:-1]), "m")
    whole = read_tflite(bytes(outside), "m").tensors[7].data
    assert whole is not None and whole.tolist() == [100, -200]
