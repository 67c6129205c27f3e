"""docs/operations.md knows every reason and every alert that the code can give."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import ai_assets
from ai_assets.errors import AiAssetsError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PACKAGES = ("apps", "chains", "dashscope", "guard", "privacy", "store", "trust", "warehouse")


def reasons() -> set[str]:
    for package in PACKAGES:
        found = importlib.import_module(f"ai_assets.{package}")
        for module in pkgutil.iter_modules(found.__path__, f"ai_assets.{package}."):
            if not module.ispkg:
                importlib.import_module(module.name)
    classes: list[type[AiAssetsError]] = [AiAssetsError]
    for one in classes:
        classes.extend(one.__subclasses__())
    # those of the commands and of the simulator are told to people on the spot
    return {one.reason for one in classes if one.__module__.split(".")[1] in (*PACKAGES, "errors")}


def test_every_reason_of_a_failure_is_explained():
    missing = {reason for reason in reasons() if f"`{reason}`" not in PAGE}
    assert missing == set()


def test_every_reason_that_is_explained_is_one_that_the_code_gives():
    written = "".join(
        path.read_text(encoding="utf-8") for path in Path(ai_assets.__file__).parent.rglob("*.py")
    )
    written += "".join(path.read_text("utf-8") for path in Path(ai_assets.__file__).parent.rglob("*.sql"))
    table = PAGE.partition("### Every reason")[2].partition("\n## ")[0]
    told = {
        name.removesuffix(":…")
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([a-z_:…]+)`", line.split("|")[1])
    }
    assert told
    assert {name for name in told if f'"{name}' not in written and f"'{name}" not in written} == set()


def test_every_alert_has_an_action():
    sql = (Path(ai_assets.__file__).parent / "store/migrations/sql/0001_ledger.sql").read_text("utf-8")
    (listed,) = re.findall(r"alert_type in \(([^)]*)\)", sql)
    table = PAGE.partition("### Alerts")[2].partition("### Every status")[0]
    assert {kind for kind in re.findall(r"'(\w+)'", listed) if f"`{kind}`" not in table} == set()
