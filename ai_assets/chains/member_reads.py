"""What steps about one member read: the warehouse, one snapshot a prompt, and other apps' answers in the cache.

Here: when it is read, and on which connection. Not here: what a prompt is given of it (`chains.member_steps`), SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date
from typing import TYPE_CHECKING

from ai_assets.apps.member_source import Given
from ai_assets.catalog import CATALOG
from ai_assets.chains.steady import build_steady
from ai_assets.store import cache
from ai_assets.store.engine import autocommitting, reachable
from ai_assets.warehouse.member_data import MemberData
from ai_assets.warehouse.sites import Batch, as_of_and_batch, find_site, newest_batch
from ai_assets.warehouse.snapshot import snapshot

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from ai_assets.apps.base import Prompt


class MemberReads:
    """Not thread-safe: one chain, one thread. A part is read once, and all again where a newer batch has come.

    `as_of` None: that of the site's newest batch, else of its newest data.
    """

    def __init__(
        self, engine: Engine, site_id: int, member_id: int, assistant_id: int | None, as_of: date | None
    ) -> None:
        self._engine = engine
        self._site_id = site_id
        self._member_id = member_id
        self._assistant_id = assistant_id
        self._as_of = as_of
        self._data: MemberData | None = None
        self._snapshots: ExitStack | None = None
        self._snapshot: Connection | None = None

    def data(self) -> MemberData:
        """The member's data; its parts raise what MemberData says. Raises InputError, WarehouseError."""
        if self._data is None:
            with self._connect() as connection:
                site = find_site(connection, self._site_id)
                as_of, batch = as_of_and_batch(connection, site.site_id, self._as_of)
            self._data = MemberData(
                self._connect, site, as_of, self._member_id, self._assistant_id, batch=batch
            )
        return self._data

    def prompt(self, build: Callable[[MemberData], Prompt]) -> Prompt:
        """A prompt from data of the batch that is the site's newest when it is built; BatchChangingError."""
        with self.one_snapshot():
            return build_steady(self.data, build, newest=self._newest_batch, drop=self._drop)

    @contextmanager
    def one_snapshot(self) -> Iterator[None]:
        """In this block the warehouse is as it stood at the first read of it; with none, nothing is begun."""
        # reachable: the end of a snapshot gives its connection back, which may have been lost meanwhile
        with reachable("reading the warehouse"), ExitStack() as snapshots:
            self._snapshots = snapshots
            try:
                yield
            finally:
                self._snapshots = self._snapshot = None

    def cached(self, targets: Mapping[str, str]) -> dict[str, Given]:
        """The newest answers by app name, of those of these apps and targets that there are."""
        found: dict[str, Given] = {}
        if not targets:
            return found
        with self._connect_now("reading the cache") as connection:
            for name, target in targets.items():
                entry = cache.latest(connection, CATALOG[name].cache_type, self._site_id, target)
                if entry is not None:
                    found[name] = Given(entry.result_json, entry.created_at, entry.id, entry.run_log_id)
        return found

    def _drop(self, _data: MemberData) -> None:
        self._data = self._snapshot = None
        if self._snapshots is not None:
            self._snapshots.close()

    def _newest_batch(self) -> Batch | None:
        # past the snapshot, which cannot see it
        with self._connect_now("reading the newest batch") as connection:
            return newest_batch(connection, self._site_id)

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        if self._snapshots is None:
            with self._connect_now("reading the warehouse") as connection:
                yield connection
            return
        with reachable("reading the warehouse"):
            if self._snapshot is None:
                self._snapshot = self._snapshots.enter_context(snapshot(self._engine))
            yield self._snapshot

    @contextmanager
    def _connect_now(self, what: str) -> Iterator[Connection]:
        # reads only: a transaction would cost two round trips more
        with reachable(what), autocommitting(self._engine) as connection:
            yield connection
