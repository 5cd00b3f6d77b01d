"""DS-CNN, the keyword spotting network of MLPerf Tiny (Zhang et al., arXiv:1711.07128).

Layers and shapes are those of mlcommons/tiny @1afd2c9, keyword_spotting/trained_models/kws_ref_model.tflite;
the weights are seeded, so it recognises nothing.
"""

from __future__ import annotations

from refsim.builder import Builder, seeded_values, seeded_weights
from refsim.graph import Graph
from refsim.quantize import quantize

INPUT = (1, 49, 10, 1)  # frames of 20 ms, MFCC coefficients
FILTERS = 64
BLOCKS = 4
CLASSES = 12  # ten words, silence, unknown
SEED = 171107128
SAMPLES = 8


def build(name: str, resolution: int | None = None) -> Graph:
    """The network in int8, calibrated on seeded noise over the whole input range, which `refsim run` feeds it too."""
    samples = [seeded_values(INPUT, (SEED, n)) for n in range(SAMPLES)]
    return quantize(float_graph(name), samples)


def float_graph(name: str = "ds-cnn") -> Graph:
    """The same network in float32."""
    b = Builder(name, SEED)
    x = b.input(INPUT, name="mfcc")
    x = b.conv2d(x, FILTERS, (10, 4), stride=2, activation="relu")
    for _ in range(BLOCKS):
        x = b.depthwise_conv2d(x, 3, activation="relu")
        x = b.conv2d(x, FILTERS, 1, activation="relu")
    x = b.average_pool_2d(x, (x.shape[1], x.shape[2]))
    x = b.reshape(x, (1, FILTERS))
    x = b.fully_connected(x, weights=seeded_weights((CLASSES, FILTERS), SEED, fan_in=4))  # wide: classes differ
    return b.build(b.softmax(x))
