"""OpenAPI is right: schemathesis sends what the document allows and what it does not, and finds nothing.

On its own a subprocess of the schemathesis command line: its own configuration, its own hypothesis.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ai_assets.gateway.problems import MEDIA_TYPE

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
EXAMPLES = 25


def test_schemathesis_finds_nothing(database_url, simulator, start_gateway, app_settings, tmp_path):
    gateway = start_gateway(
        database_url,
        **{"DASHSCOPE_BASE_URL": simulator.base_url, "AI_GATEWAY_RUNS": 200, **app_settings},
    )
    # something to find, so that what is there is asked for too
    gateway.cached("555")
    gateway.alert()
    done = subprocess.run(
        [
            SCHEMATHESIS,
            "run",
            f"{gateway.url}/openapi.json",
            "--header",
            f"Authorization: Bearer {gateway.token()}",
            "--max-examples",
            str(EXAMPLES),
            "--seed",
            "6",
            "--no-color",
            "--phases",
            "examples,coverage,fuzzing",
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
    # it was at every address, and reached what is behind the door
    page = gateway.get("/metrics", token=None).body.decode()
    routes = gateway.get("/openapi.json", token=None).body["paths"]
    assert [route for route in routes if f'route="{route}"' not in page] == []
    assert 'route="/events",status="202"' in page


def test_every_error_is_documented_as_a_problem(gateway):
    document = gateway.get("/openapi.json", token=None).body
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == [MEDIA_TYPE], (path, method, status)
    assert "HTTPValidationError" not in json.dumps(document)


@pytest.mark.parametrize("address", ["/docs", "/openapi.json"])
def test_how_to_use_it_can_be_read_without_a_token(gateway, address):
    assert gateway.get(address, token=None).status == 200
