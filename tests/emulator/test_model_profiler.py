"""A model's generated code is run once, and its cycles told apart by layer, by function and by cause."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from codegen import toolchain
from emulator import inference, model_profiler
from emulator.model_profiler import ModelProfile, profile_model
from emulator.validation import validate
from refsim import boards
from refsim.builder import Builder
from refsim.graph import Graph
from refsim.zoo import find

pytestmark = pytest.mark.toolchain
M4 = boards.find("nucleo-l4r5zi")
NAMES = ("zig", "gcc")


def small(name: str = "small") -> Graph:
    """A convolution, a depthwise one and a classifier: what ds-cnn has, in little."""
    b = Builder(name, seed=3)
    x = b.conv2d(b.input((1, 12, 8, 4), quant=(0.05, 3)), 8, 3, activation="relu6", quant=(0.04, -100))
    x = b.depthwise_conv2d(x, 3, quant=(0.03, 5))
    x = b.average_pool_2d(x, (12, 8))
    return b.build(b.softmax(b.fully_connected(b.reshape(x, (1, 8)), 4, quant=(0.1, 0))))


@pytest.fixture(scope="module", params=NAMES)
def compiler(request: pytest.FixtureRequest) -> str:
    if toolchain.FINDERS[request.param]() is None:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture(scope="module")
def found(compiler: str) -> ModelProfile:
    return profile_model(small(), M4, toolchain=compiler)


def test_layers_functions_and_causes_each_sum_to_the_whole(found: ModelProfile) -> None:
    whole = found.profile
    assert whole.cycles > whole.instructions > 10_000
    assert sum(layer.cycles for layer in found.layers) == whole.cycles
    assert sum(f.cycles for f in whole.functions) == whole.cycles == sum(whole.by_cause.values())
    assert sum(layer.instructions for layer in found.layers) == whole.instructions
    assert sum(f.instructions for f in whole.functions) == whole.instructions
    assert sum(f.share for f in whole.functions) == pytest.approx(1)


def test_every_layer_is_a_function_of_its_name_and_takes_a_little_more_than_it(found: ModelProfile) -> None:
    """Its cycles are also those of what it calls, and of the call itself."""
    layers = {f.name: f.cycles for f in found.profile.functions if "_layer_" in f.name}
    assert len(layers) == len(found.layers)
    for n, layer in enumerate(found.layers):
        own = layers[f"small_layer_{n:03d}_{layer.op}"]
        assert own < layer.cycles
        assert layer.cycles - own < 100 or layer.op == "softmax"


@pytest.mark.parametrize("optimize", ["latency", "sram"])
def test_cycles_are_those_that_validate_counts_for_the_same_input(compiler: str, optimize: str) -> None:
    """Its first input is that of the seed."""
    graph = find("ds-cnn")
    mine = profile_model(graph, M4, toolchain=compiler, optimize=optimize, seed=4)
    report = validate(graph, M4, toolchain=compiler, optimize=optimize, seed=4, count=1)
    assert (mine.profile.cycles, mine.profile.instructions) == (report.cycles, report.instructions)
    assert mine.layers == report.layers
    assert (mine.macs, mine.toolchain, mine.numerics) == (report.macs, report.toolchain, "tflm")


def test_other_transforms_and_planners_are_run(compiler: str) -> None:
    plain = profile_model(small(), M4, toolchain=compiler, transforms="none", planner="linear")
    streamed = profile_model(small(), M4, toolchain=compiler, transforms="stream")
    assert plain.profile.instructions < streamed.profile.instructions


def test_a_wrong_answer_is_a_note(found: ModelProfile, compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found.profile.notes == ()
    run = inference.execute

    def spoilt(*arguments: object) -> inference.Run:
        answer = run(*arguments)  # type: ignore[arg-type]
        return replace(answer, differences=(inference.Difference(5, 1, 0, 1.0, 2.0),))

    monkeypatch.setattr(inference, "execute", spoilt)
    (note,) = profile_model(small(), M4, toolchain=compiler).profile.notes
    assert note == "1 tensors differ from the reference: 'refsim validate' says which"


def test_json_has_the_keys_of_the_contract(found: ModelProfile) -> None:
    said = json.loads(json.dumps(model_profiler.as_json(found)))
    promised = {"model", "board", "core", "cycles", "cycles_error_pct", "instructions", "by_cause", "functions"}
    assert promised <= said.keys()
    assert "image" not in said
    assert (said["model"], said["board"], said["core"]) == ("small", M4.name, "cortex-m4")
    assert {"name", "op", "macs", "cycles", "instructions"} <= said["layers"][0].keys()
    assert said["latency_ms"] == pytest.approx(1e3 * said["cycles"] / M4.clock_hz)


def test_terminal_shows_layers_functions_and_the_total(found: ModelProfile) -> None:
    out = io.StringIO()
    model_profiler.print_profile(found, Console(file=out, width=140))
    text = out.getvalue()
    for layer in found.layers:
        assert f"{layer.cycles:,}" in text
    assert "small_layer_000_conv2d" in text
    assert f"{found.profile.cycles:,} cycles (± {M4.cycles_error_pct} %)" in text
    assert f"built by {found.toolchain}, numerics tflm" in text


def test_names_cannot_write_markup(compiler: str) -> None:
    out = io.StringIO()
    evil = profile_model(small("[bold]evil[/]"), M4, toolchain=compiler)
    layers = tuple(replace(layer, name="[red]layer") for layer in evil.layers)
    model_profiler.print_profile(replace(evil, layers=layers), Console(file=out, width=140))
    assert "[bold]evil[/] on nucleo-l4r5zi" in out.getvalue()
    assert "[red]layer" in out.getvalue()
