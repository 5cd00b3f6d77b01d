"""Pictures: well-formed whatever names say, to scale, and telling what there is to tell."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from refsim.memsim.occupancy import Layer, of_plan, of_program
from refsim.memsim.picture import HEIGHT, Scene, plan_svg, program_svg, scenes_svg
from refsim.memsim.plan import LiveRange, Plan
from refsim.memsim.program import Program
from refsim.memsim.svg import steps_of

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>\"'&]]>\x00\x1b[31m\n\ud800\u202e"


def titles(svg: str) -> list[str]:
    return [title.text or "" for title in ElementTree.fromstring(svg).iter(f"{SVG}title")]


def renamed(program: Program, name: str) -> Program:
    """Everything that a model names is called so."""
    graph = program.graph
    tensors = tuple(replace(t, name=f"{name}{i}") for i, t in enumerate(graph.tensors))
    nodes = tuple(replace(node, name=name) for node in graph.nodes)
    buffers = tuple(replace(b, name=f"{name}{i}") for i, b in enumerate(program.buffers))
    return replace(program, graph=replace(graph, tensors=tensors, nodes=nodes, name=name), buffers=buffers)


def test_every_tensor_is_named_under_the_pointer_with_bytes_offset_and_layers(streamed: Program) -> None:
    svg = program_svg(streamed, "streamed")
    held = (streamed.inputs[0], next(streamed.steps()).writes[0], streamed.outputs[0])
    for view in held:
        name, nbytes = streamed.graph.tensors[view.tensor].name, streamed.buffers[view.buffer].nbytes
        said = [t for t in titles(svg) if t.startswith(f"{name}: ")]
        assert said
        assert all(f"{nbytes:,} bytes at offset {streamed.address(view):,}, layers " in t for t in said)
    assert any("ring of 3 rows of 10" in t for t in titles(svg))
    assert "row by row" in svg
    assert f"arena {streamed.arena_bytes:,} bytes" in svg


@pytest.mark.parametrize("name", [HOSTILE, "a" * 100_000, "", "模型"])
def test_names_can_do_no_harm(streamed: Program, name: str) -> None:
    svg = program_svg(renamed(streamed, name), name)
    ElementTree.fromstring(svg.encode())
    assert "<script" not in svg
    assert not re.search(r"[\x00-\x08\x0b-\x1f\ud800-\udfff\u202a-\u202e]", svg)
    assert len(svg) < 200_000


def test_rectangles_are_to_scale() -> None:
    plan = Plan((LiveRange("low", 25, 0, 0), LiveRange("high", 75, 0, 1)), (0, 24))
    tree = ElementTree.fromstring(plan_svg(plan, "x"))
    boxes = {}
    for group in tree.iter(f"{SVG}g"):
        box, title = group.find(f"{SVG}rect"), group.find(f"{SVG}title")
        if box is not None and title is not None and " bytes at " in (title.text or ""):
            boxes[(title.text or "").split(":")[0]] = [float(box.get(k, "nan")) for k in ("x", "width", "height", "y")]
    (x0, w0, h0, y0), (x1, w1, h1, y1) = boxes["low"], boxes["high"]
    assert (x0, w1) == pytest.approx((x1, 2 * w0), abs=0.2)
    assert (h0 / HEIGHT, h1 / HEIGHT) == pytest.approx((25 / plan.nbytes, 75 / plan.nbytes), abs=0.001)
    assert y1 < y0


def test_full_colour_covers_exactly_what_is_in_use(streamed: Program) -> None:
    """The area of the paths is that of the bytes in use over time."""
    found = of_program(streamed)
    tree = ElementTree.fromstring(program_svg(streamed, "x"))
    area = 0.0
    for path in tree.iter(f"{SVG}path"):
        for x, y, right, bottom in re.findall(r"M([\d.]+) ([\d.]+)H([\d.]+)V([\d.]+)H", path.get("d", "")):
            area += (float(right) - float(x)) * (float(bottom) - float(y))
    whole = 1040 * HEIGHT
    assert area / whole == pytest.approx(found.used.mean() / found.nbytes, abs=0.003)


def test_tensors_in_the_same_bytes_at_once_are_hatched_and_named() -> None:
    layers = (Layer("l0", "conv2d"), Layer("l1", "conv2d"))
    clash = Plan((LiveRange("one", 64, 0, 1), LiveRange("two", 64, 1, 1)), (0, 32))
    apart = Plan((LiveRange("one", 64, 0, 1), LiveRange("two", 64, 1, 1)), (0, 64))
    drawn = [scenes_svg([Scene("x", of_plan(plan, layers))]) for plan in (clash, apart)]
    assert "'one' and 'two' in the same 32 bytes at once" in titles(drawn[0])
    assert not any("at once" in title for title in titles(drawn[1]))


def test_plans_side_by_side_have_one_scale() -> None:
    small, large = (Plan((LiveRange("t", n, 0, 0),), (0,)) for n in (1000, 4000))
    svg = scenes_svg([Scene("small", of_plan(small, ())), Scene("large", of_plan(large, ()))])
    heights = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        box, title = group.find(f"{SVG}rect"), group.find(f"{SVG}title")
        if box is not None and title is not None and " bytes at " in (title.text or ""):
            heights.append(float(box.get("height", "nan")))
    assert heights == pytest.approx([HEIGHT / 4, HEIGHT], abs=0.2)


def test_the_same_program_gives_the_same_bytes(streamed: Program) -> None:
    assert program_svg(streamed, "x") == program_svg(streamed, "x")


@pytest.mark.parametrize("plan", [Plan((), ()), Plan((LiveRange("none", 0, 0, 0),), (0,))])
def test_empty_plans_can_be_drawn(plan: Plan) -> None:
    ElementTree.fromstring(plan_svg(plan, "empty"))


@pytest.mark.parametrize("nbytes", [1, 7, 100, 1999, 2048, 5000, 65_536, 10**6, 10**8])
def test_axes_have_a_few_round_marks(nbytes: int) -> None:
    step, unit = steps_of(nbytes)
    assert 1 <= nbytes // step <= 6 or nbytes < 6
    assert step % unit == 0 or unit % step == 0
