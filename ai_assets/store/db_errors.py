"""Errors of Postgres without the values that they quote.

A DETAIL quotes rows (`Key (name)=(…) already exists`, `Failing row contains (…)`), a CONTEXT quotes statements, and
the message of a data exception quotes the value (`invalid input syntax for type date: "…"`). Not here: which errors
mean that Postgres is away (`engine`).
"""

from __future__ import annotations

import psycopg2
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

_DATA_EXCEPTION = "22"


def hide_values(engine: Engine) -> None:
    """Have all errors of this engine's statements say what failed and where, and quote no value."""
    event.listen(engine, "handle_error", _hide)


def _hide(context: ExceptionContext) -> None:
    error = context.original_exception
    if not isinstance(error, psycopg2.Error) or error.pgcode is None:
        return
    said = said_without_values(error)
    error.args = (said,)
    wrapped = context.sqlalchemy_exception
    if wrapped is not None:
        wrapped.args = (f"({type(error).__module__}.{type(error).__name__}) {said}",)
        wrapped.quotes_nothing = True  # type: ignore[attr-defined]


def said_without_values(error: psycopg2.Error) -> str:
    """One line: the message, or of a data exception its name; then code, table, column and constraint."""
    told = error.diag
    said = told.message_primary or type(error).__name__
    if (error.pgcode or "").startswith(_DATA_EXCEPTION):
        said = f"a value does not fit ({type(error).__name__})"
    places = (("table", told.table_name), ("column", told.column_name), ("constraint", told.constraint_name))
    return "; ".join([said, f"code {error.pgcode}", *(f"{what} {name}" for what, name in places if name)])
