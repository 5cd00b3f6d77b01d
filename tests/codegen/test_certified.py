from __future__ import annotations

import pytest

from codegen import analysis
from codegen.analysis import analyze, as_json
from codegen.build import certified, make_program
from refsim import zoo
from refsim.errors import ToolchainError


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str | None) -> None:
        raise ToolchainError("none here")

    monkeypatch.setattr(analysis.toolchains, "find", none)


@pytest.mark.parametrize("optimize", ["latency", "sram"])
def test_the_exact_planner_betters_any_program_and_the_result_verifies(optimize: str) -> None:
    program = make_program(zoo.load("ds-cnn"), optimize=optimize)
    best, proof = certified(program)
    best.verify()
    assert proof.lower_bound <= proof.nbytes == best.arena_bytes <= program.arena_bytes


def test_a_wasteful_plan_is_replaced_by_the_proven_optimum() -> None:
    wasteful = make_program(zoo.load("mcunet-in0"), planner="linear", transforms="none")
    best, proof = certified(wasteful)
    assert proof.proven
    assert best.arena_bytes == best.placed.lower_bound < 0.25 * wasteful.arena_bytes


def test_analysis_tells_lower_bound_gap_and_proof_in_json_and_in_its_remarks(no_compiler: None) -> None:
    graph = zoo.load("ds-cnn")
    exact = analyze(graph, runtimes=["refsim"], planner="optimal")
    detail = as_json(exact)["memory_detail"]["refsim"]
    assert (detail["gap"], detail["proven"]) == (0.0, True)
    assert detail["lower_bound"] == detail["arena"]
    (remark,) = exact.needs["refsim"].notes
    assert remark.startswith(f"planner optimal: {detail['arena']:,} bytes, proven optimal, ")
    plain = analyze(graph, runtimes=["refsim"])
    assert "proven" not in as_json(plain)["memory_detail"]["refsim"]
    assert plain.needs["refsim"].notes == ()


def test_the_planner_that_was_asked_for_makes_the_plan(no_compiler: None) -> None:
    graph = zoo.load("mcunet-in4")
    sram = {
        p: analyze(graph, runtimes=["refsim"], transforms="none", planner=p).needs["refsim"].sram
        for p in ("smallest", "linear")
    }
    assert sram["smallest"] < sram["linear"]
