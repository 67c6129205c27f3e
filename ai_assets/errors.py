"""The one exception hierarchy of the project.

Here: the base types, and what they promise to a caller. Not here: DashScope's error table
(`ai_assets.dashscope.errors`), which builds on these.

A message is one line that says what was wrong, where, and what to do. `reason` is the short machine word
that goes to `ai_run_logs.reason` and to a trigger job's `step_results`.
"""

from __future__ import annotations

from typing import ClassVar


class AiAssetsError(Exception):
    """Something went wrong in ai_assets."""

    reason: ClassVar[str] = "error"
    quotes_nothing: ClassVar[bool] = True
    """Whether the message may be shown: it names keys, places and settings, never a value that may be a person's."""
    unsettled_attempts: int = 0
    """Attempts of a call that may have been billed before it ended in this, and told no usage."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class PermanentError(AiAssetsError):
    """Trying the same again gives the same result."""


class TransientError(AiAssetsError):
    """Trying the same again later may work."""


class InputError(PermanentError):
    """The request is wrong: nothing was spent and nothing was written."""

    reason = "bad_input"


class MissingSubjectError(InputError):
    """A member, assistant or note that is not there."""

    reason = "missing_subject"


class ConfigurationError(PermanentError):
    """A setting is missing or wrong."""

    reason = "bad_configuration"


class SchemaVersionError(ConfigurationError):
    """The database's schema does not fit this code."""

    reason = "schema_version"


class WarehouseError(PermanentError):
    """The warehouse (DWS or biz source tables) cannot be read as the data contract says."""

    reason = "warehouse"


class PromptError(PermanentError):
    """The prompt of one step could not be built from its data."""

    reason = "prompt_failed"


class DatabaseUnavailableError(TransientError):
    """Postgres cannot be reached."""

    reason = "database_unavailable"


class LockTimeoutError(DatabaseUnavailableError):
    """Another transaction holds a lock for longer than the statement may wait."""
