"""What the prompts of App3 to App8 are built from: the member's data, a note, and what other apps answered.

And what the member may be called in them (`ai_assets.apps.names`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ai_assets.apps.names import IN_FULL, Naming, naming

if TYPE_CHECKING:
    from ai_assets.settings import MemberNames
    from ai_assets.warehouse.member_data import MemberData
    from ai_assets.warehouse.people import Note


@dataclass(frozen=True)
class Given:
    """Another app's answer. `made_at` None: made in this very chain, just now; else aware.

    `cache_id` and `run_log_id` name the version, for `_references`; None where it came from a payload.
    """

    result: Mapping[str, Any]
    made_at: datetime | None = None
    cache_id: int | None = None
    run_log_id: int | None = None


@dataclass(frozen=True)
class MemberSource:
    """The Source of App3 to App8. `given` is by app name (app3_clue, …); absent: there is none.

    `names` is the setting AI_MEMBER_NAMES.
    """

    data: MemberData
    note: Note | None = None
    given: Mapping[str, Given] = field(default_factory=dict)
    names: MemberNames = "surname"

    @cached_property
    def naming(self) -> Naming:
        """How the member is named. Reads the member, but not where names are in full."""
        return IN_FULL if self.names == "full" else naming(self.data.member, self.names)
