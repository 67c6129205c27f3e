"""The schemas that the apps' answers are held against.

Here: shapes and defaults; extra keys are kept. Not here: reading JSON out of an answer's text.
Source: behaviour.md, What each app answers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Tone = Literal["good", "neutral", "bad"]


def _tone(value: Any) -> Any:
    """No tone is neutral, and "Good " is good; another word is no tone: the answer breaks the schema."""
    if value is None:
        return "neutral"
    return value.strip().lower() if isinstance(value, str) else value


class Answer(BaseModel):
    """Any part of an answer: what the schema does not name is kept as it came."""

    model_config = ConfigDict(extra="allow")


class Insight(Answer):
    """One finding. Title and body are not blank."""

    title: Text
    body: Text
    tone: Annotated[Tone, BeforeValidator(_tone)] = "neutral"


class FinanceAnswer(Answer):
    """App2's and App2a's answer: 1 to 10 insights."""

    insights: Annotated[list[Insight], Field(min_length=1, max_length=10)]
