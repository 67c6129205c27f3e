"""A loaded database that the tests of one module share: read it, do not write to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

import pytest
from sqlalchemy import Engine, create_engine, text

from ai_assets.store import embedded
from ai_assets.store.engine import make_engine

_number = count(1)


@pytest.fixture(scope="module")
def shared_engine(server_url: str, template: str) -> Iterator[Engine]:
    name = f"ai_assets_samples_{os.getpid()}_{next(_number)}"
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name} template {template}"))
    engine = make_engine(embedded.with_database(server_url, name))
    yield engine
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))
    admin.dispose()
