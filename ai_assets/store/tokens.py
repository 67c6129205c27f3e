"""Tokens of the gateway: making, listing, revoking, and whether a given one is the one that was made.

Kept is the SHA-256 of the secret part alone. A slow hash, as passwords need, would buy nothing: the secret is 256
random bits, which nobody guesses. Not here: what a route asks of a token (`ai_assets.gateway.access`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, text

from ai_assets.errors import InputError
from ai_assets.store.texts import storable

Role = Literal["read", "send", "operate"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may what those before it may."""
MOST_LIVE = 10_000
"""The gateway holds all that are valid in memory."""
NAME_LIMIT = 200
LARGEST_ID = 2**63 - 1

_FORM = re.compile(r"aia_([1-9][0-9]{0,18})_([A-Za-z0-9_-]{43})")
_LIVE = "revoked_at is null and (expires_at is null or expires_at > clock_timestamp())"
_COLUMNS = "id, name, role, site_ids, created_at, expires_at, revoked_at"
_INSERT = text(
    f"""
    insert into biz.ai_tokens (name, role, site_ids, hash, expires_at)
    values (:name, :role, cast(:site_ids as bigint[]), :hash, clock_timestamp() + make_interval(days => :days))
    returning {_COLUMNS}
    """  # noqa: S608  # constants
)
_ALL = text(f"select {_COLUMNS}, hash from biz.ai_tokens order by id")  # noqa: S608
_ALL_LIVE = text(f"select {_COLUMNS}, hash from biz.ai_tokens where {_LIVE} order by id limit :most")  # noqa: S608
_COUNT_LIVE = text(f"select count(*) from biz.ai_tokens where {_LIVE}")  # noqa: S608
_REVOKE = text(
    "update biz.ai_tokens set revoked_at = coalesce(revoked_at, clock_timestamp()) where id = :id returning id"
)
# compared with where there is no such token, so that the answer takes as long
_NOBODY = bytes(32)


@dataclass(frozen=True)
class Token:
    """Who may come in, without the secret. `site_ids` None: every site. Times are aware."""

    id: int
    name: str
    role: Role
    site_ids: frozenset[int] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def may(self, role: Role) -> bool:
        """Whether it may do what this role may."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, site_id: int | None) -> bool:
        """Whether it may read and write of this site; None: of what belongs to no single one."""
        return self.site_ids is None or site_id in self.site_ids

    def live(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired; `now` is aware."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class Kept:
    """A token and the hash of its secret."""

    token: Token
    hash: bytes


def create(
    connection: Connection, *, name: str, role: Role, site_ids: Sequence[int] | None, days: int | None = None
) -> tuple[Token, str]:
    """Make a token; returns it and its text, which is kept nowhere. `days` None: it does not expire.

    Raises InputError for an empty name, a site that can be none, and where there are too many already.
    """
    called = (storable(name) or "").strip()[:NAME_LIMIT]
    if not called:
        raise InputError("the token's name is empty: say who will use it")
    sites = None if site_ids is None else sorted(set(site_ids))
    if sites is not None and not (sites and sites[0] > 0 and sites[-1] <= LARGEST_ID):
        raise InputError("a token is for sites with ids from 1 on, or for all of them")
    if connection.execute(_COUNT_LIVE).scalar_one() >= MOST_LIVE:
        raise InputError(f"there are {MOST_LIVE} valid tokens already: revoke those that nobody uses")
    secret = secrets.token_urlsafe(32)
    values = {"name": called, "role": role, "site_ids": sites, "hash": _hash(secret), "days": days}
    token = _token(connection.execute(_INSERT, values).mappings().one())
    return token, f"aia_{token.id}_{secret}"


def every(connection: Connection) -> list[Token]:
    """All that were ever made, oldest first."""
    return [_token(row) for row in connection.execute(_ALL).mappings()]


def live(connection: Connection) -> dict[int, Kept]:
    """Those that are valid now, by id."""
    rows = connection.execute(_ALL_LIVE, {"most": MOST_LIVE}).mappings()
    return {row["id"]: Kept(_token(row), bytes(row["hash"])) for row in rows}


def revoke(connection: Connection, token_id: int) -> bool:
    """End a token for good; twice changes nothing. False where there is none of this id."""
    return connection.execute(_REVOKE, {"id": token_id}).first() is not None


def id_in(given: str) -> int | None:
    """The id that a token's text names, or None where it is no token."""
    found = _FORM.fullmatch(given)
    return int(found[1]) if found else None


def fits(given: str, kept: Kept | None) -> bool:
    """Whether the text is this token's. Takes as long whether it is, is not, or there is none."""
    found = _FORM.fullmatch(given)
    same = hmac.compare_digest(_hash(found[2] if found else ""), kept.hash if kept else _NOBODY)
    return same and kept is not None and found is not None and int(found[1]) == kept.token.id


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _token(row: Mapping[Any, Any]) -> Token:
    fields = {name: row[name] for name in Token.__dataclass_fields__}
    fields["site_ids"] = None if row["site_ids"] is None else frozenset(row["site_ids"])
    return Token(**fields)
