"""`ai-assets token` and `ai-assets gateway` as processes: made, listed without secrets, revoked; served and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

CLI = str(Path(sys.executable).with_name("ai-assets"))


@pytest.fixture
def command(database_url, tmp_path):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("AI_", "DASHSCOPE_", "DAGSTER_"))}
    environment = {**plain, "AI_DATABASE_URL": database_url, "AI_HOME": str(tmp_path)}

    def run(*arguments: str):
        return subprocess.run(
            [CLI, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    run.environment = environment
    return run


def test_a_token_is_shown_once_listed_without_its_secret_and_revoked(command):
    made = command("token", "create", "web of 1001", "--site", "1001", "--role", "send", "--days", "30")
    token = made.stdout.strip()
    assert (made.returncode, token.startswith("aia_1_")) == (0, True)
    assert "token 1 may send at site 1001" in made.stderr
    (listed,) = json.loads(command("token", "list", "--json").stdout)
    assert (listed["name"], listed["role"], listed["site_ids"]) == ("web of 1001", "send", [1001])
    assert token.split("_", 2)[2] not in command("token", "list").stdout
    assert command("token", "revoke", "1").returncode == 0
    assert json.loads(command("token", "list", "--json").stdout) == []
    assert json.loads(command("token", "list", "--all", "--json").stdout)[0]["revoked_at"]
    gone = command("token", "revoke", "1", "7")
    assert (gone.returncode, "there is no token 7" in gone.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "x"),
        ("create", "x", "--site", "1", "--all-sites"),
        ("create", " ", "--all-sites"),
        ("create", "x", "--site", "0"),
        ("create", "x", "--all-sites", "--role", "root"),
        ("create", "x", "--all-sites", "--days", "0"),
        ("revoke",),
        ("revoke", "x"),
    ],
)
def test_wrong_use_is_2_and_makes_no_token(command, arguments):
    assert command("token", *arguments).returncode == 2
    assert json.loads(command("token", "list", "--all", "--json").stdout) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_gateway_says_where_it_is_and_ends_with_0_at_a_signal(command, number):
    process = subprocess.Popen(
        [CLI, "gateway", "--port", "0"], env=command.environment, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            address = process.stdout.readline().split()[1]
            assert requests.get(f"{address}/healthz", timeout=20).status_code == 200
            port = address.rsplit(":", 1)[1]
            taken = command("gateway", "--port", port)
            assert (taken.returncode, f"port {port}" in taken.stderr) == (2, True)
            process.send_signal(number)
            assert process.wait(20) == 0
        finally:
            process.kill()
