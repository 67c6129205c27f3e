"""Asking Postgres from the event loop: the store's functions in a few threads, each request with an end.

Here: threads, time, errors. Not here: statements (`ai_assets.store`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine

from ai_assets.errors import DatabaseUnavailableError
from ai_assets.store.engine import autocommitting, make_engine, reachable

T = TypeVar("T")
THREADS = 12
STATEMENT_S = 10.0
"""One statement at most: an event waits for another transaction that sends the same one."""
ANSWER_S = 15.0
"""One question at most, with its wait for a thread; a connection that fell silent holds its thread longer."""

logger = logging.getLogger(__name__)


class Database:
    """The gateway's own engine and threads. Close it."""

    def __init__(self, url: str, *, threads: int = THREADS) -> None:
        self.engine: Engine = make_engine(
            url, pool_size=threads, application_name="ai_assets gateway", statement_timeout_s=STATEMENT_S
        )
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="postgres")

    async def read(self, what: str, question: Callable[[Connection], T]) -> T:
        """Ask with each statement on its own. Raises DatabaseUnavailableError."""

        def ask() -> T:
            with reachable(what), autocommitting(self.engine) as connection:
                return question(connection)

        return await self._in_thread(what, ask)

    async def at_one_moment(self, what: str, question: Callable[[Connection], T]) -> T:
        """Ask with all statements on what was committed at the first. Raises DatabaseUnavailableError."""

        def ask() -> T:
            with reachable(what), self.engine.connect() as connection:
                connection.exec_driver_sql("set transaction isolation level repeatable read, read only")
                return question(connection)

        return await self._in_thread(what, ask)

    async def write(self, what: str, change: Callable[[Connection], T]) -> T:
        """Do it in one transaction. Raises DatabaseUnavailableError: nothing was done, or it is not known whether."""

        def do() -> T:
            with reachable(what), self.engine.begin() as connection:
                return change(connection)

        return await self._in_thread(what, do)

    async def _in_thread(self, what: str, ask: Callable[[], T]) -> T:
        asked = asyncio.get_running_loop().run_in_executor(self._threads, ask)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asked
        except TimeoutError:
            raise DatabaseUnavailableError(f"Postgres did not answer in time ({what})") from None

    def close(self) -> None:
        """End the threads as they come free, and close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.engine.dispose()
