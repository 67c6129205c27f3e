"""Which area of a venue each department of the real retail data stands for.

Here: the table. Not here: reading the data (`completejourney_frames`). Documented in docs/data-contract.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# lines whose product is unknown or has no department, and whatever department a later edition may add
REST_AREA = "ktv"

AREA_OF_DEPARTMENT: Mapping[str, str] = MappingProxyType(
    {
        # dry groceries: half of all sales, so an area of their own
        "GROCERY": "hallA",
        "FROZEN GROCERY": "hallA",
        # fresh food
        "PRODUCE": "hallB",
        "MEAT": "hallB",
        "MEAT-PCKGD": "hallB",
        "SEAFOOD": "hallB",
        "SEAFOOD-PCKGD": "hallB",
        # food made in the store
        "DELI": "hallC",
        "PASTRY": "hallC",
        "SALAD BAR": "hallC",
        "CHEF SHOPPE": "hallC",
        "RESTAURANT": "hallC",
        # care and health
        "DRUG GM": "vip",
        "COSMETICS": "vip",
        "NUTRITION": "vip",
        # the forecourt
        "FUEL": "snooker",
        "AUTOMOTIVE": "snooker",
        # leisure, house and garden
        "SPIRITS": "mahjong",
        "FLORAL": "mahjong",
        "GARDEN CENTER": "mahjong",
        "HOUSEWARES": "mahjong",
        "ELECT &PLUMBING": "mahjong",
        "TOYS": "mahjong",
        "PHOTO & VIDEO": "mahjong",
        "TRAVEL & LEISURE": "mahjong",
        "GM MERCH EXP": "mahjong",
        # bookkeeping and the rest
        "MISCELLANEOUS": REST_AREA,
        "COUPON": REST_AREA,
        "CNTRL/STORE SUP": REST_AREA,
        "POSTAL CENTER": REST_AREA,
        "CHARITABLE CONT": REST_AREA,
        "PROD-WHS SALES": REST_AREA,
    }
)
