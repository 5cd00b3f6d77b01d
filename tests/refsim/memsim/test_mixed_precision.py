"""Assignments that the authors' own quant_auto.py answers for MobileNetV1 (facts/systems.md)."""

from __future__ import annotations

import pytest

from refsim.errors import UnsupportedError, UsageError
from refsim.memsim.mixed_precision import Sizes, assign, layer_sizes
from refsim.zoo import find

# network, flash, SRAM: output bits that differ from 8, cuts of weights in order, bytes per layer and per channel
KIB, MIB = 1024, 1024 * 1024
ANSWERS = {
    ("mobilenet-v1-w1.0@224", 2_048_000, 512_000): (
        {0: 4, 1: 4, 2: 2, 4: 4, 5: 4, 6: 4},
        (26, 27, 24, 26, 27, 14, 16, 18, 20),
        (1_939_504, 1_984_884),
    ),
    ("mobilenet-v1-w0.75@224", 2_048_000, 512_000): ({1: 4, 2: 4, 5: 4}, (27, 26), (1_931_272, 1_978_532)),
    ("mobilenet-v1-w0.5@192", 1_024_000, 256_000): ({0: 4, 1: 4, 2: 4, 5: 4}, (27, 26), (962_184, 994_516)),
    ("mobilenet-v1-w0.5@224", 1_024_000, 512_000): ({2: 4}, (27, 26), (961_728, 994_516)),
    ("mobilenet-v1-w0.75@224", 2 * MIB, 512 * KIB): ({1: 4, 2: 4, 5: 4}, (27, 26), (1_931_272, 1_978_532)),
    ("mobilenet-v1-w0.5@192", MIB, 256 * KIB): ({1: 4, 2: 4, 5: 4}, (27, 26), (962_112, 994_516)),
}


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: f"{case[0]} {case[1]} {case[2]}")
@pytest.mark.parametrize(("column", "scheme"), [(0, "per_layer"), (1, "per_channel")])
def test_assignments_of_the_authors(case, column, scheme) -> None:
    network, flash, sram = case
    outputs, cuts, nbytes = ANSWERS[case]
    found = assign(layer_sizes(find(network)), flash, sram, scheme)
    assert {n: bits for n, bits in enumerate(found.outputs) if bits != 8} == outputs
    assert found.cuts == cuts
    assert found.flash == nbytes[column] <= flash
    assert found.sram <= sram


CHAIN = (Sizes("a", 1000, 1000, 4000, 10), Sizes("b", 1000, 800, 4000, 10), Sizes("c", 800, 100, 4000, 10))


def test_with_room_nothing_is_cut() -> None:
    found = assign(CHAIN, 100_000, 100_000)
    assert (set(found.outputs), set(found.weights), found.cuts) == ({8}, {8}, ())


def test_an_input_is_cut_on_the_way_back() -> None:
    """The last layer keeps its output; what it reads is halved, which is the middle layer's output."""
    last_too_large = (Sizes("a", 10, 10, 1, 1), Sizes("b", 10, 1000, 1, 1), Sizes("c", 1000, 10, 1, 1))
    assert assign(last_too_large, 10_000, 600).outputs == (8, 4, 8)


def test_of_large_layers_the_first_is_cut() -> None:
    assert assign(CHAIN, 12_100, 100_000).cuts == (0,)


def test_what_two_bits_cannot_fit_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="layer 'a' needs 1250 bytes of SRAM at 2 bits"):
        assign(CHAIN, 100_000, 1_200)
    with pytest.raises(UnsupportedError, match="the weights need 3290 bytes of flash at 2 bits, and 3000 are given"):
        assign(CHAIN, 3_000, 100_000)


def test_unknown_schemes_are_refused() -> None:
    with pytest.raises(UsageError, match="scheme 'x' is not known: expected one of per_layer, per_channel"):
        assign(CHAIN, 1, 1, "x")
