"""The environment that every process of the project runs in: what the commands set where it is unset.

Here: which variables, from which settings; starting the embedded Postgres where no URL is given.
Not here: printing (`env`), processes (`up`, `demo`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ai_assets.settings import CHECKOUT, Settings
from ai_assets.store import embedded

DAGSTER_DATABASE = "dagster"

DEMO_LIMITS: Mapping[str, str] = {
    "AI_RATE_PER_MINUTE": "6000",
    "AI_DAILY_TOKENS": "1000000000",
}
"""Limits for the simulator, which costs nothing: the safe defaults would only make people wait."""


def database_url(settings: Settings) -> str:
    """The results' database: the URL that is set, else the embedded server, started and with its database.

    Raises ConfigurationError, DatabaseUnavailableError.
    """
    given = settings.database_url.get_secret_value()
    if given:
        return given
    from ai_assets.store.databases import ensure_database

    url = embedded.with_database(embedded.start(settings.home), embedded.DATABASE)
    ensure_database(url)
    return url


def dagster_url(results_url: str) -> str:
    """Dagster's own database: DAGSTER_POSTGRES_URL, else `dagster` on the same server."""
    given = os.environ.get("DAGSTER_POSTGRES_URL", "")
    if given:
        # psycopg2 by name: without it SQLAlchemy 2.1 picks a driver that Dagster does not speak
        return "postgresql+psycopg2://" + given.partition("://")[2]
    return embedded.with_database(results_url, DAGSTER_DATABASE)


def variables(settings: Settings, results_url: str) -> dict[str, str]:
    """What to set so that any Dagster command runs by hand: only what is unset, and the two URLs in full."""
    wanted = {
        "AI_HOME": str(settings.home),
        "DAGSTER_HOME": str(CHECKOUT),
        "AI_DAGSTER_ARTIFACTS": str(settings.home / "dagster"),
    }
    if settings.dashscope_is_loopback:
        wanted |= {"DASHSCOPE_API_KEY": "loopback", **simulator_app_ids()}
    unset = {name: value for name, value in wanted.items() if not os.environ.get(name)}
    return {**unset, "AI_DATABASE_URL": results_url, "DAGSTER_POSTGRES_URL": dagster_url(results_url)}


def simulator_app_ids() -> dict[str, str]:
    """The app ids that the simulator knows, by setting."""
    from ai_assets.catalog import CATALOG

    return {entry.env: entry.alias for entry in CATALOG.values()}


def simulator_variables(base_url: str) -> dict[str, str]:
    """What points everything at a simulator: its address, its app ids, limits widened where they are unset."""
    unset = {name: value for name, value in DEMO_LIMITS.items() if not os.environ.get(name)}
    return {
        "DASHSCOPE_BASE_URL": base_url,
        "DASHSCOPE_API_KEY": "simulator",
        **simulator_app_ids(),
        **unset,
    }


def apply(values: Mapping[str, str]) -> None:
    """Set the variables for this process and those it starts."""
    os.environ.update(values)
