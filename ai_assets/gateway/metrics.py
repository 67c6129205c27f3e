"""What the gateway counts, and its page for Prometheus (text format 0.0.4). No label names a site or a token.

Here: counting and writing it out. Not here: who counts what.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_HELP = {
    "requests_total": "Requests answered, by route, method and status",
    "events_total": "Events taken in, by what they became",
    "news_sent_total": "News sent to sockets, by channel",
    "news_behind_total": "Times that a socket had to read news from the table: it was new, or slow",
    "sockets_refused_total": "WebSockets that were not opened, by status",
    "sockets_ended_total": "WebSockets that the gateway ended, by reason",
    "app_runs_total": "Runs of one app by hand that ended, by outcome",
}


class Metrics:
    """Counters, gauges that are asked when the page is made, and how long requests took. For one event loop."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[tuple[str, str], ...]]] = {name: Counter() for name in _HELP}
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add to a counter of _HELP."""
        self._counts[name][tuple(sorted(labels.items()))] += amount

    def gauge(self, name: str, about: str, now: Callable[[], float]) -> None:
        """A figure that is asked for when the page is made."""
        self._gauges[name] = (about, now)

    def took(self, seconds: float) -> None:
        """A request was answered after so long."""
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def page(self) -> str:
        """All of it as text."""
        lines: list[str] = []
        for name, counts in self._counts.items():
            lines += [f"# HELP ai_gateway_{name} {_HELP[name]}", f"# TYPE ai_gateway_{name} counter"]
            lines += [_line(name, dict(labels), amount) for labels, amount in sorted(counts.items())]
        for name, (about, now) in self._gauges.items():
            lines += [f"# HELP ai_gateway_{name} {about}", f"# TYPE ai_gateway_{name} gauge"]
            lines.append(_line(name, {}, now()))
        lines += [
            "# HELP ai_gateway_request_seconds How long requests took, waits asked for included",
            "# TYPE ai_gateway_request_seconds histogram",
        ]
        total = 0
        for bound, amount in zip((*map(str, BOUNDS), "+Inf"), self._buckets, strict=True):
            total += amount
            lines.append(_line("request_seconds_bucket", {"le": bound}, total))
        lines += [_line("request_seconds_sum", {}, self._seconds), _line("request_seconds_count", {}, total)]
        return "\n".join(lines) + "\n"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"ai_gateway_{name}{f'{{{inside}}}' if inside else ''} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
