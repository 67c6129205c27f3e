"""What an operator does in the Dagster UI, in a real browser: a red cell, a click on Materialize, a green cell.

Needs Chromium (Debian's package `chromium`); without it these tests are skipped and say so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import create_engine

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CELL = "1001:hallA|this_month"
PATIENCE_MS = 180_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt install chromium")


@pytest.fixture
def page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # root has no sandbox of its own
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1500, "height": 1000})
        opened.set_default_timeout(PATIENCE_MS)
        yield opened
        browser.close()


def test_a_red_cell_is_materialized_by_a_click_and_turns_green(
    serve, ai_assets, venue_environment, waiting, simulator, page, tmp_path
):
    simulator.configure("app2a", kind="data_inspection", fail=1.0)
    port = waiting.free_port()
    service = serve("up", "--port", str(port))
    dagster = create_engine(venue_environment["DAGSTER_POSTGRES_URL"])

    def runs(status: str) -> list[Any]:
        with dagster.connect() as connection:
            if connection.exec_driver_sql("select to_regclass('runs')").scalar_one() is None:
                return []
            return list(connection.exec_driver_sql(f"select 1 from runs where status = '{status}'"))

    # the sensor found the venue's batches: each site's run has failed cells
    waiting.wait_for("the sites' runs", lambda: len(runs("FAILURE")) >= 2, service)
    simulator.reset()

    page.goto(f"http://127.0.0.1:{port}/assets/app2_finance?view=partitions&partition={quote(CELL)}")
    page.get_by_text("failed, and did not materialize this asset").wait_for()
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="Launch 1 run").click()
    waiting.wait_for("the run of the click", lambda: runs("SUCCESS"), service)
    dagster.dispose()

    page.goto(f"http://127.0.0.1:{port}/assets/app2_finance?view=partitions&partition={quote(CELL)}")
    page.get_by_text("Latest materialization").wait_for()
    page.get_by_text("ai-assets explain").first.wait_for()
    assert page.get_by_text("failed, and did not materialize this asset").count() == 0
    assert simulator.stats()["total"] == 1

    page.goto(f"http://127.0.0.1:{port}/assets/app2_finance?view=checks&checkDetail=numbers_are_grounded")
    page.get_by_text(CELL, exact=True).first.wait_for()
    page.get_by_text("Passed", exact=True).first.wait_for()

    report = tmp_path / "day.html"
    assert ai_assets("report", "--day", "today", "--out", str(report)).returncode == 0
    page.goto(report.as_uri())
    page.get_by_text("Finance insights: 72 cells of each site").wait_for()
    assert page.get_by_text("content_filtered").count() >= 1
