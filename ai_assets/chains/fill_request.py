"""What a person asks a fill for, checked before anything is read. Pure; not here: its jobs (`fill_plan`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_assets.apps.member_subject import LARGEST_ID
from ai_assets.apps.registry import APPS, FINANCE_APPS, MEMBER_APPS, PAIR_APPS
from ai_assets.apps.registry import app as find_app
from ai_assets.errors import InputError
from ai_assets.warehouse.windows import WINDOWS


@dataclass(frozen=True)
class FillRequest:
    """Which answers to fill. `apps` are names in chain order; no `sites`: all active ones; no `members`: all.

    `only_failed`: only targets without an answer, or with a call since that failed, timed out or was refused.
    """

    apps: tuple[str, ...]
    sites: tuple[int, ...]
    members: tuple[int, ...]
    windows: tuple[str, ...]
    only_failed: bool
    forced: bool

    @property
    def finance_apps(self) -> tuple[str, ...]:
        """The chosen apps about a site's cells."""
        return tuple(name for name in self.apps if name in FINANCE_APPS)

    @property
    def member_apps(self) -> tuple[str, ...]:
        """The chosen apps about a member, in chain order."""
        return tuple(name for name in self.apps if name in MEMBER_APPS)

    @property
    def pair_apps(self) -> tuple[str, ...]:
        """The chosen apps about an assistant and a member, in chain order."""
        return tuple(name for name in self.apps if name in PAIR_APPS)


def fill_request(
    *,
    apps: Sequence[str],
    sites: Sequence[int] = (),
    all_sites: bool = False,
    members: Sequence[int] = (),
    windows: Sequence[str] = (),
    only_failed: bool = False,
    forced: bool = False,
) -> FillRequest:
    """A request from what a person wrote. Raises InputError that names the field and what it may hold."""
    if not apps:
        raise InputError(f"apps is empty: name the apps to fill, of {', '.join(APPS)}")
    named = {find_app(name).name for name in apps}
    if all_sites and sites:
        raise InputError("sites and all_sites are both given: give one of them")
    if not all_sites and not sites:
        raise InputError("sites is empty: name the sites, or set all_sites for every active site")
    if unknown := [window for window in windows if window not in WINDOWS]:
        raise InputError(f"unknown window {', '.join(map(repr, unknown))}: use some of {', '.join(WINDOWS)}")
    request = FillRequest(
        apps=tuple(name for name in (*FINANCE_APPS, *MEMBER_APPS, *PAIR_APPS) if name in named),
        sites=_ids("sites", sites),
        members=_ids("members", members),
        windows=tuple(window for window in WINDOWS if window in windows) or WINDOWS,
        only_failed=only_failed,
        forced=forced,
    )
    if windows and not request.finance_apps:
        raise InputError(
            f"windows is given, and no app has any: add {' or '.join(FINANCE_APPS)}, or leave it"
        )
    if members and not (request.member_apps or request.pair_apps):
        raise InputError("members is given, and no chosen app is about members: add one, or leave it empty")
    return request


def _ids(field: str, numbers: Sequence[int]) -> tuple[int, ...]:
    for number in numbers:
        if not 1 <= number <= LARGEST_ID:
            raise InputError(f"{field}: {number} is not a whole number from 1 to {LARGEST_ID}")
    return tuple(dict.fromkeys(numbers))
