"""Makes the pictures in docs/images from a running `make demo`: python docs/screenshots.py --simulator URL.

It shows real answers that err: it tells the demo's simulator to answer two cells with false figures and one with no
JSON, makes those cells by Dagster's own GraphQL, takes its pictures with headless Chromium (Debian's package
`chromium`), and makes the cells anew. Needs the demo's simulator: its address is in the demo's first lines.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

IMAGES = Path(__file__).resolve().parent / "images"
SITE = 1001
GREEN, AMBER, RED = (f"{SITE}:{area}|this_month" for area in ("hallA", "hallB", "vip"))
UNREADABLE = f"{SITE}:ktv|this_month"
GROUPS = ("warehouse", "venue", "finance", "members", "assistants")
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
LONGEST_RUN_S = 180
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message } }
}
"""
_STATUS = "query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


class Demo:
    """A running demo: its Dagster UI, and the simulator that its apps are."""

    def __init__(self, ui: str, simulator: str) -> None:
        self.ui = ui.rstrip("/")
        self.simulator = simulator.rstrip("/").removesuffix("/api/v1")

    def make(self, cell: str, *, forced: bool) -> str:
        """Materialize a cell of app2_finance and wait for the run's end; its status."""
        area, window = cell.split("|")
        params = {
            "selector": {
                "repositoryLocationName": self._location(),
                "repositoryName": "__repository__",
                "pipelineName": "site_insights",
            },
            "mode": "default",
            "runConfigData": {"ops": {"app2_finance": {"config": {"forced": forced}}}},
            "executionMetadata": {
                "tags": [
                    {"key": "dagster/partition", "value": cell},
                    {"key": "dagster/partition/area", "value": area},
                    {"key": "dagster/partition/time", "value": window},
                ]
            },
        }
        launched = self._graphql(_LAUNCH, params=params)["launchRun"]
        if "run" not in launched:
            raise SystemExit(f"{cell} could not be made: {launched}")
        ends = time.monotonic() + LONGEST_RUN_S
        while time.monotonic() < ends:
            status = self._graphql(_STATUS, id=launched["run"]["runId"])["runOrError"]["status"]
            if status in ENDED:
                return str(status)
            time.sleep(1)
        raise SystemExit(f"the run for {cell} did not end within {LONGEST_RUN_S} s")

    @contextmanager
    def erring(self, kind: str) -> Iterator[None]:
        """App2a answers every request with `kind` (`ai-assets simulate --help`)."""
        self._control({"app": "app2a", "kind": kind})
        try:
            yield
        finally:
            self._control({"app": "app2a", "fail": 0})

    def _control(self, values: dict[str, Any]) -> None:
        _post(f"{self.simulator}/control", values)

    def _graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = _post(f"{self.ui}/graphql", {"query": query, "variables": variables})
        if answer.get("errors"):
            raise SystemExit(f"Dagster refused: {answer['errors'][0]['message']}")
        return dict(answer["data"])

    def _location(self) -> str:
        found = self._graphql("{ workspaceOrError { ... on Workspace { locationEntries { name } } } }")
        return str(found["workspaceOrError"]["locationEntries"][0]["name"])


def _post(url: str, values: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310  # an address that the caller typed
        url, json.dumps(values).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
        return dict(json.load(reply))


class Camera:
    """A page of headless Chromium."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def take(
        self,
        url: str,
        name: str,
        *,
        wait_for: str,
        size: tuple[int, int] = (1500, 950),
        press: Sequence[str] = (),
    ) -> None:
        """Write the page to docs/images/`name`.png, once it shows `wait_for` and each text of `press` was clicked."""
        self._page.set_viewport_size({"width": size[0], "height": size[1]})
        self._page.goto(url)
        self._page.get_by_text(wait_for).first.wait_for()
        for label in press:
            self._page.get_by_text(label, exact=True).first.click()
        # plots and layouts are drawn a moment later
        self._page.wait_for_timeout(3000)
        target = IMAGES / f"{name}.png"
        self._page.screenshot(path=target)
        print(f"{target.relative_to(IMAGES.parent.parent)}: {url}")


@contextmanager
def camera_of(chromium: str) -> Iterator[Camera]:
    """A camera; Chromium ends with it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield Camera(browser.new_page())
        browser.close()


def main() -> None:
    """Take all pictures."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--ui", default="http://127.0.0.1:3000", help="Dagster's UI")
    options.add_argument("--simulator", required=True, help="the demo's simulator, http://127.0.0.1:PORT")
    options.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    given = options.parse_args()
    if shutil.which(given.chromium) is None:
        sys.exit(f"there is no {given.chromium}: install Debian's package chromium, or give --chromium")
    IMAGES.mkdir(exist_ok=True)
    demo = Demo(given.ui, given.simulator)
    with camera_of(shutil.which(given.chromium) or given.chromium) as camera:
        _take_all(demo, camera)


def _take_all(demo: Demo, camera: Camera) -> None:
    asset = f"{demo.ui}/assets/app2_finance"

    def check(name: str, picture: str, cell: str, *press: str) -> None:
        camera.take(
            f"{asset}?view=checks&checkDetail={name}", picture, wait_for=cell, size=(1500, 1000), press=press
        )

    demo.make(GREEN, forced=True)
    check("numbers_are_grounded", "check-green", GREEN)
    with demo.erring("wrong_figure"):
        demo.make(AMBER, forced=True)
    check("numbers_are_grounded", "check-amber", AMBER)
    with demo.erring("wrong_figures"):
        demo.make(RED, forced=True)
    check("numbers_are_grounded", "check-red", RED)
    with demo.erring("not_json"):
        demo.make(UNREADABLE, forced=True)
    check("reply_matches_schema", "check-unreadable", UNREADABLE)
    cells = f"{asset}?view=partitions&partition="
    camera.take(cells + quote(UNREADABLE), "partitions", wait_for="did not materialize")
    camera.take(cells + quote(GREEN), "metadata", wait_for="ai-assets explain", size=(1500, 1500))
    groups = ",".join(f"global@global:{group}" for group in GROUPS)
    graph = f"{demo.ui}/asset-groups?expanded={quote(groups)}"
    camera.take(graph, "asset-graph", wait_for="app4_analysis", size=(2400, 1500))
    camera.take(f"{demo.ui}/runs", "runs", wait_for="site_insights")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "day.html"
        subprocess.run(  # noqa: S603
            [Path(sys.executable).parent / "ai-assets", "report", "--day", "today", "--out", page], check=True
        )
        camera.take(page.as_uri(), "report", wait_for="By app", size=(1300, 1500))
    for cell in (AMBER, RED, UNREADABLE):
        demo.make(cell, forced=True)


if __name__ == "__main__":
    main()
