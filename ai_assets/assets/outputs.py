"""Tells Dagster that a step made its assets, so that assets downstream of them start in the same run.

Dagster skips a step whose upstream asset yielded no output, without an error. An output, however, also materializes
every partition of the run, without the partition's own metadata, while these assets log one materialization for each
partition as soon as it is made. The marker below keeps an output from materializing anything.
The marker is private to Dagster: `tests/dagster_face/test_downstream_assets.py` fails if an upgrade changes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from dagster import AssetExecutionContext, Output
from dagster._core.definitions.source_asset import (
    SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION as NOT_MATERIALIZED_BY_OUTPUT,
)


def made_outputs(context: AssetExecutionContext) -> Iterator[Output[None]]:
    """An output for each selected asset, upstream ones first. Yield them only if each partition was made.

    After a failure they would change nothing: Dagster starts no step downstream of a failed one.
    """
    definition = context.assets_def
    for spec in definition.specs:
        if spec.key in context.selected_asset_keys:
            yield Output(
                None,
                output_name=definition.get_output_name_for_asset_key(spec.key),
                metadata={NOT_MATERIALIZED_BY_OUTPUT: True},
            )
