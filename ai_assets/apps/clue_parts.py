"""What other apps answered, as pieces of a prompt: clues, sets of clues, App4's and App7's answers.

Only the named keys go on, in a fixed order: a cached answer (jsonb has an order of its own) and a fresh one
give the same text, and in it the member is named as the prompt names them. Not here: where the answers come from
(`ai_assets.chains.member_steps`), any app's task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ai_assets.apps.answers import AnalysisAnswer
from ai_assets.apps.member_source import Given
from ai_assets.apps.member_texts import LONGEST_NAME, cut, local_text
from ai_assets.apps.names import IN_FULL, Naming
from ai_assets.errors import PromptError

if TYPE_CHECKING:
    from ai_assets.warehouse.sites import Site

NO_CLUES = "暂无线索"
NO_CUSTOMER = "暂无客户分析"
NO_ANALYSIS = "暂无关系分析"

# an answer of our own is shorter; a payload may hold anything
LONGEST_SAID = 2_000
MOST_SUGGESTIONS = 20

FROM_CONSUMPTION = "消费分析"
FROM_NOTE = "备注"


def clues_part(given: Given | None, naming: Naming) -> list[dict[str, str]] | str:
    """The clues of App3's, App6's or App8's answer, or words that there are none."""
    clues = given.result.get("clues") if given is not None else None
    shown = (
        [_clue(clue, naming) for clue in clues if isinstance(clue, Mapping)]
        if isinstance(clues, list)
        else []
    )
    return shown or NO_CLUES


def clue_set(given: Given | None, source: str, site: Site, naming: Naming) -> dict[str, Any]:
    """One of the sets that App8 merges: from whom, when it was made ("": just now, or not at all), the clues.

    The time is the site's own, to the minute. Raises WarehouseError for a zone that does not exist.
    """
    made_at = given.made_at if given is not None else None
    return {"来源": source, "生成时间": local_text(made_at, site), "线索": clues_part(given, naming)}


def note_author(given: Given | None) -> str:
    """Who wrote the note that App6's clues came from; 备注 where that is not known."""
    references = given.result.get("_references") if given is not None else None
    note = references.get("note") if isinstance(references, Mapping) else None
    author = note.get("noted_by") if isinstance(note, Mapping) else None
    return cut(_text(author, IN_FULL), LONGEST_NAME) or FROM_NOTE


def customer_part(given: Given | None, naming: Naming) -> dict[str, Any] | str:
    """App7's answer, or words that there is none."""
    if given is None:
        return NO_CUSTOMER
    strategies = given.result.get("strategies")
    return {
        "概述": _text(given.result.get("summary"), naming),
        "策略": [
            {"标题": _text(strategy.get("title"), naming), "内容": _text(strategy.get("content"), naming)}
            for strategy in (strategies if isinstance(strategies, list) else [])
            if isinstance(strategy, Mapping)
        ],
    }


def analysis_part(given: Given | None, naming: Naming) -> dict[str, Any] | str:
    """App4's answer, or words that there is none.

    Raises PromptError for one that is no answer of App4: an event's payload or a person may give any.
    """
    if given is None:
        return NO_ANALYSIS
    try:
        answer = AnalysisAnswer.model_validate(dict(given.result))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise PromptError(
            f"the App4 answer that was given is none: {where}: {first['msg']}; "
            "give one as App4 answers it, or leave it out to take the cached one"
        ) from error
    return {
        "任务描述": cut(answer.task_description, LONGEST_SAID, naming),
        "行动建议": [
            cut(suggestion, LONGEST_SAID, naming)
            for suggestion in answer.action_suggestions[:MOST_SUGGESTIONS]
        ],
        "一句话总结": cut(answer.one_line_summary, LONGEST_SAID, naming),
    }


def _clue(clue: Mapping[str, Any], naming: Naming) -> dict[str, str]:
    return {
        "类别": _text(clue.get("category"), naming),
        "表情": _text(clue.get("emoji"), naming),
        "摘要": _text(clue.get("summary"), naming),
        "详情": _text(clue.get("detail"), naming),
    }


def _text(value: Any, naming: Naming) -> str:
    return cut(value, LONGEST_SAID, naming) if isinstance(value, str) else ""
