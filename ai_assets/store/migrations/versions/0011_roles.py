"""Rights: which events reach every site, and with whose rights events are taken in."""

from importlib.resources import files

from alembic import op

revision = "0011"
down_revision = "0010"

SCRIPT = "0011_roles.sql"


def upgrade() -> None:
    """Run the script as it stands: the driver reads no parameters in it."""
    sql = files("ai_assets.store").joinpath("migrations", "sql", SCRIPT).read_text("utf-8")
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
