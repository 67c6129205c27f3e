"""Settlements → one frame of whole numbers, and exact sums over it by a key.

Here: pandas and numpy. Amounts are whole cents (int64), days `date.toordinal()`, so that every sum is exact.
Not here: what is computed of them (`ai_assets.warehouse.consumption`).
The rule: null amounts count as zero, a negative count and an amount that is none are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ai_assets.errors import PromptError
from ai_assets.warehouse.contract import SETTLEMENT
from ai_assets.warehouse.finance_frames import ABSURD
from ai_assets.warehouse.settlements import Settlement

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

FEES = ("table_fee", "assistant_fee", "goods_fee")
MONEY = (*FEES, "discount", "paid")
_MINUTES = "play_minutes"
_NUMBERS = (*MONEY, _MINUTES)
MEASURES = (*_NUMBERS, "orders", "discounted", "refunds")
_KEYS = ("day", "hour", "assistant", "area")
NOBODY = 0
"""Stands for no assistant: an id is never zero."""
NO_HOUR = -1


Sums = dict[str, int]
"""Each of MEASURES added up, money in cents. `orders` leaves out refunds, which `refunds` counts."""


@dataclass(frozen=True, eq=False)
class Counted:
    """One row a settlement in both: `frame` has its keys (day, hour, assistant, area), `measures` MEASURES.

    Hours are 0 to 23 in the site's zone, or NO_HOUR.
    """

    frame: pd.DataFrame
    measures: NDArray[np.int64]

    def total(self) -> Sums:
        """All rows added up."""
        return dict(zip(MEASURES, self.measures.sum(axis=0).tolist(), strict=True))

    def by(self, keys: pd.Series[Any] | NDArray[np.int64]) -> dict[Any, Sums]:
        """The rows added up by the key that each has (of `frame`, or made of it), keys ascending."""
        import numpy as np
        import pandas as pd

        # DataFrame.groupby gives the same in six times the time, and this is on every chain's path
        codes, found = pd.factorize(keys, sort=True)
        added = np.zeros((len(found), len(MEASURES)), dtype=np.int64)
        np.add.at(added, codes, self.measures)
        return {
            key: dict(zip(MEASURES, values, strict=True))
            for key, values in zip(found.tolist(), added.tolist(), strict=True)
        }


def counted(rows: Sequence[Settlement], zone: ZoneInfo) -> Counted:
    """The settlements as whole numbers, in the given order; hours in the zone.

    A settlement with a negative paid amount is a refund: it counts in the money, and is no order.
    Raises PromptError naming the settlement that must not be counted.
    """
    import numpy as np
    import pandas as pd

    keys = [_keys(row, zone) for row in rows]
    measures = np.array([_measures(row) for row in rows], dtype=np.int64)
    return Counted(pd.DataFrame(keys, columns=list(_KEYS)), measures.reshape(len(rows), len(MEASURES)))


def cents(amount: Decimal | None) -> int:
    """Yuan as whole cents; null is zero."""
    return 0 if amount is None else int(amount.scaleb(2))


def _keys(row: Settlement, zone: ZoneInfo) -> tuple[int, int, int, str]:
    hour = NO_HOUR if row.settled_at is None else row.settled_at.astimezone(zone).hour
    return row.biz_date.toordinal(), hour, row.assistant_id or NOBODY, row.area or ""


def _measures(row: Settlement) -> tuple[int, ...]:
    money = (row.table_fee, row.assistant_fee, row.goods_fee, row.discount, row.paid)
    for column, value in zip(_NUMBERS, (*money, row.play_minutes), strict=True):
        why = value is not None and _wrong(column, value)
        if why:
            raise PromptError(
                f"{SETTLEMENT}.{column} of settlement {row.settlement_id} on {row.biz_date} is {value}: "
                f"{why}; correct the source and run again"
            )
    fees, discount, paid = [cents(fee) for fee in money[:3]], cents(row.discount), cents(row.paid)
    is_refund = paid < 0
    return (
        *fees,
        discount,
        paid,
        int(row.play_minutes or 0),
        int(not is_refund),
        int(discount > 0 and not is_refund),
        int(is_refund),
    )


def _wrong(column: str, value: Decimal) -> str:
    if not value.is_finite():
        return "not a number"
    if not -ABSURD < value < ABSURD:
        return "beyond any venue's figures"
    return "a count cannot be negative" if value < 0 and column == _MINUTES else ""
