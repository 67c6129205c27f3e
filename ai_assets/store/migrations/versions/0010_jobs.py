"""Leases of trigger jobs, members' and sites' alike; last attempts alone in a worker; claims by heads of queues."""

from importlib.resources import files

from alembic import op

revision = "0010"
down_revision = "0009"

SCRIPT = "0010_jobs.sql"


def upgrade() -> None:
    """Run the script as it stands: the driver reads no parameters in it."""
    sql = files("ai_assets.store").joinpath("migrations", "sql", SCRIPT).read_text("utf-8")
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
