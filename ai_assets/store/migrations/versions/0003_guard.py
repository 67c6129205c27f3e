"""The guard's second form: a fair queue, a recorded state machine, four budgets with warnings, grouped alerts."""

from importlib.resources import files

from alembic import op

revision = "0003"
down_revision = "0002"

SCRIPTS = (
    "0003_alerts.sql",
    "0003_breaker.sql",
    "0003_rate.sql",
    "0003_budgets.sql",
    "0003_reap.sql",
    "0003_admit.sql",
    "0003_settle.sql",
)


def upgrade() -> None:
    """Run the scripts as they stand: the driver reads no parameters in them."""
    for script in SCRIPTS:
        sql = files("ai_assets.store").joinpath("migrations", "sql", script).read_text("utf-8")
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
