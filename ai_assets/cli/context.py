"""What every command starts from: settings, the database, an engine on a schema that fits."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ai_assets.cli import environment
from ai_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from sqlalchemy import Engine


class Context:
    """Lazy: nothing is started or opened before a command asks for it. Errors are AiAssetsErrors."""

    @property
    def settings(self) -> Settings:
        """The environment as it is now."""
        return load_settings()

    @cached_property
    def database_url(self) -> str:
        """The results' database; starts the embedded Postgres where no URL is set."""
        return environment.database_url(self.settings)

    def engine(self, pool_size: int = 5) -> Engine:
        """An engine on a database whose schema fits this code."""
        from ai_assets.store.engine import make_engine, reachable
        from ai_assets.store.migrate import require_current
        from ai_assets.store.shared_settings import warn_of_differences

        engine = make_engine(self.database_url, pool_size=pool_size, application_name="ai_assets cli")
        with reachable("connecting"), engine.connect() as connection:
            require_current(connection)
            warn_of_differences(connection, self.settings)
        return engine

    def dagster_instance(self) -> DagsterInstance:
        """The Dagster instance of this checkout; sets its environment first."""
        import warnings

        from dagster import DagsterInstance

        environment.apply(environment.variables(self.settings, self.database_url))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return DagsterInstance.get()
