"""Event intake: errors quote no input, a batch dated in the future is not used, a site has a bounded backlog."""

from importlib.resources import files

from alembic import op

revision = "0009"
down_revision = "0008"

SCRIPT = "0009_intake.sql"


def upgrade() -> None:
    """Run the script as it stands: the driver reads no parameters in it."""
    sql = files("ai_assets.store").joinpath("migrations", "sql", SCRIPT).read_text("utf-8")
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
