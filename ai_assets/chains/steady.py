"""A prompt that names its site's newest batch: built again where another one finished while it was built.

Here: when it is built again, and when that is given up. Not here: what is read (`chains.site_figures`,
`chains.member_steps`), the call. A batch that finishes while the guard lets a call wait, or while the app answers, is
told by its own event; `ai-assets stale` shows what it left behind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from ai_assets.errors import TransientError

if TYPE_CHECKING:
    from ai_assets.apps.base import Prompt
    from ai_assets.warehouse.sites import Batch

logger = logging.getLogger(__name__)

TIMES = 3
"""A site has one batch a night, and a correction now and then: three in a row within seconds are no site's life."""


class BatchChangingError(TransientError):
    """The site's newest batch was another one each time the prompt was built."""

    reason = "batch_changing"


class _Read(Protocol):
    @property
    def batch(self) -> Batch | None: ...


Read = TypeVar("Read", bound=_Read)


def build_steady(
    read: Callable[[], Read],
    build: Callable[[Read], Prompt],
    *,
    newest: Callable[[], Batch | None],
    drop: Callable[[Read], None],
) -> Prompt:
    """The prompt, built from data whose `batch` is still the newest when it is done.

    `read` gives the data, read before or now; after `drop` of it, it reads again. `newest` asks for the site's newest
    batch: one that ran again under the same id is another. An as-of date that was given changes nothing of it: a
    corrected batch changes the figures of earlier days too. Raises BatchChangingError after TIMES, and what
    the functions raise.
    """
    for _ in range(TIMES):
        data = read()
        prompt = build(data)
        now = newest()
        if now == data.batch:
            return prompt
        logger.info("built from %s, and the newest is %s by now: built again", _name(data.batch), _name(now))
        drop(data)
    raise BatchChangingError(
        f"the newest batch changed {TIMES} times while the prompt was built, at last to {_name(now)}: "
        "run it again when the site's ETL has come to rest"
    )


def _name(batch: Batch | None) -> str:
    return "no batch" if batch is None else f"batch {batch.batch_id} of {batch.biz_date}"
