"""People's own words (notes, names, other apps' texts) made fit for a prompt; times by a site's clock.

Here: what is done to any text. Not here: which texts a prompt holds. That such a text is data and no
instruction is the matter of the JSON around it (`ai_assets.apps.canonical`) and of the task.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ai_assets.apps.balances import banded
from ai_assets.apps.names import IN_FULL, Naming
from ai_assets.apps.people_text import inert
from ai_assets.privacy.text import redact_text
from ai_assets.warehouse.local_time import zone_of

if TYPE_CHECKING:
    from ai_assets.warehouse.sites import Site

LONGEST_NAME = 40
"""Characters of a name, a level, a task's kind: a longer one is no name."""


def cut(text: str, longest: int, naming: Naming = IN_FULL) -> str:
    """The text as a prompt may hold it: inert, redacted, balances as bands, the member named as `naming` says.

    A longer one is cut, and says how much is left out. `longest` counts characters, without the mark. `naming` is for
    texts that may name the member: not for what staff are called.
    """
    # before the cut: half a phone number or half a name would not be known as one
    whole = naming.hide(banded(redact_text(inert(text).strip())))
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
