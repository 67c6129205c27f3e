"""Partition keys: their form, and how a site's areas stand together so that a site is one contiguous range.

Here: the partitions definitions and pure rules about keys. Not here: assets, sensors.
Dagster keeps dynamic keys in the order they were added, and a range run is a box over that order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagster import (
    DynamicPartitionsDefinition,
    MultiPartitionKey,
    MultiPartitionsDefinition,
    StaticPartitionsDefinition,
)

from ai_assets.chains.cells import Cell
from ai_assets.errors import InputError
from ai_assets.warehouse.areas import AREAS
from ai_assets.warehouse.windows import WINDOWS

if TYPE_CHECKING:
    from dagster import DagsterInstance

AREA_PARTITIONS = "area"
"""Name of the dynamic partitions that hold `site:area` keys."""

areas_def = DynamicPartitionsDefinition(name=AREA_PARTITIONS)
windows_def = StaticPartitionsDefinition(list(WINDOWS))
finance_partitions = MultiPartitionsDefinition({"area": areas_def, "time": windows_def})

_AREA_KEY = re.compile(r"(?P<site>[1-9][0-9]{0,18}):(?P<area>[A-Za-z]+)")
LARGEST_SITE_ID = 2**63 - 1


def area_key(site_id: int, area: str) -> str:
    """`1001:hallA`. Raises InputError for an area that there is not."""
    if area not in AREAS:
        raise InputError(f"no area {area!r}; the areas are {', '.join(AREAS)}")
    return f"{site_id}:{area}"


def parse_area_key(key: str) -> tuple[int, str]:
    """(site id, area) of a key. Raises InputError naming the key and its form."""
    match = _AREA_KEY.fullmatch(key)
    if match is None or match["area"] not in AREAS or int(match["site"]) > LARGEST_SITE_ID:
        raise InputError(f"area key {key!r} is not of the form SITE:AREA, such as 1001:hallA")
    return int(match["site"]), match["area"]


def cell_of(partition_key: str) -> Cell:
    """The cell of a partition key of `app2_finance` (`1001:hallA|this_month`). Raises InputError."""
    area, separator, window = partition_key.partition("|")
    if not separator or window not in WINDOWS:
        raise InputError(
            f"partition key {partition_key!r} is not of the form SITE:AREA|WINDOW, such as 1001:hallA|this_month"
        )
    site_id, area_name = parse_area_key(area)
    return Cell(site_id, area_name, window)


def partition_key_of(cell: Cell) -> MultiPartitionKey:
    """The partition key of a cell."""
    return MultiPartitionKey({"area": area_key(cell.site_id, cell.area), "time": cell.window})


def block_of(site_id: int) -> list[str]:
    """A site's nine area keys in the order they must stand."""
    return [area_key(site_id, area) for area in AREAS]


@dataclass(frozen=True)
class KeyChanges:
    """Dynamic keys to remove and then to add, so that every site asked for is one block."""

    remove: tuple[str, ...]
    add: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.remove or self.add)


def plan_blocks(existing: Sequence[str], site_ids: Iterable[int]) -> KeyChanges:
    """What to change so that each site's keys stand together, in order. Sites already in order are left alone."""
    of_site = _positions_by_site(existing)
    remove: list[str] = []
    add: list[str] = []
    for site_id in dict.fromkeys(site_ids):
        positions = of_site.get(str(site_id), [])
        if not _is_block(existing, positions, site_id):
            remove += [existing[position] for position in positions]
            add += block_of(site_id)
    return KeyChanges(tuple(remove), tuple(add))


def plan_together(existing: Sequence[str], site_ids: Iterable[int]) -> KeyChanges:
    """What to change so that these sites' blocks stand next to each other, and one range holds them all alone."""
    sites = list(dict.fromkeys(site_ids))
    of_site = _positions_by_site(existing)
    positions = sorted(position for site_id in sites for position in of_site.get(str(site_id), []))
    in_order = all(_is_block(existing, of_site.get(str(site_id), []), site_id) for site_id in sites)
    if in_order and (not positions or positions[-1] - positions[0] == len(positions) - 1):
        return KeyChanges((), ())
    remove = tuple(existing[position] for position in positions)
    return KeyChanges(remove, tuple(key for site_id in sites for key in block_of(site_id)))


def after(existing: Sequence[str], changes: KeyChanges) -> list[str]:
    """The keys as they will stand when the changes are made."""
    removed = set(changes.remove)
    return [key for key in existing if key not in removed] + list(changes.add)


def stands_alone(keys: Sequence[str], site_id: int) -> bool:
    """Whether the range from a site's first key to its last holds that site's nine areas and nothing else."""
    return _is_block(keys, _positions_by_site(keys).get(str(site_id), []), site_id)


def _positions_by_site(keys: Sequence[str]) -> dict[str, list[int]]:
    # one pass for all sites: a tick looks at every key of every site
    found: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        site, separator, _ = key.partition(":")
        if separator:
            found.setdefault(site, []).append(position)
    return found


def _is_block(keys: Sequence[str], positions: Sequence[int], site_id: int) -> bool:
    block = block_of(site_id)
    return (
        len(positions) == len(block)
        and positions[-1] - positions[0] == len(block) - 1
        and [keys[position] for position in positions] == block
    )


def range_tags(
    site_id: int,
    last_site_id: int | None = None,
    *,
    areas: Sequence[str] = AREAS,
    windows: Sequence[str] = WINDOWS,
) -> dict[str, str]:
    """The tags of one run over a box of cells: all 72 of a site, or of all sites that stand from it to the last.

    `areas` and `windows` narrow the box of one site; both are contiguous in the order of AREAS and WINDOWS.
    """
    first = MultiPartitionKey({"area": area_key(site_id, areas[0]), "time": windows[0]})
    last = MultiPartitionKey({"area": area_key(last_site_id or site_id, areas[-1]), "time": windows[-1]})
    return {
        "dagster/asset_partition_range_start": str(first),
        "dagster/asset_partition_range_end": str(last),
    }


def ensure_blocks(instance: DagsterInstance, site_ids: Iterable[int]) -> None:
    """Make the changes now. Materializations of keys that are removed and added again stay."""
    _change(instance, plan_blocks(instance.get_dynamic_partitions(AREA_PARTITIONS), site_ids))


def ensure_together(instance: DagsterInstance, site_ids: Sequence[int]) -> dict[str, str]:
    """Have these sites' blocks stand next to each other now; returns the tags of one run that makes them all."""
    keys = instance.get_dynamic_partitions(AREA_PARTITIONS)
    changes = plan_together(keys, site_ids)
    _change(instance, changes)
    wanted = {area_key(site_id, AREAS[0]): site_id for site_id in site_ids}
    standing = [wanted[key] for key in after(keys, changes) if key in wanted]
    return range_tags(standing[0], standing[-1])


def _change(instance: DagsterInstance, changes: KeyChanges) -> None:
    for key in changes.remove:
        instance.delete_dynamic_partition(AREA_PARTITIONS, key)
    if changes.add:
        instance.add_dynamic_partitions(AREA_PARTITIONS, list(changes.add))
