"""What a simulated app does with a request: settings, and the pure decision that follows from them.

Here: one app's settings, how given values are checked, and `decide`. Not here: who holds the settings
(`control`), how a decision is carried out (`server`).

Whether a request fails at a rate depends on (seed, app, prompt, attempt), where attempt counts how often this
prompt came to this app: so the same subjects fail in every run, in whatever order their calls arrive, and a
retry draws anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ai_assets.catalog import find_entry
from ai_assets.errors import InputError
from ai_assets.simulator.chance import unit
from ai_assets.simulator.kinds import ABSURD_TURN, DEFAULT_KIND, KINDS, OK
from ai_assets.simulator.replies import APPS

EVERY_APP: Final = "*"
LONGEST_LATENCY_S: Final = 3600.0
MOST_TIMES: Final = 1_000_000
LONGEST_DRIP_MS: Final = 60_000.0


@dataclass(frozen=True)
class AppSettings:
    """How one app behaves.

    latency: seconds from (the request is read) to (the answer is complete), least and most.
    fail: share of the requests that get `kind` (0 to 1). retry_after: value of a Retry-After header on
    errors, or none. drip_ms: milliseconds between two bytes of a dripping answer.
    """

    latency: tuple[float, float] = (0.0, 0.0)
    fail: float = 0.0
    kind: str = DEFAULT_KIND
    retry_after: str | None = None
    drip_ms: float = 50.0


@dataclass(frozen=True)
class Burst:
    """The next requests, `left` of them, get `kind` whatever the rate says."""

    kind: str
    left: int
    retry_after: str | None = None


@dataclass(frozen=True)
class Decision:
    """What happens to one request. `kind` is a name of `kinds.KINDS`; times are in seconds."""

    kind: str
    latency_s: float
    drip_s: float
    retry_after: str | None


@dataclass(frozen=True)
class Change:
    """Checked new values for one app or for all; `None` leaves a value as it is."""

    app: str = EVERY_APP
    latency: tuple[float, float] | None = None
    fail: float | None = None
    kind: str | None = None
    times: int | None = None
    retry_after: str | None = None
    drip_ms: float | None = None

    @property
    def apps(self) -> tuple[str, ...]:
        """The apps that this changes."""
        return APPS if self.app == EVERY_APP else (self.app,)

    def applied(self, old: AppSettings) -> AppSettings:
        """`old` with this change; a kind with neither rate nor times means every request."""
        if self.times is not None:
            return replace(
                old,
                latency=old.latency if self.latency is None else self.latency,
                drip_ms=old.drip_ms if self.drip_ms is None else self.drip_ms,
            )
        fail = 1.0 if self.fail is None and self.kind is not None else self.fail
        retry_after = old.retry_after if self.retry_after is None else (self.retry_after or None)
        return AppSettings(
            latency=old.latency if self.latency is None else self.latency,
            fail=old.fail if fail is None else fail,
            kind=old.kind if self.kind is None else self.kind,
            retry_after=retry_after,
            drip_ms=old.drip_ms if self.drip_ms is None else self.drip_ms,
        )


def decide(
    settings: AppSettings, burst: Burst | None, *, seed: int, app: str, prompt_key: str, attempt: int
) -> Decision:
    """What happens to the `attempt`-th request (from 1) of this prompt; depends on the arguments only."""
    low, high = settings.latency
    latency_s = low + (high - low) * unit(seed, "latency", app, prompt_key, attempt)
    retry_after = settings.retry_after
    if burst is not None:
        kind = burst.kind
        retry_after = burst.retry_after or retry_after
    elif unit(seed, "fail", app, prompt_key, attempt) < settings.fail:
        kind = settings.kind
    else:
        kind = OK
    if kind == "absurd_usage":
        kind = ABSURD_TURN[(attempt - 1) % len(ABSURD_TURN)]
    return Decision(kind, latency_s, settings.drip_ms / 1000, retry_after)


def checked_change(values: Mapping[str, object]) -> Change:
    """The change that `values` ask for.

    Keys: app (an app id or `*`), latency (seconds, or [least, most]), fail (0 to 1), kind, times (the next N
    requests exactly), retry_after (seconds or any header text; "" for none), drip_ms.
    Raises InputError with one line that names the value that is wrong.
    """
    unknown = sorted(str(key) for key in values if key not in Change.__dataclass_fields__)
    if unknown:
        raise InputError(
            f"unknown simulator setting {unknown[0]!r}; known: {', '.join(Change.__dataclass_fields__)}"
        )
    given = {key: value for key, value in values.items() if value is not None}
    fail = _number(given["fail"], "fail", 0.0, 1.0) if "fail" in given else None
    times = _times(given["times"]) if "times" in given else None
    if times is not None and fail == 0:
        raise InputError("fail 0 with times contradict each other: leave out one of them")
    return Change(
        app=checked_app(given.get("app", EVERY_APP)),
        latency=checked_latency(given["latency"]) if "latency" in given else None,
        fail=fail,
        kind=checked_kind(given["kind"]) if "kind" in given else None,
        times=times,
        retry_after=_header_text(given["retry_after"]) if "retry_after" in given else None,
        drip_ms=_number(given["drip_ms"], "drip_ms", 0.0, LONGEST_DRIP_MS) if "drip_ms" in given else None,
    )


def checked_app(value: object) -> str:
    """The simulator's app id for an app's name in any spelling, or `*`; else InputError."""
    if value == EVERY_APP:
        return EVERY_APP
    try:
        alias = find_entry(str(value)).alias
    except InputError:
        alias = ""
    if alias not in APPS:
        raise InputError(f"unknown app {value!r} for the simulator; known: {', '.join(APPS)}, or * for all")
    return alias


def checked_kind(value: object) -> str:
    """`value` if it is a kind; else InputError."""
    if isinstance(value, str) and value in KINDS:
        return value
    raise InputError(f"unknown kind {value!r} for the simulator; `ai-assets simulate --help` lists them")


def checked_latency(value: object) -> tuple[float, float]:
    """Least and most latency in seconds, from a number or a pair of numbers; else InputError."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise InputError(f"latency must be seconds or [least, most], not {value!r}")
        low, high = (_number(part, "latency", 0.0, LONGEST_LATENCY_S) for part in value)
        if low > high:
            raise InputError(f"latency [least, most] must not fall: {low:g} is above {high:g}")
        return low, high
    fixed = _number(value, "latency", 0.0, LONGEST_LATENCY_S)
    return fixed, fixed


def _number(value: object, name: str, low: float, high: float) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise InputError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
    return float(value)


def _times(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_TIMES:
        raise InputError(f"times must be a whole number from 1 to {MOST_TIMES}, not {value!r}")
    return value


def _header_text(value: object) -> str:
    text = f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value
    if (
        not isinstance(text, str)
        or len(text) > 100
        or not (text.isascii() and (text == "" or text.isprintable()))
    ):
        raise InputError(f"retry_after must be seconds or short printable ASCII text, not {value!r}")
    return text
