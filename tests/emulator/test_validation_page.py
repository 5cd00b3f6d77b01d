from __future__ import annotations

import json
from pathlib import Path

import pytest

from refsim import cli

pytestmark = pytest.mark.toolchain


def test_validate_writes_a_page_and_holds_a_budget(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    status = cli.main(["validate", "--count", "0", "--sram", "16K", "--html", str(page), "--json"])
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (status, err, found["bit_exact"], found["fits"]) == (1, "", True, False)
    assert found["sram"]["available"] == 16 * 1024
    assert found["budget"]["over_sram"] == found["sram"]["total"] - 16 * 1024 > 0
    assert found["budget"]["helps"][0]["what"].startswith("--transforms")
    text = page.read_text()
    assert "Bit-exact" in text
    assert "does not fit" in text
    assert all(f"{layer['cycles']:,}" in text for layer in found["layers"])
    assert text.count("<svg") == 2
    assert "too many for the budget of 16,384 bytes" in text
    assert "<script" not in text


def test_what_fits_has_no_budget_to_talk_about(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "--count", "0", "--sram", "17K", "--flash", "1M", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["budget"] is None
    assert cli.main(["validate", "--count", "0", "--flash", "20K"]) == 1
    out = capsys.readouterr().out
    assert "too many for the budget of 20,480 bytes" in out
    assert "constants take most in layer" in out
    assert out.count("stm32f412") == 1
