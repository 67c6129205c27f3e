"""The guard's limits as a Dagster resource, so that they show and can be changed in the launchpad."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from pydantic import Field

from ai_assets.catalog import CATALOG
from ai_assets.guard.limits import GuardLimits
from ai_assets.resources.defaults import with_defaults
from ai_assets.resources.run_config_types import Whole

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ai_assets.guard.admission import Guard
    from ai_assets.settings import Settings


class GuardResource(ConfigurableResource):  # type: ignore[type-arg]  # Dagster's own generic is for IO managers
    """Circuit breaker → rate limit → token budget. State is in Postgres; these are the limits."""

    rate_per_minute: Whole = Field(60, ge=1, le=1_000_000, description="Calls per minute and site")
    batch_rate_share: float = Field(0.7, gt=0, le=1, description="Share of the rate that batches may use")
    admission_wait_s: float = Field(30.0, ge=0, le=3600, description="Seconds a live call waits for its turn")
    batch_admission_wait_s: float = Field(600.0, ge=0, le=14_400, description="Seconds a batch call waits")
    daily_tokens: Whole | None = Field(
        None, ge=1, le=10**15, description="Tokens a day, all sites; none: no limit"
    )
    monthly_tokens: Whole | None = Field(
        None, ge=1, le=10**15, description="Tokens a month, all sites; none: no limit"
    )
    site_daily_tokens: Whole | None = Field(
        None, ge=1, le=10**15, description="Tokens a day for each site; none: no limit"
    )
    site_monthly_tokens: Whole | None = Field(
        None, ge=1, le=10**15, description="Tokens a month for each site; none: no limit"
    )
    model_max_tokens: Whole = Field(
        131_072,
        ge=1000,
        le=10_000_000,
        description="Tokens that one call can use beside its prompt's characters",
    )
    breaker_window_s: float = Field(
        300.0, ge=1, le=86_400, description="Seconds the failure share is counted over"
    )
    breaker_min_calls: Whole = Field(
        5, ge=1, le=10_000, description="Calls needed before the breaker may open"
    )
    breaker_failure_share: float = Field(0.5, gt=0, le=1, description="Share of failures that opens it")
    breaker_open_s: float = Field(60.0, gt=0, le=86_400, description="Seconds it stays open at first")
    breaker_open_max_s: float = Field(900.0, gt=0, le=86_400, description="Seconds it stays open at most")
    breaker_probes: Whole = Field(2, ge=1, le=100, description="Probes let through when half-open")
    alert_window_s: float = Field(
        300.0, ge=0, le=86_400, description="Seconds within which the same alert is one row that counts"
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> GuardResource:
        """The limits that the environment sets."""
        return with_defaults(cls, GuardLimits.from_settings(settings).as_json())

    def limits(self) -> GuardLimits:
        """The limits as the core takes them."""
        return GuardLimits(**{field.name: getattr(self, field.name) for field in fields(GuardLimits)})

    def guard(self, engine: Engine) -> Guard:
        """The guard on this database."""
        from ai_assets.guard.admission import Guard

        return Guard(engine, self.limits(), apps=tuple(CATALOG))
