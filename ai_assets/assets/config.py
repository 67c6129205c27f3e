"""Run config that every asset takes. Each default is the safe choice. Not here: the limits (resources)."""

from __future__ import annotations

from datetime import date

from dagster import Config
from pydantic import Field, field_validator


class StepsConfig(Config):
    """How the steps of a run are made."""

    forced: bool = Field(False, description="Make new answers even where the prompt is the same as before")
    as_of: str | None = Field(
        None, description="As-of date of the prompts, YYYY-MM-DD; empty: that of the site's newest batch"
    )
    concurrency: int | None = Field(
        None, ge=1, le=256, description="Calls side by side in this run; empty: AI_CONCURRENCY"
    )

    @field_validator("as_of")
    @classmethod
    def _a_date(cls, value: str | None) -> str | None:
        if value:
            date.fromisoformat(value)
        return value or None

    @property
    def as_of_date(self) -> date | None:
        """`as_of` as a date, or None."""
        return date.fromisoformat(self.as_of) if self.as_of else None
