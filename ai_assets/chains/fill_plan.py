"""From a fill's request and subjects to its trigger jobs. Pure; not here: reading or queueing (`filling`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ai_assets.apps.base import Subject
from ai_assets.apps.registry import APPS
from ai_assets.catalog import CATALOG
from ai_assets.chains.cells import Cell
from ai_assets.store.manual_jobs import ManualJob
from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.windows import WINDOWS

if TYPE_CHECKING:
    from ai_assets.chains.fill_request import FillRequest

ANSWERED = "targets with an answer (only_failed)"
NO_NOTE = "members without a note (app6_note)"
NO_ASSISTANT = "members without a known assistant"
UNKNOWN_ASSISTANT = "pairs whose assistant is not in biz.assistants"

Wanted = Callable[[str, Subject], bool]
Box = tuple[tuple[str, ...], tuple[str, ...]]
"""Areas and windows, both contiguous in the order of the partitions."""


@dataclass(frozen=True)
class FillSubjects:
    """Whom the answers are about: the members (site, member) in order, and which of them have a note.

    `pairs`: (site, assistant, member) that something names; `assistants`: (site, assistant) in the warehouse.
    """

    sites: Sequence[int]
    members: Sequence[tuple[int, int]] = ()
    with_note: AbstractSet[tuple[int, int]] = frozenset()
    pairs: AbstractSet[tuple[int, int, int]] = frozenset()
    assistants: AbstractSet[tuple[int, int]] = frozenset()


@dataclass
class FillPlan:
    """The jobs, in the order to queue them, and how much was left out by reason."""

    jobs: list[ManualJob] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def plan_jobs(
    request: FillRequest,
    subjects: FillSubjects,
    answered: Mapping[str, AbstractSet[tuple[int, str]]],
) -> FillPlan:
    """One job for each member and each pair, and for a site one for each box of cells.

    A member's own job comes before those of its pairs, whose apps read the member's answers. `answered`: by app, the
    targets (site, target id) to leave out. App6 is asked only about members with a note.
    """
    plan = FillPlan()

    def wanted(app: str, subject: Subject) -> bool:
        if (subject.site_id, APPS[app].target_id(subject)) not in answered.get(app, ()):
            return True
        plan.left_out[ANSWERED] += 1
        return False

    for site_id in subjects.sites:
        plan.jobs += _site_jobs(request, site_id, wanted)
    assistants = _assistants_of_members(subjects, plan) if request.pair_apps else {}
    for site_id, member_id in subjects.members:
        member = Subject(site_id, member_id=member_id)
        apps = list(request.member_apps)
        if "app6_note" in apps and (site_id, member_id) not in subjects.with_note:
            apps.remove("app6_note")
            plan.left_out[NO_NOTE] += 1
        if apps := [name for name in apps if wanted(name, member)]:
            plan.jobs.append(ManualJob(site_id, member_id, chain_of(apps), {}))
        known = assistants.get((site_id, member_id), ())
        plan.left_out[NO_ASSISTANT] += bool(request.pair_apps) and not known
        for assistant_id in known:
            pair = Subject(site_id, member_id=member_id, assistant_id=assistant_id)
            if apps := [name for name in request.pair_apps if wanted(name, pair)]:
                payload = {"assistant_id": assistant_id}
                plan.jobs.append(ManualJob(site_id, member_id, chain_of(apps), payload))
    return plan


def chain_of(apps: Sequence[str]) -> str:
    """The apps as `app_chain` names them, such as app3→app8."""
    return "→".join(CATALOG[name].alias for name in apps)


def boxes(cells: AbstractSet[tuple[str, str]]) -> list[Box]:
    """Boxes of contiguous areas and windows that hold these (area, window) cells and no other.

    A run of Dagster covers such a box: a cell that it covers and does not compute would show as failed with the run.
    """
    found: list[Box] = []
    growing: dict[tuple[str, ...], list[str]] = {}
    for window in WINDOWS:
        runs = list(_contiguous(area for area in AREAS if (area, window) in cells))
        ended = [areas for areas in growing if areas not in runs]
        found += [(areas, tuple(growing.pop(areas))) for areas in ended]
        for areas in runs:
            growing.setdefault(areas, []).append(window)
    found += [(areas, tuple(windows)) for areas, windows in growing.items()]
    return sorted(found, key=lambda box: (AREAS.index(box[0][0]), WINDOWS.index(box[1][0])))


def box_of(payload: Mapping[str, Any]) -> Box:
    """The box of a site's job from its payload; what the payload does not name is whole: all areas, all windows."""
    return _named(payload.get("areas"), AREAS), _named(payload.get("windows"), WINDOWS)


def _named(names: object, known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in known if isinstance(names, list) and name in names) or known


def _site_jobs(request: FillRequest, site_id: int, wanted: Wanted) -> Iterator[ManualJob]:
    chosen = (Cell(site_id, area, window) for area in AREAS for window in request.windows)
    cells = [
        cell
        for cell in chosen
        if cell.app.name in request.finance_apps and wanted(cell.app.name, cell.subject)
    ]
    for areas, windows in boxes({(cell.area, cell.window) for cell in cells}):
        apps = sorted({Cell(site_id, area, windows[0]).app.name for area in areas})
        yield ManualJob(
            site_id, None, chain_of(apps), {"apps": apps, "areas": list(areas), "windows": list(windows)}
        )


def _assistants_of_members(subjects: FillSubjects, plan: FillPlan) -> Mapping[tuple[int, int], list[int]]:
    members = set(subjects.members)
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for site_id, assistant_id, member_id in sorted(subjects.pairs):
        if (site_id, member_id) not in members:
            continue
        if (site_id, assistant_id) in subjects.assistants:
            found[site_id, member_id].append(assistant_id)
        else:
            plan.left_out[UNKNOWN_ASSISTANT] += 1
    return found


def _contiguous(areas: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """The areas, given in the order of AREAS, in groups without a gap."""
    # the place in AREAS and the place in the list grow together for as long as there is no gap
    for _, group in groupby(enumerate(areas), lambda placed: AREAS.index(placed[1]) - placed[0]):
        yield tuple(area for _, area in group)
