"""docs/settings.md is what its script prints from the Settings class, whatever the environment holds."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from ai_assets.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def _printed() -> str:
    return str(runpy.run_path(str(DOCS / "print_settings.py"))["page"]())


def test_the_settings_page_is_what_the_script_prints() -> None:
    written = (DOCS / "settings.md").read_text("utf-8")
    assert written == _printed(), "run: .venv/bin/python docs/print_settings.py > docs/settings.md"


def test_the_page_has_one_row_for_each_setting() -> None:
    rows = [line.split("|")[1].strip(" `") for line in _printed().splitlines() if line.startswith("| `")]
    assert [
        row for row in rows if row in {str(f.validation_alias) for f in Settings.model_fields.values()}
    ] == [str(field.validation_alias) for field in Settings.model_fields.values()]


def test_the_page_says_the_bounds_of_plain_and_optional_numbers() -> None:
    rows = {
        line.split("|")[1].strip(" `"): line for line in _printed().splitlines() if line.startswith("| `")
    }
    assert "| ≥ 1, ≤ 1,000,000 |" in rows["AI_RATE_PER_MINUTE"]
    assert "| > 0, ≤ 1 |" in rows["AI_BATCH_RATE_SHARE"]
    assert "| unset | ≥ 1, ≤ 1,000,000,000,000,000 |" in rows["AI_MONTHLY_TOKENS"]


def test_the_environment_does_not_show_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _printed()
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-must-not-show")
    monkeypatch.setenv("AI_RATE_PER_MINUTE", "12")
    assert _printed() == before
