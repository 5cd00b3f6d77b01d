"""The trace is what viewers read: slices that nest, a counter, and cycles that sum to the run's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from codegen import toolchain
from emulator import trace
from emulator.model_profiler import ModelProfile, profile_model
from emulator.observed import Observed
from refsim import boards
from refsim.memsim import occupancy
from refsim.zoo import find
from tests.emulator.call_programs import (
    EXPECTED,
    FUNCTIONS,
    PROGRAM,
    Bodies,
    Names,
    encoded,
    image,
    observe,
    programs,
)

Event = dict[str, Any]
NANOSECOND = 0.0011  # us, what rounding may add


def slices(found: dict[str, Any], tid: int) -> list[Event]:
    return [e for e in found["traceEvents"] if e["ph"] == "X" and e["tid"] == tid]


def check_format(found: dict[str, Any]) -> None:
    """The fields that the trace event format asks for, in the types that it asks for."""
    assert isinstance(found["traceEvents"], list)
    for e in found["traceEvents"]:
        assert e["ph"] in ("X", "C", "M") and isinstance(e["name"], str) and isinstance(e["pid"], int)
        assert isinstance(e["args"], dict)
        if e["ph"] != "M":
            assert isinstance(e["ts"], float) and e["ts"] >= 0
        if e["ph"] == "X":
            assert isinstance(e["dur"], float) and e["dur"] >= 0 and isinstance(e["tid"], int)
        if e["ph"] == "C":
            assert all(isinstance(value, int) for value in e["args"].values())


def stacked(events: list[Event]) -> Iterator[tuple[Names, Event]]:
    """(names of the slices around it and its own, event); asserts that slices nest."""
    around: list[Event] = []
    for e in sorted(events, key=lambda e: (e["ts"], -e["dur"])):
        while around and around[-1]["ts"] + around[-1]["dur"] <= e["ts"] + NANOSECOND / 4:
            around.pop()
        if around:
            assert e["ts"] + e["dur"] <= around[-1]["ts"] + around[-1]["dur"] + NANOSECOND
        around.append(e)
        yield tuple(a["name"] for a in around), e


def test_functions_of_firmware_nest_as_they_were_called() -> None:
    seen = observe(image(PROGRAM, FUNCTIONS), "nucleo-l4r5zi")
    found = trace.trace(seen)
    check_format(found)
    told = {names: e["args"]["calls"] for names, e in stacked(slices(found, trace.FUNCTIONS))}
    assert told == {chain: calls for chain, (_, calls) in EXPECTED.items()}
    assert not slices(found, trace.LAYERS)
    assert not [e for e in found["traceEvents"] if e["ph"] == "C"]
    assert found["otherData"]["cycles"] == seen.costs.cycles


@settings(deadline=None, max_examples=30)
@given(programs())
def test_own_cycles_of_any_program_sum_to_the_total_and_callers_hold_what_they_called(bodies: Bodies) -> None:
    seen = observe(image(*encoded(bodies)), "disco-f746ng")
    events = slices(trace.trace(seen), trace.FUNCTIONS)
    assert sum(e["args"]["own_cycles"] for e in events) == seen.costs.units.sum() / 256
    (root,) = (e for e in events if e["name"] == "f0")
    assert root["args"]["cycles"] == seen.costs.units.sum() / 256
    list(stacked(events))


@pytest.fixture(scope="module", params=["latency", "sram"])
def model(request: pytest.FixtureRequest) -> ModelProfile:
    if not any(finder() for finder in toolchain.FINDERS.values()):
        pytest.skip("no compiler is installed")
    board = boards.find("disco-f746ng")
    return profile_model(find("mcunet-vww0"), board, optimize=request.param, follow_calls=True)


@pytest.mark.toolchain
def test_layers_of_a_model_take_the_cycles_of_its_table(model: ModelProfile) -> None:
    assert model.profile.observed is not None
    found = trace.trace(model.profile.observed)
    check_format(found)
    by_layer: dict[str, int] = {}
    for e in slices(found, trace.LAYERS):
        by_layer[e["name"]] = by_layer.get(e["name"], 0) + e["args"]["cycles"]
    assert list(by_layer.values()) == [layer.cycles for layer in model.layers]
    assert sum(by_layer.values()) == model.profile.cycles
    assert all(name.split(" ", 1)[1] == layer.name for name, layer in zip(by_layer, model.layers, strict=True))


@pytest.mark.toolchain
def test_layers_stand_side_by_side_for_the_whole_run_with_their_functions_below(model: ModelProfile) -> None:
    assert model.profile.observed is not None
    found = trace.trace(model.profile.observed)
    layers = slices(found, trace.LAYERS)
    at = 0.0
    for e in layers:
        assert e["ts"] == pytest.approx(at, abs=NANOSECOND)
        at = e["ts"] + e["dur"]
    assert at == pytest.approx(1e6 * model.profile.cycles / 216e6, abs=0.01)
    functions = slices(found, trace.FUNCTIONS)
    list(stacked(functions))
    units = model.profile.observed.costs.units.sum()
    assert sum(e["args"]["own_cycles"] for e in functions) == units / 256
    for e in functions:
        if "_layer_" in e["name"]:
            (layer,) = (o for o in layers if o["ts"] - NANOSECOND <= e["ts"] < o["ts"] + o["dur"] - NANOSECOND)
            assert int(e["name"].split("_layer_")[1][:3]) == int(layer["name"].split()[0])


@pytest.mark.toolchain
def test_counter_is_the_bytes_of_the_plan_at_each_kernel_call(model: ModelProfile) -> None:
    assert model.profile.observed is not None
    stages = model.profile.observed.stages
    events = [e for e in trace.trace(model.profile.observed)["traceEvents"] if e["ph"] == "C"]
    assert [e["args"]["bytes"] for e in events[:-1]] == [stage.live for stage in stages]
    peak = max(e["args"]["bytes"] for e in events)
    assert 0 < peak <= boards.find("disco-f746ng").sram.size
    assert {e["name"] for e in events} == {"SRAM in use"}


@pytest.mark.toolchain
def test_very_many_kernel_calls_are_told_by_layer(model: ModelProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    assert model.profile.observed is not None
    monkeypatch.setattr(trace, "MOST_EVENTS", 10)
    found = trace.trace(model.profile.observed)
    layers = slices(found, trace.LAYERS)
    assert len(layers) == len(model.layers)
    assert sum(e["args"]["cycles"] for e in layers) == model.profile.cycles
    assert sum(e["args"]["kernel_calls"] for e in layers) == len(model.profile.observed.stages)
    units = model.profile.observed.costs.units.sum()
    assert sum(e["args"]["own_cycles"] for e in slices(found, trace.FUNCTIONS)) == units / 256


def test_file_is_the_same_json_a_line_for_each_event() -> None:
    seen = observe(image(PROGRAM, FUNCTIONS), "generic-m4")
    data = trace.as_bytes(seen)
    assert json.loads(data) == json.loads(json.dumps(trace.trace(seen)))
    assert data.count(b"\n") == len(trace.trace(seen)["traceEvents"]) + 2
    assert json.loads(data)["otherData"]["clock_hz"] is None


def test_plan_of_the_stages_is_that_of_the_program() -> None:
    """Kernel calls of `occupancy` are the turns that are run; both count them the same way."""
    from codegen import build
    from refsim.int8ops.numerics import TFLM
    from refsim.memsim.planners import DEFAULT

    program = build.make_program(find("mcunet-vww0"), TFLM, DEFAULT, "sram", None)
    turns = sum(1 for step in program.steps() for _ in step.intervals())
    assert occupancy.of_program(program).used.size == turns


def test_observed_without_calls_is_refused() -> None:
    seen = observe(image(PROGRAM, FUNCTIONS), "generic-m4")
    bare = Observed(seen.name, seen.board, seen.machine, seen.clock, seen.span, seen.functions)
    with pytest.raises(AssertionError):
        trace.trace(bare)
