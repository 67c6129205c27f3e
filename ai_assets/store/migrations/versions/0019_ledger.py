"""What went wrong is a column of the run log; alerts are sentences in one language, with their site and app."""

from importlib.resources import files

from alembic import op

revision = "0019"
down_revision = "0018"

SCRIPTS = ("0019_alert_texts.sql", "0019_run_log.sql", "0019_budgets.sql", "0019_admit.sql")


def upgrade() -> None:
    """Run the scripts as they stand: the driver reads no parameters in them."""
    for script in SCRIPTS:
        sql = files("ai_assets.store").joinpath("migrations", "sql", script).read_text("utf-8")
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
