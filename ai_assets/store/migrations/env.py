"""Alembic's environment: one connection handed in by `ai_assets.store.migrate`, no autogeneration."""

from alembic import context
from sqlalchemy import text

from ai_assets.store.migrate import VERSION_TABLE
from ai_assets.store.roles import OUR_FUNCTIONS

connection = context.config.attributes["connection"]
connection.execute(text("create schema if not exists biz"))
context.configure(connection=connection, version_table=VERSION_TABLE, version_table_schema="biz")
with context.begin_transaction():
    context.run_migrations()
    # Postgres lets everybody call a new function. Default privileges cannot take that back for one schema alone, and
    # for all schemas they would also change what the owner makes elsewhere. A role of its own may own some: see roles.
    open_ones = f"{OUR_FUNCTIONS} and has_function_privilege('public', p.oid, 'execute')"
    for function in connection.execute(text(open_ones)).scalars().all():
        connection.exec_driver_sql(f"revoke all on function {function} from public")
