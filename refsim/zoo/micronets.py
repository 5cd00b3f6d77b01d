"""MicroNets for keyword spotting and anomaly detection (Banbury et al., MLSys 2021): DS-CNNs with searched widths.

Channels: the paper's Table 5. Lists of KWS and of AD-L and -M by way of a public PyTorch model; AD-S is the list that
gives the operations printed (37.48 M) and the released file's size, like the other two. Input shapes, and a 1x1
convolution as classifier: ARM-software/ML-zoo @fec0bb5, models/*/micronet_*/tflite_int8/definition.yaml. These nets pad
inside their convolutions. The released files keep some RELU6 as nodes of their own; here all are fused.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from refsim.builder import Builder
from refsim.graph import Graph
from refsim.zoo.calibration import calibrated


@dataclass(frozen=True, slots=True)
class Task:
    """Input shape, kernel of the first convolution, classes, and strides of the depthwise layers (1 beyond)."""

    shape: tuple[int, int, int, int]
    kernel: tuple[int, int]
    classes: int
    strides: tuple[int, ...]


KEYWORDS = Task((1, 49, 10, 1), (10, 4), 12, (2,))  # MFCC of 49 frames
ANOMALIES = Task((1, 32, 32, 1), (3, 3), 8, (2, 1, 1, 2, 2))  # log mel spectrogram

NETS: dict[str, tuple[Task, tuple[int, ...]]] = {
    "micronet-kws-l": (KEYWORDS, (276, 248, 276, 276, 248, 248, 248, 248)),
    "micronet-kws-m": (KEYWORDS, (140, 140, 140, 140, 112, 196)),
    "micronet-kws-s": (KEYWORDS, (84, 112, 84, 84, 84, 196)),
    "micronet-ad-l": (ANOMALIES, (276, 248, 276, 276, 248, 248)),
    "micronet-ad-m": (ANOMALIES, (192, 276, 276, 276, 276, 276)),
    "micronet-ad-s": (ANOMALIES, (72, 164, 220, 276, 276)),
}
STRIDES = {"micronet-ad-s": (2, 1, 2, 2)}  # one block fewer


def build(name: str, resolution: int | None = None) -> Graph:
    """The network in int8."""
    return calibrated(float_graph(name))


def float_graph(name: str, resolution: int | None = None) -> Graph:
    """The same network in float32, before calibration."""
    task, (first, *others) = NETS[name]
    strides = STRIDES.get(name, task.strides)
    b = Builder(name, crc32(name.encode()))
    x = b.input(task.shape, name="features")
    x = b.conv2d(x, first, task.kernel, activation="relu6")
    for n, channels in enumerate(others):
        x = b.depthwise_conv2d(x, 3, stride=strides[n] if n < len(strides) else 1, activation="relu6")
        x = b.conv2d(x, channels, 1, activation="relu6")
    x = b.average_pool_2d(x, (x.shape[1], x.shape[2]))
    x = b.conv2d(x, task.classes, 1)
    return b.build(b.reshape(x, (1, task.classes)))
