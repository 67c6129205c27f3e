"""The guard: steps of the clock, one time zone, robust estimates, bounded cooldowns, cached tokens."""

from importlib.resources import files

from alembic import op

revision = "0008"
down_revision = "0007"

SCRIPTS = (
    "0008_clock.sql",
    "0008_settings.sql",
    "0008_budgets.sql",
    "0008_rate.sql",
    "0008_reap.sql",
    "0008_admit.sql",
    "0008_settle.sql",
    "0008_end_call.sql",
)


def upgrade() -> None:
    """Run the scripts as they stand: the driver reads no parameters in them."""
    for script in SCRIPTS:
        sql = files("ai_assets.store").joinpath("migrations", "sql", script).read_text("utf-8")
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
