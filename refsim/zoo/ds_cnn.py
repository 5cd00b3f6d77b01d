"""DS-CNN, keyword spotting by depthwise separable convolutions (Zhang et al., arXiv:1711.07128).

"ds-cnn" is MLPerf Tiny's: layers and shapes of mlcommons/tiny @1afd2c9,
keyword_spotting/trained_models/kws_ref_model.tflite. "ds-cnn-s", "-m" and "-l" are the paper's three sizes, as their
training commands give them (ARM-software/ML-zoo @fec0bb5, models/keyword_spotting/ds_cnn_*/model_package_tf).
The weights are seeded, so none recognises anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from refsim.builder import Builder, seeded_values, seeded_weights
from refsim.graph import Graph, Tensor
from refsim.quantize import quantize
from refsim.zoo.calibration import calibrated

INPUT = (1, 49, 10, 1)  # frames of 20 ms, MFCC coefficients
CLASSES = 12  # ten words, silence, unknown
MLPERF = "ds-cnn"
SEED = 171107128
SAMPLES = 8


@dataclass(frozen=True, slots=True)
class Size:
    """Channels, blocks, and the strides of the first convolution and of the first depthwise layer."""

    filters: int
    blocks: int
    stride: tuple[int, int] = (2, 2)
    depthwise_stride: int = 1


SIZES = {
    MLPERF: Size(64, 4),
    "ds-cnn-s": Size(64, 4),
    "ds-cnn-m": Size(172, 4, (2, 1), 2),
    "ds-cnn-l": Size(276, 5, (2, 1), 2),
}


def build(name: str, resolution: int | None = None) -> Graph:
    """The network in int8, calibrated on seeded noise over the whole input range, which `refsim run` feeds it too."""
    if name != MLPERF:
        return calibrated(float_graph(name))
    return quantize(float_graph(name), [seeded_values(INPUT, (SEED, n)) for n in range(SAMPLES)])


def float_graph(name: str = MLPERF, resolution: int | None = None) -> Graph:
    """The same network in float32."""
    size, seed = SIZES[name], SEED if name == MLPERF else crc32(name.encode())
    b = Builder(name, seed)
    x = b.input(INPUT, name="mfcc")
    x = b.conv2d(x, size.filters, (10, 4), stride=size.stride, activation="relu")
    for n in range(size.blocks):
        x = b.depthwise_conv2d(x, 3, stride=size.depthwise_stride if n == 0 else 1, activation="relu")
        x = b.conv2d(x, size.filters, 1, activation="relu")
    return b.build(_classified(b, x, seed))


def _classified(b: Builder, x: Tensor, seed: int) -> Tensor:
    filters = x.shape[3]
    x = b.average_pool_2d(x, (x.shape[1], x.shape[2]))
    x = b.reshape(x, (1, filters))
    x = b.fully_connected(x, weights=seeded_weights((CLASSES, filters), seed, fan_in=filters // 16))  # classes differ
    return b.softmax(x)
