"""The project's Postgres as a Dagster resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dagster import ConfigurableResource
from pydantic import Field

from ai_assets.errors import ConfigurationError
from ai_assets.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


class DatabaseResource(ConfigurableResource):  # type: ignore[type-arg]  # Dagster's own generic is for IO managers
    """Postgres with results, inbox and guard.

    Its URL is the environment variable AI_DATABASE_URL of the process that runs. No run config changes it.
    """

    source: Literal["AI_DATABASE_URL"] = Field(
        default="AI_DATABASE_URL",
        description="Environment variable with the URL; shown here, and not to be changed",
    )

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
        from ai_assets.store.shared_settings import warn_of_differences

        url = load_settings().database_url.get_secret_value()
        if not url:
            raise ConfigurationError(
                "AI_DATABASE_URL is not set: set it, or take the environment from `ai-assets env`"
            )
        engine = make_engine(
            url,
            pool_size=pool_size,
            application_name="ai_assets dagster",
            statement_timeout_s=statement_timeout_s,
            lock_timeout_s=lock_timeout_s,
        )
        try:
            with reachable("connecting"), engine.connect() as connection:
                require_current(connection)
                warn_of_differences(connection, load_settings())
        except BaseException:
            engine.dispose()
            raise
        return engine
