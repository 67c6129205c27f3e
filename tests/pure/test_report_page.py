"""The page of a day: whole in one file, nothing loaded or run, every text escaped, its figures there to read."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest

from ai_assets.cli.report import read_day
from ai_assets.errors import InputError
from ai_assets.report.charts import charts_of
from ai_assets.report.grid import MEANINGS, SIGNS, grids
from ai_assets.report.headline import headline
from ai_assets.report.page import page
from ai_assets.store.day_figures import BreakerChange, Calls, CellState, DayFigures, Events, Failures
from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.windows import WINDOWS

ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 6, 17, 12, tzinfo=ZONE)
CALLS = Calls(
    calls=1234, successes=1200, failures=30, timeouts=4, refusals=7, tokens_in=4_000_000, tokens_out=500_000,
    tokens=4_600_000, estimated=3, cost_cny=Decimal("12.345"), p50_ms=3210.0, p95_ms=9876.0, longest_ms=180_000,
    reused=300,
)  # fmt: skip
EMPTY = DayFigures(
    day=date(2026, 6, 17), zone=ZONE, begins=NOON.replace(hour=0), ends=NOON.replace(day=18, hour=0), total=Calls(),
    by_app={}, by_site={}, by_hour={}, failures=(), events=(), breaker_changes=(), breakers_at_begin={}, alerts={},
    cells=(),
)  # fmt: skip
FULL = replace(
    EMPTY,
    total=CALLS,
    by_app={"app3_clue": CALLS, "app8_consolidation": Calls(reused=5)},
    by_site={1001: CALLS},
    by_hour={9: CALLS, 23: Calls(refusals=2)},
    failures=(Failures("app3_clue", "failed", "<script>alert(1)</script>", 30),),
    events=(Events("consumption", "completed", 400, 2.34), Events("note_created", "failed", 1, None)),
    breaker_changes=(BreakerChange("app6_note", "closed", "open", "6 of 10 & more", "kim", NOON, NOON),),
    breakers_at_begin={"app7_customer": "open", "app3_clue": "closed"},
    alerts={"failed": 14},
    cells=(
        CellState(1001, "this_month__all", "success", None, NOON),
        CellState(1001, "last_month__all", "timeout", "timeout", None),
        CellState(1001, "this_week__hallA", "reused", None, NOON),
        CellState(1001, "last_week__ktv", None, None, NOON.replace(day=1)),
        CellState(1001, "last_week__vip", "refused", "rate_limited", NOON),
        CellState(1002, "this_month__all", "success", None, NOON),
    ),
)


def made(figures: DayFigures = FULL, **how) -> str:
    return page(figures, made_at=NOON, **how)


class Seen(HTMLParser):
    """Elements and attributes of a page, and whether every element that is opened is closed."""

    VOID = frozenset({"meta", "br", "link", "img", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> of nothing"
        assert self.open.pop() == tag


@pytest.mark.parametrize("figures", [EMPTY, FULL], ids=["empty", "full"])
def test_the_page_is_one_whole_file_that_loads_and_runs_nothing(figures):
    text = made(figures)
    seen = Seen(text)
    assert seen.open == []
    assert not {"script", "link", "img", "iframe", "object", "use", "image"} & set(seen.tags)
    assert not [attribute for attribute in seen.attributes if attribute[1].startswith("on")]
    assert not [a for a in seen.attributes if a[1] in ("href", "src", "xlink:href", "action")]
    # what is left of addresses are names of XML's spaces
    assert set(re.findall(r"https?://[^\s\"'<)]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_it_has_a_light_and_a_dark_side_and_is_as_wide_as_what_shows_it():
    text = made()
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport" content="width=device-width' in text
    light, dark = (
        set(re.findall(r"(--[a-z]+):", part)) for part in text.split("prefers-color-scheme: dark")[0:2]
    )
    used = set(re.findall(r"var\((--[a-z]+)\)", text))
    assert used <= light
    assert used <= dark


def test_texts_of_others_are_texts():
    text = made(names={1001: "<b>星河</b>"})
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "6 of 10 &amp; more" in text
    assert "&lt;b&gt;星河&lt;/b&gt;" in text


def test_the_figures_are_there_to_read():
    text = made(names={1001: "徐汇店"})
    for words in ("1,234", "4,600,000", "12.35", "徐汇店", "rate_limited", "app7_customer open", "closed → open",
                  "consumption", "2.3", "9.9", "2026-06-17", "Asia/Shanghai", "12:00:00"):  # fmt: skip
        assert words in text, words


def test_the_same_figures_give_the_same_page():
    assert made() == made()


def test_every_chart_says_what_it_is_and_colours_are_the_pages_own():
    for chart in charts_of(FULL):
        assert f'aria-label="{chart.title}"' in chart.svg
        assert "var(--" in chart.svg
        assert "viewBox" in chart.svg
        assert 'width="400"' not in chart.svg.partition(">")[0]
    titles = [chart.title for chart in charts_of(FULL)]
    assert len(set(titles)) == len(titles) == 6


def test_a_sites_grid_has_its_72_cells_each_with_a_sign_and_a_sentence():
    # the other has one text alone
    second, first = grids(FULL)
    assert (first.site, second.site) == (1001, 1002)
    assert [area for area, _ in first.rows] == list(AREAS)
    assert all(len(cells) == len(WINDOWS) for _, cells in first.rows)
    assert first.counts == {"made": 1, "failed": 1, "reused": 1, "older": 1, "refused": 1, "none": 67}
    cells = {
        (area, window): cell for area, row in first.rows for window, cell in zip(WINDOWS, row, strict=True)
    }
    assert cells["all", "last_month"].kind == "failed"
    assert cells["all", "last_month"].title == (
        "all, last_month: failed or timed out; an older text may stand (timeout); no text"
    )
    assert cells["ktv", "last_week"].title.endswith("its text is of 2026-06-01 12:00")
    assert cells["hall", "this_month"].kind == "none"
    assert set(SIGNS) == set(MEANINGS)


def test_sites_with_trouble_come_first():
    trouble = replace(EMPTY, cells=tuple(
        CellState(site, f"{window}__{area}", "failed" if site == 9 and area == "all" else "success", None, NOON)
        for site in (1, 9) for window in WINDOWS for area in AREAS))  # fmt: skip
    assert [(grid.site, grid.trouble) for grid in grids(trouble)] == [(9, 8), (1, 0)]


def test_more_sites_than_a_page_can_show_are_counted():
    cells = tuple(CellState(n, "this_month__all", "success", None, NOON) for n in range(1, 101))
    many = replace(EMPTY, by_site=dict.fromkeys(range(1, 101), CALLS), cells=cells)
    text = made(many)
    assert "and 40 more sites, each of lower cost" in text
    assert "and 40 more sites, each with no more trouble" in text


def test_the_head_of_a_day_leaves_out_what_there_was_none_of():
    assert headline(FULL) == {
        "calls": 1234, "successes": 1200, "failures": 34, "refusals": 7, "reused": 300, "reuse share": 0.2,
        "tokens": 4_600_000, "cost CNY": 12.345, "latency p50 s": 3.21, "latency p95 s": 9.88, "events": 401,
        "breaker openings": 1, "cells in trouble": 69 + 71,
    }  # fmt: skip
    assert "latency p95 s" not in headline(EMPTY)
    assert "reuse share" not in headline(EMPTY)


def test_days_are_read_as_people_write_them():
    today = date(2026, 6, 18)
    assert read_day("yesterday", today) == date(2026, 6, 17)
    assert read_day("today", today) == today
    assert read_day("2026-06-01", today) == date(2026, 6, 1)
    for wrong in ("2026-06-19", "2026-02-30", "soon", "1066-10-14", ""):
        with pytest.raises(InputError, match="--day"):
            read_day(wrong, today)


def test_a_moment_of_another_zone_is_shown_in_the_days_own():
    utc = replace(
        FULL, breaker_changes=(replace(FULL.breaker_changes[0], at=datetime(2026, 6, 17, 1, tzinfo=UTC)),)
    )
    assert "09:00:00" in made(utc)


def test_drawing_leaves_no_import_hook_behind():
    charts_of(FULL)
    assert [finder for finder in sys.meta_path if type(finder).__module__.startswith("pygal")] == []
