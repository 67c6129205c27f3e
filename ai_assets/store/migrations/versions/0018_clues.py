"""Sites with an id alone, and retention clues that people write."""

from importlib.resources import files

from alembic import op

revision = "0018"
down_revision = "0017"

SCRIPTS = ("0018_sites.sql", "0018_clues.sql")


def upgrade() -> None:
    """Run the scripts as they stand: the driver reads no parameters in them."""
    for script in SCRIPTS:
        sql = files("ai_assets.store").joinpath("migrations", "sql", script).read_text("utf-8")
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
