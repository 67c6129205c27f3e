"""AI insights of a venue chain as Dagster data assets."""
