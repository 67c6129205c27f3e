"""Reads of the warehouse that see one state of it, whatever an ETL commits meanwhile. Not here: any statement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection whose statements all see what was committed before the first of them. For reading, and short."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        yield connection
