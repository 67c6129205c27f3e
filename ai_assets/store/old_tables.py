"""The tables of the earlier dispatcher: which of them a database has, and what hangs on them.

Here: reads of Postgres' catalog. Not here: what becomes of their rows (`ai_assets.store.adopt_sql`), moving them
(`ai_assets.store.adopt`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

SUFFIX = "_before_adopt"
"""What is appended to the name of an old table, and to the names of its indexes and sequences."""

NEEDED: Mapping[str, frozenset[str]] = {
    "ai_trigger_jobs": frozenset({"event_type", "site_id", "status"}),
    "ai_run_logs": frozenset({"app_type", "site_id", "status"}),
    "ai_cache": frozenset({"cache_type", "site_id", "target_id", "result_json"}),
    "member_retention_clue": frozenset({"member_id", "site_id", "summary"}),
}
"""The old tables, and the columns by which one is recognized: another software may have a table of the same name."""

_TABLES = text(
    """
    select n.nspname as schema, c.relname as name,
        jsonb_object_agg(a.attname, pg_catalog.format_type(a.atttypid, null)) as columns
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where n.nspname = any(:schemas) and c.relname = any(:names) and c.relkind in ('r', 'p')
    group by n.nspname, c.relname
    """
)
_PARTS = text(
    """
    select 'index' as kind, i.indexrelid::regclass::text as name, c.relname as bare
    from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
    where i.indrelid = to_regclass(:table)
    union all
    select 'sequence', d.objid::regclass::text, c.relname
    from pg_catalog.pg_depend d join pg_catalog.pg_class c on c.oid = d.objid and c.relkind = 'S'
    where d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass(:table) and d.deptype in ('a', 'i')
    """
)
_DEPENDENTS = text(
    """
    select distinct 'view ' || r.ev_class::regclass::text
    from pg_catalog.pg_depend d join pg_catalog.pg_rewrite r on r.oid = d.objid
    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
      and d.refobjid = to_regclass(:table) and r.ev_class <> d.refobjid
      and r.ev_class in (select v.oid from pg_catalog.pg_class v where v.relpersistence <> 't')
    union all
    select 'foreign key ' || c.conname || ' of ' || c.conrelid::regclass::text
    from pg_catalog.pg_constraint c where c.contype = 'f' and c.confrelid = to_regclass(:table)
    union all
    select 'trigger ' || g.tgname
    from pg_catalog.pg_trigger g where g.tgrelid = to_regclass(:table) and not g.tgisinternal
    order by 1
    """
)
_GRANTS = text(
    """
    select case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as grantee,
        array_agg(distinct lower(a.privilege_type)) as rights
    from pg_catalog.pg_class c
    cross join lateral pg_catalog.aclexplode(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) a
    where c.oid = to_regclass(:table) and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
      and (a.grantee = 0 or pg_get_userbyid(a.grantee) <> current_user)
    group by 1 order by 1
    """
)
_DEFAULTS = text(
    """
    select a.attname as name, pg_get_expr(d.adbin, d.adrelid) as expression
    from pg_catalog.pg_attrdef d
    join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
    where d.adrelid = to_regclass(:table) and a.attgenerated = ''
      and pg_get_expr(d.adbin, d.adrelid) !~ 'nextval'
    """
)


@dataclass(frozen=True)
class OldTable:
    """One of them. `columns`: type by name, such as `character varying`."""

    schema: str
    name: str
    columns: Mapping[str, str] = field(hash=False)

    @property
    def full_name(self) -> str:
        """As SQL names it: both parts are plain lower-case words."""
        return f"{self.schema}.{self.name}"

    @property
    def new_name(self) -> str:
        """Its full name once it was moved out of the way."""
        return self.full_name + SUFFIX


def quoted(name: str) -> str:
    """The name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def find(connection: Connection, *, migrated: bool) -> list[OldTable]:
    """The old tables in `biz` and `public`. In a migrated database those in `biz` are this project's own."""
    schemas = ["public"] if migrated else ["biz", "public"]
    rows = connection.execute(_TABLES, {"schemas": schemas, "names": list(NEEDED)}).all()
    found = [OldTable(*row) for row in rows if NEEDED[row.name] <= row.columns.keys()]
    return sorted(found, key=lambda table: (list(NEEDED).index(table.name), table.schema))


def exists(connection: Connection, name: str) -> bool:
    """Whether there is a table, view or the like of this full name."""
    return bool(connection.execute(text("select to_regclass(:name) is not null"), {"name": name}).scalar())


def dependents(connection: Connection, table: OldTable) -> list[str]:
    """What of the venue's own stays with the old table: views, foreign keys, triggers."""
    return list(connection.execute(_DEPENDENTS, {"table": table.full_name}).scalars())


def grants(connection: Connection, table: OldTable) -> list[tuple[str, Sequence[str]]]:
    """Who may read or write it beside the current user: role as SQL names it, rights."""
    return [(row.grantee, row.rights) for row in connection.execute(_GRANTS, {"table": table.full_name})]


def defaults(connection: Connection, table: OldTable) -> dict[str, str]:
    """The defaults of its columns as SQL, but for those that draw from a sequence."""
    return {row.name: row.expression for row in connection.execute(_DEFAULTS, {"table": table.full_name})}


def rename(connection: Connection, table: OldTable) -> None:
    """Move it out of the way, with its indexes (and so the constraints that they enforce) and its sequences."""
    for kind, name, bare in connection.execute(_PARTS, {"table": table.full_name}).all():
        # a name has 63 bytes at most
        new = bare.encode()[: 63 - len(SUFFIX)].decode(errors="ignore") + SUFFIX
        _run(connection, f"alter {kind} {name} rename to {quoted(new)}")
    _run(connection, f"alter table {table.full_name} rename to {table.name}{SUFFIX}")


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
