"""Each site's figures: read once for all its prompts, and again where a newer batch has come. Not here: steps."""

from __future__ import annotations

import threading
from datetime import date
from typing import TYPE_CHECKING

from ai_assets.chains.steady import build_steady
from ai_assets.errors import AiAssetsError
from ai_assets.store.engine import autocommitting, reachable

if TYPE_CHECKING:
    from ai_assets.apps.base import App, Prompt, Subject
    from ai_assets.chains.runtime import Runtime
    from ai_assets.warehouse.finance import SiteFinance
    from ai_assets.warehouse.sites import Batch


class SiteFigures:
    """Thread-safe: whichever thread comes first reads a site's figures, the others wait for it.

    `as_of` None: that of each site's newest batch, else of its newest data.
    """

    def __init__(self, runtime: Runtime, as_of: date | None) -> None:
        self._runtime = runtime
        self._as_of = as_of
        self._locks: dict[int, threading.Lock] = {}
        self._guard = threading.Lock()
        self._read: dict[int, SiteFinance | AiAssetsError] = {}

    def of(self, site_id: int) -> SiteFinance:
        """The site's figures. Raises what reading them raised, for each of its prompts alike."""
        with self._lock(site_id):
            if site_id not in self._read:
                self._read[site_id] = self._load(site_id)
            found = self._read[site_id]
        if isinstance(found, AiAssetsError):
            raise type(found)(str(found))
        return found

    def prompt(self, app: App[SiteFinance], subject: Subject) -> Prompt:
        """The app's prompt from figures of the batch that is the site's newest when it is built.

        Raises as `of` and the app's `build` do, BatchChangingError.
        """
        return build_steady(
            lambda: self.of(subject.site_id),
            lambda finance: app.build(finance, subject),
            newest=lambda: self._newest(subject.site_id),
            drop=self._drop,
        )

    def _lock(self, site_id: int) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(site_id, threading.Lock())

    def _drop(self, finance: SiteFinance) -> None:
        site_id = finance.site.site_id
        with self._lock(site_id):
            # another thread may have read newer ones by now
            if self._read.get(site_id) is finance:
                del self._read[site_id]

    def _load(self, site_id: int) -> SiteFinance | AiAssetsError:
        from ai_assets.warehouse.finance import read_site_finance
        from ai_assets.warehouse.sites import as_of_date, find_site
        from ai_assets.warehouse.snapshot import snapshot

        try:
            with reachable("reading the warehouse"), snapshot(self._runtime.engine) as connection:
                site = find_site(connection, site_id)
                return read_site_finance(connection, site, as_of_date(connection, site_id, self._as_of))
        except AiAssetsError as error:
            return error

    def _newest(self, site_id: int) -> Batch | None:
        from ai_assets.warehouse.sites import newest_batch

        with reachable("reading the newest batch"), autocommitting(self._runtime.engine) as connection:
            return newest_batch(connection, site_id)
