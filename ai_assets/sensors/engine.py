"""The engine of a sensor's evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ai_assets.resources.database import DatabaseResource

STATEMENT_TIMEOUT_S = 20.0
"""Dagster gives an evaluation 60 s, and nothing that it returned counts if it takes longer."""
LOCK_TIMEOUT_S = 0.1
"""A row or key that a backend's open transaction holds is left to a later tick."""


def sensor_engine(database: DatabaseResource, *, pool_size: int) -> Engine:
    """An engine on which no statement takes long and none waits for another transaction.

    Raises DatabaseUnavailableError, SchemaVersionError, ConfigurationError: each says what to do.
    """
    return database.engine(
        pool_size=pool_size, statement_timeout_s=STATEMENT_TIMEOUT_S, lock_timeout_s=LOCK_TIMEOUT_S
    )
