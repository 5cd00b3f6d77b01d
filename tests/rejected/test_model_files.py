"""Paths and files that hold no model, each with its one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from refsim.errors import ModelError, UnsupportedError
from refsim.importers import load
from refsim.importers.tflite import read_tflite
from tests.refsim.importers.tflite_writer import TINY


def refused(data: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        read_tflite(data, "m")
    return str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "no.tflite")
    assert str(caught.value) == f"there is no model file '{tmp_path}/no.tflite'; expected the path of a .tflite file"


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"'{tmp_path}' is a folder; expected the path of a .tflite file"


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "pipe")
    assert str(caught.value) == f"'{tmp_path}/pipe' is not a regular file; expected the path of a .tflite file"


def test_file_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "big.tflite").open("wb") as file:
        file.truncate(2**31 + 1)
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "big.tflite")
    assert str(caught.value) == (
        f"'{tmp_path}/big.tflite' has 2147483649 bytes; expected a .tflite file of at most 2147483648"
    )


@pytest.mark.parametrize("name", ("a\0b.tflite", "x" * 5000))
def test_names_that_no_file_system_takes(name: str) -> None:
    with pytest.raises(ModelError, match="expected the path of a"):
        load(name)


def test_onnx(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x08\x07\x12\x07pytorch")
    with pytest.raises(UnsupportedError) as caught:
        load(tmp_path / "net.onnx")
    assert str(caught.value) == (
        f"'{tmp_path}/net.onnx' is an ONNX model, which refsim does not read; convert it to .tflite"
    )


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").touch()
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "m.tflite")
    assert str(caught.value) == "model 'm' is an empty file; expected a .tflite file"


@pytest.mark.parametrize(
    ("data", "shown"),
    ((b"PK\x03\x04\x14\0\0\0\x08\0", r"b'\x14\x00\x00\x00'"), (b"TFL", "b''"), (bytes(4) + b"TFL2", "b'TFL2'")),
)
def test_wrong_identifier(data: bytes, shown: str) -> None:
    assert refused(data) == (
        f"model 'm' is not a TensorFlow Lite model: its bytes 4 to 7 are {shown}, expected b'TFL3';"
        " pass a .tflite file written by tf.lite.TFLiteConverter"
    )


def test_truncated_file() -> None:
    data = bytes(TINY)[:1000]
    sentence = refused(data)
    assert sentence.startswith("model 'm' is damaged or cut short: it refers to ")
    assert sentence.endswith(", and has 1000 in all; convert or copy it again")


def test_only_an_identifier() -> None:
    assert refused(b"\xff\xff\xff\x7fTFL3") == (
        "model 'm' is damaged or cut short: it refers to 4 bytes at offset 2147483647, and has 8 in all;"
        " convert or copy it again"
    )
