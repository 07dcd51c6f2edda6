"""The embedded PostgreSQL: a Unix socket only, so it cannot meet another server's port."""

import hashlib
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from service.cli.embedded import servers
from tasks.core.clock import system_clock
from tasks.core.errors import ConfigurationError, UnavailableError

_PORT = 5432  # names the socket file; said everywhere, because PGPORT may say something else
_SOCKET_PATH_BYTES = 100  # the kernel's limit is 108, or 104 on macOS
# Recovery after a crash reads up to a gigabyte of write-ahead log.
_RECOVERY_S = 600.0
_STARTS = 10
# What it says while processes of a server that was killed still hold its memory.
_STILL_HELD = "pre-existing shared memory block"
_STOP = {signal.SIGINT: 30.0, signal.SIGQUIT: 10.0, signal.SIGKILL: 5.0}
_UNPRIVILEGED = ("postgres", "embedded_postgres", "nobody")


def find_postgres(directory: Path) -> str | None:
    """Return the URL of the PostgreSQL of ``directory`` if it answers."""
    if not _is_initialised(directory):
        return None
    sockets = _socket_directory(directory)
    try:
        with closing(_connect(sockets)):
            return f"postgresql+psycopg2://postgres@/postgres?host={sockets}&port={_PORT}"
    except psycopg2.OperationalError:
        return None


def start_postgres(directory: Path) -> str:
    """Start (or find running) the PostgreSQL of ``directory`` and return its SQLAlchemy URL.

    Raises:
        ConfigurationError: If the extra ``embedded`` is not installed, or another user's server
            is in the directory.
        UnavailableError: If it does not start; its log is named and its end shown.
    """
    directory = directory.absolute()
    programs = (
        servers.package_directory("embedded_postgres", instead="DATABASE_URL") / "pginstall/bin"
    )
    _initialise(directory, programs)
    for _ in range(_STARTS):
        if (url := _start(directory, programs)) is not None:
            return url
        if _STILL_HELD not in " ".join(servers.last_lines(log_of(directory))):
            break
        system_clock().sleep(1.0)
    raise servers.failed("The embedded PostgreSQL did not start.", log_of(directory))


def stop_postgres(directory: Path) -> None:
    """Stop the PostgreSQL of ``directory`` if it runs; sessions are ended, data is kept."""
    directory = directory.absolute()
    servers.end(_postmaster(directory), directory, _STOP)


def lives(directory: Path) -> bool:
    """Tell whether the server's process is there, answering or not."""
    return _postmaster(directory.absolute()) is not None


def create_database(url: str, name: str) -> str:
    """Make sure that a database of this name exists beside that of ``url``; return its URL."""
    sockets = url.partition("host=")[2].partition("&")[0]
    with closing(_connect(Path(sockets))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select from pg_database where datname = %s", [name])
            if not cursor.rowcount:
                cursor.execute(f'create database "{name}"')
    return url.replace("/postgres?", f"/{name}?")


def _start(directory: Path, programs: Path) -> str | None:
    pid = _postmaster(directory)
    if pid is None:
        _forget_the_dead(directory)
        pid = servers.spawn(
            _command(directory, programs), directory, log_of(directory), **_user(directory)
        )
    servers.wait_while(
        lambda: find_postgres(directory) is None and servers.works_in(pid, directory),
        at_most_s=_RECOVERY_S,
    )
    return find_postgres(directory)


def _forget_the_dead(directory: Path) -> None:
    """Remove what PostgreSQL would refuse to start over when another process has the pid by now."""
    servers.reap(servers.pid_in(directory / "postmaster.pid"))
    (directory / "postmaster.pid").unlink(missing_ok=True)
    (_socket_directory(directory) / f".s.PGSQL.{_PORT}.lock").unlink(missing_ok=True)


def _command(directory: Path, programs: Path) -> list[str]:
    sockets = _socket_directory(directory)
    if sockets != directory:
        _make_private(sockets, directory)
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
    }
    flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return [str(programs / "postgres"), "-D", str(directory), "-p", str(_PORT), *flags]


def _postmaster(directory: Path) -> int | None:
    pid = servers.pid_in(directory / "postmaster.pid")
    return pid if servers.works_in(pid, directory) else None


def _initialise(directory: Path, programs: Path) -> None:
    """Make the data directory, in one step: what a crash leaves half done is thrown away."""
    _check_owner(directory)
    if _is_initialised(directory):
        return
    half_done = directory.with_name(directory.name + ".new")
    shutil.rmtree(half_done, ignore_errors=True)
    half_done.mkdir(mode=0o700, parents=True)
    if os.geteuid() == 0:
        _hand_over(half_done, programs)
    command = [str(programs / "initdb"), "-D", str(half_done), "-U", "postgres", "--auth=trust"]
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
    done = subprocess.run(  # noqa: S603 - our own binary, our own arguments
        [*command, *locale, "--builtin-locale=C.UTF-8"],
        cwd=half_done,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **_user(half_done),
    )
    if done.returncode:
        raise UnavailableError(f"The embedded PostgreSQL cannot be set up: {done.stderr.strip()}")
    shutil.rmtree(directory, ignore_errors=True)
    half_done.rename(directory)


def _is_initialised(directory: Path) -> bool:
    try:
        return (directory / "PG_VERSION").exists()
    except PermissionError:
        return False


def _check_owner(directory: Path) -> None:
    if not directory.exists():
        return
    owner = directory.stat().st_uid
    if os.geteuid() not in {0, owner}:
        raise ConfigurationError(
            f"{directory} belongs to user {owner}; choose another --data-dir, or set DATABASE_URL."
        )


def _hand_over(directory: Path, programs: Path) -> None:
    """Give the directory to a user that PostgreSQL agrees to run as: it refuses to be root."""
    user = next((entry for name in _UNPRIVILEGED if (entry := _entry(name))), None)
    if user is None:
        raise ConfigurationError(
            "PostgreSQL refuses to run as root: start kasparro as an ordinary user."
        )
    os.chown(directory, user.pw_uid, user.pw_gid)
    servers.let_pass([directory.parent, programs])
    _make_readable(programs.parent)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _make_readable(root: Path) -> None:
    if (root / "bin/postgres").stat().st_mode & stat.S_IXOTH:
        return
    for path in (root, *root.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(stat.S_IMODE(mode) | 0o044 | (0o011 if mode & stat.S_IXUSR else 0))


def _user(directory: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    owner = directory.stat()
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}


def _socket_directory(directory: Path) -> Path:
    """Return the data directory itself, unless its name is too long or too odd for a socket."""
    directory = directory.absolute()
    plain = re.fullmatch(r"[A-Za-z0-9_./-]+", str(directory))
    if plain and len(str(directory / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH_BYTES:
        return directory
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"kasparro-{directory.stat().st_uid}-{digest}"


def _make_private(sockets: Path, directory: Path) -> None:
    owner = directory.stat()
    try:
        sockets.mkdir(mode=0o700)
        os.chown(sockets, owner.st_uid, owner.st_gid)
    except FileExistsError:
        found = sockets.lstat()
        if found.st_uid != owner.st_uid or not stat.S_ISDIR(found.st_mode):
            raise ConfigurationError(
                f"{sockets} belongs to somebody else; choose a shorter --data-dir."
            ) from None


def _connect(sockets: Path) -> Any:
    return psycopg2.connect(
        host=str(sockets), port=_PORT, user="postgres", dbname="postgres", connect_timeout=5
    )


def log_of(directory: Path) -> Path:
    """Return where the server's words go."""
    return directory.with_name(directory.name + ".log")
