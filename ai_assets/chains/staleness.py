"""Which cached texts of a site are out of date, by app: reads what is judged, and asks the rules.

Here: one look at the cache for a site; its figures are read, and prompts built, only where cells name another batch
or date than a run would. Calls nothing, needs no key and no app id. Not here: the rules (`chains.stale_rules`), words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ai_assets.apps.prompt import prompt_hash
from ai_assets.apps.registry import APPS, FINANCE_APPS
from ai_assets.catalog import CATALOG
from ai_assets.chains.cells import Cell, cells_of_site
from ai_assets.chains.stale_rules import (
    Reason,
    Stale,
    answers_reason,
    bills_reason,
    finance_reason,
    names_now,
    rests_on_bills,
)
from ai_assets.errors import AiAssetsError, WarehouseError
from ai_assets.store.engine import reachable
from ai_assets.store.staleness import NewestText, answer_hashes, newest_texts
from ai_assets.warehouse.contract import SETTLEMENT
from ai_assets.warehouse.settlements import count_bills
from ai_assets.warehouse.sites import as_of_and_batch
from ai_assets.warehouse.snapshot import snapshot

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from ai_assets.warehouse.finance import SiteFinance
    from ai_assets.warehouse.sites import Site

_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)

Texts = Mapping[str, Mapping[str, NewestText]]
"""Newest texts by app, by target."""


@dataclass(frozen=True)
class AppStaleness:
    """One app of one site. `targets`: those that there are, and the missing."""

    app: str
    targets: int
    stale: tuple[Stale, ...]

    @property
    def fresh(self) -> int:
        """How many are as a run would make them now."""
        return self.targets - len(self.stale)

    @property
    def counts(self) -> Counter[Reason]:
        """How many by reason."""
        return Counter(one.reason for one in self.stale)


@dataclass(frozen=True)
class SiteStaleness:
    """One site. `trouble`: why it could not be judged, and then there are no apps; None: it was."""

    site: Site
    apps: tuple[AppStaleness, ...] = ()
    trouble: str | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether nothing is stale, missing or unjudged."""
        return self.trouble is None and not any(app.stale for app in self.apps)


def site_staleness(engine: Engine, site: Site, apps: Iterable[str]) -> SiteStaleness:
    """Judge the newest texts of these apps. Raises DatabaseUnavailableError; a site's own trouble is in the result."""
    wanted = [name for name in CATALOG if name in set(apps)]
    try:
        with reachable("reading what is stale"), snapshot(engine) as connection:
            return SiteStaleness(site, tuple(_Judge(connection, site, wanted).judge(name) for name in wanted))
    except WarehouseError as error:
        return SiteStaleness(site, trouble=str(error))


class _Judge:
    """One site on one connection; what several apps need is read once."""

    def __init__(self, connection: Connection, site: Site, apps: Sequence[str]) -> None:
        self._connection = connection
        self._site = site
        self._texts = self._read(apps)
        self._finance: SiteFinance | None = None

    def judge(self, name: str) -> AppStaleness:
        if name in FINANCE_APPS:
            return self._judge_finance(name)
        texts = self._texts[name]
        stale = [*self._missing(name), *filter(None, (self._older(name, text) for text in texts.values()))]
        known = {one.target_id for one in stale}
        rest = [text for text in texts.values() if text.target_id not in known]
        if rests_on_bills(APPS[name]):
            stale += self._by_bills(name, rest)
        if APPS[name].handed_on:
            stale += self._by_answers(name, rest)
        missing = sum(one.reason is Reason.MISSING for one in stale)
        return AppStaleness(name, len(texts) + missing, tuple(stale))

    def _read(self, apps: Sequence[str]) -> Texts:
        needed = {*apps, *(one for name in apps for one in (*APPS[name].follows, *APPS[name].handed_on))}
        by_type = {CATALOG[name].cache_type: name for name in needed}
        texts: dict[str, dict[str, NewestText]] = {name: {} for name in needed}
        for one in newest_texts(self._connection, self._site.site_id, by_type):
            texts[by_type[one.cache_type]][one.target_id] = one
        return texts

    def _judge_finance(self, name: str) -> AppStaleness:
        texts = self._texts[name]
        as_of, batch = as_of_and_batch(self._connection, self._site.site_id, None)
        stale: list[Stale] = []
        cells = [cell for cell in cells_of_site(self._site.site_id) if cell.app.name == name]
        for cell in cells:
            target = cell.app.target_id(cell.subject)
            made = texts.get(target)
            if made is None:
                stale.append(Stale(name, target, Reason.MISSING, "never made"))
            elif (older := self._older(name, made)) is not None:
                stale.append(older)
            elif not names_now(made, str(as_of), batch):
                try:
                    found = finance_reason(made, str(as_of), batch, self._hash_now(cell, as_of))
                except AiAssetsError as error:
                    found = (Reason.UNJUDGED, str(error))
                if found is not None:
                    stale.append(_stale(name, made, found))
        return AppStaleness(name, len(cells), tuple(stale))

    def _hash_now(self, cell: Cell, as_of: date) -> str:
        from ai_assets.warehouse.finance import read_site_finance

        if self._finance is None:
            self._finance = read_site_finance(self._connection, self._site, as_of)
        built = cell.app.build(self._finance, cell.subject)
        return prompt_hash(cell.app.name, cell.app.version, built.text)

    def _older(self, name: str, made: NewestText) -> Stale | None:
        now = APPS[name].version
        if made.app_version == now:
            return None
        return _stale(
            name, made, (Reason.OLDER_VERSION, f"version {made.app_version or '?'}, the code has {now}")
        )

    def _missing(self, name: str) -> list[Stale]:
        began = {
            target: f"{before} {text.id} is there"
            for before in APPS[name].follows
            for target, text in self._texts[before].items()
        }
        return [
            Stale(name, target, Reason.MISSING, why)
            for target, why in sorted(began.items())
            if target not in self._texts[name]
        ]

    def _by_bills(self, name: str, texts: Sequence[NewestText]) -> list[Stale]:
        days = {one.target_id: day for one in texts if (day := _day(one)) and _ID.fullmatch(one.target_id)}
        bills = count_bills(
            self._connection, self._site.site_id, {int(target): day for target, day in days.items()}
        )
        found = (
            (one, bills_reason(one, SETTLEMENT, bills[int(one.target_id)]))
            for one in texts
            if one.target_id in days
        )
        return [_stale(name, one, reason) for one, reason in found if reason is not None]

    def _by_answers(self, name: str, texts: Sequence[NewestText]) -> list[Stale]:
        older = [cache_id for one in texts for cache_id in one.built_on.values() if cache_id is not None]
        current = {one.id for before in APPS[name].handed_on for one in self._texts[before].values()}
        hashes = answer_hashes(self._connection, [cache_id for cache_id in older if cache_id not in current])
        stale: list[Stale] = []
        for one in texts:
            newest = {
                before: self._texts[before][one.target_id]
                for before in APPS[name].handed_on
                if one.target_id in self._texts[before]
            }
            reason = answers_reason(one, newest, hashes)
            if reason is not None:
                stale.append(_stale(name, one, reason))
        return stale


def _stale(name: str, made: NewestText, found: tuple[Reason, str]) -> Stale:
    reason, detail = found
    return Stale(name, made.target_id, reason, detail, made.id, made.created_at)


def _day(made: NewestText) -> date | None:
    try:
        return date.fromisoformat(made.as_of or "")
    except ValueError:
        return None
