"""Steps, and the chains they make. Knows no Dagster."""
