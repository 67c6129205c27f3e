"""The data assets, as Dagster sees them."""
