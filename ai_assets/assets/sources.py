"""What others own and we read: external assets, for lineage. Their data contract: docs/data-contract.md."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dagster import AssetKey, AssetMaterialization, AssetSpec, MetadataValue

from ai_assets.apps.base import Upstream
from ai_assets.assets.freshness import BATCH_EVERY_NIGHT
from ai_assets.assets.metadata import id_text

if TYPE_CHECKING:
    from ai_assets.store.batch_events import RecordedBatch

DWS_FINANCE = AssetKey(Upstream.FINANCE.split("/"))
DWS_SETTLEMENTS = AssetKey(Upstream.SETTLEMENTS.split("/"))
BIZ_MEMBERS = AssetKey(Upstream.MEMBERS.split("/"))
BIZ_NOTES = AssetKey(Upstream.NOTES.split("/"))
BIZ_ASSISTANTS = AssetKey(Upstream.ASSISTANTS.split("/"))

SOURCES = (
    AssetSpec(
        DWS_FINANCE,
        group_name="warehouse",
        kinds={"postgres"},
        description="Daily finances of each site and area: dws.finance_area_daily, dws.finance_site_daily. "
        "A materialization is a finished ETL batch (dws.etl_batch).",
        freshness_policy=BATCH_EVERY_NIGHT,
    ),
    AssetSpec(
        DWS_SETTLEMENTS,
        group_name="warehouse",
        kinds={"postgres"},
        description="Bills of members: dws.settlement",
    ),
    AssetSpec(
        BIZ_MEMBERS,
        group_name="venue",
        kinds={"postgres"},
        description="Members: biz.members",
    ),
    AssetSpec(
        BIZ_NOTES,
        group_name="venue",
        kinds={"postgres"},
        description="Notes that staff wrote of members: biz.member_notes",
    ),
    AssetSpec(
        BIZ_ASSISTANTS,
        group_name="venue",
        kinds={"postgres"},
        description="Assistants and their tasks: biz.assistants, biz.assistant_tasks",
    ),
)


def batch_materialization(batch: RecordedBatch) -> AssetMaterialization:
    """What the sensor reports when a site's ETL batch has finished."""
    metadata: dict[str, MetadataValue[Any]] = {
        "site": id_text(batch.site_id),
        "batch": MetadataValue.text(batch.batch_id),
        "business date": MetadataValue.text(batch.biz_date),
    }
    if batch.finished_s is not None and math.isfinite(batch.finished_s):
        metadata["finished at"] = MetadataValue.timestamp(batch.finished_s)
    return AssetMaterialization(
        DWS_FINANCE,
        description=f"ETL batch {batch.batch_id} of site {batch.site_id} for {batch.biz_date}",
        metadata=metadata,
    )
