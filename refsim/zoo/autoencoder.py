"""The autoencoder of MLPerf Tiny's anomaly detection: five spectrogram frames, squeezed into 8 values and back.

Layers and shapes: mlcommons/tiny @1afd2c9, anomaly_detection/trained_models/ad01_int8.tflite.
"""

from __future__ import annotations

from zlib import crc32

from refsim.builder import Builder
from refsim.graph import Graph
from refsim.zoo.calibration import calibrated

FEATURES = 5 * 128  # frames of 128 mel bands
HIDDEN = (128, 128, 128, 128, 8, 128, 128, 128, 128)


def build(name: str, resolution: int | None = None) -> Graph:
    """The network in int8."""
    return calibrated(float_graph(name))


def float_graph(name: str, resolution: int | None = None) -> Graph:
    """The same network in float32, before calibration."""
    b = Builder(name, crc32(name.encode()))
    x = b.input((1, FEATURES), name="frames")
    for units in HIDDEN:
        x = b.fully_connected(x, units, activation="relu")
    return b.build(b.fully_connected(x, FEATURES))
