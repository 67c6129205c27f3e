"""The members' side of the inbox: claiming for workers, taking over, workers' heartbeats; quicker intake."""

from importlib.resources import files

from alembic import op

revision = "0002"
down_revision = "0001"

SCRIPTS = (
    "0002_queue.sql",
    "0002_claim.sql",
    "0002_take_over.sql",
    "0002_intake.sql",
)


def upgrade() -> None:
    """Run the scripts as they stand: the driver reads no parameters in them."""
    for script in SCRIPTS:
        sql = files("ai_assets.store").joinpath("migrations", "sql", script).read_text("utf-8")
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
