"""Look-ups over a prompt's facts that the judgement of a figure needs, made once a prompt.

Here: by measure its entities, by a unit the measures it may be of, by a name the entities that it may mean.
Not here: the facts themselves (`facts`).
"""

from __future__ import annotations

from ai_assets.trust.facts import COMPATIBLE, NONE, Facts

_Indexes = tuple[
    dict[str, frozenset[str]],
    dict[str, frozenset[str]],
    dict[tuple[frozenset[str], frozenset[str]], list[float]],
]


def entities_named(facts: Facts, name: str) -> frozenset[str]:
    """The facts' own names of what a passage names: of a date without a year, those that fit."""
    known = facts.resolved.get(name)
    if known is None:
        known = facts.resolved[name] = _resolve(facts, name)
    return known


def _resolve(facts: Facts, name: str) -> frozenset[str]:
    if name.startswith("D:"):
        month, _, day = name[2:].partition("-")
        wanted = f"-{int(month):02d}-{int(day):02d}" if int(month) else f"-{int(day):02d}"
        found = frozenset(one for one in facts.entities if one.startswith("d:") and one.endswith(wanted))
        if facts.last_day.endswith(wanted):
            found |= {"last"}
        return found or frozenset({name})
    if name.startswith("M:"):
        wanted = f"-{int(name[2:]):02d}"
        return frozenset(one for one in facts.entities if one.startswith("m:") and one.endswith(wanted))
    return frozenset({name}) if name in facts.entities else NONE


def indexes(facts: Facts) -> _Indexes:
    """By measure its entities; by a written kind the measures it may be of; by measure and entities its changes."""
    found: _Indexes | None = facts.looked_up
    if found is None:
        entities: dict[str, set[str]] = {}
        kinds: dict[str, set[str]] = {}
        changes: dict[tuple[frozenset[str], frozenset[str]], list[float]] = {}
        told: set[str] = set()
        for fact in facts.listed:
            for name in fact.measures:
                entities.setdefault(name, set()).update(fact.entities)
                if fact.aspect != "text":
                    kinds.setdefault(fact.kind, set()).add(name)
                    told.add(name)
            if fact.aspect == "change" and fact.kind != "percent":
                changes.setdefault((fact.measures, fact.entities), []).append(fact.value)
        # a measure that only sentences tell is of any unit
        only_said = facts.measures - told
        by_written = {
            written: frozenset(name for kind in of for name in kinds.get(kind, ())) | only_said
            for written, of in COMPATIBLE.items()
        }
        found = ({name: frozenset(about) for name, about in entities.items()}, by_written, changes)
        facts.looked_up = found
    return found
