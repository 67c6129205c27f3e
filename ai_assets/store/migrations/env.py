"""Alembic's environment: one connection handed in by `ai_assets.store.migrate`, no autogeneration."""

from alembic import context
from sqlalchemy import text

from ai_assets.store.migrate import VERSION_TABLE

connection = context.config.attributes["connection"]
connection.execute(text("create schema if not exists biz"))
context.configure(connection=connection, version_table=VERSION_TABLE, version_table_schema="biz")
with context.begin_transaction():
    context.run_migrations()
