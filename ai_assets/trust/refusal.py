"""The verdict on an answer that must not reach a venue. Not here: what leads to it (`plain_answers`, `leaks`)."""

from __future__ import annotations

from ai_assets.errors import PermanentError


class AnswerRefusedError(PermanentError):
    """The answer must not reach a venue.

    The message is one line and says what and where; it quotes nothing of the answer, for it goes to alerts. It says
    nothing of the app's health either: for the breaker it is neutral, else one hostile note could close an app to all.
    """

    reason = "answer_refused"
