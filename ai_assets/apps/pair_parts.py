"""An assistant and a member as pieces of a prompt: who they are, and the tasks between them.

Not here: what they did together (`ai_assets.apps.member_parts`), what other apps said (`clue_parts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_assets.apps.member_parts import profile
from ai_assets.apps.member_texts import LONGEST_NAME, cut, local_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ai_assets.apps.names import Naming
    from ai_assets.warehouse.people import Assistant, Member, Task
    from ai_assets.warehouse.sites import Site

NO_TASKS = "暂无待办任务"
# not the balance: it is no matter for talk
_TO_SPEAK = ("编号", "姓名", "昵称", "性别", "等级", "入会天数")


def assistant_part(assistant: Assistant) -> dict[str, Any]:
    """The assistant: id, name, and level where it is known."""
    parts = {"编号": assistant.assistant_id, "姓名": cut(assistant.name, LONGEST_NAME)}
    return parts | ({"等级": cut(assistant.level, LONGEST_NAME)} if assistant.level else {})


def short_profile(member: Member, as_of: date, naming: Naming) -> dict[str, Any]:
    """The member as one who speaks to them must know them; what is unknown is left out."""
    parts = profile(member, as_of, naming)
    return {key: parts[key] for key in _TO_SPEAK if key in parts}


def tasks_part(tasks: Sequence[Task], site: Site, naming: Naming) -> list[dict[str, str]] | str:
    """The open tasks in the order given, or words that there are none; times are the site's own."""
    return [
        {
            "类型": cut(task.task_type or "", LONGEST_NAME, naming),
            "状态": cut(task.status or "", LONGEST_NAME),
            "下达时间": local_text(task.created_at, site),
        }
        for task in tasks
    ] or NO_TASKS
