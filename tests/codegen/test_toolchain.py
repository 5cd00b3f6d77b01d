from __future__ import annotations

from pathlib import Path

import pytest

from codegen import cache, toolchain
from refsim import boards
from refsim.errors import OutputError, ToolchainError, UsageError

SOURCES = {
    "two.h": b"#define TWO 2\n",
    "main.c": b'#include "two.h"\nint other(void);\nint entry(void);\nint entry(void) { return TWO + other(); }\n',
    "other.c": b"int other(void);\nint other(void) { return 40; }\nint unused(void);\nint unused(void) { return 1; }\n",
}
BOARD = boards.find("nucleo-l4r5zi")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of its own for each test."""
    monkeypatch.setattr(toolchain, "folder", lambda: tmp_path)
    monkeypatch.setattr("codegen.cache.folder", lambda: tmp_path)


@pytest.fixture(params=["zig", "gcc"])
def compiler(request: pytest.FixtureRequest) -> toolchain.Toolchain:
    found = toolchain.FINDERS[request.param]()
    if found is None:
        pytest.skip(f"{request.param} is not installed")
    return found


def build(compiler: toolchain.Toolchain, sources: dict[str, bytes] = SOURCES, core: str = "cortex-m4") -> Path:
    return compiler.build(sources, core, toolchain.linker_script(BOARD, "entry"))


@pytest.mark.toolchain
@pytest.mark.parametrize("core", toolchain.GCC_CPU)
def test_every_core_is_built_for_and_unused_functions_go(compiler: toolchain.Toolchain, core: str) -> None:
    from emulator import image

    elf = image.load(build(compiler, core=core))
    assert elf.has("entry")
    assert elf.has("other")
    assert not elf.has("unused")
    assert BOARD.flash.base <= elf.address("entry") < BOARD.flash.end


@pytest.mark.toolchain
def test_the_same_sources_give_the_same_bytes_in_any_folder(
    compiler: toolchain.Toolchain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = build(compiler).read_bytes()
    monkeypatch.setattr("codegen.cache.folder", lambda: tmp_path / "elsewhere")
    assert build(compiler).read_bytes() == one


@pytest.mark.toolchain
def test_objects_are_kept_by_content(compiler: toolchain.Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(compiler)

    def refuse(*words: object) -> None:
        raise AssertionError("compiled again")

    with monkeypatch.context() as patched:
        patched.setattr(toolchain.Toolchain, "_run", refuse)
        assert build(compiler) == first
    changed = {**SOURCES, "two.h": b"#define TWO 3\n"}
    assert build(compiler, changed) != first


@pytest.mark.toolchain
def test_a_refused_source_is_one_sentence(compiler: toolchain.Toolchain) -> None:
    with pytest.raises(ToolchainError, match=r"could not compile main\.c: .*error") as caught:
        build(compiler, {"main.c": b"int entry(void) { return nonsense; }\n"})
    assert "\n" not in str(caught.value)


def test_without_a_compiler_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "FINDERS", {"zig": lambda: None, "gcc": lambda: None})
    with pytest.raises(ToolchainError) as caught:
        toolchain.find()
    assert str(caught.value) == (
        "no C compiler for Cortex-M was found: expected zig or gcc;"
        " install one: pip install 'refsim[toolchain]' (clang), or Debian's package gcc-arm-none-eabi"
    )
    with pytest.raises(ToolchainError, match=r"^toolchain 'gcc' was not found: expected gcc; install one"):
        toolchain.find("gcc")
    with pytest.raises(UsageError, match=r"^toolchain 'icc' is not known: expected one of zig, gcc$"):
        toolchain.find("icc")


def test_gcc_serves_when_it_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = toolchain.Toolchain("gcc", "gcc 12", ("gcc",), ("gcc",), toolchain.GCC_CPU, {})
    monkeypatch.setattr(toolchain, "FINDERS", {"zig": lambda: None, "gcc": lambda: alone})
    assert toolchain.find() is alone


def test_an_environment_variable_overrides_where_a_compiler_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFSIM_GCC", "/opt/arm/bin/gcc --sysroot='/a b'")
    monkeypatch.setenv("REFSIM_ZIG", "python3 -m ziglang")
    assert toolchain._gcc_command() == ("/opt/arm/bin/gcc", "--sysroot=/a b")
    assert toolchain._zig_command() == ("python3", "-m", "ziglang")


def test_a_command_that_does_not_exist_counts_as_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFSIM_GCC", "/nonexistent/gcc")
    toolchain.gcc.cache_clear()
    try:
        assert toolchain.gcc() is None
    finally:
        toolchain.gcc.cache_clear()


def test_zig_is_asked_for_its_version_once_for_a_file_and_again_when_that_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def first_line(command: tuple[str, ...], environment: dict[str, str]) -> str:
        asked.append(command[-1])
        return {"version": "1.0", "--version": "clang 9"}[command[-1]]

    monkeypatch.delenv("REFSIM_ZIG", raising=False)
    monkeypatch.setattr(toolchain, "_first_line", first_line)
    zig = tmp_path / "zig"
    zig.write_text("one")

    def find() -> str | None:
        return toolchain._zig_version((str(zig),), {})

    assert [find(), find(), len(asked)] == ["zig 1.0, clang 9", "zig 1.0, clang 9", 2]
    zig.write_text("another")
    assert [find(), len(asked)] == ["zig 1.0, clang 9", 4]
    for path in tmp_path.glob("objects/*/*.version"):
        path.write_bytes(b"\0\xff")
    assert [find(), len(asked)] == ["zig 1.0, clang 9", 6]
    monkeypatch.setenv("REFSIM_ZIG", str(zig))
    assert [find(), find(), len(asked)] == ["zig 1.0, clang 9", "zig 1.0, clang 9", 10]


@pytest.mark.parametrize("in_the_way", ["objects", "nothing"])
def test_a_zig_that_does_not_answer_counts_as_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_the_way: str
) -> None:
    monkeypatch.delenv("REFSIM_ZIG", raising=False)
    (tmp_path / in_the_way).write_text("a file where the cache wants a folder")
    zig = tmp_path / "zig"
    zig.write_text("no program")
    assert toolchain._zig_version((str(zig),), {}) is None


def pretended(*words: str) -> toolchain.Toolchain:
    return toolchain.Toolchain("gcc", "gcc 12", ("gcc", *words), ("gcc", *words), toolchain.GCC_CPU, {})


def test_arguments_of_a_compiler_given_by_hand_count_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys: list[str] = []
    monkeypatch.setattr(toolchain, "kept", lambda key, suffix, make: keys.append(key) or tmp_path / key)
    for words in ((), ("-O3",)):
        pretended(*words).build({"main.c": SOURCES["main.c"]}, "cortex-m4", "")
    assert len(set(keys)) == len(keys) == 4


def test_a_cache_that_cannot_be_written_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("in the way")
    with pytest.raises(OutputError, match=r"^compiled code cannot be kept in '.*' \(.*\): set REFSIM_CACHE"):
        pretended().build({"main.c": SOURCES["main.c"]}, "cortex-m4", "")


def test_a_relative_compiler_or_cache_holds_from_where_the_user_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REFSIM_GCC", "./bin/gcc -g0")
    assert toolchain._gcc_command() == (str(tmp_path / "bin" / "gcc"), "-g0")
    monkeypatch.setenv("REFSIM_GCC", " ")
    assert toolchain._gcc_command() != ()
    monkeypatch.setenv("REFSIM_CACHE", "here")
    assert cache.folder.__wrapped__() == tmp_path / "here"
