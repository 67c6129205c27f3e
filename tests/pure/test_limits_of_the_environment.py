"""Limits of zero, negative or absurd in the environment: one clear line, exit code 2, before anything is opened."""

from __future__ import annotations

import os
import sys

import pytest

from ai_assets.cli.main import main

WRONG = {
    "AI_RATE_PER_MINUTE": ("0", "-60", "1000000000", "60.5", "many"),
    "AI_BATCH_RATE_SHARE": ("0", "-0.1", "1.01", "nan"),
    "AI_ADMISSION_WAIT_S": ("-1", "1e9", "inf"),
    "AI_BATCH_ADMISSION_WAIT_S": ("-1", "1e9"),
    "AI_DAILY_TOKENS": ("0", "-1", "1e30", "20 million"),
    "AI_MONTHLY_TOKENS": ("0", "-1", "10000000000000000"),
    "AI_SITE_DAILY_TOKENS": ("0", "-1", "10000000000000000"),
    "AI_SITE_MONTHLY_TOKENS": ("0", "-1", "10000000000000000"),
    "AI_BREAKER_WINDOW_S": ("0", "-1", "1e9"),
    "AI_BREAKER_MIN_CALLS": ("0", "-1", "1000000"),
    "AI_BREAKER_FAILURE_SHARE": ("0", "-1", "2"),
    "AI_BREAKER_OPEN_S": ("0", "-1", "1e9"),
    "AI_BREAKER_OPEN_MAX_S": ("0", "-1", "1e9", "59"),
    "AI_BREAKER_PROBES": ("0", "-1", "1000"),
    "AI_ALERT_WINDOW_S": ("-1", "1e9"),
    "AI_STEP_TIMEOUT_S": ("0", "-1", "1e9"),
    "AI_CONCURRENCY": ("0", "-1", "100000"),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_limit_that_no_rule_could_be_held_with_is_one_line_and_exit_code_2(
    monkeypatch, capsys, tmp_path, name, value
):
    for given in list(os.environ):
        if given.startswith(("AI_", "DASHSCOPE_", "DAGSTER_")):
            monkeypatch.delenv(given)
    monkeypatch.setenv("AI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["ai-assets", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    (line,) = told.err.splitlines()
    assert line.startswith("error: wrong settings: ")
    assert name in line
    assert not (tmp_path / "home").exists()
