"""The first tables and functions: inbox, ledger, cache, alerts, clues, guard."""

from importlib.resources import files

from alembic import op

revision = "0001"
down_revision = None

SCRIPTS = (
    "0001_ledger.sql",
    "0001_inbox.sql",
    "0001_guard_tables.sql",
    "0001_guard_admit.sql",
    "0001_guard_settle.sql",
)


def upgrade() -> None:
    """Run the scripts as they stand: the driver reads no parameters in them."""
    for script in SCRIPTS:
        sql = files("ai_assets.store").joinpath("migrations", "sql", script).read_text("utf-8")
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
