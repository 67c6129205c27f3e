"""The guard's limits as one value, and the form in which they travel to Postgres.

Not here: the rules themselves; they run inside Postgres (`store/migrations/sql/*_guard_*.sql`), because a
refusal must be decided in one round trip under the database's own locks and clock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from ai_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from ai_assets.settings import Settings

MODEL_MAX_TOKENS = 131_072
"""The default of AI_MODEL_MAX_TOKENS."""

_DAY_S = 86_400.0
_TOKENS = (1, 10**15)
_MODEL_TOKENS = (1000, 10_000_000)
_BOUNDS: dict[str, tuple[float, float]] = {
    "rate_per_minute": (1, 1_000_000),
    "batch_rate_share": (1e-6, 1),
    "admission_wait_s": (0, 3600),
    "batch_admission_wait_s": (0, 14_400),
    "daily_tokens": _TOKENS,
    "monthly_tokens": _TOKENS,
    "site_daily_tokens": _TOKENS,
    "site_monthly_tokens": _TOKENS,
    "model_max_tokens": _MODEL_TOKENS,
    "breaker_window_s": (1, _DAY_S),
    "breaker_min_calls": (1, 10_000),
    "breaker_failure_share": (1e-6, 1),
    "breaker_open_s": (1e-6, _DAY_S),
    "breaker_open_max_s": (1e-6, _DAY_S),
    "breaker_probes": (1, 100),
    "alert_window_s": (0, _DAY_S),
}
"""The same as the settings': a launchpad's limits and a test's do not come through them."""


@dataclass(frozen=True)
class GuardLimits:
    """What the guard holds calls to; each field is the setting of the same name (see Settings for units)."""

    rate_per_minute: int
    batch_rate_share: float
    admission_wait_s: float
    batch_admission_wait_s: float
    daily_tokens: int | None
    monthly_tokens: int | None
    site_daily_tokens: int | None
    site_monthly_tokens: int | None
    breaker_window_s: float
    breaker_min_calls: int
    breaker_failure_share: float
    breaker_open_s: float
    breaker_open_max_s: float
    breaker_probes: int
    alert_window_s: float
    model_max_tokens: int = MODEL_MAX_TOKENS

    def __post_init__(self) -> None:
        """Raises ConfigurationError for what no rule could be held with, wherever the limits come from."""
        wrong = [
            f"{name} {value} is not between {least:g} and {most:g}"
            for name, (least, most) in _BOUNDS.items()
            if (value := getattr(self, name)) is not None and not least <= value <= most
        ]
        if self.breaker_open_max_s < self.breaker_open_s:
            wrong.append("breaker_open_max_s is below breaker_open_s")
        if wrong:
            raise ConfigurationError(f"wrong limits of the guard: {'; '.join(wrong)}")

    @classmethod
    def from_settings(cls, settings: Settings) -> GuardLimits:
        """The limits that the environment sets."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(cls)})

    def as_json(self) -> dict[str, Any]:
        """The form that the guard's SQL functions read."""
        return asdict(self)

    def wait_s(self, *, batch: bool) -> float:
        """Seconds that a call may wait for its turn before it is refused."""
        return self.batch_admission_wait_s if batch else self.admission_wait_s
