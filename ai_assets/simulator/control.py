"""The settings of all simulated apps while the simulator runs, and the counters that decisions need.

Here: who holds settings, bursts and attempts, safe to use from any thread. Not here: what follows from them
(`behaviour`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Final

from ai_assets.simulator.behaviour import EVERY_APP, AppSettings, Burst, Decision, checked_change, decide
from ai_assets.simulator.chance import digest
from ai_assets.simulator.kinds import DEFAULT_KIND
from ai_assets.simulator.replies import APPS

REMEMBERED_PROMPTS: Final = 100_000
"""Beyond this many prompts the one not seen longest counts from its first attempt again."""

_Settings = dict[str, AppSettings]
_Bursts = dict[str, list[Burst]]


class Control:
    """Settings and bursts of every app.

    A burst of an app comes before one for all (`*`), both before the failure rate; bursts are used up in the
    order in which they were set.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._lock = threading.Lock()
        self._settings: _Settings = dict.fromkeys(APPS, AppSettings())
        self._bursts: _Bursts = {}
        self._attempts: OrderedDict[str, int] = OrderedDict()
        self._start: tuple[_Settings, _Bursts] = ({}, {})
        self.mark_start()

    def mark_start(self) -> None:
        """Make what is set now the state that `reset` goes back to."""
        with self._lock:
            self._start = (dict(self._settings), {app: list(row) for app, row in self._bursts.items()})

    def reset(self) -> None:
        """Back to the state at the start: settings, bursts, attempts."""
        with self._lock:
            settings, bursts = self._start
            self._settings = dict(settings)
            self._bursts = {app: list(row) for app, row in bursts.items()}
            self._attempts.clear()

    def change(self, values: Mapping[str, object]) -> None:
        """Apply `values` (keys of `behaviour.checked_change`); InputError, and no change, if one is wrong.

        `fail` 0 without `times` also ends the bursts of the apps it names.
        """
        change = checked_change(values)
        with self._lock:
            for app in change.apps:
                self._settings[app] = change.applied(self._settings[app])
            if change.times is not None:
                inherited = DEFAULT_KIND if change.app == EVERY_APP else self._settings[change.app].kind
                burst = Burst(change.kind or inherited, change.times, change.retry_after)
                self._bursts.setdefault(change.app, []).append(burst)
            elif change.fail == 0:
                for app in (*change.apps, change.app):
                    self._bursts.pop(app, None)

    def decide(self, app: str, prompt: str) -> Decision:
        """What happens to the request that has just come in; counts it, and uses up a burst's place."""
        prompt_key = digest(prompt)
        with self._lock:
            attempt = self._next_attempt(digest(app, prompt_key))
            burst = self._next_of_burst(app) or self._next_of_burst(EVERY_APP)
            settings = self._settings[app]
        return decide(settings, burst, seed=self.seed, app=app, prompt_key=prompt_key, attempt=attempt)

    def as_json(self) -> dict[str, object]:
        """Seed, settings and open bursts, as `GET /control` shows them."""
        with self._lock:
            return {
                "seed": self.seed,
                "apps": {app: asdict(settings) for app, settings in self._settings.items()},
                "bursts": {app: [asdict(burst) for burst in row] for app, row in self._bursts.items()},
            }

    def _next_attempt(self, key: str) -> int:
        attempt = self._attempts.pop(key, 0) + 1
        self._attempts[key] = attempt
        if len(self._attempts) > REMEMBERED_PROMPTS:
            self._attempts.popitem(last=False)
        return attempt

    def _next_of_burst(self, app: str) -> Burst | None:
        row = self._bursts.get(app)
        if not row:
            return None
        burst = row[0]
        if burst.left == 1:
            row.pop(0)
            if not row:
                del self._bursts[app]
        else:
            row[0] = replace(burst, left=burst.left - 1)
        return burst
