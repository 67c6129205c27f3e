"""When a cached text is out of date. Pure. Not here: reading what is judged (`chains.staleness`), words.

The rules, in the order in which they are asked (the first that holds is told):
1. `missing`: a finance cell that was never made; an answer of an app whose chain began (an answer that it `follows` is
   there) and gave none. A member for whom no chain ever ran misses nothing: texts of members follow events.
2. `older_version`: another version of the app made it than this code's.
3. Finance: made from another batch or as of another date than a run would take now, and its prompt would be another
   too (`older_batch`, `other_as_of`). A batch that changed nothing a cell shows leaves the cell fresh: it is reused
   from one batch to the next, and keeps naming the batch that it was made from.
4. An app about a member that reads their bills (App3, App7): the bills are others than those it rests on, up to its
   own as-of date or after it (`newer_bills`). A night without a visit makes no text of a member stale.
5. An app that is handed on answers (App8, App5): one of them says something else by now (`older_answers`).
`unjudged`: the prompt of today cannot be built; the reason is the same that would fail the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ai_assets.apps.base import App, Kind, Upstream

if TYPE_CHECKING:
    from ai_assets.store.staleness import NewestText
    from ai_assets.warehouse.settlements import Bills
    from ai_assets.warehouse.sites import Batch


class Reason(StrEnum):
    """Why a text is not fresh."""

    MISSING = "missing"
    OLDER_VERSION = "older_version"
    OLDER_BATCH = "older_batch"
    OTHER_AS_OF = "other_as_of"
    NEWER_BILLS = "newer_bills"
    OLDER_ANSWERS = "older_answers"
    UNJUDGED = "unjudged"


@dataclass(frozen=True)
class Stale:
    """One text that is not fresh. `cache_id` None: it is missing. `detail`: one line for an operator."""

    app: str
    target_id: str
    reason: Reason
    detail: str
    cache_id: int | None = None
    made_at: datetime | None = None


def names_now(made: NewestText, as_of: str, batch: Batch | None) -> bool:
    """Whether a finance text names the batch and the as-of date that a run would take now."""
    return made.as_of == as_of and _same_batch(made, batch)


def finance_reason(
    made: NewestText, as_of: str, batch: Batch | None, hash_now: str
) -> tuple[Reason, str] | None:
    """Rule 3, given the hash of the prompt as a run would build it now."""
    if names_now(made, as_of, batch) or made.prompt_hash == hash_now:
        return None
    if not _same_batch(made, batch):
        now = "none" if batch is None else f"{batch.batch_id} of {batch.biz_date}"
        return (
            Reason.OLDER_BATCH,
            f"made from batch {made.batch.get('batch_id') or 'none'}, the newest is {now}",
        )
    return Reason.OTHER_AS_OF, f"made as of {made.as_of}, a run would now be as of {as_of}"


def rests_on_bills(app: App[Any]) -> bool:
    """Whether rule 4 is asked of an app: a member's, made from their bills."""
    return app.about.kind is Kind.MEMBER and Upstream.SETTLEMENTS in app.reads


def bills_reason(made: NewestText, table: str, bills: Bills) -> tuple[Reason, str] | None:
    """Rule 4. `table`: the bills' name in what a text rests on."""
    if bills.newer:
        return Reason.NEWER_BILLS, f"{bills.newer} bills after its as-of date {made.as_of}"
    rested_on = made.rows.get(table)
    if rested_on is not None and rested_on != bills.known:
        return (
            Reason.NEWER_BILLS,
            f"made from {rested_on} bills up to {made.as_of}, there are {bills.known} by now",
        )
    return None


def answers_reason(
    made: NewestText, newest: Mapping[str, NewestText], hashes: Mapping[int, str]
) -> tuple[Reason, str] | None:
    """Rule 5. `newest`: by app, of those that were handed on; `hashes` of the older ones' words, by cache id."""
    for name, cache_id in made.built_on.items():
        now = newest.get(name)
        if now is None or now.id == cache_id:
            continue
        if cache_id is None:
            # an older one was passed over on purpose: the step before had failed
            if now.created_at > made.created_at:
                return Reason.OLDER_ANSWERS, f"{name} had no answer when it was made, and has {now.id} by now"
        elif hashes.get(cache_id) != now.answer_hash:
            return Reason.OLDER_ANSWERS, f"built on {name} {cache_id}, the newest is {now.id}"
    return None


def _same_batch(made: NewestText, batch: Batch | None) -> bool:
    if batch is None:
        return not made.batch
    finished = batch.finished_at.isoformat() if batch.finished_at is not None else None
    named = (made.batch.get("batch_id"), made.batch.get("biz_date"), made.batch.get("finished_at"))
    return named == (batch.batch_id, str(batch.biz_date), finished)
