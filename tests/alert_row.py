"""An alert with any message, as a test wants it: the sentences of real ones are in `biz.ai_alert_texts`."""

from __future__ import annotations

from sqlalchemy import Engine, text

_RAISE = text("select biz.ai_raise_alert(:site, :app, :type, :message, :log, :window_s)")


def add_alert(
    engine: Engine,
    message: str = "x",
    *,
    alert_type: str = "failed",
    site: int | None = 1001,
    app: str | None = "app3_clue",
    log: int | None = 5,
    window_s: float = 0,
) -> None:
    """Commit an alert; `window_s` 0: a row of its own."""
    with engine.begin() as connection:
        connection.execute(
            _RAISE,
            {
                "site": site,
                "app": app,
                "type": alert_type,
                "message": message,
                "log": log,
                "window_s": window_s,
            },
        )
