"""The house rules that a machine can hold: who imports whom, how large files and functions are, what names mean."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = ("refsim", "codegen", "emulator", "training", "nas")  # each may import itself and those before it
SOURCES = sorted(p for package in ORDER for p in (ROOT / package).rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
VAGUE = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(tree: ast.AST) -> set[str]:
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


def packages(modules: set[str]) -> set[str]:
    return {module.split(".")[0] for module in modules}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_go_one_way(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    later = set(ORDER[ORDER.index(own) + 1 :])
    assert not packages(imported(ast.parse(path.read_text()))) & {*later, "tests", "golden"}


def _top_level(tree: ast.Module) -> ast.Module:
    """What runs at import: no function bodies, no TYPE_CHECKING blocks."""

    class Cut(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.If | None:
            return None if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else node

    return Cut().visit(tree)


def test_no_module_imports_itself_through_others() -> None:
    def module(path: Path) -> str:
        parts = path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    own = {module(path): path for path in SOURCES}
    needs = {m: {i for i in imported(_top_level(ast.parse(p.read_text()))) if i in own} - {m} for m, p in own.items()}
    done: set[str] = set()

    def visit(at: str, trail: tuple[str, ...]) -> None:
        assert at not in trail, " -> ".join([*trail[trail.index(at) :], at])
        if at not in done:
            for other in needs[at]:
                visit(other, (*trail, at))
            done.add(at)

    for each in own:
        visit(each, ())


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_names_say_what_a_file_holds_and_its_docstring_begins_it(path: Path) -> None:
    assert path.stem not in VAGUE
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_an_operator_is_one_stem_everywhere() -> None:
    from refsim.int8ops import operators

    for operator in operators():
        for place in (
            f"refsim/int8ops/{operator}.py",
            f"tests/refsim/int8ops/test_{operator}.py",
            f"golden/reference/{operator}",
        ):
            assert (ROOT / place).exists(), place


def test_every_kernel_has_a_test_on_the_host() -> None:
    kernels = {p.stem for p in (ROOT / "codegen/kernels").glob("*.h") if not p.stem.startswith("rs_")}
    tests = {p.stem.removeprefix("test_") for p in (ROOT / "tests/codegen/kernels").glob("test_*.py")}
    assert kernels
    assert kernels <= tests, kernels - tests


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, contextlib\nfrom refsim.cli import main\n"
        "with contextlib.suppress(SystemExit):\n    main(['--help'])\n"
        "heavy = {'numpy', 'numba', 'unicorn', 'capstone', 'elftools', 'rich', 'jinja2'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "validate" in done.stdout


def test_golden_holds_data_and_tests_hold_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert not [p for p in (ROOT / "golden").rglob("*.py") if "make" not in p.relative_to(ROOT).parts]
