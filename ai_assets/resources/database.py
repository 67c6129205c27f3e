"""The project's Postgres as a Dagster resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from pydantic import Field

if TYPE_CHECKING:
    from sqlalchemy import Engine


class DatabaseResource(ConfigurableResource):  # type: ignore[type-arg]  # Dagster's own generic is for IO managers
    """Where results, inbox and guard live. The URL is a secret: give it as an EnvVar."""

    url: str = Field(repr=False, description="postgresql+psycopg2://… of the results (AI_DATABASE_URL)")

    def engine(
        self,
        pool_size: int = 5,
        statement_timeout_s: float | None = None,
        lock_timeout_s: float | None = None,
    ) -> Engine:
        """An engine on a database whose schema fits this code.

        Raises DatabaseUnavailableError, SchemaVersionError, ConfigurationError: each says what to do.
        """
        from ai_assets.store.engine import make_engine, reachable
        from ai_assets.store.migrate import require_current

        engine = make_engine(
            self.url,
            pool_size=pool_size,
            application_name="ai_assets dagster",
            statement_timeout_s=statement_timeout_s,
            lock_timeout_s=lock_timeout_s,
        )
        try:
            with reachable("connecting"), engine.connect() as connection:
                require_current(connection)
        except BaseException:
            engine.dispose()
            raise
        return engine
