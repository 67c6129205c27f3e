"""Run config: one clear line for a wrong value, and what every asset takes. Each default is the safe choice.

Not here: the limits (resources).
"""

from __future__ import annotations

from datetime import date
from typing import Any

from dagster import Config, Failure
from pydantic import Field, ValidationError, field_validator

from ai_assets.errors import InputError
from ai_assets.resources.run_config_types import Text, Whole, YesNo
from ai_assets.warehouse.windows import check_as_of


class OneLineConfig(Config):
    """Run config that raises Failure, one line, for a value that cannot be used."""

    def __init__(self, **values: Any) -> None:
        """As Dagster does; it makes this inside the run, before the op or asset, so nothing was done yet."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            # pydantic's own text runs over several lines and ends in an address
            faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            raise Failure(f"wrong run config: {'; '.join(faults)}", allow_retries=False) from None


class StepsConfig(OneLineConfig):
    """How the steps of a run are made."""

    forced: YesNo = Field(False, description="Make new answers even where the prompt is the same as before")
    as_of: Text | None = Field(
        None, description="As-of date of the prompts, YYYY-MM-DD; empty: that of the site's newest batch"
    )
    concurrency: Whole | None = Field(
        None, ge=1, le=256, description="Concurrent calls in this run, 1 to 256; empty: AI_CONCURRENCY"
    )

    @field_validator("as_of")
    @classmethod
    def _a_date(cls, value: str | None) -> str | None:
        if not value:
            return None
        try:
            check_as_of(date.fromisoformat(value))
        except InputError as error:
            raise ValueError(str(error)) from None
        except ValueError:
            raise ValueError(f"{value!r} is not a date; give YYYY-MM-DD, such as 2026-01-31") from None
        return value

    @property
    def as_of_date(self) -> date | None:
        """`as_of` as a date, or None."""
        return date.fromisoformat(self.as_of) if self.as_of else None
