"""Makes the data contract's tables where they are missing. Fills nothing."""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy import Connection


def create_contract_tables(connection: Connection) -> None:
    """Create the `biz` and `dws` source tables that do not exist yet; what exists is left as it is."""
    # the driver takes the script as it stands: text() would read its colons as parameters
    sql = files("ai_assets.samples").joinpath("contract.sql").read_text("utf-8")
    connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
