"""The toy of docs/apps.md, added as that page says to a copy of the package: one file, one line, and it is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ai_assets

PACKAGE = Path(ai_assets.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "apps.md").read_text("utf-8")

TELL = """
import json
from ai_assets.apps.registry import APPS, MEMBER_APPS
from ai_assets.definitions import build_definitions
from ai_assets.gateway.runs import BODIES
from ai_assets.settings import Settings
from ai_assets.simulator import replies

app = APPS["app9_invitation"]
defs = build_definitions()
graph = defs.resolve_asset_graph()
key = next(key for key in graph.get_all_asset_keys() if key.to_user_string() == app.name)
node = graph.get(key)
said = replies.answer(1, "app9", '{"会员": {"等级": "金卡"}, "消费记录": {"到店次数": 12, "消费金额": 345.5}}')
print(json.dumps({
    "steps": MEMBER_APPS,
    "limit": app.limits.of("invitation").most,
    "app id": app.app_id(Settings(AI_APP_ID_9_INVITATION="nine")),
    "repaired": "app9" in Settings().repaired_accepted,
    "parents": sorted(parent.to_user_string() for parent in node.parent_keys),
    "like app3": [
        getattr(node, what) == getattr(graph.get(next(k for k in graph.get_all_asset_keys()
                                                      if k.to_user_string() == "app3_clue")), what)
        for what in ("partitions_def", "group_name")
    ],
    "version": node.code_version,
    "checks": sorted(one.name for one in graph.asset_check_keys if one.asset_key == key),
    "in the job": key in defs.resolve_job_def("member_insights").asset_layer.selected_asset_keys,
    "address": BODIES[app.name].__name__,
    "answer": app.answer.model_validate(said).model_dump(),
}))
"""


def block(language: str, beginning: str) -> str:
    """The block of the page that begins so, as it is typed: a diff without its signs."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [text for text in blocks if text.lstrip("+ ").startswith(beginning)]
    return re.sub(r"^\+", "", found, flags=re.MULTILINE)


def put_before(path: Path, mark: str, text: str) -> None:
    whole = path.read_text("utf-8")
    assert whole.count(mark) == 1
    path.write_text(whole.replace(mark, text + mark), "utf-8")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an interpreter of its own sees of the toy."""
    folder = tmp_path_factory.mktemp("toy")
    package = folder / "ai_assets"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "apps" / "app9_invitation.py").write_text(block("python", '"""App9'), "utf-8")
    put_before(package / "catalog.py", "    )\n}\n", block("diff", "_entry("))
    # the simulator's own list
    replies = package / "simulator"
    with (replies / "member_replies.py").open("a", encoding="utf-8") as member_replies:
        member_replies.write("\n\n" + block("diff", "def invitation"))
    put_before(replies / "replies.py", "}\nAPPS:", block("diff", '"app9"'))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AI_")}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TELL],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(folder), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout)


def test_one_file_and_one_line_make_an_asset_that_steps_settings_and_jobs_know(toy: dict[str, Any]) -> None:
    assert toy["steps"] == [
        "app3_clue",
        "app6_note",
        "app8_consolidation",
        "app7_customer",
        "app9_invitation",
    ]
    assert toy["limit"] == 300
    assert (toy["app id"], toy["repaired"]) == ("nine", True)
    assert toy["parents"] == ["biz/members", "dws/settlements"]
    assert toy["like app3"] == [True, True]
    assert toy["version"] == "app9:1"
    assert toy["checks"] == ["numbers_are_grounded", "reply_matches_schema"]
    assert toy["in the job"] is True
    assert toy["address"] == "RunMember"


def test_what_the_page_has_the_simulator_say_fits_the_apps_schema(toy: dict[str, Any]) -> None:
    assert toy["answer"]["invitation"].startswith("您好")
