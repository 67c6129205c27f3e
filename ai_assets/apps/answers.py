"""The schemas that the apps' answers are held against.

Here: shapes, defaults and how long each text may be; extra keys are kept. Not here: reading JSON out of a text.
Source: docs/behaviour.md, The apps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from ai_assets.trust.limits import Limit, Limits

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Tone = Literal["good", "neutral", "bad"]
Category = Literal["客户基础", "消费习惯", "玩法偏好", "促销偏好", "社交关系", "重要反馈"]

CATEGORIES: tuple[str, ...] = get_args(Category)
DEFAULT_CATEGORY: Category = "客户基础"


def _tone(value: Any) -> Any:
    """No tone is neutral, and "Good " is good; another word is no tone: the answer breaks the schema."""
    if value is None:
        return "neutral"
    return value.strip().lower() if isinstance(value, str) else value


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def _joined(value: Any) -> Any:
    """Several names as one text; null is none."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return "、".join(name.strip() for name in value if name.strip())
    return _or_empty(value)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _no_flag(value: Any) -> Any:
    """True is no number, though Python counts it as 1."""
    return str(value) if isinstance(value, bool) else value


OptionalText = Annotated[str, BeforeValidator(_or_empty), StringConstraints(strip_whitespace=True)]
Names = Annotated[str, BeforeValidator(_joined), StringConstraints(strip_whitespace=True)]
Texts = Annotated[list[Text], BeforeValidator(_listed)]
Score = Annotated[int, BeforeValidator(_no_flag), Field(ge=1, le=10)]


class Answer(BaseModel):
    """Any part of an answer: what the schema does not name is kept as it came. Each text of it has a Limit.

    `NOTED`: limits of texts that a part's own reading adds, beside its fields.
    """

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)
    NOTED: ClassVar[Mapping[str, Limit]] = {}


def text_limits(answer: type[Answer]) -> Limits:
    """The limits that stand at the fields of an answer and of its parts, by path."""
    limits: dict[str, Limit] = {}
    keys: set[str] = set()

    def walk(part: type[Answer], path: str) -> None:
        limits.update({path + name: limit for name, limit in part.NOTED.items()})
        keys.update(part.model_fields, part.NOTED)
        for name, field in part.model_fields.items():
            for one in field.metadata:
                if isinstance(one, Limit):
                    limits[path + name] = one
            for inner in (field.annotation, *get_args(field.annotation)):
                if isinstance(inner, type) and issubclass(inner, Answer):
                    walk(inner, f"{path}{name}.")

    walk(answer, "")
    return Limits(limits, frozenset(keys))


class Insight(Answer):
    """One finding. Title and body are not blank."""

    title: Annotated[Text, Limit(60)]
    body: Annotated[Text, Limit(800)]
    tone: Annotated[Tone, BeforeValidator(_tone), Limit(20, needed=False)] = "neutral"


class FinanceAnswer(Answer):
    """App2's and App2a's answer: 1 to 10 insights."""

    insights: Annotated[list[Insight], Field(min_length=1, max_length=10)]


class Clue(Answer):
    """Something worth knowing of a member. The summary is not blank; no emoji and no detail are "".

    A category that is none of CATEGORIES is kept as DEFAULT_CATEGORY, and what was said as `category_given`.
    """

    NOTED = {"category_given": Limit(40, needed=False)}

    category: Annotated[Category, Limit(20, needed=False)] = DEFAULT_CATEGORY
    # half an emoji is another one, and the mark of a link that was taken out is none
    emoji: Annotated[OptionalText, Limit(12, needed=False, whole=True)] = ""
    summary: Annotated[Text, Limit(200)]
    detail: Annotated[OptionalText, Limit(600, needed=False)] = ""

    @model_validator(mode="before")
    @classmethod
    def _known_category(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        said = value.get("category")
        word = said.strip() if isinstance(said, str) else said
        if isinstance(word, str) and word in CATEGORIES:
            return {**value, "category": word}
        noted = {} if word is None or word == "" else {"category_given": word}
        return {**value, "category": DEFAULT_CATEGORY, **noted}


class MergedClue(Clue):
    """A clue and who gave it: names joined by "、", "" where nobody is named."""

    providers: Annotated[Names, Limit(200, needed=False)] = ""


class ClueAnswer(Answer):
    """App3's answer: 0 to 20 clues."""

    clues: Annotated[list[Clue], Field(max_length=20)]


class AnalysisAnswer(Answer):
    """App4's answer. Nothing in it is blank; one suggestion alone is a list of one."""

    task_description: Annotated[Text, Limit(1_000)]
    action_suggestions: Annotated[Texts, Limit(300)]
    one_line_summary: Annotated[Text, Limit(200)]


class Tactic(Answer):
    """What to say, and when."""

    scenario: Annotated[Text, Limit(150)]
    script: Annotated[Text, Limit(800)]


class TacticsAnswer(Answer):
    """App5's answer: 1 to 10 tactics."""

    tactics: Annotated[list[Tactic], Field(min_length=1, max_length=10)]


class NoteAnswer(Answer):
    """App6's answer: a whole score of 1 to 10, and 0 to 20 clues."""

    score: Score
    clues: Annotated[list[Clue], Field(max_length=20)]


class Strategy(Answer):
    """What to do with a member."""

    title: Annotated[Text, Limit(60)]
    content: Annotated[Text, Limit(800)]


class CustomerAnswer(Answer):
    """App7's answer."""

    summary: Annotated[Text, Limit(1_200)]
    strategies: list[Strategy]


class ConsolidationAnswer(Answer):
    """App8's answer: 0 to 30 clues."""

    clues: Annotated[list[MergedClue], Field(max_length=30)]
