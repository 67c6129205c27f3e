"""What the gateway keeps: tokens, news in the order of their commits, keys of what was sent once, runs by hand."""

from importlib.resources import files

from alembic import op

revision = "0007"
down_revision = "0006"

SCRIPT = "0007_gateway.sql"


def upgrade() -> None:
    """Run the script as it stands: the driver reads no parameters in it."""
    sql = files("ai_assets.store").joinpath("migrations", "sql", SCRIPT).read_text("utf-8")
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
