from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest

Table = Mapping[tuple[str, str], Mapping[str, str]]  # (network, runtime) -> the row


@pytest.fixture(scope="session")
def table3(root: Path) -> Table:
    """Table 3 of arXiv:2403.19076 as printed; cells are empty where it says OOM."""
    with (root / "golden/measured/table3.csv").open() as file:
        return {(row["model"], row["runtime"]): row for row in csv.DictReader(file)}
