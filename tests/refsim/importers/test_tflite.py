"""The importer against other people's readers, and against files that are damaged at random."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refsim.errors import InputError, ModelError
from refsim.graph import Graph, Quant, Slot
from refsim.importers import load, tflite_schema
from refsim.importers.flatbuffer import Flatbuffer
from refsim.importers.tflite import read_tflite
from refsim.int8ops import by_tflite
from tests.refsim.importers.tflite_writer import TINY, L, M, T, flatbuffer

MODELS = ("mcunet_vww1", "mlperf_ad", "mlperf_ic", "mlperf_kws", "mlperf_sww", "mlperf_vww")


@pytest.fixture(params=MODELS)
def published(request: pytest.FixtureRequest, shared_models: Path) -> Path:
    return shared_models / f"{request.param}.tflite"


@pytest.fixture(scope="module")
def kws(shared_models: Path) -> bytes:
    return (shared_models / "mlperf_kws.tflite").read_bytes()


def outcome(data: bytes) -> Graph | InputError:
    """What a file ends in; anything but these two is a traceback for a user."""
    try:
        return read_tflite(data, "damaged")
    except InputError as error:
        assert "\n" not in str(error)
        return error


def flipped(data: bytes, files: int, seed: int) -> Iterator[bytes]:
    """Copies of `data` with one to four bytes replaced at random places."""
    raw = np.random.PCG64(seed)
    for _ in range(files):
        copy = bytearray(data)
        for draw in raw.random_raw(1 + int(raw.random_raw()) % 4):
            copy[int(draw >> np.uint64(8)) % len(copy)] = int(draw) & 255
        yield bytes(copy)


# What a valid file means


def test_tiny_model_reads_as_written() -> None:
    graph = read_tflite(bytes(TINY), "tiny")
    assert [node.operator.tflite for node in graph.nodes] == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    assert [node.name for node in graph.nodes] == ["features", "flat", "logits", "classes"]
    assert (graph.name, graph.inputs, graph.outputs) == ("tiny", (0,), (9,))
    assert graph.tensors[1].quant == Quant((0.25, 0.125, 0.0625), (0, 0, 0), 0)
    for written, tensor in zip(TINY.tensors, graph.tensors, strict=True):
        assert (tensor.name, tensor.shape) == (written.name, written.shape)
        assert (tensor.data is None) == (written.data is None)
        if tensor.data is not None:
            np.testing.assert_array_equal(tensor.data, written.data)


def test_constant_parameters_are_attributes_and_no_operands() -> None:
    reshape = read_tflite(bytes(TINY), "tiny").nodes[1]
    assert reshape.inputs == (3,)


def test_constants_are_read_only_views_of_the_file() -> None:
    data = bytes(TINY)
    whole = np.frombuffer(data, np.uint8)
    for tensor in read_tflite(data, "tiny").tensors:
        if tensor.data is not None:
            assert not tensor.data.flags.writeable
            assert np.shares_memory(tensor.data, whole)


def test_constants_may_lie_behind_the_flatbuffer() -> None:
    inside, outside = (read_tflite(bytes(replace(TINY, outside=o)), "tiny") for o in (False, True))
    for a, b in zip(inside.tensors, outside.tensors, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
        assert b.data is None or b.data.flags.aligned


def test_int4_weights_unpack_low_half_first_and_keep_their_sign() -> None:
    values = np.array([-8, 7, 0, -1, 3, -4, 5], np.int8)
    packed = bytes((0x78, 0xF0, 0xC3, 0x05))
    tensor = T("w", (7,), "INT4", data=packed)
    graph = read_tflite(bytes(replace(TINY, tensors=(*TINY.tensors, tensor))), "tiny")
    assert graph.tensors[-1].dtype == "int4"
    np.testing.assert_array_equal(graph.tensors[-1].data, values)


def test_absent_optional_bias_stays_an_absent_operand() -> None:
    graph = read_tflite(bytes(TINY.layer(2, inputs=(5, 6, -1))), "tiny")
    assert graph.nodes[2].inputs == (5, 6, -1)


def test_absent_options_have_the_defaults_of_the_schema() -> None:
    written = TINY.layers[0].options
    explicit = TINY.layer(0, options=(*written, (Slot(4, "int32"), 1), (Slot(5, "int32"), 1)))
    assert read_tflite(bytes(TINY), "").nodes[0].attributes == read_tflite(bytes(explicit), "").nodes[0].attributes


def test_several_inputs_and_outputs_keep_their_order() -> None:
    two = M(
        tensors=tuple(T(name, (1, 4)) for name in "abcd"),
        layers=(L("ADD", (1, 0), (2,)), L("ADD", (2, 0), (3,))),
        inputs=(1, 0),
        outputs=(3, 2),
    )
    graph = read_tflite(bytes(two), "two")
    assert (graph.inputs, graph.outputs) == ((1, 0), (3, 2))
    assert [node.inputs for node in graph.nodes] == [(1, 0), (2, 0)]


SPLIT = M(
    tensors=(
        T("axis", (), "INT32", (), (), data=np.array(-1, np.int32)),
        *(T(name, shape) for name, shape in (("x", (1, 6)), ("a", (1, 2)), ("b", (1, 2)), ("c", (1, 2)))),
    ),
    layers=(L("SPLIT", (0, 1), (2, 3, 4), ((Slot(0, "int32"), 3),)),),
    inputs=(1,),
    outputs=(4, 2),
)


def test_a_layer_may_have_several_outputs() -> None:
    graph = read_tflite(bytes(SPLIT), "split")
    (node,) = graph.nodes
    assert (node.inputs, node.outputs, graph.outputs) == ((1,), (2, 3, 4), (4, 2))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"outputs": (2, 4)}, r"writes \(1, 2\) and \(1, 2\), and its inputs give \(1, 2\) and \(1, 2\) and \(1, 2\)"),
        ({"options": ()}, "into 0 along axis -1: expected equal parts"),
        ({"inputs": (0,)}, "contradict each other"),
        ({"inputs": (1, 0)}, "computed at run time"),
    ],
)
def test_outputs_that_do_not_fit_the_split_are_refused(changes: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_tflite(bytes(SPLIT.layer(0, **changes)), "split")


def test_open_batch_with_a_concrete_shape_is_that_shape() -> None:
    graph = read_tflite(bytes(TINY.tensor(0, more={"shape_signature": (-1, 4, 4, 2)})), "tiny")
    assert graph.tensors[0].shape == (1, 4, 4, 2)


def test_names_cannot_carry_control_characters() -> None:
    graph = read_tflite(bytes(TINY.tensor(3, name="a\n\x1b[31mb")), "tiny")
    assert graph.nodes[0].name == "a\ufffd\ufffd[31mb"


def test_nameless_tensors_are_called_by_their_index() -> None:
    assert read_tflite(bytes(TINY.tensor(3, name="")), "tiny").nodes[0].name == "tensor_3"


def test_path_suffix_does_not_matter_when_the_identifier_is_there(tmp_path: Path) -> None:
    path = tmp_path / "net.bin"
    path.write_bytes(bytes(TINY))
    assert load(str(path)).name == "net"


def test_every_operator_with_options_has_a_known_options_type() -> None:
    unknown = [name for name, op in by_tflite().items() if op.options and name not in tflite_schema.OPTIONS]
    assert not unknown
    assert not set(by_tflite()) - set(tflite_schema.OPERATORS)


# Against other readers


def test_published_models_load_and_verify(published: Path) -> None:
    graph = load(published)
    graph.verify()
    assert graph.name == published.stem
    assert graph.nodes and graph.parameters > 20_000


def test_largest_published_model_loads_quickly(shared_models: Path) -> None:
    by_tflite()
    begin = time.perf_counter()
    load(shared_models / "mcunet_vww1.tflite")
    assert time.perf_counter() - begin < 0.2


def test_tensors_equal_those_of_the_generated_reader(published: Path) -> None:
    tflite = pytest.importorskip("tflite")
    graph = load(published)
    theirs = tflite.Model.GetRootAs(published.read_bytes(), 0)
    subgraph = theirs.Subgraphs(0)
    assert graph.inputs == tuple(subgraph.InputsAsNumpy()) and graph.outputs == tuple(subgraph.OutputsAsNumpy())
    assert len(graph.tensors) == subgraph.TensorsLength() and len(graph.nodes) == subgraph.OperatorsLength()
    for i, tensor in enumerate(graph.tensors):
        other = subgraph.Tensors(i)
        assert tensor.name == other.Name().decode()
        assert tensor.shape == (tuple(other.ShapeAsNumpy()) if other.ShapeLength() else ())
        assert getattr(tflite.TensorType, tensor.dtype.upper()) == other.Type()
        buffer = theirs.Buffers(other.Buffer())
        assert (b"" if tensor.data is None else tensor.data.tobytes()) == (
            buffer.DataAsNumpy().tobytes() if buffer.DataLength() else b""
        )
        _assert_same_quant(tensor.quant, other.Quantization(), tensor.dtype)


def _assert_same_quant(ours: Quant | None, theirs: Any, dtype: str) -> None:
    if ours is None:
        assert dtype == "float32" or theirs is None or theirs.ScaleLength() == 0
        return
    assert ours.scale == tuple(float(s) for s in theirs.ScaleAsNumpy())
    assert ours.zero_point == tuple(theirs.ZeroPointAsNumpy())
    assert not ours.per_channel or ours.axis == theirs.QuantizedDimension()


def test_schema_tables_equal_the_generated_ones() -> None:
    tflite = pytest.importorskip("tflite")
    for ours, theirs in (
        (tflite_schema.OPERATORS, tflite.BuiltinOperator),
        (tflite_schema.TENSOR_TYPES, tflite.TensorType),
    ):
        known = {name: number for name, number in vars(theirs).items() if isinstance(number, int)}
        assert known == {name: ours.index(name) for name in known}
    options = {name.lower(): n for name, n in vars(tflite.BuiltinOptions).items() if isinstance(n, int)}
    shared = {"MAX_POOL_2D": "pool2d", "AVERAGE_POOL_2D": "pool2d", "L2_POOL_2D": "pool2d", "SUM": "reducer"}
    shared |= {"MEAN": "reducer", "MAXIMUM": "maximumminimum", "MINIMUM": "maximumminimum"}
    shared |= {"L2_NORMALIZATION": "l2norm"}
    for operator, number in tflite_schema.OPTIONS.items():
        if not operator.startswith("REDUCE_"):
            name = shared.get(operator, operator.replace("_", "").lower())
            assert options[f"{name}options"] == number, operator


@pytest.mark.oracle
@pytest.mark.parametrize("outside", (False, True))
def test_other_engines_accept_what_the_tests_write(outside: bool) -> None:
    """Otherwise the tests above would only show that writer and reader agree with each other."""
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(model_content=bytes(replace(TINY, outside=outside)))
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, np.zeros((1, 4, 4, 2), np.int8))
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_tensor(1), TINY.tensors[1].data)
    details = interpreter.get_tensor_details()
    assert [tuple(d["shape"]) for d in details[:10]] == [t.shape for t in TINY.tensors]


# Damaged files


def test_a_thousand_damaged_tiny_models_end_in_a_graph_or_a_sentence() -> None:
    outcomes = [outcome(data) for data in flipped(bytes(TINY), 1000, seed=1)]
    accepted = sum(isinstance(o, Graph) for o in outcomes)
    assert 30 < accepted < 970, f"{accepted} of 1000 accepted: this no longer tests both ends"


def test_damaged_published_model_ends_in_a_graph_or_a_sentence(kws: bytes) -> None:
    assert len([outcome(data) for data in flipped(kws, 200, seed=2)]) == 200


def test_a_model_cut_at_two_hundred_places_ends_in_a_sentence() -> None:
    data = bytes(TINY)
    for cut in range(0, len(data), len(data) // 200):
        assert isinstance(outcome(data[:cut]), ModelError), cut


def test_published_model_cut_at_two_hundred_places_never_ends_in_a_traceback(kws: bytes) -> None:
    for cut in range(0, len(kws), len(kws) // 200):
        outcome(kws[:cut])


def test_damaged_files_claim_little_memory(kws: bytes) -> None:
    read_tflite(kws, "kws")
    for data in flipped(kws, 20, seed=3):
        tracemalloc.start()
        outcome(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * len(kws)


def test_a_tensor_listed_a_thousand_times_does_not_multiply() -> None:
    """180 KB of scales and zero points under 1,000 names would decode to more than 500 MB."""
    wide = TINY.tensor(1, shape=(15000, 1, 1, 2), scale=(0.5,) * 15000, zero_point=(0,) * 15000, data=bytes(30000))
    data = bytearray(bytes(replace(wide, tensors=(*wide.tensors, *(wide.tensors[3],) * 1000))))
    file = Flatbuffer(bytes(data), "")
    subgraph = file.root(b"TFL3").read(tflite_schema.MODEL["subgraphs"])[0]
    start, count = file.vector(subgraph._where(tflite_schema.SUBGRAPH["tensors"].index), 4)
    wide_table = file.follow(start + 4)
    for entry in range(start + 8, start + 4 * count, 4):
        struct.pack_into("<I", data, entry, wide_table - entry)
    tracemalloc.start()
    refused = outcome(bytes(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "overlap" in str(refused)
    assert peak < 12 * len(data)


@pytest.mark.parametrize("claimed", (2**31, 2**32 - 1, 2**20))
def test_a_vector_that_claims_more_than_the_file_is_refused(claimed: int) -> None:
    data = bytearray(flatbuffer([(Slot(0, "int32[]"), (1, 2, 3))], b"TEST"))
    start = data.rindex(struct.pack("<4i", 3, 1, 2, 3))
    struct.pack_into("<I", data, start, claimed)
    with pytest.raises(ModelError, match="damaged or cut short"):
        Flatbuffer(bytes(data), "m").root(b"TEST").read(Slot(0, "int32[]"))


def test_overlapping_vectors_are_refused_once_they_exceed_the_file() -> None:
    file = Flatbuffer(flatbuffer([(Slot(0, "int32[]"), (7,) * 100)], b"TEST"), "m")
    table = file.root(b"TEST")
    with pytest.raises(ModelError, match="overlap"):
        for _ in range(10):
            table.read(Slot(0, "int32[]"))
