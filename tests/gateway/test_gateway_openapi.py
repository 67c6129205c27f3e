"""OpenAPI is right: schemathesis sends what the document allows and what it does not, and finds nothing.

On its own a subprocess of the schemathesis command line: its own configuration, its own hypothesis.
"""

from __future__ import annotations

import json
import re
import shutil
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


def test_the_page_about_the_gateway_loads_and_reaches_this_gateway_alone(gateway):
    page = gateway.get("/docs", token=None)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert {address for address in loaded if ":" in address or address.startswith("/")} == {"data:,"}
    for address in loaded:
        if address != "data:,":
            assert gateway.get(f"/{address}", token=None).status == 200
    policy = page.headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("script-src") == "'self'"
    assert rules.pop("connect-src") == "'self'"
    assert not any("http" in rule or "*" in rule for rule in rules.values())


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt install chromium")
def test_in_a_browser_the_page_works_under_its_policy_and_asks_no_other_host(gateway):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # root has no sandbox of its own
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{gateway.url}/docs")
        page.get_by_role("button", name="Authorize").click()
        page.get_by_label("Value").or_(page.locator("input[type=text], input[type=password]")).first.fill(
            gateway.token()
        )
        page.locator(".auth-btn-wrapper button[type=submit]").click()
        page.locator(".auth-btn-wrapper .btn-done").click()
        page.locator("#operations-events-follow_events__job_id__get button").first.click()
        page.get_by_role("button", name="Try it out").click()
        page.locator(".parameters input").first.fill("1")
        page.get_by_role("button", name="Execute").click()
        # the token reached the gateway: it is no 401
        page.locator(".live-responses-table .response-col_status", has_text="404").first.wait_for()
        browser.close()
    assert {address for address in asked if not address.startswith((gateway.url, "data:", "blob:"))} == set()
    assert not [complaint for complaint in complaints if "404" not in complaint]


@pytest.mark.parametrize("address", ["/docs", "/openapi.json"])
def test_how_to_use_it_can_be_read_without_a_token(gateway, address):
    assert gateway.get(address, token=None).status == 200
