"""A small venue prompt, in the form of the real ones, for tests that need no Postgres."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

DATA = Path(__file__).parent.parent / "data" / "grounding"


@pytest.fixture(scope="session")
def prompts() -> dict[str, str]:
    """The labelled set's prompts by id: made by the real builders."""
    lines = (DATA / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row["prompt"] for row in map(json.loads, lines)}


@pytest.fixture(scope="session")
def finance(prompts: dict[str, str]) -> str:
    """App2's prompt of site 1001 for June 2026 to the 17th; 净收入 394838.58, before 511201.05, -22.8 %."""
    return prompts["app2-1001-this_month-all"]


@pytest.fixture(scope="session")
def member(prompts: dict[str, str]) -> str:
    """App3's prompt of member 550: 25 visits, 2441.56 yuan, 大厅A区 21 orders (84.4 %)."""
    return prompts["app3-1001-550"]
