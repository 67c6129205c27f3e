"""Events: ids from the payload, an assistant that comes later, repeats of partial jobs, status `ignored`."""

from importlib.resources import files

from alembic import op

revision = "0017"
down_revision = "0016"

SCRIPT = "0017_events.sql"


def upgrade() -> None:
    """Run the script as it stands: the driver reads no parameters in it."""
    sql = files("ai_assets.store").joinpath("migrations", "sql", SCRIPT).read_text("utf-8")
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
