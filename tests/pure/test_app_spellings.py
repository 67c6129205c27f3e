"""Every entry that takes an app's name accepts each of its spellings, App8's two full names among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest.mock import MagicMock

import click
import pytest
from click.testing import CliRunner

from ai_assets.catalog import CATALOG, find_entry
from ai_assets.chains import fill_request, member_chain
from ai_assets.cli import explain, stale
from ai_assets.cli.guard import guard
from ai_assets.cli.main import cli
from ai_assets.cli.run_app import run_app
from ai_assets.errors import InputError
from ai_assets.gateway.runs import SPELLINGS
from ai_assets.settings import Settings, accepted_apps
from ai_assets.simulator.behaviour import checked_app

APP8 = ("app8_consolidation", "app8_consolidate", "app8")
APP_PARAMETERS = {"app", "apps", "app_name", "app_fail", "app_latency"}
"""How options and arguments of commands are called that take an app's name."""


def invoked(command: click.Command, *arguments: str) -> str:
    result = CliRunner().invoke(command, list(arguments), obj=MagicMock(), standalone_mode=False)
    return str(result.exception or result.output)


def by_guard(action: str, spelling: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    named: list[str] = []

    def record(_engine: object, apps: list[str], *_args: object, **_more: object) -> list[object]:
        named.extend(apps)
        return []

    for function in ("set_breakers", "reset_estimates", "changes"):
        monkeypatch.setattr(f"ai_assets.guard.breakers.{function}", record)
    arguments = [] if action == "history" else ["--reason", "a test"]
    invoked(guard, action, spelling, *arguments)
    return named


def by_stale(spelling: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    named: list[str] = []

    def record(_engine: object, _site: object, apps: list[str]) -> object:
        named.extend(apps)
        return MagicMock(is_fresh=True, apps=())

    monkeypatch.setattr(stale, "chosen_sites", lambda *_: [1])
    monkeypatch.setattr("ai_assets.chains.staleness.site_staleness", record)
    invoked(stale.stale, "--app", spelling, "--json")
    return named


def by_run_app(spelling: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    named: list[str] = []

    def stop(asked: Any) -> None:
        named.append(asked.app_name)
        raise InputError

    monkeypatch.setattr("ai_assets.chains.by_hand.check", stop)
    invoked(run_app, spelling, "--site", "1001")
    return named


COMMANDS: dict[str, Callable[[str, pytest.MonkeyPatch], list[str]]] = {
    **{
        f"guard {action} apps": partial(by_guard, action)
        for action in ("open", "close", "reset", "reset-estimate", "history")
    },
    "stale apps": by_stale,
    "run-app app_name": by_run_app,
    "simulate app_fail": lambda spelling, _: [find_entry(checked_app(spelling)).name],
    "simulate app_latency": lambda spelling, _: [find_entry(checked_app(spelling)).name],
}
OTHERS: dict[str, Callable[[str], list[str]]] = {
    "explain --type": lambda spelling: [
        e.name for e in CATALOG.values() if e.cache_type == explain.cache_type_of(spelling)
    ],
    "AI_REPAIRED_ANSWERS": lambda spelling: [
        find_entry(alias).name
        for alias in Settings(AI_REPAIRED_ANSWERS=spelling).repaired_accepted  # type: ignore[call-arg]
    ],
    "repaired_answers in the launchpad": lambda spelling: [
        find_entry(alias).name for alias in accepted_apps(spelling)
    ],
    "fill_answers": lambda spelling: list(fill_request.fill_request(apps=[spelling], sites=[1001]).apps),
    "app_chain": lambda spelling: list(member_chain.apps_of(MagicMock(app_chain=spelling))),
    "POST /apps/{app}/run": lambda spelling: [SPELLINGS[spelling]],
}


def parameters_of(command: click.Command, path: str = "") -> Iterator[str]:
    if isinstance(command, click.Group):
        for name in command.list_commands(MagicMock()):
            found = command.get_command(MagicMock(), name)
            assert found is not None
            yield from parameters_of(found, f"{path}{name} ")
        return
    for parameter in command.params:
        if parameter.name in APP_PARAMETERS:
            yield f"{path}{parameter.name}"


def test_each_command_that_takes_an_apps_name_is_walked_over_here() -> None:
    assert set(parameters_of(cli)) == set(COMMANDS)


@pytest.mark.parametrize("spelling", APP8)
@pytest.mark.parametrize("entry", COMMANDS)
def test_a_command_takes_every_spelling(entry: str, spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert COMMANDS[entry](spelling, monkeypatch) == ["app8_consolidation"]


@pytest.mark.parametrize("spelling", APP8)
@pytest.mark.parametrize("entry", OTHERS)
def test_a_setting_config_or_address_takes_every_spelling(entry: str, spelling: str) -> None:
    assert OTHERS[entry](spelling) == ["app8_consolidation"]


def test_every_spelling_of_every_app_means_that_app_and_no_other() -> None:
    spellings = [spelling for entry in CATALOG.values() for spelling in entry.spellings]
    assert len(spellings) == len(set(spellings))
    assert all(find_entry(s) is entry for entry in CATALOG.values() for s in entry.spellings)


def test_a_misspelt_app_is_refused_in_a_list_too() -> None:
    with pytest.raises(InputError, match="app9"):
        accepted_apps("app8,app9")
