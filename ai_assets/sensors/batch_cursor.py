"""The cursor of the `dws_completed` sensor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from ai_assets.errors import ConfigurationError


@dataclass(frozen=True)
class BatchCursor:
    """What the sensor has done so far, in evaluations whose result Dagster kept.

    `started`: when the newest batch of each site had its event (aware); before that, older batches do not count.
    `reported`: the trigger job of the last batch that was reported to Dagster. None: no batch was.
    """

    started: datetime | None = None
    reported: int | None = None

    def written(self) -> str:
        """The cursor as Dagster keeps it."""
        started = None if self.started is None else self.started.isoformat()
        return json.dumps({"started": started, "reported": self.reported})


def read_cursor(written: str | None) -> BatchCursor:
    """The cursor from its text; earlier versions wrote only when the sensor first ran, as ISO 8601.

    Raises ConfigurationError where it is neither.
    """
    if not written:
        return BatchCursor()
    try:
        if not written.startswith("{"):
            return BatchCursor(started=_aware(written))
        fields = json.loads(written)
        started, reported = fields["started"], fields["reported"]
        return BatchCursor(
            None if started is None else _aware(started), None if reported is None else int(reported)
        )
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            "the cursor of the sensor dws_completed cannot be read: clear it on the sensor's page in Dagster"
        ) from error


def _aware(written: str) -> datetime:
    moment = datetime.fromisoformat(written)
    if moment.tzinfo is None:
        raise ValueError("the time has no offset")
    return moment
