"""What an app is to the rest: its subject, its prompt, and the few functions that a step calls.

Here: the shapes. Not here: any app, any prompt's text, the step that runs an app.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ai_assets.apps.answers import Answer, text_limits
from ai_assets.catalog import CatalogEntry
from ai_assets.errors import ConfigurationError
from ai_assets.trust.limits import Limits

if TYPE_CHECKING:
    from ai_assets.settings import Settings

Source = TypeVar("Source")


@dataclass(frozen=True)
class Subject:
    """Whom or what one run of an app is about. Which parts an app needs is its `check`'s matter."""

    site_id: int
    window: str | None = None
    area: str | None = None
    member_id: int | None = None
    assistant_id: int | None = None


@dataclass(frozen=True)
class Prompt:
    """The text that goes to the app, and what it was built from (JSON values only) for `_references`.

    `put_back`: what stands in the text for a name, and the name: to be put into the answer before it is kept
    (`ai_assets.apps.names.restore`).

    Made by `ai_assets.apps.prompt.make_prompt` alone, so that nothing goes round the redaction.
    """

    text: str
    references: dict[str, Any]
    put_back: Mapping[str, str] = field(default_factory=dict)


class Kind(Enum):
    """The kinds of subjects; each has partitions of its own in Dagster."""

    CELL = "cell"
    MEMBER = "member"
    PAIR = "pair"


@dataclass(frozen=True)
class SubjectType:
    """Whom or what an app is about.

    `check` gets the app's name and raises InputError, naming the app, for a subject that it cannot take, before
    anything is spent. `target_id`: its target in the cache.
    """

    kind: Kind
    check: Callable[[str, Subject], None]
    target_id: Callable[[Subject], str]


class Upstream(StrEnum):
    """What others own and prompts are made from: the keys of its assets."""

    FINANCE = "dws/finance"
    SETTLEMENTS = "dws/settlements"
    MEMBERS = "biz/members"
    NOTES = "biz/notes"
    ASSISTANTS = "biz/assistants"


@dataclass(frozen=True)
class App(Generic[Source]):
    """One app. `Source` is what its prompt is built from, such as a site's finances.

    `version` is the app's code_version and part of the memo's key: raise it when answers must be made anew
    though the prompt's text is the same. `build` checks the subject too, and raises PromptError where the data
    cannot be used. `description`: what its asset holds, for operators.

    What it is made from, for steps, lineage and staleness (names of apps):
    - `reads`: what of others' tables;
    - `handed_on`: answers of the steps before it in its own chain; of those that did not run, from the cache;
    - `from_cache`: answers that it always reads from the cache, whoever made them;
    - `follows`: its answer is missing where one of these is there for the same target;
    - `each_visit`: every consumption makes it, so that Dagster calls it late when none did for days.
    """

    entry: CatalogEntry
    version: str
    answer: type[Answer]
    about: SubjectType
    build: Callable[[Source, Subject], Prompt]
    description: str
    reads: tuple[Upstream, ...] = ()
    handed_on: tuple[str, ...] = ()
    from_cache: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    each_visit: bool = False

    def check(self, subject: Subject) -> None:
        """Raise InputError for a subject that the app cannot take."""
        self.about.check(self.name, subject)

    def target_id(self, subject: Subject) -> str:
        """The target in the cache."""
        return self.about.target_id(subject)

    @property
    def given(self) -> tuple[str, ...]:
        """The apps whose answers its prompt holds."""
        return (*self.handed_on, *self.from_cache)

    @cached_property
    def limits(self) -> Limits:
        """How long the texts of its answer may be."""
        return text_limits(self.answer)

    @property
    def name(self) -> str:
        """The app's name in logs, settings and tables."""
        return self.entry.name

    @property
    def setting(self) -> str:
        """The attribute of Settings with the DashScope app id."""
        return self.entry.setting

    @property
    def env(self) -> str:
        """The environment name of that setting."""
        return self.entry.env

    @property
    def cache_type(self) -> str:
        """The `cache_type` of the app's results."""
        return self.entry.cache_type

    def app_id(self, settings: Settings) -> str:
        """The DashScope app id to call. Raises ConfigurationError naming the setting if it is empty."""
        value: str = getattr(settings, self.setting)
        if not value:
            raise ConfigurationError(f"{self.env} is not set: give the DashScope app id of {self.name}")
        return value
