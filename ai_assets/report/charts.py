"""The charts of a page as inline SVG, drawn by pygal. Not here: figures, the page around them (`page`).

Colours are the page's own CSS variables, so that one chart is right in light and in dark. Nothing in it is loaded or
run: pygal's script and its comments with addresses are taken out.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_assets.store.day_figures import DayFigures

# as wide as a phone: on a wide screen several stand side by side, and text keeps its size
WIDTH, HEIGHT = 400, 240
_ACTIVE = re.compile(r"<script\b.*?</script>|<!--.*?-->", re.DOTALL)
_ID = re.compile(r"chart-[0-9a-f]{8}-[0-9a-f-]{27}")

Key = Sequence[tuple[str, str]]
Values = Sequence[float | None]

_FIGURES = {
    "success": "successes",
    "reused": "reused",
    "failed": "failures",
    "timeout": "timeouts",
    "refused": "refusals",
}
OUTCOMES: Key = (
    ("success", "var(--good)"),
    ("reused", "var(--reused)"),
    ("failed", "var(--bad)"),
    ("timeout", "var(--late)"),
    ("refused", "var(--refused)"),
)
"""What a step came to, and its colour."""


@dataclass(frozen=True)
class Chart:
    """A drawing, and what its colours mean: (name, colour) of each series; none where there is one series alone."""

    title: str
    svg: str
    key: tuple[tuple[str, str], ...] = ()


def charts_of(figures: DayFigures) -> list[Chart]:
    """The charts of a page, in their order."""
    by_hour, by_app = figures.by_hour, figures.by_app
    apps = [_short(app) for app in by_app]
    return [
        _of_hours("What steps came to, by hour", OUTCOMES, {
            name: [getattr(by_hour[hour], figure) if hour in by_hour else 0 for hour in range(24)]
            for name, figure in _FIGURES.items()
        }),
        _of_hours("Cost in CNY, by hour", (("CNY", "var(--one)"),), {
            "CNY": [float(by_hour[hour].cost_cny) if hour in by_hour else 0.0 for hour in range(24)]
        }),
        _of_hours("Seconds in which 95 % of calls had ended, by hour", (("p95", "var(--late)"),), {
            "p95": [_seconds(by_hour[hour].p95_ms) if hour in by_hour else None for hour in range(24)]
        }),
        _of_names("Cost in CNY, by app", apps, (("CNY", "var(--one)"),), {
            "CNY": [float(calls.cost_cny) for calls in by_app.values()]
        }),
        _of_names("Tokens, by app", apps, (("in", "var(--one)"), ("out", "var(--two)")), {
            "in": [calls.tokens_in for calls in by_app.values()],
            "out": [calls.tokens_out for calls in by_app.values()],
        }),
        _of_names("Latency in seconds, by app", apps, (("p50", "var(--one)"), ("p95", "var(--late)")), {
            "p50": [_seconds(calls.p50_ms) for calls in by_app.values()],
            "p95": [_seconds(calls.p95_ms) for calls in by_app.values()],
        }, beside=True),
    ]  # fmt: skip


def _of_hours(title: str, key: Key, series: Mapping[str, Values]) -> Chart:
    """Standing bars of the hours 0 to 23, one series on the other."""
    chart = _chart(
        "StackedBar", key, show_minor_x_labels=False, show_minor_y_labels=False, y_labels_major_count=4
    )
    chart.x_labels = [str(hour) for hour in range(24)]
    chart.x_labels_major = ["0", "6", "12", "18"]
    return _drawn(title, chart, key, series)


def _of_names(
    title: str, names: Sequence[str], key: Key, series: Mapping[str, Values], *, beside: bool = False
) -> Chart:
    """Lying bars, the first name on top."""
    kind = "HorizontalBar" if beside else "HorizontalStackedBar"
    chart = _chart(kind, key)
    chart.x_labels = list(reversed(names))
    chart.y_labels = _marks(series.values(), beside=beside)
    return _drawn(title, chart, key, {name: list(reversed(values)) for name, values in series.items()})


def _marks(series: Collection[Values], *, beside: bool) -> list[float]:
    """Nought, and a few round values up to about the longest bar."""
    bars = [[value or 0.0 for value in bar] for bar in zip(*series, strict=True)]
    longest = max((max(bar) if beside else sum(bar) for bar in bars), default=0.0)
    if longest <= 0:
        return [0.0]
    size = 10.0 ** math.floor(math.log10(longest))
    step = next(step * size for step in (0.2, 0.5, 1.0, 2.0, 5.0) if longest / (step * size) < 5)
    return [step * mark for mark in range(math.floor(longest / step) + 1)]


def _drawn(title: str, chart: Any, key: Key, series: Mapping[str, Values]) -> Chart:
    for name, values in series.items():
        chart.add(name, values)
    return Chart(title, _svg(chart, title), tuple(key) if len(key) > 1 else ())


def _chart(kind: str, key: Key, **more: Any) -> Any:
    pygal = _library()
    from pygal.style import Style

    text = {f"{name}_font_size": 13 for name in ("label", "major_label", "no_data", "value", "tooltip")}
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--text)",
        foreground_strong="var(--text)",
        foreground_subtle="var(--line)",
        colors=tuple(colour for _, colour in key),
        opacity="1",
        opacity_hover="0.8",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        font_family="inherit",
        **text,
    )
    return getattr(pygal, kind)(
        style=style,
        js=[],
        width=WIDTH,
        height=HEIGHT,
        explicit_size=False,
        disable_xml_declaration=True,
        # the page has the key in words of its own size
        show_legend=False,
        margin=6,
        spacing=6,
        truncate_label=-1,
        value_formatter=_rounded,
        **more,
    )


def _library() -> Any:
    import pygal

    # its hook for plug-ins that draw maps speaks an import protocol of old: while it is there, Python warns of it at
    # every import that fails, anywhere in this process
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
    return pygal


def _svg(chart: Any, title: str) -> str:
    drawn: str = chart.render(is_unicode=True)
    # the same figures give the same page: pygal names each drawing by chance
    name = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")
    quiet = _ID.sub(f"chart-{name}", _ACTIVE.sub("", drawn))
    return quiet.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)


def _short(app: str) -> str:
    return app.partition("_")[0]


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds / 1000, 2)


def _rounded(value: Any) -> str:
    if value is None:
        return ""
    for size, sign in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}"
