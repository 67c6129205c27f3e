"""Prints docs/settings.md from the Settings class: python docs/print_settings.py > docs/settings.md.

Here: the page's form. Not here: the settings, their bounds and what they mean (`ai_assets.settings`).
Reads the class and never the environment, so the page is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ai_assets.settings import CHECKOUT, Settings

HEAD = """\
# Settings

Printed from the class `Settings` by `docs/print_settings.py`; edit the class, not this page.

Every setting is an environment variable. An empty one counts as unset. A wrong one ends the command with a line
that names it, and never shows its value. \N{EN DASH} under bounds: none beyond the type.

| name | default | bounds | meaning |
|---|---|---|---|
"""

FOOT = """
Three more are Dagster's, read by `dagster.yaml` or by Dagster itself. The commands of `ai-assets` set those that
are unset, and `ai-assets env` prints them for running Dagster by hand.

| name | default | meaning |
|---|---|---|
| `DAGSTER_POSTGRES_URL` | database `dagster` on the server of `AI_DATABASE_URL` | Dagster's own storage |
| `DAGSTER_HOME` | the checkout, where `dagster.yaml` is | Dagster's instance |
| `AI_DAGSTER_ARTIFACTS` | `dagster` under `AI_HOME` | Dagster's logs and artifacts |
"""

SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def page() -> str:
    """The whole page, ending in a newline."""
    schema = Settings.model_json_schema()["properties"]
    rows = [
        f"| `{field.validation_alias}` | {_default(field.default)} | "
        f"{_bounds(schema[str(field.validation_alias)])} | {field.description} |\n"
        for field in Settings.model_fields.values()
    ]
    return HEAD + "".join(rows) + FOOT


def _default(value: Any) -> str:
    match value:
        case SecretStr() | "" | None:
            return "unset"
        case Path():
            return f"`{value.relative_to(CHECKOUT).as_posix()}` in the checkout"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,g}"
        case _:
            return f"`{value}`"


def _bounds(schema: Mapping[str, Any]) -> str:
    found = dict.fromkeys(_limits(schema))
    return ", ".join(found) or "\N{EN DASH}"


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    """Limits of a value, and of either side of an `or none`."""
    for name, sign in SIGNS.items():
        if name in schema:
            yield f"{sign} {schema[name]:,.16g}"
    for inner in schema.get("anyOf", ()):
        yield from _limits(inner)


if __name__ == "__main__":
    print(page(), end="")
