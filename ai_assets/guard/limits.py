"""The guard's limits as one value, and the form in which they travel to Postgres.

Not here: the rules themselves; they run inside Postgres (`store/migrations/sql/*_guard_*.sql`), because a
refusal must be decided in one round trip under the database's own locks and clock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_assets.settings import Settings


@dataclass(frozen=True)
class GuardLimits:
    """What the guard holds calls to; each field is the setting of the same name (see Settings for units)."""

    timezone: str
    rate_per_minute: int
    batch_rate_share: float
    admission_wait_s: float
    batch_admission_wait_s: float
    daily_tokens: int | None
    monthly_tokens: int | None
    site_daily_tokens: int | None
    breaker_window_s: float
    breaker_min_calls: int
    breaker_failure_share: float
    breaker_open_s: float
    breaker_open_max_s: float
    breaker_probes: int

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
