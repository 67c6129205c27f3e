"""`ai-assets db adopt`: what it prints. Not here: the move itself (`ai_assets.store.adopt`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_assets.store.adopt import AdoptedTable, Adoption


def adoption_lines(adoption: Adoption, *, dry_run: bool) -> Iterator[str]:
    """What the command prints."""
    if not adoption.tables:
        yield "nothing to adopt: there is no table of an earlier dispatcher in biz or public"
        if adoption.revision is None:
            yield "run `ai-assets db upgrade` to make the tables"
        return
    for adopted in adoption.tables:
        yield from _table_lines(adopted, dry_run=dry_run)
    if dry_run:
        yield "nothing was changed"
    else:
        yield f"the tables are at revision {adoption.revision} now; run `ai-assets db roles` next"


def _table_lines(adopted: AdoptedTable, *, dry_run: bool) -> Iterator[str]:
    table = adopted.table
    would = "would be " if dry_run else ""
    yield (
        f"{table.full_name}: {adopted.rows:,} rows, {adopted.copied:,} {would}copied to biz.{table.name}; "
        f"{would}renamed to {table.new_name}"
    )
    for kind, found in (("not copied", adopted.not_copied), ("copied", adopted.changed)):
        for what, (rows, example) in sorted(found.items()):
            of = f", such as id {example}" if example is not None else ""
            yield f"  {rows:,} {kind}{of}: {what}"
    if adopted.columns_left:
        yield f"  columns not copied: {', '.join(adopted.columns_left)}"
    if table.schema == "public":
        yield f"  {table.full_name} {'would become' if dry_run else 'is'} a view of biz.{table.name}"
    for what in adopted.dependents:
        yield f"  {what} stays with {table.new_name}: make it anew on the new table"
