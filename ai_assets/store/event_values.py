"""An event as the arguments of `biz.fire_ai_event`: whatever a sender gives becomes something that Postgres takes.

Standard library only: `ai_assets.client` imports it into a backend's process. Not here: what an event must carry
(`biz.fire_ai_event` judges that, for every language), any statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_assets.store.payloads import sendable, sent_id
from ai_assets.store.texts import storable

LARGEST_ID = 2**63 - 1


def event_values(
    event_type: str,
    site_id: int | None,
    member_id: int | None,
    payload: Mapping[str, Any],
    is_forced: bool,
    connector_type: str,
) -> dict[str, Any]:
    """The arguments by their names; `payload` as JSON text. Bad input raises nothing: intake records it."""
    content = dict(payload)
    # an id that no column can hold is no id; the row still says what was sent
    if site_id is not None and abs(site_id) > LARGEST_ID:
        content["site_id_sent"], site_id = sent_id(site_id), None
    if member_id is not None and abs(member_id) > LARGEST_ID:
        content["member_id_sent"], member_id = sent_id(member_id), -1
    return {
        "event_type": storable(event_type),
        "site_id": site_id,
        "member_id": member_id,
        "payload": sendable(content),
        "is_forced": is_forced,
        "connector_type": storable(connector_type),
    }
