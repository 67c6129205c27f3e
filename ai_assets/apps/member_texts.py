"""People's own words (notes, names, other apps' texts) made fit for a prompt; times by a site's clock.

Here: what is done to any text. Not here: which texts a prompt holds. That such a text is data and no
instruction is the matter of the JSON around it (`ai_assets.apps.canonical`) and of the task.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ai_assets.apps.people_text import inert
from ai_assets.apps.redaction import redact_text
from ai_assets.warehouse.local_time import zone_of

if TYPE_CHECKING:
    from ai_assets.warehouse.sites import Site

LONGEST_NAME = 40
"""Characters of a name, a level, a task's kind: a longer one is no name."""


def plain(text: str) -> str:
    """The text with nothing in it that could hide or end anything (`people_text.inert`)."""
    return inert(text)


def cut(text: str, longest: int) -> str:
    """The plain text without outer spaces, redacted; a longer one is cut, and says how much is left out.

    `longest` counts characters, without the mark.
    """
    # before the cut: half a phone number would not be known as one
    whole = redact_text(plain(text).strip())
    left_out = len(whole) - longest
    return whole if left_out <= 0 else f"{whole[:longest]}……（后面还有{left_out}字，已省略）"


def local_text(moment: datetime | None, site: Site) -> str:
    """An aware time as `YYYY-MM-DD HH:MM` by the site's clock; "" for none.

    Raises WarehouseError if the site's zone does not exist.
    """
    if moment is None:
        return ""
    zone = zone_of(site)
    try:
        local = moment.astimezone(zone)
    except OverflowError:  # the first or last day that there is
        local = moment
    return f"{local:%Y-%m-%d %H:%M}"
